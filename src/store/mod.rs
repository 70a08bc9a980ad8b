//! Where the lease and the ledger live.
//!
//! - [`redis`]: one Redis server, shared by any number of instances;
//! - [`file`]: an embedded database with a lock, for the instances of one host;
//! - [`memory`]: a double for tests of the loop.
//!
//! [`control`] is what operators ask of the leader; [`remote`] is how they, and instances that do not
//! lead, speak to the store.
//!
//! [`Lease`] and [`Ledger`] are the seams; one conformance suite runs on every implementation.
//! May depend on `plan`, `timetable`, `config` and what is below them.

pub mod control;
pub mod file;
pub mod lease;
pub mod ledger;
pub mod memory;
pub mod presence;
pub mod redis;
pub mod remote;
pub mod tables;

use std::fmt;

pub use lease::{AnyLease, Campaign, Lease, Renewal};
pub use ledger::{
    AnyLedger, Claim, FRESH, Ledger, Loaded, Paused, Reservation, Settlement, Unmarked, Write,
};
pub use remote::AnyRemote;

/// Number of a leader's time in office; it grows with each election.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Term(pub u64);

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Why the store did not do what was asked; the variants are what the caller can do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The caller does not hold the lease; nothing was written. Step down.
    #[error("the lease is not held by this instance")]
    Deposed,
    /// No answer: it may have been done. Send the same again.
    #[error("no answer from the store: {0}")]
    Ambiguous(String),
    /// It was certainly not done. Back off and try again.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// The broker takes no messages, whatever the store does. Nothing was done; back off.
    #[error("the broker takes no messages: {0}")]
    Broker(String),
    /// A state key is of another type; nothing was written. Repair and try again.
    #[error("a state key is of another type")]
    Corrupt,
}
