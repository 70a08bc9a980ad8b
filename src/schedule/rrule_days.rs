//! The days of a recurrence rule, expanded by the `rrule` crate.

use chrono::{DateTime, Datelike, Months, NaiveDate, TimeZone, Utc};
use rrule::{Frequency, RRule, RRuleSet, Tz, Unvalidated};

/// 2100-12-31 in days since the epoch: schedules end with that year.
const LAST_DAY: i64 = 47_846;
const DAY: i64 = 86_400;

/// Days since the epoch, as the rule's day parts choose them.
pub(super) enum DayRule {
    /// Sub-daily rules without day parts.
    Every,
    /// A rule of one time a day (midnight), to be expanded from `start`.
    Expand {
        rule: Box<RRule<Unvalidated>>,
        start: NaiveDate,
    },
}

impl DayRule {
    /// Days from `from` on, ascending, to 2100.
    pub fn from(&self, from: i64) -> Box<dyn Iterator<Item = i64>> {
        match self {
            Self::Every => Box::new(from..=LAST_DAY),
            Self::Expand { rule, start } => match expand(rule, *start, from) {
                Some(days) => Box::new(days.skip_while(move |day| *day < from)),
                None => Box::new(std::iter::empty()),
            },
        }
    }
}

/// The start moved to the last interval that begins not later than `from`. At the same place of
/// its interval (first of the month, first of the week, first of January) it leaves the set of days as it is.
fn expand(
    rule: &RRule<Unvalidated>,
    start: NaiveDate,
    from: i64,
) -> Option<impl Iterator<Item = i64> + use<>> {
    let from = DateTime::from_timestamp(from.clamp(0, LAST_DAY + 1) * DAY, 0)?.date_naive();
    let interval = i64::from(rule.get_interval());
    let near = |units: i64| units.max(0) / interval * interval;
    let moved = match rule.get_freq() {
        Frequency::Yearly => {
            let years = near(i64::from(from.year() - start.year()));
            NaiveDate::from_ymd_opt(start.year() + i32::try_from(years).ok()?, 1, 1)?
        }
        Frequency::Monthly => {
            let months = i64::from(from.year() - start.year()) * 12 + i64::from(from.month())
                - i64::from(start.month());
            start
                .with_day(1)?
                .checked_add_months(Months::new(u32::try_from(near(months)).ok()?))?
        }
        Frequency::Weekly => {
            let first = start.week(rule.get_week_start()).first_day();
            let weeks = near((from - first).num_days() / 7);
            first + chrono::Duration::weeks(weeks)
        }
        _ => start + chrono::Duration::days(near((from - start).num_days())),
    };
    let moved = midnight(moved)?.with_timezone(&Tz::UTC);
    let end = midnight(NaiveDate::from_ymd_opt(2100, 12, 31)?)?.with_timezone(&Tz::UTC);
    if moved > end {
        return None;
    }
    let rule = rule.clone().until(end).validate(moved).ok()?;
    // Limited: the crate looks at `until` only when a day matches, and would else go to 9999.
    let set = RRuleSet::new(moved).rrule(rule).limit();
    Some(
        (&set)
            .into_iter()
            .map(|day| day.timestamp().div_euclid(DAY)),
    )
}

fn midnight(date: NaiveDate) -> Option<DateTime<Utc>> {
    Utc.from_local_datetime(&date.and_time(chrono::NaiveTime::MIN))
        .single()
}
