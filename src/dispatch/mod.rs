//! The seam: publish and remember, as one operation.
//!
//! [`Dispatcher::dispatch`] takes what is due and says, item by item, what became of it. Nothing
//! above it knows whether one step did both (store and broker in one Redis) or a publisher and a
//! ledger did it one after the other.
//!
//! - [`scribe`]: from a due item to the message and the record;
//! - [`confirmed`]: any publisher and any ledger, in the order that `delivery` asks for;
//! - [`publisher`]: what a publisher is and says;
//! - [`outlet`]: a publisher, and whether its broker takes messages;
//! - [`redis`]: publishes to Redis; exactly once, in one step, while the store is there too;
//! - [`amqp`]: publishes to RabbitMQ;
//! - [`folder`]: publishes to folders in Kombu's layout;
//! - [`shadow`]: publishes nowhere and says that it did, for `beat --shadow`;
//! - [`memory`]: a scripted double for tests of the loop.
//!
//! May depend on `store`, `plan`, `timetable`, `config` and what is below them.

pub mod amqp;
pub mod confirmed;
pub mod folder;
pub mod memory;
pub mod outlet;
pub mod publisher;
pub mod redis;
pub mod scribe;
pub mod shadow;

pub use amqp::AmqpPublisher;
pub use confirmed::Confirmed;
pub use folder::Folder;
pub use outlet::Outlet;
pub use publisher::{AnyPublisher, Parcel, Publisher, Receipt};
pub use redis::{RedisDispatcher, RedisPublisher};
pub use scribe::Scribe;
pub use shadow::Shadow;

use crate::clock::{FireTime, Timestamp};
use crate::plan::{Due, Outcome};
use crate::store::control::{Carried, Order};
use crate::store::{AnyLedger, StoreError, Term};
use crate::timetable::EntryName;

/// Most items of one chunk: a longer script would hold up the workers' Redis for milliseconds.
pub const CHUNK: usize = 128;
/// Most items of a chunk that is launched: half as much work for the server as one that is dispatched.
pub const TRANSACTION: usize = 192;
/// Most bytes of messages in one chunk, unless one alone has more.
pub const CHUNK_BYTES: usize = 512 * 1024;

/// What became of a chunk that was launched.
#[derive(Debug, PartialEq, Eq)]
pub enum Landing {
    /// All of it was published and recorded.
    Done(Vec<Outcome>),
    /// Nothing was done: dispatch it.
    Back,
    /// As [`Dispatcher::dispatch`] fails.
    Failed(StoreError),
}

/// Whichever way of committing fits store and broker.
#[derive(Debug)]
pub enum Dispatcher {
    /// Store and broker are Redis servers, perhaps the same.
    Redis(Box<RedisDispatcher>),
    /// Any other pair.
    Confirmed(Box<Confirmed>),
}

impl Dispatcher {
    /// Publishes and records `dues`, as of `now`.
    ///
    /// # Errors
    /// `Deposed`: step down. `Ambiguous`: send the same again before anything else. `Unavailable`,
    /// `Broker`: back off; everything is still due. `Corrupt`: repair.
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Redis(redis) => redis.dispatch(scribe, term, dues, now).await,
            Self::Confirmed(confirmed) => confirmed.dispatch(scribe, term, dues, now).await,
        }
    }

    /// Sends off a chunk without waiting for what becomes of it, where that is possible: fires of
    /// different entries, each to one queue of the Redis that is the store as well. Several may be on
    /// their way; they have no entry in common. `false`: nothing was sent, dispatch it.
    pub async fn launch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> bool {
        match self {
            Self::Redis(redis) => redis.launch(scribe, term, dues, now).await,
            Self::Confirmed(_) => false,
        }
    }

    /// Waits for what became of the oldest chunk on its way; `None` when there is none.
    pub async fn land(&mut self) -> Option<Landing> {
        match self {
            Self::Redis(redis) => redis.land().await,
            Self::Confirmed(_) => None,
        }
    }

    /// Publishes one message of `due`'s entry because `order` asks for it, and answers.
    pub async fn trigger(
        &mut self,
        scribe: &Scribe,
        term: Term,
        order: &Order,
        due: &Due,
        now: Timestamp,
    ) -> Result<Carried, StoreError> {
        match self {
            Self::Redis(redis) => redis.trigger(scribe, term, order, due, now).await,
            Self::Confirmed(confirmed) => confirmed.trigger(scribe, term, order, due, now).await,
        }
    }

    /// The ledger behind it.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        match self {
            Self::Redis(redis) => redis.ledger(),
            Self::Confirmed(confirmed) => confirmed.ledger(),
        }
    }

    /// Looks after the line to the broker while there is nothing to publish.
    pub async fn tend(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Redis(redis) => redis.look().await,
            Self::Confirmed(confirmed) => confirmed.tend().await,
        }
    }

    /// Whether the broker was there when it was last talked to; `None` where there is none.
    pub fn broker_is_up(&mut self) -> Option<bool> {
        self.confirmed().broker_is_up()
    }

    /// Fire times that another holder had reserved without saying what became of them, and chunks
    /// that too few replicas had, since this was last asked. They are in the log.
    pub fn take_findings(&mut self) -> (Vec<(EntryName, FireTime)>, u64) {
        let confirmed = self.confirmed();
        let shortfalls = match confirmed.ledger() {
            AnyLedger::Redis(ledger) => ledger.take_shortfalls(),
            AnyLedger::File(_) | AnyLedger::Memory(_) => 0,
        };
        (confirmed.take_unknown(), shortfalls)
    }

    /// Says what earlier leaders left unsaid, once office is taken.
    pub async fn take_over(&mut self, term: Term) -> Result<(), StoreError> {
        self.confirmed().take_over(term).await
    }

    fn confirmed(&mut self) -> &mut Confirmed {
        match self {
            Self::Redis(redis) => redis.confirmed(),
            Self::Confirmed(confirmed) => confirmed,
        }
    }

    /// Most items to hand over at once.
    #[must_use]
    pub fn room(&self) -> usize {
        match self {
            Self::Redis(redis) if redis.mode() == "atomic" => TRANSACTION,
            Self::Redis(_) => CHUNK,
            Self::Confirmed(confirmed) => confirmed.room(),
        }
    }

    /// `"atomic"`, `"confirmed"` or `"shadow"`, for logs and status.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self {
            Self::Redis(redis) => redis.mode(),
            Self::Confirmed(confirmed) => confirmed.mode(),
        }
    }
}
