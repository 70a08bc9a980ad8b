//! The JSON of a [`View`]: `/status.json` and `beat status --format json`.

use std::io;

use serde::{Serialize, Serializer};

use super::view::{Known, View};
use crate::clock::Timestamp;
use crate::store::control::Mark;
use crate::store::presence::Presence;
use crate::timetable::Entry;

/// The whole.
#[derive(Serialize)]
struct Status<'a> {
    name: &'a str,
    version: &'static str,
    role: Option<&'static str>,
    term: Option<u64>,
    leader: Option<&'a str>,
    instances: Vec<&'a Presence>,
    schedule: Schedule<'a>,
    store: Store,
    broker: Broker<'a>,
    clock_skew_s: Option<f64>,
    tzdata: Option<&'a str>,
    paused: Option<&'a Mark>,
    warnings: Vec<String>,
    entries: Entries<'a>,
}

#[derive(Serialize)]
struct Schedule<'a> {
    digest: Option<&'a str>,
    loaded_at: Option<&'a str>,
    entries: Option<usize>,
    reload_error: Option<&'a str>,
}

#[derive(Serialize)]
struct Store {
    url: String,
    up: bool,
}

#[derive(Serialize)]
struct Broker<'a> {
    url: String,
    up: Option<bool>,
    mode: Option<&'a str>,
}

/// Written one by one: a hundred thousand of them are never in memory together.
struct Entries<'a>(&'a View);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = self.0.entries().map(|(place, entry)| {
            let known = self.0.known(place, entry);
            Row::new(self.0, entry, &known)
        });
        serializer.collect_seq(rows)
    }
}

/// One entry.
#[derive(Serialize)]
struct Row<'a> {
    entry: &'a str,
    task: &'a str,
    schedule: String,
    timezone: &'a str,
    last_fire_time: Option<String>,
    next_fire_time: Option<String>,
    sent_at: Option<String>,
    lag_ms: Option<f64>,
    count: u64,
    paused: Option<&'a Mark>,
    last_error: Option<Box<str>>,
}

impl<'a> Row<'a> {
    fn new(view: &'a View, entry: &'a Entry, known: &Known) -> Self {
        let next = known.next.filter(|_| entry.policy.enabled);
        Self {
            entry: &entry.name,
            task: &entry.task,
            schedule: entry.schedule.describe(),
            timezone: entry.zone.name(),
            last_fire_time: known.last.map(Timestamp::to_rfc3339),
            next_fire_time: next.map(Timestamp::to_rfc3339),
            sent_at: known.sent.map(|(at, _)| at.to_rfc3339()),
            lag_ms: known.sent.map(|(_, lag)| millis(lag)),
            count: known.count,
            paused: view.mark(entry),
            last_error: view.error(entry),
        }
    }
}

/// µs as ms.
#[must_use]
pub fn millis(micros: i64) -> f64 {
    f64::from(i32::try_from(micros).unwrap_or(i32::MAX)) / 1e3
}

impl<'a> Status<'a> {
    fn new(view: &'a View) -> Self {
        let (leader, term) = view.leader();
        let speaker = view.speaker();
        let settings = &view.loaded.settings;
        Self {
            name: &settings.name,
            version: env!("CARGO_PKG_VERSION"),
            role: view.role(),
            term,
            leader,
            instances: view.instances(),
            schedule: Schedule {
                digest: speaker.map(|one| &*one.digest),
                loaded_at: speaker.map(|one| &*one.loaded_at),
                entries: speaker.map(|one| one.entries),
                reload_error: speaker.and_then(|one| one.reload_error.as_deref()),
            },
            store: Store {
                url: settings.store.to_string(),
                up: view.store_up,
            },
            broker: Broker {
                url: settings.broker.to_string(),
                up: view.broker_up(),
                mode: view.mode(),
            },
            clock_skew_s: speaker.map(|one| one.clock_skew_s),
            tzdata: speaker.map(|one| &*one.tzdata),
            paused: view.overview.paused.get("*"),
            warnings: view.warnings(),
            entries: Entries(view),
        }
    }
}

/// Writes `view` as JSON; `pretty` for people.
pub fn write(view: &View, pretty: bool, out: &mut dyn io::Write) -> io::Result<()> {
    let status = Status::new(view);
    if pretty {
        serde_json::to_writer_pretty(&mut *out, &status)?;
    } else {
        serde_json::to_writer(&mut *out, &status)?;
    }
    writeln!(out)
}
