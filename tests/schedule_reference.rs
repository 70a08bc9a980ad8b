//! Grids beside the programs they must agree with: `relative` beside Celery 5.7's own arithmetic,
//! recurrence rules beside python-dateutil. `tests/python/schedule_reference.py` made the files.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

#[path = "support/tzdata.rs"]
mod tzdata;

use beat::clock::Timestamp;
use beat::schedule::{At, Every, Rrule, Schedule, Zone};
use serde_json::Value;
use tzdata::pinned;

/// Local times count as UTC here.
fn instant(value: &Value) -> Timestamp {
    At::parse(value.as_str().unwrap())
        .unwrap()
        .instant(&Zone::utc())
}

fn check(file: &str, compile: impl Fn(&Value) -> (Schedule, Timestamp, Timestamp)) {
    let mut wrong = Vec::new();
    for text in file.lines() {
        let line: Value = serde_json::from_str(text).unwrap();
        let (schedule, anchor, after) = compile(&line);
        let expected: Vec<_> = line["next"]
            .as_array()
            .unwrap()
            .iter()
            .map(instant)
            .collect();
        let next = |after: Timestamp| schedule.next_after(anchor, after);
        let found: Vec<_> = std::iter::successors(next(after), |at| next(*at))
            .take(expected.len())
            .collect();
        let ended = expected.len() == 8 || next(found.last().copied().unwrap_or(after)).is_none();
        if found != expected || !ended {
            wrong.push(format!("{text}\n  found {found:?}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} lines:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn relative_intervals_agree_with_celery() {
    if pinned("relative_intervals_agree_with_celery") {
        return;
    }
    check(include_str!("data/relative_ref.jsonl"), |line| {
        let zone = Zone::load(line["timezone"].as_str().unwrap()).unwrap();
        let micros = (line["every"].as_f64().unwrap() * 1e6) as i64;
        let every = Every::new(micros).unwrap().relative(zone).unwrap();
        let anchor = instant(&line["anchor"]);
        (Schedule::Every(every), anchor, anchor)
    });
}

/// In UTC: the files hold naive local times, which is how rules are expanded.
#[test]
fn recurrence_rules_agree_with_dateutil() {
    check(include_str!("data/rrule_ref.jsonl"), |line| {
        let start = instant(&line["dtstart"]);
        let local = start.to_datetime().naive_utc();
        let rule = Rrule::new(line["rrule"].as_str().unwrap(), local, Zone::utc());
        let rule = rule.unwrap_or_else(|error| panic!("{line}: {error}"));
        (Schedule::Rrule(rule), start, instant(&line["after"]))
    });
}
