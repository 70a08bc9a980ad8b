//! What must hold, whatever happens.

use std::collections::HashMap;

use beat::clock::{FireTime, Timestamp};
use beat::plan::catch_up::next_point;
use beat::plan::{Action, Due, Outcome, Progress, Reason, Recorded, Skipped};
use beat::store::memory::MemoryStore;
use beat::timetable::{Entry, EntryName, Misfire};

use crate::world::Totals;

/// What arrived at the broker, and what was counted.
#[derive(Debug, Default)]
pub struct Audit {
    /// The latest fire time published of each entry.
    latest: HashMap<EntryName, FireTime>,
    /// Sums.
    pub totals: Totals,
}

/// Where the entries of a chunk stood before the first attempt at it.
#[derive(Debug)]
pub struct Before(HashMap<EntryName, Progress>);

impl Before {
    /// Looks at what is recorded of the entries of `dues`.
    pub fn of(store: &MemoryStore, dues: &[Due]) -> Self {
        let standing = |due: &Due| {
            (
                due.entry.name.clone(),
                progress(&store.recorded(&due.entry.name)),
            )
        };
        Self(dues.iter().map(standing).collect())
    }
}

/// Where an entry stands by what is recorded of it.
pub fn progress(recorded: &Recorded) -> Progress {
    let anchor = recorded
        .record()
        .map_or(Timestamp::EPOCH, |record| record.anchor);
    Progress {
        anchor,
        from: recorded.from.unwrap_or(anchor),
        last: recorded.last,
        count: recorded.count,
    }
}

impl Audit {
    /// A message arrives: never the same twice, never an earlier one.
    pub fn published(&mut self, entry: &Entry, fire_time: FireTime) {
        let before = self.latest.insert(entry.name.clone(), fire_time);
        assert!(
            before < Some(fire_time),
            "{}: {fire_time} is published after {before:?}",
            entry.name
        );
        self.totals.fired += 1;
    }

    /// The store lost what nobody remembered: fire times may come again.
    pub fn forget(&mut self) {
        self.latest.clear();
    }

    /// An item is settled: between this fire time and the one before, every point of the grid is
    /// counted, once, with a reason that its policy allows.
    pub fn settled(
        &mut self,
        before: &mut Before,
        due: &Due,
        outcome: &Outcome,
        skipped: &[Skipped],
        clean: bool,
    ) {
        let entry = &due.entry;
        let standing = before.0.get_mut(&entry.name).unwrap();
        let counts = match outcome {
            Outcome::Rejected(_) | Outcome::Held => {
                assert!(skipped.is_empty(), "{due:?}: counted before it is settled");
                return;
            }
            Outcome::Superseded(_) | Outcome::Unknown(_) => panic!("{due:?}: {outcome:?}"),
            Outcome::AlreadyDone(count) | Outcome::Fired(count) => {
                assert!(
                    clean
                        || matches!(outcome, Outcome::AlreadyDone(_))
                        || standing.base() < due.fire_time
                );
                let limit = entry.policy.max_runs.unwrap_or(u64::MAX);
                assert!(*count <= limit, "{due:?}: {count} of {limit} runs");
                true
            }
            Outcome::Paused | Outcome::Skipped => true,
        };
        assert!(counts);
        let inclusive = due.action == Action::Skip;
        let (mut points, mut at) = (0, standing.base());
        while let Some(next) = next_point(entry, standing, at)
            && (next.fire_time < due.fire_time || (inclusive && next.fire_time == due.fire_time))
        {
            at = next.fire_time;
            points += 1;
        }
        let counted: u64 = skipped.iter().map(|skipped| skipped.count).sum();
        if skipped.iter().any(|skipped| skipped.estimated) {
            let off = counted.abs_diff(points);
            assert!(
                off * 20 <= points,
                "{due:?}: {counted} estimated for {points}"
            );
        } else {
            assert_eq!(
                counted, points,
                "{due:?}, standing at {standing:?}: {outcome:?}, {skipped:?}"
            );
        }
        self.totals.skipped += counted;
        for skipped in skipped {
            reasonable(entry, skipped);
        }
        match outcome {
            Outcome::Paused | Outcome::Skipped => standing.from = standing.from.max(due.fire_time),
            _ => standing.last = standing.last.max(Some(due.fire_time)),
        }
    }
}

fn reasonable(entry: &Entry, skipped: &Skipped) {
    let policy = &entry.policy;
    let allowed = match skipped.reason {
        Reason::Misfire => policy.misfire != Misfire::All,
        Reason::Backlog => policy.misfire == Misfire::All,
        Reason::Deadline => policy.starting_deadline.is_some(),
        Reason::Disabled => !policy.enabled,
        Reason::Excluded => !policy.exclude.is_empty(),
        Reason::Paused | Reason::Changed => false,
    };
    assert!(allowed, "{}: {skipped:?}", entry.name);
}
