//! Which days a recurrence rule runs on.
//!
//! Days are found period by period (year, month, week or day, the one that `FREQ` names): those of
//! a period that pass every `BY…` part, or of these the ones that `BYSETPOS` picks, from the whole
//! of the period even where `dtstart` lies within it (dateutil begins at `dtstart` in a week). The
//! search begins in the period of the day that is asked for, so it costs the same in any year.

use chrono::{Datelike, Months, NaiveDate, Weekday};

use super::rrule_parts::Frequency;

/// 2100-12-31 in days since the epoch: schedules end with that year.
const LAST_DAY: i64 = 47_846;
/// 1970-01-01, counted from the year 1 as chrono does.
const EPOCH: i32 = 719_163;

/// The parts of a rule that choose days. An empty list chooses all.
#[derive(Debug, Clone)]
pub(super) struct DayRule {
    /// The period; one shorter than a day counts as a day.
    pub freq: Frequency,
    /// Periods from one to the next.
    pub interval: u32,
    /// The day of `dtstart`.
    pub start: NaiveDate,
    pub week_start: Weekday,
    pub by_month: Vec<i32>,
    /// Counted from the end where negative, as those that follow.
    pub by_month_day: Vec<i32>,
    pub by_year_day: Vec<i32>,
    pub by_week_no: Vec<i32>,
    /// With the number in the month or year; zero: each.
    pub by_day: Vec<(i32, Weekday)>,
    pub by_set_pos: Vec<i32>,
}

impl DayRule {
    /// Days since the epoch from `from` on, ascending, to 2100. Days before `dtstart` may be among
    /// them.
    pub fn from(&self, from: i64) -> Box<dyn Iterator<Item = i64> + '_> {
        let first = self.period_of(from);
        let periods = (first..)
            .map_while(move |number| Some((self.begin(number)?, self.end(number)?)))
            .take_while(|(begin, _)| number_of(*begin) <= LAST_DAY);
        let days: Box<dyn Iterator<Item = NaiveDate>> = if self.by_set_pos.is_empty() {
            // Nothing before `from` has to be looked at.
            let from = date_of(from).unwrap_or(self.start);
            Box::new(periods.flat_map(move |(begin, end)| self.among(begin.max(from), end)))
        } else {
            Box::new(periods.flat_map(move |(begin, end)| self.picked(begin, end)))
        };
        Box::new(
            days.map(number_of)
                .skip_while(move |day| *day < from)
                .take_while(|day| *day <= LAST_DAY),
        )
    }

    /// Number of the last period that begins not later than `day`; the first one is 0.
    fn period_of(&self, day: i64) -> u32 {
        let Some(day) = date_of(day).filter(|day| *day > self.start) else {
            return 0;
        };
        let years = day.year() - self.start.year();
        let passed = match self.freq {
            Frequency::Yearly => years.into(),
            Frequency::Monthly => {
                i64::from(years) * 12 + i64::from(day.month()) - i64::from(self.start.month())
            }
            Frequency::Weekly => {
                (day - self.start.week(self.week_start).first_day()).num_days() / 7
            }
            _ => (day - self.start).num_days(),
        };
        u32::try_from(passed).unwrap_or(0) / self.interval
    }

    fn begin(&self, number: u32) -> Option<NaiveDate> {
        self.after(number.checked_mul(self.interval)?)
    }

    fn end(&self, number: u32) -> Option<NaiveDate> {
        self.after(number.checked_mul(self.interval)?.checked_add(1)?)
    }

    /// Begin of the period so many after the first one, the interval left aside.
    fn after(&self, count: u32) -> Option<NaiveDate> {
        let days = |count: u32| chrono::Days::new(count.into());
        match self.freq {
            Frequency::Yearly => {
                let year = self.start.year().checked_add_unsigned(count)?;
                NaiveDate::from_ymd_opt(year, 1, 1)
            }
            Frequency::Monthly => {
                let first = self.start.with_day(1)?;
                first.checked_add_months(Months::new(count))
            }
            Frequency::Weekly => {
                let first = self.start.week(self.week_start).first_day();
                first.checked_add_days(days(count.checked_mul(7)?))
            }
            _ => self.start.checked_add_days(days(count)),
        }
    }

    /// The days of `begin <= day < end` that pass.
    fn among(&self, begin: NaiveDate, end: NaiveDate) -> impl Iterator<Item = NaiveDate> + '_ {
        let days = begin.iter_days().take_while(move |day| *day < end);
        days.filter(|day| self.passes(*day))
    }

    /// Those of them that `BYSETPOS` picks.
    fn picked(&self, begin: NaiveDate, end: NaiveDate) -> impl Iterator<Item = NaiveDate> + use<> {
        let all: Vec<NaiveDate> = self.among(begin, end).collect();
        let length = i32::try_from(all.len()).unwrap_or(i32::MAX);
        let by_set_pos = self.by_set_pos.clone();
        (1..)
            .zip(all)
            .filter(move |(place, _)| names(&by_set_pos, *place, length))
            .map(|(_, day)| day)
    }

    fn passes(&self, day: NaiveDate) -> bool {
        let any = |list: &[i32], number, length| list.is_empty() || names(list, number, length);
        (self.by_month.is_empty() || self.by_month.contains(&int(day.month())))
            && any(&self.by_month_day, int(day.day()), month_length(day))
            && any(&self.by_year_day, int(day.ordinal()), year_length(day))
            && (self.by_week_no.is_empty() || self.is_in_week(day))
            && (self.by_day.is_empty()
                || self.by_day.iter().any(|(nth, weekday)| {
                    *weekday == day.weekday() && (*nth == 0 || self.is_nth(day, *nth))
                }))
    }

    /// Whether it is the `nth` of its weekday, in the month where there are months, else in the year.
    fn is_nth(&self, day: NaiveDate, nth: i32) -> bool {
        let (number, length) = if self.freq == Frequency::Monthly || !self.by_month.is_empty() {
            (int(day.day()), month_length(day))
        } else {
            (int(day.ordinal()), year_length(day))
        };
        nth == (number - 1) / 7 + 1 || nth == -((length - number) / 7 + 1)
    }

    /// Whether its week is one of `BYWEEKNO`. Week 1 is the first one with four days in the year;
    /// days of a week that belongs to a neighbouring year count as in dateutil.
    fn is_in_week(&self, day: NaiveDate) -> bool {
        let list = &self.by_week_no;
        let first = self.first_week(day.year());
        let ordinal = int(day.ordinal());
        if ordinal < first {
            let weeks = self.weeks(day.year() - 1);
            return list.contains(&weeks) || list.contains(&-1);
        }
        let (week, weeks) = ((ordinal - first) / 7 + 1, self.weeks(day.year()));
        if week > weeks {
            return list.contains(&1);
        }
        names(list, week, weeks)
    }

    /// Day of the year on which week 1 begins: -2 to 4.
    fn first_week(&self, year: i32) -> i32 {
        let first = NaiveDate::from_yo_opt(year, 1).map_or(Weekday::Mon, |day| day.weekday());
        let into = int(first.days_since(self.week_start));
        if into <= 3 { 1 - into } else { 8 - into }
    }

    /// Weeks of `year`.
    fn weeks(&self, year: i32) -> i32 {
        let length = NaiveDate::from_yo_opt(year, 1).map_or(365, year_length);
        (length + self.first_week(year + 1) - self.first_week(year)) / 7
    }
}

/// Whether `list` names the `number`th of `length`, from the front or from the end.
fn names(list: &[i32], number: i32, length: i32) -> bool {
    list.iter()
        .any(|n| *n == number || *n == number - length - 1)
}

fn int(small: u32) -> i32 {
    i32::try_from(small).unwrap_or(i32::MAX)
}

fn month_length(day: NaiveDate) -> i32 {
    day.num_days_in_month().into()
}

fn year_length(day: NaiveDate) -> i32 {
    if day.leap_year() { 366 } else { 365 }
}

fn number_of(day: NaiveDate) -> i64 {
    (day.num_days_from_ce() - EPOCH).into()
}

fn date_of(number: i64) -> Option<NaiveDate> {
    NaiveDate::from_num_days_from_ce_opt(i32::try_from(number).ok()?.checked_add(EPOCH)?)
}
