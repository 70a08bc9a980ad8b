//! What a row of the table is.

use std::time::{Duration, Instant};

use crate::rig::Rig;
use crate::support::wait::now;

/// Where messages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broker {
    /// The Redis server that holds the state as well.
    Redis,
    /// RabbitMQ; the state is in Redis. Rows share one node.
    Amqp,
    /// A RabbitMQ node of the row's own, because the row harms it.
    OwnAmqp,
    /// Redis; the state is in a file.
    RedisAndFile,
    /// Not run: the row says why.
    None,
}

/// How often a (entry, fire time) pair may arrive again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dup {
    /// In all; where data was lost the ids may differ.
    AtMost(usize),
    /// In all, with the same task id.
    SameId(usize),
}

/// A fault that was made, and how long nobody could publish because of it.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// When it ended; where something was killed, when that was.
    pub ended: Instant,
    /// For how long no instance could reach store or broker.
    pub outage: Duration,
}

impl Fault {
    /// Ended at `at`; some instance could always publish.
    pub fn at(at: Instant) -> Self {
        Self {
            ended: at,
            outage: Duration::ZERO,
        }
    }

    /// Ended just now.
    pub fn now() -> Self {
        Self::at(now())
    }

    /// Ended just now; since `since` no instance could publish.
    pub fn outage_since(since: Instant) -> Self {
        let ended = now();
        Self {
            ended,
            outage: ended - since,
        }
    }
}

/// One scenario: a fault and what it may cost.
#[derive(Clone)]
pub struct Row {
    /// As in the table.
    pub id: &'static str,
    /// As in the table.
    pub name: &'static str,
    /// What is done.
    pub fault: &'static str,
    /// How many instances run.
    pub instances: usize,
    /// Where messages go.
    pub broker: Broker,
    /// Fast fire times that an entry with `misfire = "latest"` may lose beyond the outage.
    pub allow: u64,
    /// Repeats.
    pub dup: Dup,
    /// Seconds from the end of the fault to the first tick of each fast entry.
    pub recovery: f64,
    /// Whether entries with `misfire = "all"` may lose as much: the store lost its data.
    pub data_loss: bool,
    /// Whether it runs with every test run.
    pub ci: bool,
    /// A setting of the Redis server, with its value.
    pub redis_setting: Option<[&'static str; 2]>,
    /// Redis writes an append-only file.
    pub aof: bool,
    /// The state file lies on a file system of 8 MiB that only the instance sees.
    pub small_disk: bool,
    /// Each instance has a wall clock that the row moves.
    pub clocks: bool,
    /// The schedule lies in a folder as Kubernetes mounts it.
    pub config_map: bool,
    /// Sentinels watch the Redis server, and instances find it through them.
    pub sentinels: bool,
    /// Makes the fault.
    pub run: fn(&mut Rig) -> Fault,
}

impl Row {
    /// A row on Redis with two instances, no repeats, `allow` and `recovery` in its place.
    pub fn redis(id: &'static str, name: &'static str, allow: u64, recovery: f64) -> Self {
        Self {
            id,
            name,
            fault: "",
            instances: 2,
            broker: Broker::Redis,
            allow,
            dup: Dup::AtMost(0),
            recovery,
            data_loss: false,
            ci: false,
            redis_setting: None,
            aof: false,
            small_disk: false,
            clocks: false,
            config_map: false,
            sentinels: false,
            run: |_| Fault::now(),
        }
    }

    /// The same on RabbitMQ.
    pub fn amqp(id: &'static str, name: &'static str, allow: u64, recovery: f64) -> Self {
        Self {
            broker: Broker::Amqp,
            ..Self::redis(id, name, allow, recovery)
        }
    }

    /// What is done, in words and in deed.
    pub fn fault(self, fault: &'static str, run: fn(&mut Rig) -> Fault) -> Self {
        Self { fault, run, ..self }
    }

    /// Runs with every test run.
    pub fn ci(self) -> Self {
        Self { ci: true, ..self }
    }

    /// Repeats that are allowed.
    pub fn dup(self, dup: Dup) -> Self {
        Self { dup, ..self }
    }

    /// The store loses its data.
    pub fn data_loss(self) -> Self {
        Self {
            data_loss: true,
            ..self
        }
    }
}
