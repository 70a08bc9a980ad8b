//! Lease and ledger in one Redis server.
//!
//! - [`control`]: requests of operators;
//! - [`keys`]: the names of all keys;
//! - [`link`]: one connection that is replaced at the first doubt;
//! - [`lease`], [`ledger`], [`fire`], [`transaction`]: the scripts and their only callers;
//! - [`remote`]: what is said and asked without leading;
//! - `records`: reads what is recorded of entries;
//! - [`replicas`]: waits for them (`store_wait_replicas`);
//! - `elsewhere`: the ledger's part when messages are published to another system.
//!
//! Each script is headed by a table of its KEYS, ARGV and replies. Names and values reach a script
//! only as KEYS and ARGV.

pub mod control;
mod elsewhere;
pub mod fire;
pub mod keys;
pub mod lease;
pub mod ledger;
pub mod link;
mod records;
pub mod remote;
pub mod replicas;
pub mod server;
pub mod transaction;

pub use fire::{Effect, Item, Verb};
pub use keys::Keys;
pub use lease::RedisLease;
pub use ledger::RedisLedger;
pub use link::{Link, LinkError};
pub use remote::{Overview, Remote};
pub use transaction::{Flight, Pushes};
