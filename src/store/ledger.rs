//! What was fired, and from when each entry counts.

use std::collections::BTreeMap;

use super::control::{Carried, Order, Request};
use super::{StoreError, Term, file::FileLedger, memory::MemoryLedger, redis::RedisLedger};
use crate::clock::{FireTime, Timestamp};
use crate::plan::{Action, Outcome, Recorded};
use crate::timetable::EntryName;

/// The mark of a store that was new at its first election, until something is recorded in it. A
/// store without any mark lost its data.
pub const FRESH: &str = "new";

/// Entries, or `*`, and the mark that says why they are paused.
pub type Paused = BTreeMap<String, String>;

/// What the ledger holds of the entries asked for.
#[derive(Debug, Clone, Default)]
pub struct Loaded {
    /// Random mark of the store's data, or [`FRESH`]; absent when the store lost its data.
    pub birth: Option<String>,
    /// One for each name, in the same order.
    pub recorded: Vec<Recorded>,
    /// Entries, or `*`, that are paused, and the marks that say why.
    pub paused: Paused,
}

/// A record to write before an entry fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// The entry.
    pub entry: EntryName,
    /// The record as it was read, empty for none: compare-and-set.
    pub expected: String,
    /// The new record; `None` forgets the entry altogether.
    pub record: Option<String>,
    /// The instant fire times count from; `None` leaves it.
    pub from: Option<Timestamp>,
    /// Last published fire time; `None` leaves it.
    pub last: Option<FireTime>,
    /// Published fire times; `None` leaves it.
    pub count: Option<u64>,
}

/// One fire time to settle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settlement {
    /// The entry.
    pub entry: EntryName,
    /// Its fire time.
    pub fire_time: FireTime,
    /// Published, or skipped up to it.
    pub action: Action,
    /// The record to store with a published one.
    pub record: String,
}

/// Whether a fire time may be published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claim {
    /// Publish it.
    Publish,
    /// It is settled already, this way.
    Settled(Outcome),
    /// Another holder reserved a fire time and did not mark it done; nothing was reserved. Say so,
    /// then reserve again with this text as [`Reservation::overwrite`].
    Unmarked(String),
}

/// A fire time to reserve before it is published at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reservation {
    /// The entry.
    pub entry: EntryName,
    /// Its fire time.
    pub fire_time: FireTime,
    /// The other holder's unmarked reservation that may be overwritten; empty for none.
    pub overwrite: String,
}

/// An entry, and the reservation of it that nobody marked done: its fire time and its holder.
pub type Unmarked = (EntryName, String);

/// Last-run state. Every write checks the lease.
pub trait Ledger {
    /// Reads what is recorded of `names`.
    fn load(
        &mut self,
        names: &[EntryName],
    ) -> impl Future<Output = Result<Loaded, StoreError>> + Send;

    /// The stored entries that are not among `names`, with their records: they left the schedule.
    fn others(
        &mut self,
        names: &[EntryName],
    ) -> impl Future<Output = Result<Vec<(EntryName, String)>, StoreError>> + Send;

    /// Records entries, and `birth` with the last of them. Returns for each entry that somebody else has written
    /// meanwhile its place in `writes`.
    fn enrol(
        &mut self,
        term: Term,
        birth: Option<&str>,
        writes: &[Write],
    ) -> impl Future<Output = Result<Vec<usize>, StoreError>> + Send;

    /// Marks entries as paused again, after the store forgot it.
    fn pause(
        &mut self,
        term: Term,
        marks: &Paused,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Looks whether fire times may be published elsewhere; reads only.
    fn claim(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send;

    /// Reserves fire times, as if they were published already; the same term gets its own
    /// reservation back until [`Ledger::commit`] marks it done.
    fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send;

    /// The reservations of earlier holders that are not marked done.
    fn unmarked(
        &mut self,
        term: Term,
    ) -> impl Future<Output = Result<Vec<Unmarked>, StoreError>> + Send;

    /// Gives such reservations up, after it was said that their fate is not known.
    fn abandon(
        &mut self,
        term: Term,
        reservations: &[Unmarked],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Records what was published elsewhere, or skipped.
    fn commit(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> impl Future<Output = Result<Vec<Outcome>, StoreError>> + Send;

    /// Deletes state of the wrong shape and returns what was deleted.
    fn repair(
        &mut self,
        term: Term,
    ) -> impl Future<Output = Result<Vec<String>, StoreError>> + Send;
}

/// The ledger of whichever store is configured.
#[derive(Debug)]
pub enum AnyLedger {
    /// In Redis.
    Redis(Box<RedisLedger>),
    /// In a file.
    File(FileLedger),
    /// In this process.
    Memory(MemoryLedger),
}

impl Ledger for AnyLedger {
    async fn load(&mut self, names: &[EntryName]) -> Result<Loaded, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.load(names).await,
            Self::File(ledger) => ledger.load(names).await,
            Self::Memory(ledger) => ledger.load(names).await,
        }
    }

    async fn others(
        &mut self,
        names: &[EntryName],
    ) -> Result<Vec<(EntryName, String)>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.others(names).await,
            Self::File(ledger) => ledger.others(names).await,
            Self::Memory(ledger) => ledger.others(names).await,
        }
    }

    async fn enrol(
        &mut self,
        term: Term,
        birth: Option<&str>,
        writes: &[Write],
    ) -> Result<Vec<usize>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.enrol(term, birth, writes).await,
            Self::File(ledger) => ledger.enrol(term, birth, writes).await,
            Self::Memory(ledger) => ledger.enrol(term, birth, writes).await,
        }
    }

    async fn pause(&mut self, term: Term, marks: &Paused) -> Result<(), StoreError> {
        match self {
            Self::Redis(ledger) => ledger.pause(term, marks).await,
            Self::File(ledger) => ledger.pause(term, marks).await,
            Self::Memory(ledger) => ledger.pause(term, marks).await,
        }
    }

    async fn claim(&mut self, term: Term, items: &[Settlement]) -> Result<Vec<Claim>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.claim(term, items).await,
            Self::File(ledger) => ledger.claim(term, items).await,
            Self::Memory(ledger) => ledger.claim(term, items).await,
        }
    }

    async fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.reserve(term, items).await,
            Self::File(ledger) => ledger.reserve(term, items).await,
            Self::Memory(ledger) => ledger.reserve(term, items).await,
        }
    }

    async fn unmarked(&mut self, term: Term) -> Result<Vec<Unmarked>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.unmarked(term).await,
            Self::File(ledger) => ledger.unmarked(term).await,
            Self::Memory(ledger) => ledger.unmarked(term).await,
        }
    }

    async fn abandon(&mut self, term: Term, reservations: &[Unmarked]) -> Result<(), StoreError> {
        match self {
            Self::Redis(ledger) => ledger.abandon(term, reservations).await,
            Self::File(ledger) => ledger.abandon(term, reservations).await,
            Self::Memory(ledger) => ledger.abandon(term, reservations).await,
        }
    }

    async fn commit(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.commit(term, items).await,
            Self::File(ledger) => ledger.commit(term, items).await,
            Self::Memory(ledger) => ledger.commit(term, items).await,
        }
    }

    async fn repair(&mut self, term: Term) -> Result<Vec<String>, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.repair(term).await,
            Self::File(ledger) => ledger.repair(term).await,
            Self::Memory(ledger) => ledger.repair(term).await,
        }
    }
}

impl AnyLedger {
    /// The oldest requests of operators that are not carried out yet, with the store's time.
    pub async fn waiting(&mut self) -> Result<(Vec<Request>, Timestamp), StoreError> {
        match self {
            Self::Redis(ledger) => ledger.waiting().await,
            Self::File(ledger) => Ok(ledger.waiting()),
            Self::Memory(_) => Ok((Vec::new(), Timestamp::EPOCH)),
        }
    }

    /// Carries out and answers a request that publishes nothing into the store's own Redis.
    pub async fn obey(&mut self, term: Term, order: &Order) -> Result<Carried, StoreError> {
        match self {
            Self::Redis(ledger) => ledger.obey(term, order, ledger.database(), &[]).await,
            Self::File(ledger) => ledger.obey(term, order).await,
            Self::Memory(ledger) => ledger.obey(term, order),
        }
    }
}
