//! Which days a crontab runs on: the `cron` crate as a calendar matcher.
//!
//! `cron` is handed explicit lists and a zone-less clock (local dates read as if they were UTC);
//! its grammar, its weekdays (1 = Sunday) and its handling of time zones stay out of it. Most
//! crontabs run on every day and need no calendar. The others share one `cron::Schedule` per
//! distinct (day of month, month, weekday): it takes some kilobytes.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak};

use chrono::{DateTime, Datelike, Utc};

use super::field::{Bits, DAY_OF_MONTH, DAY_OF_WEEK, MONTH_OF_YEAR, members};
use super::invalid::Invalid;

const DAY: i64 = 86_400;
/// 2100-12-31 in days since the epoch: the calendar of `cron` ends with that year.
const LAST_DAY: i64 = 47_846;

/// A set of days. Days are counted since 1970-01-01.
#[derive(Clone)]
pub(super) struct Days {
    pub day_of_month: u32,
    pub month_of_year: u16,
    pub day_of_week: u8,
    /// `None`: every day.
    calendar: Option<Arc<cron::Schedule>>,
}

type Calendars = Mutex<HashMap<(u32, u16, u8), Weak<cron::Schedule>>>;
static CALENDARS: LazyLock<Calendars> = LazyLock::new(Mutex::default);

impl Days {
    /// Days that match all three sets.
    ///
    /// # Errors
    /// When no such day exists in any year (30 February).
    pub fn new(
        day_of_month: Bits,
        month_of_year: Bits,
        day_of_week: Bits,
    ) -> Result<Self, Invalid> {
        let first_day = day_of_month.trailing_zeros();
        if !members(month_of_year).any(|month| first_day <= longest(month)) {
            return Err(Invalid::new(format!(
                "day {first_day} never occurs in {}",
                list(members(month_of_year).map(|m| MONTH_OF_YEAR.name_of(m)))
            ))
            .at(DAY_OF_MONTH.name)
            .help("choose a day that one of the months has"));
        }
        let calendar = if day_of_month == DAY_OF_MONTH.all()
            && month_of_year == MONTH_OF_YEAR.all()
            && day_of_week == DAY_OF_WEEK.all()
        {
            None
        } else {
            Some(calendar(day_of_month, month_of_year, day_of_week)?)
        };
        // Bits beyond 31, 12 and 6 were never set.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "fields are at most 31, 12 and 6"
        )]
        Ok(Self {
            day_of_month: day_of_month as u32,
            month_of_year: month_of_year as u16,
            day_of_week: day_of_week as u8,
            calendar,
        })
    }

    /// The first matching day, `from` included; `None` after 2100.
    pub fn next(&self, from: i64) -> Option<i64> {
        let day = match &self.calendar {
            None => from,
            Some(calendar) => {
                let before = DateTime::<Utc>::from_timestamp(from.checked_mul(DAY)? - 1, 0)?;
                calendar.after(&before).next()?.timestamp().div_euclid(DAY)
            }
        };
        (day <= LAST_DAY).then_some(day)
    }

    /// True for a matching date.
    pub fn contains(&self, date: chrono::NaiveDate) -> bool {
        self.day_of_month >> date.day() & 1 == 1
            && self.month_of_year >> date.month() & 1 == 1
            && self.day_of_week >> date.weekday().num_days_from_sunday() & 1 == 1
    }
}

fn calendar(
    day_of_month: Bits,
    month: Bits,
    weekday: Bits,
) -> Result<Arc<cron::Schedule>, Invalid> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "fields are at most 31, 12 and 6"
    )]
    let key = (day_of_month as u32, month as u16, weekday as u8);
    let mut known = CALENDARS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(calendar) = known.get(&key).and_then(Weak::upgrade) {
        return Ok(calendar);
    }
    if known.len().is_power_of_two() {
        known.retain(|_, calendar| calendar.strong_count() > 0);
    }
    let field = |set: Bits, all: Bits, plus: u32| {
        if set == all {
            return "*".to_owned();
        }
        let numbers: Vec<_> = members(set).map(|n| (n + plus).to_string()).collect();
        numbers.join(",")
    };
    let source = format!(
        "0 0 0 {} {} {}",
        field(day_of_month, DAY_OF_MONTH.all(), 0),
        field(month, MONTH_OF_YEAR.all(), 0),
        field(weekday, DAY_OF_WEEK.all(), 1)
    );
    // Lists of numbers in range are always accepted; an error here would be a bug of ours.
    let calendar: cron::Schedule = source
        .parse()
        .map_err(|error| Invalid::new(format!("calendar `{source}`: {error}")))?;
    let calendar = Arc::new(calendar);
    known.insert(key, Arc::downgrade(&calendar));
    Ok(calendar)
}

/// Days of a month, of the longest February.
fn longest(month: u32) -> u32 {
    match month {
        2 => 29,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn list(items: impl Iterator<Item = String>) -> String {
    let mut items: Vec<String> = items.collect();
    let Some(last) = items.pop() else {
        return String::new();
    };
    if items.is_empty() {
        last
    } else {
        format!("{} and {last}", items.join(", "))
    }
}
