//! Holds what arrived, and what was logged, against the bars of the row.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::observer::Seen;
use crate::rig::{FAST, Rig, SECRET, SLOW};
use crate::row::{Dup, Fault, Row};

const SECOND: i64 = 1_000_000;
/// Lines a second that no instance may exceed.
const CHATTER: usize = 60;
/// Events that tell each fire, which are no state changes.
const PER_FIRE: [&str; 3] = ["fired", "misfired", "skipped"];
/// Events that say that something began, and that it ended.
const STATES: [(&str, &str); 3] = [
    ("store_down", "store_up"),
    ("broker_down", "broker_up"),
    ("retrying", "recovered"),
];

/// What a row measured.
#[derive(Debug, Clone, Default)]
pub struct Verdict {
    /// As in the table.
    pub id: &'static str,
    /// As in the table.
    pub name: &'static str,
    /// What was done.
    pub fault: &'static str,
    /// Whether it ran.
    pub measured: bool,
    /// Fire times that arrived.
    pub ticks: usize,
    /// Length of the total outage, s.
    pub outage: f64,
    /// Most fast fire times that an entry with `misfire = "latest"` lost, the outage included, and how many it may lose.
    pub missed: (u64, u64),
    /// The same of the one with `misfire = "all"`.
    pub missed_all: (u64, u64),
    /// The same of the slow one.
    pub missed_slow: (u64, u64),
    /// Repeats with the same id, and with another.
    pub dup: (usize, usize),
    /// How many are allowed.
    pub dup_bar: String,
    /// Seconds to the first tick of the slowest fast entry; none came: `None`. And the bar.
    pub recovery: (Option<f64>, f64),
    /// Instances that ended unasked.
    pub exits: usize,
    /// Log lines but for those of each fire, and most lines of one instance in a second.
    pub lines: (usize, usize),
    /// Lines with a secret.
    pub secrets: usize,
    /// Bars that do not hold, in words.
    pub broken: Vec<String>,
}

impl Verdict {
    /// A row that is not run, and why.
    pub fn unmeasured(row: &Row, why: &'static str) -> Self {
        Self {
            fault: why,
            ..Self::of(row)
        }
    }

    /// A row that came to no end.
    pub fn failed(row: &Row, why: &str) -> Self {
        Self {
            measured: true,
            broken: vec![why.chars().take(4_000).collect()],
            ..Self::of(row)
        }
    }

    fn of(row: &Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            fault: row.fault,
            ..Self::default()
        }
    }
}

/// Measures and judges; the instances still run.
pub fn judge(row: &Row, fault: &Fault, rig: &mut Rig) -> Verdict {
    let seen = rig.observer.seen();
    let outage = fault.outage.as_secs_f64();
    let lost = row.allow + whole(fault.outage);
    let mut verdict = Verdict {
        measured: true,
        ticks: seen.len(),
        outage,
        missed: (worst(&seen, &FAST[..2], SECOND), lost),
        missed_all: (
            worst(&seen, &FAST[2..], SECOND),
            if row.data_loss { row.allow } else { 0 },
        ),
        missed_slow: (
            worst(&seen, &[SLOW], 6 * SECOND),
            if row.data_loss { lost } else { lost / 6 },
        ),
        dup: repeats(&seen),
        dup_bar: match row.dup {
            Dup::AtMost(count) => count.to_string(),
            Dup::SameId(count) => format!("{count} same id"),
        },
        recovery: (recovery(&seen, fault), row.recovery),
        exits: rig
            .instances
            .iter_mut()
            .filter_map(|i| i.has_ended_by_itself().then_some(()))
            .count(),
        broken: std::mem::take(&mut rig.broken),
        ..Verdict::of(row)
    };
    let logs: Vec<Vec<String>> = rig.instances.iter().map(|i| i.beat.lines()).collect();
    read_logs(&logs, &mut verdict);
    hold(row, &mut verdict);
    verdict
}

fn hold(row: &Row, verdict: &mut Verdict) {
    let mut broken = Vec::new();
    for (what, (lost, bar)) in [
        ("fast", verdict.missed),
        ("misfire = all", verdict.missed_all),
        ("slow", verdict.missed_slow),
    ] {
        if lost > bar {
            broken.push(format!("{what}: missed {lost}, allowed {bar}"));
        }
    }
    let (same, other) = verdict.dup;
    let fine = match row.dup {
        Dup::AtMost(count) => same + other <= count,
        Dup::SameId(count) => other == 0 && same <= count,
    };
    if !fine {
        broken.push(format!(
            "{same} repeats with the same id and {other} with another, allowed {}",
            verdict.dup_bar
        ));
    }
    match verdict.recovery {
        (None, _) => broken.push("a fast entry never fired again".to_owned()),
        (Some(took), bar) if took > bar => {
            broken.push(format!("fires again after {took:.2} s, allowed {bar}"));
        }
        _ => {}
    }
    if verdict.exits > 0 {
        broken.push(format!("{} instances ended", verdict.exits));
    }
    if verdict.secrets > 0 {
        broken.push(format!("{} log lines with a secret", verdict.secrets));
    }
    if verdict.lines.1 > CHATTER {
        broken.push(format!("{} log lines in a second", verdict.lines.1));
    }
    verdict.broken.extend(broken);
}

/// Begun seconds.
fn whole(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_millis() > 0)
}

/// Fire times of one entry, each once.
fn fire_times(seen: &[Seen], entry: &str) -> Vec<i64> {
    let mut times: Vec<i64> = seen
        .iter()
        .filter(|s| s.row.entry == entry)
        .map(|s| s.row.fire_time)
        .collect();
    times.sort_unstable();
    times.dedup();
    times
}

/// The most gaps that one of these entries has between the start and its last fire time.
fn worst(seen: &[Seen], entries: &[&str], period: i64) -> u64 {
    // Intervals are anchored together, a second before the first fire time of the fast ones.
    let anchor = fire_times(seen, FAST[0])
        .first()
        .map(|first| first - SECOND);
    let gaps = |entry: &&str| -> u64 {
        let mut times = fire_times(seen, entry);
        if *entry == SLOW {
            times.splice(0..0, anchor);
        }
        let between = |pair: &[i64]| (pair[1] - pair[0] + period / 2) / period - 1;
        times
            .windows(2)
            .map(|pair| u64::try_from(between(pair)).unwrap_or(0))
            .sum()
    };
    entries.iter().map(gaps).max().unwrap_or(0)
}

/// Messages for a fire time that was there before: with the same id, and with another.
fn repeats(seen: &[Seen]) -> (usize, usize) {
    let mut first: BTreeMap<(&str, i64), &str> = BTreeMap::new();
    let (mut same, mut other) = (0, 0);
    for Seen { row, .. } in seen {
        match first.insert((&row.entry, row.fire_time), &row.id) {
            None => {}
            Some(id) if id == row.id => same += 1,
            Some(_) => other += 1,
        }
    }
    // A grid that was anchored anew may hold two fire times where one belongs.
    for (entries, period) in [(&FAST[..], SECOND), (&[SLOW][..], 6 * SECOND)] {
        for entry in entries {
            let times = fire_times(seen, entry);
            other += times
                .windows(2)
                .filter(|pair| pair[1] - pair[0] < period / 2)
                .count();
        }
    }
    (same, other)
}

fn recovery(seen: &[Seen], fault: &Fault) -> Option<f64> {
    let first = |entry: &str| {
        let mut after = seen
            .iter()
            .filter(|s| s.row.entry == entry && s.at > fault.ended);
        after.next().map(|s| (s.at - fault.ended).as_secs_f64())
    };
    let all: Option<Vec<f64>> = FAST.iter().map(|entry| first(entry)).collect();
    all.map(|times| times.into_iter().fold(0.0, f64::max))
}

fn read_logs(logs: &[Vec<String>], verdict: &mut Verdict) {
    for log in logs {
        let mut seconds: BTreeMap<String, usize> = BTreeMap::new();
        let mut states = [false; STATES.len()];
        for line in log {
            if line.contains("panicked at") {
                verdict.broken.push(format!("panic: {line}"));
            }
            if line.contains(SECRET) {
                verdict.secrets += 1;
            }
            let Ok(record) = serde_json::from_str::<Value>(line) else {
                continue;
            };
            let event = record["event"]
                .as_str()
                .or(record["fields"]["event"].as_str())
                .unwrap_or_default();
            let second = record["timestamp"]
                .as_str()
                .unwrap_or_default()
                .chars()
                .take(19)
                .collect();
            if !PER_FIRE.contains(&event) {
                verdict.lines.0 += 1;
                *seconds.entry(second).or_default() += 1;
            }
            for (place, (began, ended)) in STATES.iter().enumerate() {
                if event == "started" {
                    states[place] = false;
                }
                if event == *began && std::mem::replace(&mut states[place], true) {
                    verdict.broken.push(format!("{began} said twice: {line}"));
                }
                if event == *ended {
                    states[place] = false;
                }
            }
        }
        let most = seconds.into_values().max().unwrap_or(0);
        verdict.lines.1 = verdict.lines.1.max(most);
    }
}
