//! Crontabs: Celery's grammar, `cron`'s calendar, and one DST rule.
//!
//! A schedule whose hours are all 24 follows elapsed time: local times that do not exist do not
//! occur, repeated ones fire in both passes. Any other runs each named local slot once: slots
//! inside a gap become one firing at the first instant after it, repeated ones fire in the first
//! pass. The rule looks at the sets, not at their spelling, and can be overridden.

use chrono::{NaiveDateTime, Timelike};

use super::days::Days;
use super::field::{
    Bits, DAY_OF_MONTH, DAY_OF_WEEK, Field, FieldValue, HOUR, MINUTE, MONTH_OF_YEAR, SECOND,
    members,
};
use super::invalid::{Invalid, shown};
use super::time_of_day::TimeOfDay;
use super::zone::Zone;
use crate::clock::{FireTime, Timestamp};

const DAY: i64 = 86_400;

/// What a crontab does where local time jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dst {
    /// Follow elapsed time.
    Elapsed,
    /// Run each named local slot once.
    Once,
}

/// The keyword form, by Celery's names; a missing field is `*`, a missing second is 0.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Fields {
    pub second: Option<FieldValue>,
    pub minute: Option<FieldValue>,
    pub hour: Option<FieldValue>,
    pub day_of_month: Option<FieldValue>,
    pub month_of_year: Option<FieldValue>,
    pub day_of_week: Option<FieldValue>,
}

/// A compiled crontab in a zone.
#[derive(Clone)]
pub struct Crontab {
    pub(super) times: TimeOfDay,
    pub(super) days: Days,
    pub(super) zone: Zone,
    pub(super) dst: Dst,
}

impl Crontab {
    /// From `m h dom mon dow`, `s m h dom mon dow`, or a macro such as `@daily`.
    ///
    /// `dst` overrides the rule that follows from the hours.
    ///
    /// # Errors
    /// What the grammar refuses, and days that never occur.
    pub fn parse(text: &str, zone: Zone, dst: Option<Dst>) -> Result<Self, Invalid> {
        let line = match text.trim_matches([' ', '\t']) {
            macro_ if macro_.starts_with('@') => expand(macro_)?,
            line => line,
        };
        // Blanks separate fields, except beside a comma.
        let tight: Vec<&str> = line
            .split(',')
            .map(|piece| piece.trim_matches([' ', '\t']))
            .collect();
        let tight = tight.join(",");
        let parts: Vec<&str> = tight.split([' ', '\t']).filter(|p| !p.is_empty()).collect();
        let (second, [minute, hour, day, month, weekday]) = match parts[..] {
            [minute, hour, day, month, weekday] => ("0", [minute, hour, day, month, weekday]),
            [second, minute, hour, day, month, weekday] => {
                (second, [minute, hour, day, month, weekday])
            }
            _ => {
                return Err(Invalid::new(format!(
                    "`{}` has {} fields",
                    shown(text),
                    parts.len()
                ))
                .help("write \"minute hour day-of-month month day-of-week\", with seconds first if there are six"));
            }
        };
        let set = |field: &Field, text: &str| field.text(text, true);
        Self::compile(
            [
                set(&SECOND, second)?,
                set(&MINUTE, minute)?,
                set(&HOUR, hour)?,
                set(&DAY_OF_MONTH, day)?,
                set(&MONTH_OF_YEAR, month)?,
                set(&DAY_OF_WEEK, weekday)?,
            ],
            zone,
            dst,
        )
    }

    /// From the keyword form.
    ///
    /// # Errors
    /// As [`Crontab::parse`]; here 7 is no weekday, as in Celery.
    pub fn from_fields(fields: &Fields, zone: Zone, dst: Option<Dst>) -> Result<Self, Invalid> {
        let set = |field: &Field, value: &Option<FieldValue>| match value {
            Some(value) => field.value(value),
            None => Ok(field.all()),
        };
        let second = fields
            .second
            .as_ref()
            .map_or(Ok(1), |value| SECOND.value(value))?;
        Self::compile(
            [
                second,
                set(&MINUTE, &fields.minute)?,
                set(&HOUR, &fields.hour)?,
                set(&DAY_OF_MONTH, &fields.day_of_month)?,
                set(&MONTH_OF_YEAR, &fields.month_of_year)?,
                set(&DAY_OF_WEEK, &fields.day_of_week)?,
            ],
            zone,
            dst,
        )
    }

    fn compile(sets: [Bits; 6], zone: Zone, dst: Option<Dst>) -> Result<Self, Invalid> {
        let [seconds, minutes, hours, day, month, weekday] = sets;
        let follows = if hours == HOUR.all() {
            Dst::Elapsed
        } else {
            Dst::Once
        };
        Ok(Self {
            times: TimeOfDay {
                seconds,
                minutes,
                hours: u32::try_from(hours).unwrap_or(u32::MAX),
            },
            days: Days::new(day, month, weekday)?,
            zone,
            dst: dst.unwrap_or(follows),
        })
    }

    /// The zone it is evaluated in.
    #[must_use]
    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    /// True when all fields match `local`; seconds only where the crontab names some other than 0.
    #[must_use]
    pub fn covers(&self, local: NaiveDateTime) -> bool {
        (self.times.seconds == 1 || self.times.seconds >> local.second() & 1 == 1)
            && self.times.minutes >> local.minute() & 1 == 1
            && self.times.hours >> local.hour() & 1 == 1
            && self.days.contains(local.date())
    }

    /// True when both the day of the month and the weekday are restricted: Celery wants both to match.
    #[must_use]
    pub fn restricts_day_and_weekday(&self) -> bool {
        u64::from(self.days.day_of_month) != DAY_OF_MONTH.all()
            && u64::from(self.days.day_of_week) != DAY_OF_WEEK.all()
    }

    pub(super) fn next_after(&self, after: Timestamp) -> Option<FireTime> {
        let from = after.as_micros().div_euclid(1_000_000) + 1;
        let spans = self.zone.spans();
        let mut index = self.zone.span_at(from);
        loop {
            let span = spans.get(index)?;
            let next = spans.get(index + 1);
            let mut local = from.max(span.start) + i64::from(span.offset);
            if self.dst == Dst::Once {
                let gap = span.fresh..span.local_start();
                if from <= span.start
                    && !gap.is_empty()
                    && self
                        .next_local(gap.start)
                        .is_some_and(|slot| gap.contains(&slot))
                {
                    return Some(at_second(span.start));
                }
                local = local.max(span.fresh);
            }
            let slot = self.next_local(local)?;
            let second = slot - i64::from(span.offset);
            let Some(next) = next else {
                return Some(at_second(second));
            };
            if second < next.start {
                return Some(at_second(second));
            }
            // Nothing matches between `local` and `slot`, so the spans between them can be passed
            // over, save those that show local times from before `local` again.
            index += 1;
            if next.start > from + 2 * DAY {
                index = index.max(self.zone.span_at(second - 2 * DAY));
            }
        }
    }

    /// The first matching local second, `from` included.
    pub(super) fn next_local(&self, from: i64) -> Option<i64> {
        let (today, second) = (from.div_euclid(DAY), from.rem_euclid(DAY));
        let mut day = self.days.next(today)?;
        if day == today {
            // Below 86 400.
            if let Some(time) = u32::try_from(second)
                .ok()
                .and_then(|s| self.times.first_from(s))
            {
                return Some(day * DAY + i64::from(time));
            }
            day = self.days.next(today + 1)?;
        }
        self.times
            .first_from(0)
            .map(|time| day * DAY + i64::from(time))
    }

    /// Local slots in `[from, until)` local seconds, at most `limit`.
    pub(super) fn slots(&self, from: i64, until: i64, limit: usize) -> Vec<i64> {
        std::iter::successors(self.next_local(from), |slot| self.next_local(slot + 1))
            .take_while(|slot| *slot < until)
            .take(limit)
            .collect()
    }

    pub(super) fn canonical(&self) -> String {
        let set = |bits: Bits| {
            let numbers: Vec<_> = members(bits).map(|n| n.to_string()).collect();
            numbers.join(",")
        };
        let star = |field: &Field, bits: Bits| {
            if bits == field.all() {
                "*".to_owned()
            } else {
                set(bits)
            }
        };
        format!(
            "crontab {} {} {} {} {} {} {} {}",
            star(&SECOND, self.times.seconds),
            star(&MINUTE, self.times.minutes),
            star(&HOUR, self.times.hours.into()),
            star(&DAY_OF_MONTH, self.days.day_of_month.into()),
            star(&MONTH_OF_YEAR, self.days.month_of_year.into()),
            star(&DAY_OF_WEEK, self.days.day_of_week.into()),
            match self.dst {
                Dst::Elapsed => "elapsed",
                Dst::Once => "once",
            },
            self.zone.name()
        )
    }
}

impl std::fmt::Debug for Crontab {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.canonical())
    }
}

fn at_second(second: i64) -> FireTime {
    Timestamp::from_micros(second * 1_000_000)
}

fn expand(text: &str) -> Result<&'static str, Invalid> {
    Ok(match text {
        "@hourly" => "0 * * * *",
        "@daily" | "@midnight" => "0 0 * * *",
        "@weekly" => "0 0 * * 0",
        "@monthly" => "0 0 1 * *",
        "@yearly" | "@annually" => "0 0 1 1 *",
        _ => {
            return Err(Invalid::new(format!("`{}` is not a known macro", shown(text))).help(
                "there are @hourly, @daily, @midnight, @weekly, @monthly, @yearly and @annually",
            ));
        }
    })
}
