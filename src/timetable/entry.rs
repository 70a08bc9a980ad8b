//! One entry: what is published, when, and by which rules.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::{Exclude, Fingerprint, Tally, Timing};
use crate::clock::{FireTime, Timestamp};
use crate::message::Template;
use crate::schedule::{Schedule, Zone};

/// Name of an entry: 1 to 255 bytes, unique in a schedule.
pub type EntryName = Arc<str>;

/// What becomes of fire times that passed while nobody could fire them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Misfire {
    /// The latest one is fired, the others are skipped (Celery's behaviour).
    #[default]
    Latest,
    /// Every one is fired, in order, the newest 1 000.
    All,
    /// All are skipped.
    Skip,
}

/// What happens when the broker cannot commit together with the store.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Delivery {
    /// Publish, wait for the confirm, record. A repeat carries the same task id.
    #[default]
    AtLeastOnce,
    /// Reserve, publish once, mark done.
    AtMostOnce,
}

/// Pauses between attempts at a fire time that failed; Celery's `retry_policy`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Backoff {
    /// Pause before the first repeat.
    pub start: Duration,
    /// What each further pause is longer by.
    pub step: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for Backoff {
    /// Celery's `task_publish_retry_policy`.
    fn default() -> Self {
        Self {
            start: Duration::ZERO,
            step: Duration::from_millis(200),
            max: Duration::from_secs(1),
        }
    }
}

impl Backoff {
    /// Shortest pause: a policy of zeros must not become a busy loop.
    pub const FLOOR: Duration = Duration::from_millis(50);

    /// The pause after `failures` failed attempts in a row (1, 2, …).
    #[must_use]
    pub fn pause(&self, failures: u32) -> Duration {
        let step = self.step.saturating_mul(failures.saturating_sub(1));
        self.start
            .saturating_add(step)
            .min(self.max)
            .max(Self::FLOOR)
    }
}

/// The keys of an entry that rule whether and when a fire time is sent.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// `enabled`, together with the schedule's own switch: false skips every fire time.
    pub enabled: bool,
    /// `misfire`.
    pub misfire: Misfire,
    /// `starting_deadline`: misfires older than this are skipped.
    pub starting_deadline: Option<Duration>,
    /// `jitter`: send instants lie in `[fire time, fire time + jitter)`.
    pub jitter: Duration,
    /// `end_at`, exclusive.
    pub end_at: Option<Timestamp>,
    /// `max_runs`.
    pub max_runs: Option<u64>,
    /// `run_on_start`.
    pub run_on_start: bool,
    /// `delivery`.
    pub delivery: Delivery,
    /// `retry_policy` or `task_publish_retry_policy`.
    pub backoff: Backoff,
    /// `exclude`.
    pub exclude: Exclude,
}

impl Policy {
    /// Whether both say the same; said of none that excludes something.
    #[must_use]
    pub fn is_like(&self, other: &Self) -> bool {
        let Self {
            enabled,
            misfire,
            starting_deadline,
            jitter,
            end_at,
            max_runs,
            run_on_start,
            delivery,
            backoff,
            exclude,
        } = self;
        exclude.is_empty()
            && other.exclude.is_empty()
            && (*enabled, *misfire, *run_on_start, *delivery)
                == (
                    other.enabled,
                    other.misfire,
                    other.run_on_start,
                    other.delivery,
                )
            && (*starting_deadline, *jitter, *end_at)
                == (other.starting_deadline, other.jitter, other.end_at)
            && (*max_runs, *backoff) == (other.max_runs, other.backoff)
    }
}

/// One compiled entry.
pub struct Entry {
    /// Its name.
    pub name: EntryName,
    /// Name of the task.
    pub task: Arc<str>,
    /// `description`, for people.
    pub description: Option<Arc<str>>,
    /// When it is due.
    pub schedule: Schedule,
    /// The zone its times are read and shown in.
    pub zone: Zone,
    /// `start_at`, inclusive; also the anchor of intervals. No part of the policy, which entries
    /// share: it often is an entry's own.
    pub start_at: Option<Timestamp>,
    /// How its fire times are treated.
    pub policy: Arc<Policy>,
    /// Its message, encoded but for what changes with each fire.
    pub template: Template,
    /// Of everything that affects the entry.
    pub fingerprint: Fingerprint,
    /// Of what decides its fire times.
    pub timing: Timing,
    /// What was seen of it; nothing is decided by that.
    pub tally: Arc<Tally>,
}

/// One point of an entry's grid.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Occurrence {
    /// The fire time.
    pub fire_time: FireTime,
    /// Whether `exclude` covers it.
    pub excluded: bool,
}

impl Entry {
    /// This entry, to replace `before`: that one itself when nothing changed, else one that goes on
    /// with its tally.
    #[must_use]
    pub fn follow(self, before: &Arc<Self>) -> Arc<Self> {
        if before.fingerprint == self.fingerprint && before.description == self.description {
            return Arc::clone(before);
        }
        Arc::new(Self {
            tally: Arc::clone(&before.tally),
            ..self
        })
    }

    /// The first point of the grid later than `after`, excluded ones included.
    ///
    /// `anchor` is the instant from which intervals count unless `start_at` says otherwise.
    #[must_use]
    pub fn next_after(&self, anchor: Timestamp, after: Timestamp) -> Option<Occurrence> {
        let (anchor, after) = match self.start_at {
            Some(start) => (start, after.max(start.plus_micros(-1))),
            None => (anchor, after),
        };
        let fire_time = self.schedule.next_after(anchor, after)?;
        if self.policy.end_at.is_some_and(|end| fire_time >= end) {
            return None;
        }
        Some(self.occurrence(fire_time))
    }

    /// `fire_time`, and whether `exclude` covers it.
    #[must_use]
    pub fn occurrence(&self, fire_time: FireTime) -> Occurrence {
        let exclude = &self.policy.exclude;
        let excluded = !exclude.is_empty() && exclude.covers(self.zone.local(fire_time));
        Occurrence {
            fire_time,
            excluded,
        }
    }

    /// The first fire time later than `after` that is not excluded. Gives up, with `None`, after
    /// 100 000 excluded ones in a row.
    #[must_use]
    pub fn next_fire(&self, anchor: Timestamp, after: Timestamp) -> Option<FireTime> {
        let mut after = after;
        for _ in 0..100_000 {
            let next = self.next_after(anchor, after)?;
            if !next.excluded {
                return Some(next.fire_time);
            }
            after = next.fire_time;
        }
        None
    }

    /// When `fire_time` may be published: stable for an entry and a fire time.
    #[must_use]
    pub fn send_instant(&self, fire_time: FireTime) -> Timestamp {
        fire_time.plus_micros(self.jitter_micros(fire_time))
    }

    /// The jitter of `fire_time`, in microseconds.
    #[must_use]
    pub fn jitter_micros(&self, fire_time: FireTime) -> i64 {
        let Ok(span @ 1..) = u64::try_from(self.policy.jitter.as_micros()) else {
            return 0;
        };
        let hash = xxh3_64_with_seed(self.name.as_bytes(), fire_time.as_micros().cast_unsigned());
        i64::try_from(hash % span).unwrap_or(0)
    }

    /// Whether `fire_time` lies in the window of `start_at` and `end_at`.
    #[must_use]
    pub fn in_window(&self, fire_time: FireTime) -> bool {
        self.start_at.is_none_or(|start| fire_time >= start)
            && self.policy.end_at.is_none_or(|end| fire_time < end)
    }
}

impl fmt::Debug for Entry {
    /// Without the message: arguments are never shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("name", &self.name)
            .field("task", &self.task)
            .field("schedule", &self.schedule)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}
