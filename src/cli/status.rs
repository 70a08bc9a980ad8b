//! `beat status`: what the store knows, and what the schedule makes of it.

use std::fmt::Write as _;
use std::io;

use serde_json::{Value, json};

use super::{Cli, Io, StatusFormat, code, remote};
use crate::clock::Timestamp;
use crate::config::{Loaded, escaped};
use crate::plan::{Progress, enrol};
use crate::store::redis::remote::Snapshot;
use crate::timetable::Entry;

/// Prints the state of the scheduler.
pub fn run(cli: &Cli, format: StatusFormat, io: &mut Io<'_>) -> io::Result<u8> {
    let looked = remote::with(cli, io, async |mut remote, _| remote.snapshot().await);
    let (snapshot, loaded) = match looked {
        Ok((Ok(snapshot), loaded)) => (snapshot, loaded),
        Ok((Err(error), _)) => {
            writeln!(io.err, "error: {error}")?;
            return Ok(code::FAILED);
        }
        Err(code) => return Ok(code),
    };
    let status = describe(&snapshot, &loaded, io.clock.wall());
    match format {
        StatusFormat::Json => writeln!(io.out, "{}", serde_json::to_string_pretty(&status)?)?,
        StatusFormat::Table => io.out.write_all(table(&status).as_bytes())?,
    }
    Ok(code::OK)
}

/// The form of `/status.json`.
fn describe(snapshot: &Snapshot, loaded: &Loaded, now: Timestamp) -> Value {
    let (leader, term) = match snapshot
        .leader
        .as_deref()
        .and_then(|holder| holder.rsplit_once('/'))
    {
        Some((leader, term)) => (Some(leader), term.parse::<u64>().ok()),
        None => (None, None),
    };
    let leading = snapshot
        .instances
        .iter()
        .find(|one| Some(one.instance.as_str()) == leader);
    let entries: Vec<Value> = loaded
        .timetable
        .entries
        .values()
        .map(|entry| row(entry, snapshot, loaded, now))
        .collect();
    json!({
        "name": loaded.settings.name,
        "version": env!("CARGO_PKG_VERSION"),
        "role": null,
        "term": term,
        "leader": leader,
        "instances": snapshot.instances,
        "schedule": {
            "digest": leading.map(|one| one.digest.as_str()),
            "loaded_at": leading.map(|one| one.loaded_at.as_str()),
            "entries": leading.map(|one| one.entries),
            "reload_error": leading.and_then(|one| one.reload_error.as_deref()),
        },
        "store": { "url": loaded.settings.store.to_string(), "up": true },
        "broker": {
            "url": loaded.settings.broker.to_string(),
            "up": null,
            "mode": leading.and_then(|one| one.mode.as_deref()),
        },
        "clock_skew_s": leading.map(|one| one.clock_skew_s),
        "tzdata": leading.map(|one| one.tzdata.as_str()),
        "paused": snapshot.paused.get("*"),
        "entries": entries,
    })
}

fn row(entry: &Entry, snapshot: &Snapshot, loaded: &Loaded, now: Timestamp) -> Value {
    let recorded = snapshot
        .recorded
        .get(&*entry.name)
        .cloned()
        .unwrap_or_default();
    let record = recorded.record();
    // What this file would make of what is recorded; a leader with another file may differ.
    let Progress { anchor, .. } = enrol(entry, &recorded, loaded.timetable.loaded_at, now).progress;
    let base = recorded.last.max(recorded.from).unwrap_or(now);
    let spent = entry
        .policy
        .max_runs
        .is_some_and(|max| recorded.count >= max);
    let next = if spent || !entry.policy.enabled {
        None
    } else {
        entry.next_fire(anchor, base)
    };
    let sent_at = record.and_then(|record| record.sent_at);
    let lag = sent_at.zip(recorded.last).map(|(sent, last)| {
        let micros = sent.micros_since(entry.send_instant(last));
        f64::from(i32::try_from(micros).unwrap_or(i32::MAX)) / 1e3
    });
    json!({
        "entry": &*entry.name,
        "task": &*entry.task,
        "schedule": entry.schedule.describe(),
        "timezone": entry.zone.name(),
        "last_fire_time": recorded.last.map(Timestamp::to_rfc3339),
        "next_fire_time": next.map(Timestamp::to_rfc3339),
        "sent_at": sent_at.map(Timestamp::to_rfc3339),
        "lag_ms": lag,
        "count": recorded.count,
        "paused": snapshot.paused.get(&*entry.name).or_else(|| snapshot.paused.get("*")),
        "last_error": null,
    })
}

fn table(status: &Value) -> String {
    let text = |value: &Value| escaped(value.as_str().unwrap_or("-"));
    let mut out = String::new();
    let _ = writeln!(
        out,
        "{}  leader {}  term {}  {}",
        text(&status["name"]),
        text(&status["leader"]),
        status["term"],
        text(&status["broker"]["mode"])
    );
    let none = Vec::new();
    let rows = |key: &str| status[key].as_array().unwrap_or(&none).clone();
    for one in rows("instances") {
        let error = one["reload_error"]
            .as_str()
            .map_or_else(String::new, |e| format!("  reload refused: {}", escaped(e)));
        let _ = writeln!(
            out,
            "  {:<8} {}  pid {}  {}  digest {}  seen {}{error}",
            text(&one["role"]),
            text(&one["instance"]),
            one["pid"],
            text(&one["version"]),
            text(&one["digest"]),
            text(&one["seen_at"])
        );
    }
    let entries = rows("entries");
    let width = entries
        .iter()
        .map(|row| text(&row["entry"]).chars().count())
        .max()
        .unwrap_or(0)
        .max(5);
    let _ = writeln!(
        out,
        "\n{:<width$}  {:<27}  {:<27}  {:>8}  STATE",
        "ENTRY", "LAST", "NEXT", "COUNT"
    );
    for row in entries {
        let state = match &row["paused"] {
            Value::Null => String::new(),
            mark => format!("paused by {}: {}", text(&mark["by"]), text(&mark["reason"])),
        };
        let _ = writeln!(
            out,
            "{:<width$}  {:<27}  {:<27}  {:>8}  {state}",
            text(&row["entry"]),
            text(&row["last_fire_time"]),
            text(&row["next_fire_time"]),
            row["count"],
        );
    }
    out
}
