//! What is due, in which order, and what a reply means for it. Pure: no clock, no I/O.
//!
//! - [`record`]: what the ledger holds of an entry;
//! - [`enrol`]: what must be recorded before an entry may fire: new, changed, switched, returned;
//! - [`catch_up`]: which of the passed fire times are fired and which are skipped, and why;
//! - [`clocks`]: which of own clock, store's clock and ledger is right;
//! - [`rebase`]: records that a wrong clock wrote;
//! - [`queue`]: the [`Plan`]: entries ordered by their next send instant, and settling.
//!
//! May depend on `timetable`, `message`, `schedule` and `clock`.

pub mod catch_up;
pub mod clocks;
pub mod enrol;
pub mod queue;
pub mod rebase;
pub mod record;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use uuid::Uuid;

pub use catch_up::{Reason, Skipped};
pub use clocks::Clocks;
pub use enrol::{Enrolment, enrol};
pub use queue::{Plan, Settled};
pub use rebase::rebase;
pub use record::{Progress, Record, Recorded};

use crate::clock::{FireTime, Timestamp};
use crate::timetable::Entry;

/// One item of a chunk: something to commit for one entry.
#[derive(Debug, Clone)]
pub struct Due {
    /// Place of the entry in the plan.
    pub slot: usize,
    /// The entry, as it was when the item was planned.
    pub entry: Arc<Entry>,
    /// The fire time to fire, or the one up to which everything is skipped.
    pub fire_time: FireTime,
    /// Fire it, or only skip.
    pub action: Action,
    /// The instant intervals count from.
    pub anchor: Timestamp,
    /// The fire time fired before this one.
    pub last_fire_time: Option<FireTime>,
    /// Fire times that count as skipped once this item is settled.
    pub skipped: Vec<Skipped>,
    /// Whether the send instant passed while nobody could fire it.
    pub misfire: bool,
    /// Its task id once it was asked for: message, record and log line name it, one hash makes it.
    pub task_id: OnceLock<Uuid>,
}

/// What a [`Due`] asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Publish the message and record the fire time.
    Fire,
    /// Record that everything up to the fire time is skipped.
    Skip,
}

/// What became of a [`Due`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Published and recorded; how often the entry was published in all.
    Fired(u64),
    /// It had been published and recorded before; how often in all.
    AlreadyDone(u64),
    /// A later fire time, this one, is recorded already.
    Superseded(FireTime),
    /// The entry or all entries are paused; recorded as skipped.
    Paused,
    /// The skip is recorded.
    Skipped,
    /// Not published, and why; it stays due and is tried again.
    Rejected(Rejection),
    /// Not tried, because an earlier fire time of the entry failed; it stays due.
    Held,
    /// Reserved by another holder, who did not say whether it was published; not sent again.
    Unknown(u64),
}

/// Why one item was refused while its neighbours were not harmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Rejection(pub String);
