//! The settings that change what is published, with Celery's defaults.

use uuid::Uuid;

use crate::schedule::Zone;

use super::{Compression, Exchange, ExchangeKind, Invalid, Serializer, Value, check};

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Transport {
    /// Redis in any of its forms: JSON envelopes in lists.
    #[default]
    Redis,
    /// RabbitMQ.
    Amqp,
    /// A folder: the envelopes of Redis in files.
    Filesystem,
}

/// `task_protocol`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Protocol {
    /// 1: everything in the body.
    V1,
    /// 2: headers and body.
    #[default]
    V2,
}

/// All settings that change bytes, apart from routing.
#[derive(Debug, Clone)]
pub struct Conventions {
    /// What carries the messages.
    pub transport: Transport,
    /// `task_protocol`.
    pub protocol: Protocol,
    /// `task_serializer`.
    pub serializer: Serializer,
    /// `task_compression`.
    pub compression: Option<Compression>,
    /// `enable_utc`; only protocol 1 shows it.
    pub enable_utc: bool,
    /// `timezone`: the zone in which `eta` and `expires` are written.
    pub timezone: Zone,
    /// `task_repr_maxlevels`; 0 is without limit.
    pub repr_maxlevels: usize,
    /// `broker_transport_options` for Redis.
    pub redis: RedisConventions,
    /// `task_send_sent_event` and its settings; `None` sends no events.
    pub events: Option<EventConventions>,
    /// Who publishes.
    pub identity: Identity,
}

impl Conventions {
    /// Celery's defaults.
    #[must_use]
    pub fn new(identity: Identity) -> Self {
        Self {
            transport: Transport::default(),
            protocol: Protocol::default(),
            serializer: Serializer::default(),
            compression: None,
            enable_utc: true,
            timezone: Zone::utc(),
            repr_maxlevels: 3,
            redis: RedisConventions::default(),
            events: None,
            identity,
        }
    }

    /// The channel of `task-sent` events in Redis, `None` when none are sent.
    #[must_use]
    pub fn event_channel(&self) -> Option<String> {
        let events = self.events.as_ref()?;
        Some(self.redis.channel(&events.exchange, "task.sent"))
    }

    /// The exchange of `task-sent` events, to be declared before the first, `None` when none are
    /// sent.
    #[must_use]
    pub fn event_exchange(&self) -> Option<Exchange> {
        let events = self.events.as_ref()?;
        Some(Exchange::new(&*events.exchange, ExchangeKind::Topic))
    }
}

/// Kombu's layout of a Redis database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisConventions {
    /// Database number, part of fanout channels.
    pub db: i64,
    /// `global_keyprefix`, before every key and channel.
    pub global_keyprefix: String,
    /// `sep`, between queue and priority step and within binding members.
    pub sep: String,
    /// `priority_steps`, ascending.
    pub priority_steps: Vec<u8>,
    /// `fanout_prefix`: text before the exchange in channels, `{db}` is the database number.
    pub fanout_prefix: String,
    /// `fanout_patterns`: the routing key is part of the channel.
    pub fanout_patterns: bool,
    /// `body_encoding = "base64"`; false embeds the raw text.
    pub body_base64: bool,
    /// `deadletter_queue`: takes what a direct exchange cannot route.
    pub deadletter_queue: Option<String>,
}

impl Default for RedisConventions {
    fn default() -> Self {
        Self {
            db: 0,
            global_keyprefix: String::new(),
            sep: "\x06\x16".to_owned(),
            priority_steps: vec![0, 3, 6, 9],
            fanout_prefix: "/{db}.".to_owned(),
            fanout_patterns: true,
            body_base64: true,
            deadletter_queue: None,
        }
    }
}

/// `task-sent` events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventConventions {
    /// `event_exchange`.
    pub exchange: String,
    /// `event_serializer`.
    pub serializer: Serializer,
}

impl Default for EventConventions {
    fn default() -> Self {
        Self {
            exchange: "celeryev".to_owned(),
            serializer: Serializer::Json,
        }
    }
}

/// Who publishes: constant in a process.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// Host name.
    pub hostname: String,
    /// `reply_to` of all messages.
    pub reply_to: Uuid,
    /// Hours of the machine's local time west of UTC, as Celery puts it into events.
    pub utcoffset_hours: f64,
}

impl Identity {
    /// The `origin` header: `beat<pid>@<host>`.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("beat{}@{}", self.pid, self.hostname)
    }
}

/// `task_publish_retry` and `task_publish_retry_policy`: the pauses between attempts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Whether to retry at once at all.
    pub enabled: bool,
    /// Attempts after which Celery would give up; here only pauses stop growing.
    pub max_retries: Option<u32>,
    /// First pause, seconds.
    pub interval_start: f64,
    /// What each pause adds, seconds.
    pub interval_step: f64,
    /// Longest pause, seconds.
    pub interval_max: f64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            max_retries: Some(3),
            interval_start: 0.0,
            interval_step: 0.2,
            interval_max: 1.0,
        }
    }
}

impl RetryPolicy {
    /// This policy with the keys of `table` over it.
    ///
    /// # Errors
    /// Unknown keys and values that are no numbers, keys relative to `table`.
    pub fn with(self, table: &Value) -> Result<Self, Vec<Invalid>> {
        let Value::Dict(pairs) = table else {
            return Err(vec![check::wrong("", "a table", table)]);
        };
        let mut policy = self;
        let mut errors = Vec::new();
        for (key, value) in pairs {
            if let Err(error) = policy.set(key, value) {
                errors.push(error);
            }
        }
        if errors.is_empty() {
            Ok(policy)
        } else {
            Err(errors)
        }
    }

    fn set(&mut self, key: &str, value: &Value) -> Result<(), Invalid> {
        match key {
            "max_retries" => {
                self.max_retries = match value {
                    Value::Null => None,
                    _ => u32::try_from(check::integer(value, key, 0..=i64::from(u32::MAX))?).ok(),
                };
            }
            "interval_start" => self.interval_start = check::seconds(value, key)?,
            "interval_step" => self.interval_step = check::seconds(value, key)?,
            "interval_max" => self.interval_max = check::seconds(value, key)?,
            // Python exception classes: nothing that a file could name.
            "retry_errors" => {}
            _ => return Err(check::unknown(key, POLICY_KEYS, "key")),
        }
        Ok(())
    }
}

const POLICY_KEYS: &[&str] = &[
    "max_retries",
    "interval_start",
    "interval_step",
    "interval_max",
    "retry_errors",
];
