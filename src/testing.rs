//! Helpers of the unit tests.

use std::sync::Arc;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::config::{self, Env, Loaded, Purpose, Sources};
use crate::message::Identity;
use crate::timetable::Entry;

/// The instant `text`, RFC 3339.
pub fn at(text: &str) -> Timestamp {
    Timestamp::from_datetime(text.parse().unwrap())
}

/// Compiles a schedule that counts as loaded at `now`.
pub fn load(toml: &str, now: Timestamp) -> Loaded {
    let sources = Sources::from_text("test.toml", toml);
    let identity = Identity {
        pid: 1,
        hostname: "test".into(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let loaded = config::load(&sources, &Env::default(), &identity, now, Purpose::Look);
    loaded.unwrap_or_else(|report| panic!("{}", report.draw(false)))
}

/// The only entry of a schedule; `keys` are its keys but `task`.
pub fn entry(keys: &str) -> Arc<Entry> {
    let toml = format!("[beat_schedule.e]\ntask = \"t\"\n{keys}\n");
    let loaded = load(&toml, Timestamp::EPOCH);
    Arc::clone(loaded.timetable.entries.values().next().unwrap())
}
