//! What this instance shows of itself.
//!
//! - [`pulse`]: whether the firing loop makes progress;
//! - [`facts`]: what the daemon's tasks put in and the others read; [`histogram`] is part of it;
//! - [`systemd`]: what the service manager is told.
//!
//! Plain values go in: the daemon uses this module, never the other way round. Nothing here can
//! delay a fire: what goes in are atomics.

pub mod facts;
pub mod histogram;
pub mod pulse;
pub mod systemd;

pub use facts::Facts;
pub use pulse::Pulse;
pub use systemd::Systemd;
