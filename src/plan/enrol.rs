//! What must be recorded before an entry may fire.
//!
//! An entry counts from its first recording, a changed one from the change, a re-enabled one from
//! the switch, a returned one from its return. Each such instant is taken once and recorded before
//! anything fires, so that a crash or a take-over cannot move it.

use super::record::{Progress, Record, Recorded};
use crate::clock::Timestamp;
use crate::timetable::Entry;

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
    /// Disabled, enabled, given another number of runs, or back in the file.
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
    let policy = &entry.policy;
    let enabled = policy.enabled;
    let Some(record) = recorded.record().filter(|r| !r.is_forgotten(now)) else {
        return first(entry, recorded, now);
    };

    let mut stored_from = recorded.from.unwrap_or(record.anchor);
    if let (None, Some(sent_at)) = (recorded.last, record.sent_at) {
        // The last fire time was lost, not that there was one: nothing before it is fired again.
        stored_from = stored_from.max(sent_at);
    }
    let mut progress = Progress {
        anchor: record.anchor,
        from: stored_from,
        last: recorded.last,
        count: recorded.count,
    };
    let retimed = record.timing != entry.timing;
    let switched_on = enabled && !record.enabled;
    // Fire times after the last run that was allowed were not missed.
    let reached = |max: Option<u64>| max.is_some_and(|max| recorded.count >= max);
    let extended = reached(record.max_runs) && !reached(policy.max_runs);
    if record.timing.grid != entry.timing.grid {
        progress.anchor = changed_at;
    }
    if retimed || switched_on || extended || record.removed_at.is_some() {
        // Never backwards: what was fired or skipped after the change stays settled. An entry that
        // another instance took out after this one loaded the file was away until then.
        let away_until = record.removed_at.unwrap_or(changed_at);
        progress.from = progress.base().max(changed_at).max(away_until);
    }
    let as_recorded = enabled == record.enabled
        && policy.max_runs == record.max_runs
        && record.removed_at.is_none();
    let news = match (retimed, as_recorded) {
        (true, _) => News::Changed,
        (false, false) => News::Switched,
        (false, true) => News::Nothing,
    };
    let write = (news != News::Nothing || recorded.from.is_none()).then_some(Record {
        anchor: progress.anchor,
        timing: entry.timing,
        enabled,
        max_runs: policy.max_runs,
        removed_at: None,
        ..record
    });
    Enrolment {
        progress,
        write,
        news,
    }
}

/// An entry without a record: it counts from `now`.
fn first(entry: &Entry, recorded: &Recorded, now: Timestamp) -> Enrolment {
    let policy = &entry.policy;
    // A record that was forgotten leaves nothing behind; one that was lost leaves the last fire
    // time and the count.
    let forgotten = recorded.record().is_some();
    let last = recorded.last.filter(|_| !forgotten);
    let starts = policy.run_on_start && last.is_none() && entry.in_window(now);
    // Counted from the last fire time an interval keeps its phase.
    let anchor = last.unwrap_or(now);
    Enrolment {
        progress: Progress {
            anchor,
            from: if starts { now.plus_micros(-1) } else { now },
            last,
            count: if forgotten { 0 } else { recorded.count },
        },
        write: Some(Record {
            anchor,
            timing: entry.timing,
            enabled: policy.enabled,
            max_runs: policy.max_runs,
            task_id: None,
            sent_at: None,
            removed_at: None,
        }),
        news: News::New,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::catch_up::catch_up;
    use crate::testing::{at, entry};

    #[test]
    fn a_lost_fire_time_does_not_bring_back_what_was_sent() {
        let entry = entry("schedule = 10\nmisfire = 'all'");
        let record = Record {
            anchor: at("2026-11-20T12:00:00Z"),
            timing: entry.timing,
            enabled: true,
            task_id: None,
            max_runs: None,
            sent_at: Some(at("2026-11-20T13:00:00.001Z")),
            removed_at: None,
        };
        let recorded = Recorded {
            last: None,
            from: Some(at("2026-11-20T12:00:00Z")),
            count: 360,
            text: record.to_json(),
        };
        assert!(recorded.is_damaged());
        let now = at("2026-11-20T13:00:15Z");
        let progress = enrol(&entry, &recorded, at("2026-11-20T12:00:00Z"), now).progress;
        let found = catch_up(&entry, &progress, now, now, usize::MAX);
        assert_eq!(found.fires, [at("2026-11-20T13:00:10Z")]);
    }
}
