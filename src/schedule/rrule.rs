//! Recurrence rules of RFC 5545, in naive local time.
//!
//! The `rrule` crate parses and expands them, with what it cannot bound taken from it: it expands
//! from `dtstart` at every call, every combination of time of day at once, and tries each second
//! of a `SECONDLY` rule. Here it yields *days* only, from a start moved near to where the search
//! begins by whole intervals (which leaves the grid as it is); times of day and the intervals of
//! sub-daily rules are found by arithmetic; `COUNT` becomes the last local time at load.
//!
//! Repeated local times fire in the first pass; one that does not exist is read with the offset
//! before the gap (RFC 5545 §3.3.5: 02:30 becomes 03:30).

use std::sync::Arc;

use chrono::NaiveDateTime;

use super::invalid::Invalid;
use super::rrule_days::DayRule;
use super::rrule_parse;
use super::time_of_day::TimeOfDay;
use super::zone::Zone;
use crate::clock::{FireTime, Timestamp};

const DAY: i64 = 86_400;
/// Steps of one search. A step passes over a day or a period that does not match; what is checked
/// at load keeps real rules far below.
const MAX_STEPS: u32 = 200_000;
/// The largest `COUNT` that is counted out at load.
pub(super) const MAX_COUNT: u64 = 100_000;

/// A recurrence rule with its start.
#[derive(Clone)]
pub struct Rrule(Arc<Inner>);

pub(super) struct Inner {
    pub text: String,
    pub zone: Zone,
    /// Local second of `dtstart`: nothing is earlier.
    pub start: i64,
    pub days: DayRule,
    pub times: TimeOfDay,
    pub period: Option<Period>,
    /// `UNTIL` as an instant, inclusive.
    pub until: Option<Timestamp>,
    /// `UNTIL` or what `COUNT` leads to, as a local second, inclusive.
    pub last: Option<i64>,
}

/// The interval of an hourly, minutely or secondly rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Period {
    /// Seconds in the unit.
    pub unit: i64,
    /// Units between periods.
    pub interval: i64,
    /// Number of the period of `dtstart`.
    pub first: i64,
}

impl Period {
    /// Start of the first period of the grid that is later than the one of `second`; `None` when
    /// `second` is in a period of the grid.
    fn later(self, second: i64) -> Option<i64> {
        let number = second.div_euclid(self.unit);
        let off = (number - self.first).rem_euclid(self.interval);
        (off != 0).then(|| (number + self.interval - off) * self.unit)
    }

    /// True when some time of day ever falls into a period of the grid.
    pub fn meets(self, times: TimeOfDay) -> bool {
        let mut cycle = (DAY / self.unit, self.interval);
        while cycle.1 != 0 {
            cycle = (cycle.1, cycle.0 % cycle.1);
        }
        let mut from = 0;
        while let Some(time) = times.first_from(from) {
            if (i64::from(time) / self.unit - self.first).rem_euclid(cycle.0) == 0 {
                return true;
            }
            from = time + 1;
        }
        false
    }
}

impl Rrule {
    /// `text` such as `FREQ=MONTHLY;BYDAY=-1FR`, counted from `dtstart` (whole seconds).
    ///
    /// # Errors
    /// What RFC 5545 refuses, what cannot ever fire, and a few combinations that cannot be bounded
    /// (`BYSETPOS` with several times a day, a `COUNT` above 100 000 that must be counted out).
    pub fn new(text: &str, dtstart: NaiveDateTime, zone: Zone) -> Result<Self, Invalid> {
        let (mut inner, count) = rrule_parse::parse(text, dtstart, zone)?;
        if let Some(count) = count {
            let last = usize::try_from(count - 1)
                .ok()
                .and_then(|skip| inner.walk(inner.start).nth(skip));
            inner.last = match (last, inner.last) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            };
        }
        if inner.walk(inner.start).next().is_none() {
            return Err(Invalid::new("the rule never occurs")
                .at("rrule")
                .help("its BY… parts, interval and end leave no time from dtstart to 2100"));
        }
        Ok(Self(Arc::new(inner)))
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<FireTime> {
        let rule = &*self.0;
        let spans = rule.zone.spans();
        let from = after.as_micros().div_euclid(1_000_000) + 1;
        // Local times in the gap before this span may still be to come: they are shifted into it.
        let mut index = rule.zone.span_at(from - 2 * DAY);
        let mut best: Option<i64> = None;
        while let Some(span) = spans.get(index) {
            if best.is_some_and(|best| best <= span.start) {
                break;
            }
            let next = spans.get(index + 1);
            let offset = i64::from(span.offset);
            let local = (from + offset).max(span.local_start()).max(span.fresh);
            let end = next.map_or(i64::MAX, |next| {
                (next.start + offset).max(next.local_start())
            });
            // Nothing at all matches from `local` on, so nothing in a later span either.
            let Some(slot) = rule.walk(local).next() else {
                break;
            };
            if slot < end {
                best = Some(best.map_or(slot - offset, |best| best.min(slot - offset)));
            }
            index += 1;
            if let Some(next) = next
                && next.start > from + 2 * DAY
            {
                index = index.max(rule.zone.span_at(slot - offset - 2 * DAY));
            }
        }
        let fire = Timestamp::from_micros(best? * 1_000_000);
        rule.until.is_none_or(|until| fire <= until).then_some(fire)
    }

    /// The local time that does not exist and fires at `fire` instead.
    pub(super) fn moved_to(&self, fire: FireTime) -> Option<NaiveDateTime> {
        let rule = &*self.0;
        let second = fire.as_micros().div_euclid(1_000_000);
        let index = rule.zone.span_at(second);
        let (before, span) = (
            rule.zone.spans().get(index.checked_sub(1)?)?,
            rule.zone.spans().get(index)?,
        );
        let local = second + i64::from(before.offset);
        let in_gap = (span.fresh..span.local_start()).contains(&local);
        (in_gap && rule.walk(local).next() == Some(local)).then(|| {
            Timestamp::from_micros(local * 1_000_000)
                .to_datetime()
                .naive_utc()
        })
    }

    pub(super) fn canonical(&self) -> String {
        format!("rrule {} {} {}", self.0.text, self.dtstart(), self.0.zone)
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "by {} from {}, {}",
            self.0.text,
            self.dtstart(),
            self.0.zone
        )
    }

    fn dtstart(&self) -> impl std::fmt::Display {
        let start = Timestamp::from_micros(self.0.start * 1_000_000);
        start.to_datetime().naive_utc().format("%Y-%m-%dT%H:%M:%S")
    }
}

impl std::fmt::Debug for Rrule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.canonical())
    }
}

impl Inner {
    /// Local seconds of the rule from `from` on, ascending.
    fn walk(&self, from: i64) -> impl Iterator<Item = i64> + '_ {
        let mut from = from.max(self.start);
        let mut days = self.days.from(from.div_euclid(DAY));
        let mut day = days.next();
        std::iter::from_fn(move || {
            for _ in 0..MAX_STEPS {
                let begin = day? * DAY;
                from = from.max(begin);
                let time = u32::try_from(from - begin)
                    .ok()
                    .filter(|time| i64::from(*time) < DAY)
                    .and_then(|time| self.times.first_from(time));
                let Some(time) = time else {
                    day = days.next();
                    continue;
                };
                let slot = begin + i64::from(time);
                if self.last.is_some_and(|last| slot > last) {
                    return None;
                }
                if let Some(later) = self.period.and_then(|period| period.later(slot)) {
                    from = later;
                    continue;
                }
                from = slot + 1;
                return Some(slot);
            }
            None
        })
    }
}
