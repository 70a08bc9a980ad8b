//! What must be recorded before an entry may fire.
//!
//! An entry counts from its first recording, a changed one from the change, a re-enabled one from
//! the switch, a returned one from its return. Each such instant is taken once and recorded before
//! anything fires, so that a crash or a take-over cannot move it.

use super::record::{Progress, Record, Recorded};
use crate::clock::Timestamp;
use crate::timetable::Entry;

/// Days after which the record of an entry that left the schedule is forgotten.
pub const RETENTION_DAYS: u64 = 30;

/// Where an entry stands, and what to record first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolment {
    /// Where it stands once `write` is recorded.
    pub progress: Progress,
    /// The record to write, and `from` with it, unless the store holds it already.
    pub write: Option<Record>,
    /// Why it has to be written.
    pub news: News,
}

/// How an entry relates to its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// As recorded.
    Nothing,
    /// No record yet.
    New,
    /// Timing keys differ from the recorded ones.
    Changed,
    /// Disabled, enabled, or back in the file.
    Switched,
}

/// Compares `entry` with what is `recorded`.
///
/// `changed_at` is the moment that counts for a change or a switch (when this instance loaded the
/// file), `now` the one for an entry that was never recorded.
#[must_use]
pub fn enrol(
    entry: &Entry,
    recorded: &Recorded,
    changed_at: Timestamp,
    now: Timestamp,
) -> Enrolment {
    let enabled = entry.policy.enabled;
    let Some(record) = recorded.record() else {
        // Without a record an old `last` still forbids repeats.
        let from = if entry.policy.run_on_start && recorded.last.is_none() && entry.in_window(now) {
            now.plus_micros(-1)
        } else {
            now
        };
        // A lost record: counted from the last fire time an interval keeps its phase.
        let anchor = recorded.last.unwrap_or(now);
        let record = Record {
            anchor,
            timing: entry.timing,
            enabled,
            task_id: None,
            sent_at: None,
            removed_at: None,
        };
        return Enrolment {
            progress: Progress {
                anchor,
                from,
                last: recorded.last,
                count: recorded.count,
            },
            write: Some(record),
            news: News::New,
        };
    };

    let stored_from = recorded.from.unwrap_or(record.anchor);
    let mut progress = Progress {
        anchor: record.anchor,
        from: stored_from,
        last: recorded.last,
        count: recorded.count,
    };
    let retimed = record.timing != entry.timing;
    let switched_on = enabled && !record.enabled;
    let returned = record.removed_at.is_some();
    if record.timing.grid != entry.timing.grid {
        progress.anchor = changed_at;
    }
    if retimed || switched_on || returned {
        // Never backwards: what was fired or skipped after the change stays settled.
        progress.from = progress.base().max(changed_at);
    }
    let news = if retimed {
        News::Changed
    } else if returned || enabled != record.enabled {
        News::Switched
    } else {
        News::Nothing
    };
    let write = (news != News::Nothing || recorded.from.is_none()).then_some(Record {
        anchor: progress.anchor,
        timing: entry.timing,
        enabled,
        removed_at: None,
        ..record
    });
    Enrolment {
        progress,
        write,
        news,
    }
}
