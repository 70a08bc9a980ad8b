//! The comparison as a table or JSON, and the sentence at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::compare::{Comparison, Row};
use super::explain::{Difference, differences, seconds, time};
use super::log::Log;
use crate::config::escaped;

/// Differences that a table lists, and JSON.
const LISTED: usize = 20;
const LISTED_JSON: usize = 1_000;
/// Of one row, missing and extra each: what is wrong with one must not hide the others.
const OF_ONE_ROW: usize = 3;
/// Widest column of names, in characters.
const WIDEST: usize = 40;

/// What is said about how the comparison was made.
pub struct Report<'a> {
    /// What came of it.
    pub comparison: &'a Comparison<'a>,
    /// The log that was read.
    pub log: &'a Log,
    /// Whether a shadow's log was compared with it, not the schedule.
    pub shadow: bool,
    /// Whether the zone of the log's times was found by trying.
    pub guessed_zone: bool,
}

struct Totals {
    matched: u64,
    missing: usize,
    extra: usize,
}

impl Report<'_> {
    fn totals(&self) -> Totals {
        let rows = &self.comparison.rows;
        Totals {
            matched: rows.iter().map(|row| row.pairing.matched).sum(),
            missing: rows.iter().map(|row| row.pairing.missing.len()).sum(),
            extra: rows.iter().map(|row| row.pairing.extra.len()).sum(),
        }
    }

    /// Whether everything matches, and there was something.
    pub fn all_matched(&self) -> bool {
        let totals = self.totals();
        totals.matched > 0 && totals.missing == 0 && totals.extra == 0 && self.log.undated == 0
    }

    fn by_task(&self) -> bool {
        self.log.events > 0
    }

    /// How it was read, in one line each.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if self.log.has_local_times() {
            let why = if self.guessed_zone {
                "it fits best; --timezone says otherwise"
            } else {
                "by --timezone"
            };
            remarks.push(format!(
                "times without a zone are read as {}: {why}",
                self.comparison.zone
            ));
        }
        if self.by_task() {
            remarks.push("events do not name entries: compared by task".to_owned());
        }
        if self.comparison.foreign_tasks > 0 {
            remarks.push(format!(
                "events of {} other tasks are left out: no entry has them",
                self.comparison.foreign_tasks
            ));
        }
        if self.log.undated > 0 {
            remarks.push(format!(
                "{} sends have no time that can be read, the first in line {}: a log format needs %(asctime)s",
                self.log.undated,
                self.log.first_undated.unwrap_or(0)
            ));
        }
        remarks
    }

    /// The sentence to act on.
    fn verdict(&self, differences: &[Difference<'_>]) -> String {
        let totals = self.totals();
        if self.log.len() == 0 {
            return "Nothing in the log says that a task was sent: is it the log of Celery's beat, at level INFO (`--loglevel INFO`)?".to_owned();
        }
        if totals.matched == 0 && totals.missing == 0 && totals.extra == 0 {
            return "Nothing was sent and nothing was due in this time: compare a longer one."
                .to_owned();
        }
        if self.all_matched() {
            let idle = match self.comparison.idle {
                0 => String::new(),
                1 => " One entry was not due in it: a longer time would show it, too.".to_owned(),
                idle => format!(
                    " {idle} entries were not due in it: a longer time would show them, too."
                ),
            };
            return format!(
                "All {} sends match: in this time beat would have sent the same.{idle}",
                totals.matched
            );
        }
        if totals.missing + totals.extra == 0 {
            return "What could be read matches: give the log a format with times and compare again.".to_owned();
        }
        let names: std::collections::BTreeSet<&str> =
            self.differing().map(|row| row.name.as_str()).collect();
        let mut reasons: BTreeMap<(&str, &str), usize> = BTreeMap::new();
        for one in differences {
            *reasons.entry((kind(&one.why), one.name)).or_default() += 1;
        }
        let first = reasons.iter().max_by_key(|(_, count)| **count);
        let look = first.map_or_else(String::new, |((_, name), _)| {
            let why = differences.iter().find(|one| one.name == *name);
            format!(
                " Look first at {} ({}).",
                escaped(name),
                why.map_or("", |one| one.why.as_str())
            )
        });
        format!(
            "{} of {} sends match; {} missing and {} extra, in {} of {} rows: do not change over before each is understood.{look}",
            totals.matched,
            totals.matched + totals.extra as u64,
            totals.missing,
            totals.extra,
            names.len(),
            self.comparison.rows.len(),
        )
    }

    fn differing(&self) -> impl Iterator<Item = &Row<'_>> {
        self.comparison
            .rows
            .iter()
            .filter(|row| !row.pairing.missing.is_empty() || !row.pairing.extra.is_empty())
    }

    /// For people.
    pub fn table(&self) -> String {
        let comparison = self.comparison;
        let totals = self.totals();
        let mut out = String::new();
        let against = if self.shadow {
            "the shadow's log"
        } else {
            "the schedule's fire times"
        };
        let (from, until) = comparison.period;
        let _ = writeln!(
            out,
            "{} lines and {} sends of Celery against {against}, from {} to {}",
            self.log.lines,
            self.log.len(),
            time(from),
            time(until)
        );
        for remark in self.remarks() {
            let _ = writeln!(out, "{remark}");
        }
        let width = comparison
            .rows
            .iter()
            .map(|row| escaped(&row.name).chars().count().min(WIDEST))
            .max()
            .unwrap_or(0)
            .max(5);
        let head = if self.by_task() { "TASK" } else { "ENTRY" };
        let _ = writeln!(
            out,
            "\n{head:<width$}  {:>8}  {:>7}  {:>6}  {:>12}  NOTE",
            "MATCHED", "MISSING", "EXTRA", "LARGEST"
        );
        for row in &comparison.rows {
            let line = format!(
                "{:<width$}  {:>8}  {:>7}  {:>6}  {:>12}  {}",
                escaped(&row.name),
                row.pairing.matched,
                row.pairing.missing.len(),
                row.pairing.extra.len(),
                if row.pairing.matched == 0 || row.only_counted {
                    "-".to_owned()
                } else {
                    seconds(row.pairing.largest)
                },
                self.note(row).unwrap_or_default()
            );
            let _ = writeln!(out, "{}", line.trim_end());
        }
        let all = differences(comparison, self.by_task(), LISTED, OF_ONE_ROW);
        if !all.is_empty() {
            let _ = writeln!(out, "\nDIFFERENCES");
            for one in &all {
                let _ = writeln!(
                    out,
                    "{}  {}  {}: {}",
                    if one.missing { "missing" } else { "extra  " },
                    time(one.at),
                    escaped(one.name),
                    one.why
                );
            }
            let count = totals.missing + totals.extra;
            if count > all.len() {
                let _ = writeln!(
                    out,
                    "and {} more; --format json lists {LISTED_JSON}",
                    count - all.len()
                );
            }
        }
        let _ = writeln!(out, "\n{}", self.verdict(&all));
        out
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let comparison = self.comparison;
        let totals = self.totals();
        let all = differences(comparison, self.by_task(), LISTED_JSON, LISTED_JSON);
        #[expect(clippy::cast_precision_loss, reason = "below some centuries in µs")]
        let float = |micros: i64| micros as f64 / 1e6;
        let rows: Vec<Value> = comparison
            .rows
            .iter()
            .map(|row| {
                let compared = row.pairing.matched > 0 && !row.only_counted;
                json!({
                    "entry": if self.by_task() { Value::Null } else { row.name.as_str().into() },
                    "task": row.task,
                    "matched": row.pairing.matched,
                    "missing": row.pairing.missing.len(),
                    "extra": row.pairing.extra.len(),
                    "largest_difference_s": compared.then(|| float(row.pairing.largest)),
                    "phase_s": row.drifting.filter(|_| compared).map(|_| float(row.pairing.first)),
                    "drift_s": row.drifting.filter(|_| compared).map(|_| float(row.pairing.last - row.pairing.first)),
                    "note": self.note(row),
                })
            })
            .collect();
        json!({
            "ok": self.all_matched(),
            "from": time(comparison.period.0),
            "until": time(comparison.period.1),
            "compared_with": if self.shadow { "shadow" } else { "schedule" },
            "timezone": self.log.has_local_times().then(|| comparison.zone.name()),
            "lines": self.log.lines,
            "sends": self.log.len(),
            "undated": self.log.undated,
            "matched": totals.matched,
            "missing": totals.missing,
            "extra": totals.extra,
            "remarks": self.remarks(),
            "entries": rows,
            "differences": all.iter().map(|one| json!({
                "kind": if one.missing { "missing" } else { "extra" },
                if self.by_task() { "task" } else { "entry" }: one.name,
                "at": time(one.at),
                "why": one.why,
            })).collect::<Vec<_>>(),
            "differences_left_out": totals.missing + totals.extra - all.len(),
            "verdict": self.verdict(&all),
        })
    }

    /// What to know of a row.
    fn note(&self, row: &Row<'_>) -> Option<String> {
        if row.entries.is_empty() {
            return Some("not in the schedule".to_owned());
        }
        if row.only_counted {
            return Some("only counted: entries with phases of their own share it".to_owned());
        }
        let [entry] = row.entries[..] else {
            return Some(format!("{} entries", row.entries.len()));
        };
        if !entry.policy.enabled {
            return Some("disabled in the schedule".to_owned());
        }
        if row.drifting.is_some() && row.pairing.matched > 0 {
            let drift = row.pairing.last - row.pairing.first;
            let phase = if self.shadow {
                format!("phase {} apart", seconds(row.pairing.first))
            } else {
                "phase as in the log".to_owned()
            };
            let drift = if drift.abs() >= 1_000 {
                format!("; Celery's drifts, {} in this time", seconds(drift))
            } else {
                String::new()
            };
            return Some(phase + &drift);
        }
        if !entry.policy.jitter.is_zero() {
            return Some("jitter left out".to_owned());
        }
        if row.task != *entry.task {
            return Some(format!("Celery sends {}", escaped(&row.task)));
        }
        None
    }
}

/// A reason without its numbers.
fn kind(why: &str) -> &str {
    why.split(|c: char| c.is_ascii_digit())
        .next()
        .unwrap_or(why)
}
