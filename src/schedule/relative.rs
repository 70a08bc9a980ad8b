//! Celery's `relative=True`, as `celery.utils.time.remaining` of 5.7 computes it.
//!
//! The next time is the last one plus the interval, rounded down in local time to the unit of the
//! interval: days from one day, hours from one hour, minutes from one minute, else seconds. Days
//! count by the calendar, shorter units by elapsed time. 90 s becomes 60 s: a lint says so.

use chrono::{NaiveDateTime, NaiveTime, TimeDelta, Timelike};

use super::zone::{LocalTime, Zone};
use crate::clock::{FireTime, Timestamp};

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;
const MINUTE: i64 = 60_000_000;

/// The first time of the chain that starts at `anchor` which is later than `after`.
pub(super) fn next_after(
    zone: &Zone,
    every: i64,
    anchor: Timestamp,
    after: Timestamp,
) -> Option<FireTime> {
    let mut at = step(zone, every, anchor)?;
    while at <= after {
        at = match leap(zone, every, at, after) {
            Some(at) => at,
            None => step(zone, every, at)?,
        };
    }
    Some(at)
}

/// As many steps at once as end not later than `after` and see no transition: on a boundary of the
/// unit each step is the interval rounded down. `None` when that is none.
fn leap(zone: &Zone, every: i64, at: Timestamp, after: Timestamp) -> Option<Timestamp> {
    let unit = unit(every);
    let local = zone.local(at).and_utc().timestamp_micros();
    if local.rem_euclid(unit) != 0 {
        return None;
    }
    let stride = every - every.rem_euclid(unit);
    let mut until = after;
    if let Some(change) = zone.transitions(at.plus_micros(1), Timestamp::MAX).next() {
        until = until.min(change.plus_micros(-every - unit));
    }
    let steps = until.micros_since(at) / stride;
    (steps > 0).then(|| at.plus_micros(steps * stride))
}

fn unit(every: i64) -> i64 {
    match every {
        DAY.. => DAY,
        HOUR.. => HOUR,
        MINUTE.. => MINUTE,
        _ => 1_000_000,
    }
}

/// One step; later than `start` whatever the zone does.
fn step(zone: &Zone, every: i64, start: Timestamp) -> Option<Timestamp> {
    let wall = |from: Timestamp, by: i64| {
        zone.local(from)
            .checked_add_signed(TimeDelta::microseconds(by))
    };
    let end = start.plus_micros(every);
    if every >= DAY {
        let naive = wall(start, every)?;
        let midnights = passes(zone, floor(naive, every));
        let next = midnights.into_iter().filter(|at| *at > start).min();
        return Some(
            next.unwrap_or_else(|| zone.resolve(naive).rfc5545())
                .max(start.plus_micros(1)),
        );
    }
    let best = |candidates: &[Timestamp]| candidates.iter().copied().filter(|at| *at <= end).max();
    let mut candidates = passes(zone, floor(zone.local(end), every)).to_vec();
    let rounded = best(&candidates).or(candidates.iter().copied().min())?;
    if rounded > start {
        return Some(rounded);
    }
    // A shift by part of an hour can put the boundary before `start`: look at the next one too.
    candidates.extend(passes(zone, floor(wall(end, unit(every))?, every)));
    candidates.extend(passes(zone, floor(wall(start, every)?, every)));
    candidates.retain(|at| *at > start);
    Some(
        best(&candidates)
            .or(candidates.iter().copied().min())
            .unwrap_or(end),
    )
}

/// Both passes of a local time; one that does not exist is read with the offset before the gap.
fn passes(zone: &Zone, local: NaiveDateTime) -> [Timestamp; 2] {
    match zone.resolve(local) {
        LocalTime::Fold { first, second } => [first, second],
        other => [other.rfc5545(); 2],
    }
}

/// `local` rounded down to the unit of `every`.
fn floor(local: NaiveDateTime, every: i64) -> NaiveDateTime {
    let time = local.time();
    let kept = match unit(every) {
        DAY => Some(NaiveTime::MIN),
        HOUR => NaiveTime::from_hms_opt(time.hour(), 0, 0),
        MINUTE => NaiveTime::from_hms_opt(time.hour(), time.minute(), 0),
        _ => time.with_nanosecond(0),
    };
    local.date().and_time(kept.unwrap_or(time))
}
