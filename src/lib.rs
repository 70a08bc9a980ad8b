//! `beat` replaces `celery beat`: it reads a TOML schedule and publishes Celery task messages on
//! time, each (entry, fire time) once.
//!
//! Words used everywhere: an *entry* is one named item of the schedule; a *fire time* is the
//! nominal instant at which it is due; the *send instant* is the fire time plus jitter; to *fire*
//! is to publish the entry's message for one fire time; a *misfire* is a fire time whose send
//! instant passed while nobody could fire it. The *leader* holds the *lease*, for one *term*;
//! the others are *standbys*. Lease and last-run state live in the *store*, the part of it that
//! holds each entry's last fire time is the *ledger*; messages go to the *broker*. The set of all
//! fire times of an entry is its *grid*.

pub mod cli;
pub mod clock;
pub mod config;
pub mod daemon;
pub mod dispatch;
pub mod message;
pub mod observe;
pub mod plan;
pub mod schedule;
pub mod store;
pub mod timetable;

#[cfg(test)]
mod testing;
