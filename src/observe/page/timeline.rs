//! What is due in a day, by quarters of an hour.

use crate::clock::Timestamp;
use crate::observe::view::{Known, State, View};
use crate::timetable::{Entry, Fingerprint};

/// Quarters of an hour in a day.
pub const QUARTERS: usize = 96;
/// µs of one.
pub const QUARTER: i64 = 900_000_000;
const HOUR: i64 = 4 * QUARTER;

/// How long a drawing is good, µs.
const GOOD: i64 = 60_000_000;

/// Fire times that are computed at most: a fraction of a second.
const MOST: usize = 400_000;

/// A day, beginning with the hour that is running.
#[derive(Debug)]
pub struct Timeline {
    /// Where it begins.
    pub start: Timestamp,
    /// How many entries are due in each quarter.
    pub load: [u32; QUARTERS],
    /// How many entries were looked at; the others were too many.
    pub drawn: usize,
    /// One for each entry that was looked at, in the order of their names: a bit for each quarter
    /// in which it is due, the lowest for the first.
    lanes: Vec<u128>,
    digest: Fingerprint,
    leads: bool,
    at: Timestamp,
}

impl Timeline {
    /// Of the entries in `view`.
    #[must_use]
    pub fn draw(view: &View) -> Self {
        let now = view.now.as_micros();
        let zone = &view.loaded.settings.zone;
        let offset = i64::from(zone.offset_at(view.now).local_minus_utc()) * 1_000_000;
        let start = Timestamp::from_micros(now - (now + offset).rem_euclid(HOUR));
        let mut timeline = Self {
            start,
            load: [0; QUARTERS],
            drawn: 0,
            lanes: Vec::with_capacity(view.loaded.timetable.entries.len()),
            digest: view.loaded.timetable.digest,
            leads: view.leads(),
            at: view.now,
        };
        let mut computed = 0;
        for (place, entry) in view.entries() {
            if computed > MOST {
                break;
            }
            let known = view.known(place, entry);
            let fires = view.state(entry, &known) == State::Active;
            let lane = lane(entry, &known, start, &mut computed);
            timeline.lanes.push(lane);
            timeline.drawn += 1;
            for (quarter, load) in timeline.load.iter_mut().enumerate() {
                *load += u32::from(fires && lane >> quarter & 1 == 1);
            }
        }
        timeline
    }

    /// Whether it still shows what is in `view`.
    #[must_use]
    pub fn is_of(&self, view: &View) -> bool {
        self.digest == view.loaded.timetable.digest
            && self.leads == view.leads()
            && (0..GOOD).contains(&view.now.micros_since(self.at))
    }

    /// The quarters in which the entry at `place` is due, as (first, number) of adjoining ones.
    #[must_use]
    pub fn lane(&self, place: usize) -> Vec<(usize, usize)> {
        let lane = self.lanes.get(place).copied().unwrap_or(0);
        let mut runs: Vec<(usize, usize)> = Vec::new();
        for quarter in (0..QUARTERS).filter(|quarter| lane >> quarter & 1 == 1) {
            match runs.last_mut() {
                Some((first, number)) if *first + *number == quarter => *number += 1,
                _ => runs.push((quarter, 1)),
            }
        }
        runs
    }
}

/// The quarters in which `entry` is due; one fire time of each is enough.
fn lane(entry: &Entry, known: &Known, start: Timestamp, computed: &mut usize) -> u128 {
    let mut lane = 0;
    let mut next = known.next.filter(|_| entry.policy.enabled);
    while let Some(at) = next {
        let quarter = at.micros_since(start).max(0) / QUARTER;
        let place = usize::try_from(quarter).unwrap_or(usize::MAX);
        if place >= QUARTERS {
            break;
        }
        lane |= 1 << place;
        *computed += 1;
        let end = start.plus_micros((quarter + 1) * QUARTER - 1);
        next = entry.next_fire(known.anchor, end.max(at));
    }
    lane
}
