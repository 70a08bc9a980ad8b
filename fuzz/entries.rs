//! What is called with bytes that others wrote. None of it may panic, or take long.
//!
//! The fuzz targets call these, and so does `tests/hostile.rs` with random input in every test run.

use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::{self, Env, Purpose, Sources};
use beat::message::Identity;
use beat::plan::record::parse_micros;
use beat::plan::{Action, Outcome, Plan, Record, Recorded, enrol};
use beat::schedule::{Crontab, Rrule, Schedule, Zone, parse_duration};
use beat::store::control::Request;
use beat::store::file::socket::Asked;
use uuid::Uuid;

/// 2026-11-20T12:00:00Z.
const NOON: Timestamp = Timestamp::from_micros(1_795_176_000_000_000);

fn load(toml: String, purpose: Purpose) -> Result<config::Loaded, config::Report> {
    let identity = Identity {
        pid: 1,
        hostname: "fuzz".into(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("fuzz.toml", toml);
    config::load(&sources, &Env::default(), &identity, NOON, purpose)
}

/// A schedule file: loaded with lints, or refused with a report that can be drawn.
pub fn schedule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match load(text.to_owned(), Purpose::Check) {
        Ok(loaded) => {
            for entry in loaded.timetable.entries.values().take(4) {
                let mut after = NOON;
                for _ in 0..3 {
                    let Some(next) = entry.next_after(NOON, after) else {
                        break;
                    };
                    assert!(next.fire_time > after, "the grid goes back");
                    after = next.fire_time;
                }
            }
            let _ = loaded.report.draw(false);
        }
        Err(report) => assert!(report.draw(true).len() <= 80 << 10, "an endless report"),
    }
}

/// Crontabs, durations, recurrence rules.
pub fn grammars(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(micros) = parse_duration(text) {
        assert!(micros >= 0);
    }
    let dtstart = Zone::utc().local(NOON);
    let crontab = Crontab::parse(text, Zone::utc(), None).map(Schedule::Crontab);
    let rrule = Rrule::new(text, dtstart, Zone::utc()).map(Schedule::Rrule);
    for schedule in [crontab, rrule].into_iter().flatten() {
        let _ = schedule.canonical();
        let _ = schedule.describe();
        let mut after = NOON;
        for _ in 0..5 {
            let Some(next) = schedule.next_after(NOON, after) else {
                break;
            };
            assert!(next > after, "the grid goes back");
            after = next;
        }
    }
}

/// Broker and store URLs.
pub fn urls(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let quoted = serde_json::to_string(text).unwrap_or_default();
    for key in ["broker_url", "state_url"] {
        let toml = format!("{key} = {quoted}\n[beat_schedule.e]\ntask = 't'\nschedule = 1\n");
        match load(toml, Purpose::Look) {
            Ok(loaded) => drop(format!("{:?}", loaded.settings)),
            Err(report) => drop(report.draw(false)),
        }
    }
}

/// What stands in the store: records, times, counts, requests.
///
/// Lines: record, last, from, count, id and fields of a request; each line is a request to a socket
/// as well.
pub fn stored(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut lines = text.split('\n');
    let mut line = || lines.next().unwrap_or_default();
    let recorded = Recorded {
        text: line().to_owned(),
        last: parse_micros(line()),
        from: parse_micros(line()),
        count: line().parse().unwrap_or(0),
    };
    if let Some(record) = Record::parse(&recorded.text) {
        assert_eq!(Record::parse(&record.to_json()), Some(record));
    }
    for keys in [
        "schedule = 90",
        "schedule = { crontab = '*/5 * * * *' }\nmisfire = 'all'",
    ] {
        let toml = format!("[beat_schedule.e]\ntask = 't'\n{keys}\n");
        let Ok(loaded) = load(toml, Purpose::Look) else {
            unreachable!("the schedule is a good one")
        };
        for entry in loaded.timetable.entries.values() {
            let enrolment = enrol(entry, &recorded, NOON, NOON);
            let mut plan = Plan::new(NOON);
            plan.set(entry.clone(), enrolment.progress);
            let dues = plan.due(NOON.plus(Duration::from_secs(3_600)), 16);
            for due in &dues {
                let outcome = match due.action {
                    Action::Fire => Outcome::Fired(1),
                    Action::Skip => Outcome::Skipped,
                };
                plan.settle(due, &outcome, NOON);
            }
            for due in &dues {
                plan.rearm(due.slot);
            }
        }
    }
    let id = line().to_owned();
    let fields: Vec<String> = lines.map(str::to_owned).collect();
    let _ = Request::read(id, &fields).asked_at();
    for line in data.split(|byte| *byte == b'\n') {
        if let Ok(Asked::Request(fields)) = Asked::read(line) {
            let _ = Request::read("1-1".to_owned(), &fields).asked_at();
        }
    }
}
