//! The plan: entries ordered by their next send instant.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use super::catch_up::{CatchUp, catch_up, next_point};
use super::record::Progress;
use super::{Action, Due, Outcome, Skipped};
use crate::clock::{FireTime, Timestamp};
use crate::timetable::{Backoff, Entry, EntryName};

/// Entries with where they stand, ordered by when they are due next.
///
/// One task owns it. Between [`Plan::due`] and [`Plan::settle`] an entry is in flight and not
/// handed out again, so that its fire times are settled strictly in order.
#[derive(Debug, Default)]
pub struct Plan {
    slots: Vec<Slot>,
    names: HashMap<EntryName, usize>,
    free: Vec<usize>,
    /// Ordered by wake-up instant; an entry in flight or without a next fire time is not in it.
    wakes: BTreeSet<(Timestamp, usize)>,
    /// Entries with several fire times to catch up on; they wait until others are served.
    backlog: VecDeque<usize>,
    able_since: Timestamp,
}

#[derive(Debug)]
struct Slot {
    entry: Arc<Entry>,
    progress: Progress,
    /// The next fire time that is not excluded, for display.
    next: Option<FireTime>,
    wake: Option<Timestamp>,
    queued: bool,
    /// Its entry was taken out.
    vacant: bool,
    failures: u32,
    retry_at: Option<Timestamp>,
}

/// Where one entry stands, for display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its progress.
    pub progress: Progress,
    /// Its next fire time.
    pub next: Option<FireTime>,
    /// Failed attempts at that fire time.
    pub failures: u32,
}

/// What settling an item has changed.
#[derive(Debug, PartialEq, Eq)]
pub struct Settled {
    /// Fire times to count as skipped now.
    pub skipped: Vec<Skipped>,
    /// The item was rejected, and its entry was not failing before.
    pub first_failure: bool,
}

impl Plan {
    /// An empty plan of a leader that is able to fire since `able_since`.
    #[must_use]
    pub fn new(able_since: Timestamp) -> Self {
        Self {
            able_since,
            ..Self::default()
        }
    }

    /// Makes room for so many more entries, and no more than that.
    pub fn reserve(&mut self, entries: usize) {
        self.slots.reserve_exact(entries);
        self.names.reserve(entries);
    }

    /// What passed before `instant` counts as missed: the wall clock was set.
    pub fn set_able_since(&mut self, instant: Timestamp) {
        self.able_since = instant;
    }

    /// Adds an entry, or replaces the one of the same name, standing at `progress`.
    pub fn set(&mut self, entry: Arc<Entry>, progress: Progress) {
        let name = Arc::clone(&entry.name);
        let slot = Slot {
            entry,
            progress,
            next: None,
            wake: None,
            queued: false,
            vacant: false,
            failures: 0,
            retry_at: None,
        };
        let index = if let Some(&index) = self.names.get(&name) {
            self.disarm(index);
            self.slots[index] = slot;
            index
        } else if let Some(index) = self.free.pop() {
            self.slots[index] = slot;
            index
        } else {
            self.slots.push(slot);
            self.slots.len() - 1
        };
        self.names.insert(name, index);
        self.arm(index);
    }

    /// Fire times up to `instant` do not count any more.
    pub fn skip_to(&mut self, name: &str, instant: Timestamp) {
        let Some(&index) = self.names.get(name) else {
            return;
        };
        self.disarm(index);
        let progress = &mut self.slots[index].progress;
        progress.from = progress.from.max(instant);
        self.arm(index);
    }

    /// Takes an entry out.
    pub fn remove(&mut self, name: &str) {
        if let Some(index) = self.names.remove(name) {
            self.disarm(index);
            self.slots[index].vacant = true;
            self.free.push(index);
        }
    }

    /// Where the entry `name` stands.
    #[must_use]
    pub fn standing(&self, name: &str) -> Option<Standing> {
        let slot = &self.slots[*self.names.get(name)?];
        Some(Standing {
            progress: slot.progress,
            next: slot.next,
            failures: slot.failures,
        })
    }

    /// Entries in the plan.
    pub fn entries(&self) -> impl Iterator<Item = (&Arc<Entry>, Standing)> {
        self.names.values().map(|&index| {
            let slot = &self.slots[index];
            let standing = Standing {
                progress: slot.progress,
                next: slot.next,
                failures: slot.failures,
            };
            (&slot.entry, standing)
        })
    }

    /// When the next entry wants to be looked at; in the past while something waits.
    #[must_use]
    pub fn next_wake(&self) -> Option<Timestamp> {
        if !self.backlog.is_empty() {
            return Some(Timestamp::EPOCH);
        }
        self.wakes.first().map(|&(at, _)| at)
    }

    /// Takes what is due at `now`, at most `room` items. Entries with a backlog come after those
    /// that are on time.
    pub fn due(&mut self, now: Timestamp, room: usize) -> Vec<Due> {
        let mut items = Vec::new();
        while items.len() < room {
            let Some(&(at, index)) = self.wakes.first() else {
                break;
            };
            if at > now {
                break;
            }
            self.disarm(index);
            let found = self.look(index, now, 1);
            if found.more {
                self.slots[index].queued = true;
                self.backlog.push_back(index);
            } else {
                self.take(index, found, &mut items, now);
            }
        }
        while items.len() < room {
            let Some(index) = self.backlog.pop_front() else {
                break;
            };
            self.slots[index].queued = false;
            let found = self.look(index, now, room - items.len());
            self.take(index, found, &mut items, now);
        }
        items
    }

    fn look(&self, index: usize, now: Timestamp, room: usize) -> CatchUp {
        let slot = &self.slots[index];
        catch_up(&slot.entry, &slot.progress, now, self.able_since, room)
    }

    /// Turns what was found due into items; arms the entry again when that is nothing.
    fn take(&mut self, index: usize, mut found: CatchUp, items: &mut Vec<Due>, now: Timestamp) {
        let slot = &self.slots[index];
        let Some(until) = found.until else {
            self.arm_after(index, now);
            return;
        };
        let mut last_fire_time = slot.progress.last;
        let mut push = |fire_time, action, found: &mut CatchUp| {
            let fires = action == Action::Fire;
            items.push(Due {
                slot: index,
                entry: Arc::clone(&slot.entry),
                fire_time,
                action,
                anchor: slot.progress.anchor,
                last_fire_time,
                // Counted when this very item is settled: those after it may fail.
                skipped: found.skipped_up_to(fire_time),
                misfire: fires && slot.entry.send_instant(fire_time) < self.able_since,
                task_id: OnceLock::new(),
            });
            if fires {
                last_fire_time = Some(fire_time);
            }
        };
        let fires = std::mem::take(&mut found.fires);
        for &fire_time in &fires {
            push(fire_time, Action::Fire, &mut found);
        }
        if fires.last().is_none_or(|&last| until > last) {
            push(until, Action::Skip, &mut found);
        }
    }

    /// Takes in what became of `due`. Items of one entry are settled in the order in which they
    /// were handed out; [`Plan::rearm`] follows the last one.
    pub fn settle(&mut self, due: &Due, outcome: &Outcome, now: Timestamp) -> Settled {
        let slot = &mut self.slots[due.slot];
        let mut settled = Settled {
            skipped: Vec::new(),
            first_failure: false,
        };
        if !Arc::ptr_eq(&slot.entry, &due.entry) {
            return settled;
        }
        let progress = &mut slot.progress;
        match outcome {
            Outcome::Fired(count) | Outcome::AlreadyDone(count) | Outcome::Unknown(count) => {
                progress.last = progress.last.max(Some(due.fire_time));
                progress.count = *count;
                settled.skipped.clone_from(&due.skipped);
            }
            Outcome::Superseded(stored) => progress.last = progress.last.max(Some(*stored)),
            Outcome::Paused | Outcome::Skipped => {
                progress.from = progress.from.max(due.fire_time);
                settled.skipped.clone_from(&due.skipped);
            }
            Outcome::Rejected(_) => {
                // The pause ends early when another fire time becomes due.
                slot.failures += 1;
                let pause = slot.entry.policy.backoff.pause(slot.failures);
                let following = next_point(&slot.entry, &slot.progress, now)
                    .map_or(Timestamp::MAX, |next| {
                        slot.entry.send_instant(next.fire_time)
                    });
                slot.retry_at = Some(now.plus(pause).min(following.max(now.plus(Backoff::FLOOR))));
                settled.first_failure = slot.failures == 1;
                return settled;
            }
            Outcome::Held => return settled,
        }
        slot.failures = 0;
        slot.retry_at = None;
        settled
    }

    /// Puts the entry of a settled or abandoned item back into the order.
    pub fn rearm(&mut self, slot: usize) {
        let Slot {
            wake,
            queued,
            vacant,
            ..
        } = self.slots[slot];
        if wake.is_none() && !queued && !vacant {
            self.arm(slot);
        }
    }

    fn arm(&mut self, index: usize) {
        self.arm_after(index, Timestamp::from_micros(i64::MIN));
    }

    /// Arms the entry for its next point, not before `floor`.
    fn arm_after(&mut self, index: usize, floor: Timestamp) {
        let slot = &mut self.slots[index];
        let progress = &slot.progress;
        let spent = slot
            .entry
            .policy
            .max_runs
            .is_some_and(|max| progress.count >= max);
        let point = if spent {
            None
        } else {
            next_point(&slot.entry, progress, progress.base())
        };
        slot.next = point.and_then(|point| {
            if point.excluded {
                slot.entry.next_fire(progress.anchor, point.fire_time)
            } else {
                Some(point.fire_time)
            }
        });
        slot.entry
            .tally
            .stands(progress.anchor, progress.last, slot.next, progress.count);
        let Some(point) = point else { return };
        let mut wake = slot.entry.send_instant(point.fire_time).max(floor);
        if let Some(retry_at) = slot.retry_at {
            wake = wake.max(retry_at);
        }
        slot.wake = Some(wake);
        self.wakes.insert((wake, index));
    }

    fn disarm(&mut self, index: usize) {
        let slot = &mut self.slots[index];
        if let Some(at) = slot.wake.take() {
            self.wakes.remove(&(at, index));
        }
        if std::mem::take(&mut slot.queued) {
            self.backlog.retain(|&queued| queued != index);
        }
    }
}
