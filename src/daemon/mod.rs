//! The running scheduler: three tasks, joined by values of which only the latest counts.
//!
//! - [`elector`] stands for election and announces the leadership;
//! - [`metronome`] owns the plan: waits for the next send instant, dispatches, settles;
//! - [`burst`] is the part of it that commits what is due, chunk after chunk;
//! - [`commit`] has one chunk committed, however long it takes, and settles it;
//! - [`alarm`] wakes it in time;
//! - [`office`] is what a new leader does before it fires: read the ledger, record what is new;
//! - [`presence`] tells the other instances about this one;
//! - [`control`] carries out what operators ask;
//! - [`desk`] takes such requests where the store is a file;
//! - [`reload`] watches the schedule and offers what it compiled;
//! - [`loader`] is the thread on which that is done;
//! - [`links`] builds store and broker from the settings;
//! - [`trouble`] says once that commits fail, and paces the attempts;
//! - [`upkeep`] looks after the line to the broker and counts;
//! - [`report`] turns outcomes into log lines;
//! - [`run`] starts them and stops them in order: stop firing, resign, end.

pub mod alarm;
pub mod backoff;
mod burst;
mod commit;
pub mod control;
pub mod desk;
pub mod elector;
pub mod links;
pub mod loader;
pub mod metronome;
pub mod office;
pub mod presence;
pub mod reload;
pub mod report;
pub mod run;
pub mod trouble;
pub mod upkeep;

pub use elector::Leadership;
pub use loader::Loader;
pub use run::{Options, run};
