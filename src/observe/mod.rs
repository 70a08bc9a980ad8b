//! What this instance shows of itself.
//!
//! - [`pulse`]: whether the firing loop makes progress;
//! - [`facts`]: what the daemon's tasks put in and the others read; [`histogram`] is part of it;
//! - [`systemd`]: what the service manager is told;
//! - [`view`]: one look at everything; [`status`] is its JSON, for `beat status` too;
//! - [`viewer`]: takes such looks, asking the store at most once a second;
//! - [`metrics`]: Prometheus' text;
//! - [`page`]: the status page;
//! - [`http`]: the listener; [`stream`] writes its answers.
//!
//! Plain values go in: the daemon uses this module, never the other way round. Nothing here can
//! delay a fire: what goes in are atomics.

pub mod facts;
pub mod histogram;
pub mod http;
pub mod metrics;
pub mod page;
pub mod pulse;
pub mod status;
pub mod stream;
pub mod systemd;
pub mod view;
pub mod viewer;

pub use facts::Facts;
pub use pulse::Pulse;
pub use systemd::Systemd;
