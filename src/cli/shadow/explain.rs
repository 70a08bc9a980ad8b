//! Why a send has no fire time, or a fire time no send, as far as the logs tell. Pure.

use super::compare::{Comparison, Row};
use crate::clock::Timestamp;
use crate::schedule::Zone;
use crate::timetable::Entry;

/// Celery catches up within this of its start, µs.
const CATCH_UP: i64 = 60_000_000;
/// Half a day, µs.
const HALF_DAY: i64 = 43_200_000_000;
/// The task that Celery itself adds to schedules.
const CLEANUP: &str = "celery.backend_cleanup";

/// One difference.
#[derive(Debug)]
pub struct Difference<'a> {
    /// Expected and not seen, or seen and not expected.
    pub missing: bool,
    /// Name of its row.
    pub name: &'a str,
    /// When, µs.
    pub at: i64,
    /// In words.
    pub why: String,
}

/// The differences of `comparison`, at most `most`, by time, and of one row not more than `each`.
pub fn differences<'a>(
    comparison: &'a Comparison<'_>,
    by_task: bool,
    most: usize,
    each: usize,
) -> Vec<Difference<'a>> {
    let mut all: Vec<(i64, bool, &Row<'_>)> = Vec::new();
    for row in &comparison.rows {
        let [missing, extra] = [&row.pairing.missing, &row.pairing.extra].map(|all| all.iter());
        let missing = missing.take(each).map(|at| (*at, true, row));
        let extra = extra.take(each).map(|at| (*at, false, row));
        all.extend(missing.chain(extra));
    }
    all.sort_by(|a, b| (a.0, &a.2.name).cmp(&(b.0, &b.2.name)));
    all.truncate(most);
    let why = Why {
        comparison,
        by_task,
    };
    all.into_iter()
        .map(|(at, missing, row)| Difference {
            missing,
            name: &row.name,
            at,
            why: if missing {
                why.missing(row, at)
            } else {
                why.extra(row, at)
            },
        })
        .collect()
}

struct Why<'a> {
    comparison: &'a Comparison<'a>,
    by_task: bool,
}

impl Why<'_> {
    fn missing(&self, row: &Row<'_>, at: i64) -> String {
        if row.seen.is_empty() {
            return if self.by_task {
                "no event of this task: does Celery's beat have it, and `task_send_sent_event = True`?"
            } else {
                "not in the log at all: Celery's beat does not have it, or has it disabled"
            }
            .to_owned();
        }
        if row.only_counted {
            return "only numbers could be compared: entries with phases of their own share the task".to_owned();
        }
        let next = row.pairing.extra.iter().find(|extra| **extra > at);
        let next_due = row.pairing.missing.iter().find(|missing| **missing > at);
        if let Some(late) = next
            && next_due.is_none_or(|due| late < due)
            && late - at < HALF_DAY
        {
            return format!("sent {} late", seconds(late - at));
        }
        if let Some(start) = self.down(row, at) {
            return format!(
                "Celery's beat was not running: it started again at {}",
                time(start)
            );
        }
        if let Some(why) = row
            .entries
            .iter()
            .find_map(|entry| daylight_saving(entry, at))
        {
            return why;
        }
        "Celery's beat skipped it, or did not run".to_owned()
    }

    fn extra(&self, row: &Row<'_>, at: i64) -> String {
        let Some(entry) = row.entries.first() else {
            return if row.name == CLEANUP || row.task == CLEANUP {
                "Celery adds this entry by itself; the importer offers it as a comment"
            } else {
                "not in the schedule: removed, refused by the importer, or added while Celery ran"
            }
            .to_owned();
        };
        if row.entries.iter().all(|entry| !entry.policy.enabled) {
            return "the schedule has it disabled".to_owned();
        }
        if row.only_counted {
            return "only numbers could be compared: entries with phases of their own share the task".to_owned();
        }
        let due = row
            .pairing
            .missing
            .iter()
            .rev()
            .find(|missing| **missing < at);
        let before = row.pairing.extra.iter().rev().find(|extra| **extra < at);
        if let Some(due) = due
            && before.is_none_or(|before| before < due)
            && at - due < HALF_DAY
        {
            return format!("{} late for {}", seconds(at - due), time(*due));
        }
        let twin = row
            .seen
            .iter()
            .any(|seen| *seen != at && (seen - at).abs() < 2_000_000);
        if twin && row.drifting.is_none_or(|period| period > 4_000_000) {
            return "sent twice: do two of Celery's beats run?".to_owned();
        }
        let starts = &self.comparison.starts;
        if starts
            .iter()
            .any(|start| (0..CATCH_UP).contains(&(at - start)))
        {
            return "Celery's beat had just started and made up for a run that it had missed"
                .to_owned();
        }
        if let Some(why) = daylight_saving(entry, at) {
            return why;
        }
        if self.by_task {
            return "no fire time of an entry: another program may have sent this task".to_owned();
        }
        "no fire time of the schedule".to_owned()
    }

    /// When Celery's beat started after `at`, if nothing at all was sent in between.
    fn down(&self, row: &Row<'_>, at: i64) -> Option<i64> {
        let starts = &self.comparison.starts;
        let start = *starts.get(starts.partition_point(|start| *start < at))?;
        // Rows are many; the row's own next send tells enough.
        let next = row.seen.get(row.seen.partition_point(|seen| *seen < at));
        next.is_none_or(|next| *next >= start).then_some(start)
    }
}

/// Whether clocks of the entry's zone change on the day of `at`.
fn daylight_saving(entry: &Entry, at: i64) -> Option<String> {
    if let Some(note) = entry.schedule.note(Timestamp::from_micros(at)) {
        return Some(format!(
            "daylight saving time ({note}); Celery's rule is another"
        ));
    }
    let zone: &Zone = &entry.zone;
    let offset = |shift: i64| zone.offset_at(Timestamp::from_micros(at.saturating_add(shift)));
    (offset(-HALF_DAY) != offset(HALF_DAY) && entry.schedule.period().is_none())
        .then(|| format!("clocks change in {zone} around this time; Celery's rule is another"))
}

/// A time for people.
pub fn time(micros: i64) -> String {
    let whole = micros.div_euclid(1_000) * 1_000;
    Timestamp::from_micros(whole)
        .to_rfc3339()
        .replace("000Z", "Z")
}

/// A distance in time for people.
pub fn seconds(micros: i64) -> String {
    let magnitude = micros.unsigned_abs();
    let sign = if micros < 0 { "-" } else { "" };
    match magnitude {
        0..60_000_000 => format!(
            "{sign}{}.{:03} s",
            magnitude / 1_000_000,
            magnitude / 1_000 % 1_000
        ),
        60_000_000..7_200_000_000 => format!(
            "{sign}{} min {} s",
            magnitude / 60_000_000,
            magnitude / 1_000_000 % 60
        ),
        _ => format!(
            "{sign}{} h {} min",
            magnitude / 3_600_000_000,
            magnitude / 60_000_000 % 60
        ),
    }
}
