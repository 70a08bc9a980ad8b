//! Which passed fire times are fired, which are skipped, and why.

use std::collections::VecDeque;
use std::time::Duration;

use serde::Serialize;

use super::record::Progress;
use crate::clock::{FireTime, Timestamp};
use crate::timetable::{Entry, Misfire, Occurrence};

/// Most misfires of one entry that `misfire = "all"` fires.
pub const BACKLOG: usize = 1_000;

/// What is late by less than this is not too late for any `starting_deadline`: firing takes a moment.
const ON_TIME: Duration = Duration::from_secs(1);

/// Fire times that are counted one by one before the rest is estimated from their mean gap.
const COUNTED: u32 = 20_000;

/// Why a fire time was not fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reason {
    /// By the entry's `misfire` policy.
    Misfire,
    /// Older than `starting_deadline`.
    Deadline,
    /// The entry or all are paused.
    Paused,
    /// The entry or the whole schedule is disabled.
    Disabled,
    /// On a day or time of `exclude`.
    Excluded,
    /// Older than the newest 1 000 of `misfire = "all"`.
    Backlog,
    /// The entry's timing changed before it was fired.
    Changed,
}

impl Reason {
    /// All reasons, in the order in which they are shown.
    pub const ALL: [Self; 7] = [
        Self::Misfire,
        Self::Deadline,
        Self::Paused,
        Self::Disabled,
        Self::Excluded,
        Self::Backlog,
        Self::Changed,
    ];

    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Misfire => "misfire",
            Self::Deadline => "deadline",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Excluded => "excluded",
            Self::Backlog => "backlog",
            Self::Changed => "changed",
        }
    }
}

/// Fire times of one entry that are skipped for one reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Skipped {
    /// Why.
    pub reason: Reason,
    /// How many.
    pub count: u64,
    /// The earliest.
    pub first: FireTime,
    /// The latest.
    pub last: FireTime,
    /// Whether `count` is an estimate: more than 20 000 fire times passed.
    pub estimated: bool,
}

/// What to do about the fire times of an entry that are due.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CatchUp {
    /// To fire, in order.
    pub fires: Vec<FireTime>,
    /// The latest fire time that is decided on.
    pub until: Option<FireTime>,
    /// Whether more are due than were asked for.
    pub more: bool,
    /// To count as skipped, in order.
    skips: Vec<Skip>,
}

impl CatchUp {
    /// Takes out what is skipped up to `fire_time`: whoever settles that jumps over it.
    pub fn skipped_up_to(&mut self, fire_time: FireTime) -> Vec<Skipped> {
        let end = self.skips.partition_point(|skip| skip.at <= fire_time);
        tally(self.skips.drain(..end))
    }
}

/// One skipped fire time, or an estimated run of them that ends there.
#[derive(Debug, PartialEq, Eq)]
struct Skip {
    reason: Reason,
    at: FireTime,
    count: u64,
    estimated: bool,
}

/// Adds up `skips` by reason.
fn tally(skips: impl Iterator<Item = Skip>) -> Vec<Skipped> {
    let mut sums: Vec<Skipped> = Vec::new();
    for Skip {
        reason,
        at,
        count,
        estimated,
    } in skips
    {
        match sums.iter_mut().find(|sum| sum.reason == reason) {
            Some(sum) => {
                sum.count += count;
                sum.first = sum.first.min(at);
                sum.last = sum.last.max(at);
                sum.estimated |= estimated;
            }
            None => sums.push(Skipped {
                reason,
                count,
                first: at,
                last: at,
                estimated,
            }),
        }
    }
    sums
}

/// The first point of the grid after where the entry stands.
///
/// An entry with `run_on_start` that was recorded but has not fired since has its anchor as an
/// additional point: it is recorded with `from` one microsecond before the anchor.
#[must_use]
pub fn next_point(entry: &Entry, progress: &Progress, after: Timestamp) -> Option<Occurrence> {
    let anchor = progress.anchor;
    let next = entry.next_after(anchor, after);
    let starts = entry.policy.run_on_start && after < anchor && progress.from < anchor;
    if starts && next.is_none_or(|next| next.fire_time > anchor) {
        return Some(entry.occurrence(anchor));
    }
    next
}

/// Decides on every fire time of `entry` after where it stands whose send instant is not later
/// than `now`; at most `room` are to be fired at once.
///
/// `able_since` is the instant since which this leader has been able to fire: with
/// `misfire = "skip"` only what became due after it is fired.
#[must_use]
pub fn catch_up(
    entry: &Entry,
    progress: &Progress,
    now: Timestamp,
    able_since: Timestamp,
    room: usize,
) -> CatchUp {
    let policy = &entry.policy;
    let mut result = CatchUp::default();
    let left = policy
        .max_runs
        .map_or(u64::MAX, |max| max.saturating_sub(progress.count));
    if left == 0 {
        return result;
    }
    let left = usize::try_from(left).unwrap_or(usize::MAX);
    let all = policy.misfire == Misfire::All;
    let keep = if all { BACKLOG.min(left) } else { 1 };
    let deadline = policy
        .starting_deadline
        .map(|deadline| deadline.max(ON_TIME));
    let is_too_old = |send| deadline.is_some_and(|deadline| now.since(send) > deadline);

    let mut pending: VecDeque<FireTime> = VecDeque::new();
    let mut skips: Vec<Skip> = Vec::new();
    let mut skip = |reason, at, count, estimated| {
        skips.push(Skip {
            reason,
            at,
            count,
            estimated,
        });
    };
    let mut gaps = Gaps::default();
    let mut cursor = progress.base();
    let mut before = Timestamp::from_micros(i64::MIN);
    while let Some(Occurrence {
        fire_time,
        excluded,
    }) = next_point(entry, progress, cursor)
    {
        // Never before its predecessor, whatever jitter says.
        let send = entry.send_instant(fire_time).max(before);
        if send > now {
            break;
        }
        let missed = send < able_since;
        // What jitter made due at one instant is not missed for the sake of each other.
        let together = send == before && !missed;
        before = send;
        if !policy.enabled {
            skip(Reason::Disabled, fire_time, 1, false);
        } else if excluded {
            skip(Reason::Excluded, fire_time, 1, false);
        } else if is_too_old(send) {
            skip(Reason::Deadline, fire_time, 1, false);
        } else if missed && policy.misfire == Misfire::Skip {
            skip(Reason::Misfire, fire_time, 1, false);
        } else {
            if !all && !together {
                for old in pending.drain(..) {
                    skip(Reason::Misfire, old, 1, false);
                }
            }
            if pending.len() == left {
                // The oldest are fired, as if there had been no outage.
                break;
            }
            pending.push_back(fire_time);
            if pending.len() > BACKLOG
                && let Some(old) = pending.pop_front()
            {
                skip(overflow(policy.misfire), old, 1, false);
            }
        }
        cursor = fire_time;
        result.until = Some(fire_time);
        if let Some((jump, count)) = gaps.jump(fire_time, now, keep) {
            let reason = if !policy.enabled {
                Reason::Disabled
            } else if is_too_old(jump) {
                Reason::Deadline
            } else {
                overflow(policy.misfire)
            };
            for old in pending.drain(..) {
                skip(reason, old, 1, false);
            }
            skip(reason, jump, count, true);
            cursor = jump;
        }
    }

    result.more = pending.len() > room;
    pending.truncate(room);
    result.fires = pending.into();
    if result.more {
        // What lies behind the last of these is looked at again once they are settled.
        result.until = result.fires.last().copied();
    }
    let until = result.until;
    skips.retain(|skip| Some(skip.at) <= until);
    skips.sort_by_key(|skip| skip.at);
    result.skips = skips;
    result
}

fn overflow(misfire: Misfire) -> Reason {
    if misfire == Misfire::All {
        Reason::Backlog
    } else {
        Reason::Misfire
    }
}

/// Estimates how many fire times lie in a long outage, so that catching up stays bounded.
#[derive(Default)]
struct Gaps {
    first: Option<FireTime>,
    seen: u32,
}

impl Gaps {
    /// After every 20 000 fire times: an instant shortly before `now` to go on from, and about how
    /// many fire times lie before it.
    fn jump(&mut self, at: FireTime, now: Timestamp, keep: usize) -> Option<(Timestamp, u64)> {
        let first = *self.first.get_or_insert(at);
        self.seen += 1;
        if self.seen <= COUNTED {
            return None;
        }
        let mean = (at.micros_since(first) / i64::from(self.seen - 1)).max(1);
        let margin = mean.saturating_mul(
            i64::try_from(keep.max(1))
                .unwrap_or(i64::MAX)
                .saturating_mul(4),
        );
        *self = Self::default();
        let target = now.plus_micros(-margin);
        let span = target.micros_since(at);
        if span <= mean {
            return None;
        }
        // Whole gaps, so that an even grid is counted exactly.
        let count = span / mean;
        Some((at.plus_micros(count * mean), count.cast_unsigned()))
    }
}
