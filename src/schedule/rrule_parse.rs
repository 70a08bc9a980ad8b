//! The text of a recurrence rule, taken apart.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc, Weekday};
use rrule::{Frequency, NWeekday, RRule, Tz, Unvalidated};

use super::field::Bits;
use super::invalid::{Invalid, shown};
use super::rrule::{Inner, MAX_COUNT, Period};
use super::rrule_days::DayRule;
use super::time_of_day::TimeOfDay;
use super::zone::Zone;
use crate::clock::Timestamp;

/// Longer than any rule one would write: all lists of all parts fit.
const MAX_TEXT: usize = 4_096;

fn refused(message: impl Into<String>) -> Invalid {
    Invalid::new(message).at("rrule")
}

/// The rule without its count, and the count where it must be counted out.
pub(super) fn parse(
    text: &str,
    dtstart: NaiveDateTime,
    zone: Zone,
) -> Result<(Inner, Option<u64>), Invalid> {
    if !(1900..=2100).contains(&dtstart.year()) || dtstart.nanosecond() != 0 {
        return Err(Invalid::new(format!("`{dtstart}` cannot start a rule"))
            .at("dtstart")
            .help("a rule starts at a whole second of the years 1900 to 2100"));
    }
    let parts = Parts::split(text)?;
    let start = dtstart.and_utc().timestamp();
    let rule: RRule<Unvalidated> = parts.rest.parse().map_err(|error| crate_error(&error))?;
    let checked = dtstart.and_utc().with_timezone(&Tz::UTC);
    rule.clone()
        .validate(checked)
        .map_err(|error| crate_error(&error))?;
    if rule.get_by_month_day().contains(&0) {
        // The crate drops it in silence.
        return Err(refused("BYMONTHDAY 0 is no day").help("days are 1 to 31 and -31 to -1"));
    }
    // The crate's own limit is 65 535, which is little for seconds.
    let interval = parts.interval.unwrap_or(1);
    let interval = u32::try_from(interval)
        .ok()
        .filter(|n| unit(rule.get_freq()).is_some() || *n <= u16::MAX.into())
        .ok_or_else(|| refused(format!("INTERVAL {interval} is too large")))?;
    let rule = rule.interval(u16::try_from(interval).unwrap_or(1));
    let times = times(&rule, dtstart)?;
    if !rule.get_by_set_pos().is_empty() && (times.len() > 1 || unit(rule.get_freq()).is_some()) {
        return Err(refused("BYSETPOS is supported for one time a day only")
            .help("list the times with BYHOUR and BYMINUTE, or use a crontab"));
    }
    let period = unit(rule.get_freq()).map(|unit| Period {
        unit,
        interval: interval.into(),
        first: start.div_euclid(unit),
    });
    if period.is_some_and(|period| !period.meets(times)) {
        return Err(refused("the rule never occurs").help(
            "its interval, counted from dtstart, never meets its BYHOUR, BYMINUTE and BYSECOND",
        ));
    }
    let count = match parts.count {
        Some(count) if count > MAX_COUNT => {
            return Err(refused(format!("COUNT {count} is above {MAX_COUNT}"))
                .help("write an UNTIL instead"));
        }
        count => count,
    };
    let (until, last) = match parts.until {
        None => (None, None),
        Some(until) => until_of(&until)?,
    };
    let inner = Inner {
        text: parts.text,
        zone,
        start,
        days: days(rule, dtstart),
        times,
        period,
        until,
        last,
    };
    Ok((inner, count))
}

/// The parts that the crate must not see, and the rest.
struct Parts {
    /// The whole rule, upper case.
    text: String,
    rest: String,
    count: Option<u64>,
    interval: Option<u64>,
    until: Option<String>,
}

impl Parts {
    fn split(text: &str) -> Result<Self, Invalid> {
        let upper = text.trim().to_ascii_uppercase();
        let upper = upper
            .strip_prefix("RRULE:")
            .unwrap_or(&upper)
            .trim_end_matches(';');
        let plain = |c: char| c.is_ascii_alphanumeric() || "=;,+-".contains(c);
        if upper.len() > MAX_TEXT || !upper.chars().all(plain) {
            return Err(
                refused(format!("`{}` is not a recurrence rule", shown(text))).help(
                    "write one rule, such as FREQ=MONTHLY;BYDAY=-1FR; dtstart has its own key",
                ),
            );
        }
        let (mut rest, mut seen) = (Vec::new(), Vec::new());
        let (mut count, mut interval, mut until) = (None, None, None);
        for part in upper.split(';') {
            let (key, value) = part
                .split_once('=')
                .filter(|(_, value)| !value.is_empty())
                .ok_or_else(|| refused(format!("`{}` is not NAME=value", shown(part))))?;
            if seen.contains(&key) {
                return Err(refused(format!("{} appears twice", shown(key))));
            }
            seen.push(key);
            match key {
                "COUNT" => count = Some(number(key, value)?),
                "INTERVAL" => interval = Some(number(key, value)?),
                "UNTIL" => until = Some(value.to_owned()),
                _ => rest.push(part),
            }
        }
        if count.is_some() && until.is_some() {
            return Err(refused("COUNT and UNTIL exclude each other"));
        }
        Ok(Self {
            text: upper.to_owned(),
            rest: rest.join(";"),
            count,
            interval,
            until,
        })
    }
}

/// 1 or more.
fn number(key: &str, value: &str) -> Result<u64, Invalid> {
    let digits = value.bytes().all(|b| b.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|n| digits && *n > 0)
        .ok_or_else(|| {
            refused(format!(
                "{key} `{}` is not a whole number above 0",
                shown(value)
            ))
        })
}

fn crate_error(error: &rrule::RRuleError) -> Invalid {
    refused(shown_long(&error.to_string()))
}

/// A message of the crate in this crate's manner: lower case, one line, bounded.
fn shown_long(text: &str) -> String {
    let mut chars = text.trim_end_matches('.').chars();
    let first = chars.next().map(|c| c.to_ascii_lowercase());
    first
        .into_iter()
        .chain(chars)
        .filter(|c| !c.is_control())
        .take(240)
        .collect()
}

/// `UNTIL`: an instant with `Z`, else a local time; a date is its midnight, as in dateutil.
fn until_of(text: &str) -> Result<(Option<Timestamp>, Option<i64>), Invalid> {
    let local = |text: &str| {
        NaiveDateTime::parse_from_str(text, "%Y%m%dT%H%M%S")
            .ok()
            .or_else(|| {
                let date = NaiveDate::parse_from_str(text, "%Y%m%d").ok()?;
                Some(date.and_time(NaiveTime::MIN))
            })
    };
    let (text, utc) = match text.strip_suffix('Z') {
        Some(text) => (text, true),
        None => (text, false),
    };
    let at: DateTime<Utc> = local(text)
        .ok_or_else(|| {
            refused(format!("UNTIL `{}` is not a date", shown(text)))
                .help("write 20271231, 20271231T180000 (local) or 20271231T090000Z")
        })?
        .and_utc();
    Ok(if utc {
        (Some(Timestamp::from_datetime(at)), None)
    } else {
        (None, Some(at.timestamp()))
    })
}

/// Seconds of the unit of a sub-daily rule.
fn unit(freq: Frequency) -> Option<i64> {
    match freq {
        Frequency::Hourly => Some(3_600),
        Frequency::Minutely => Some(60),
        Frequency::Secondly => Some(1),
        _ => None,
    }
}

/// Times of day: listed, or those of `dtstart`, or all that the period of a sub-daily rule moves over.
fn times(rule: &RRule<Unvalidated>, dtstart: NaiveDateTime) -> Result<TimeOfDay, Invalid> {
    let freq = unit(rule.get_freq()).unwrap_or(i64::MAX);
    let set = |listed: &[u8], own: u32, moves: bool, all: u32| -> Bits {
        match listed {
            [] if moves => (0..all).fold(0, |set, n| set | 1 << n),
            [] => 1 << own,
            listed => listed
                .iter()
                .filter(|n| u32::from(**n) < all)
                .fold(0, |set, n| set | 1 << n),
        }
    };
    let times = TimeOfDay {
        seconds: set(rule.get_by_second(), dtstart.second(), freq <= 1, 60),
        minutes: set(rule.get_by_minute(), dtstart.minute(), freq <= 60, 60),
        hours: u32::try_from(set(rule.get_by_hour(), dtstart.hour(), freq <= 3_600, 24))
            .unwrap_or(1),
    };
    if times.len() == 0 {
        return Err(refused(
            "BYHOUR, BYMINUTE or BYSECOND leaves no time of day",
        ));
    }
    Ok(times)
}

/// The day parts alone. What a daily or longer rule takes from `dtstart` is written into it.
fn days(rule: RRule<Unvalidated>, dtstart: NaiveDateTime) -> DayRule {
    let date = dtstart.date();
    let bare = rule.get_by_month_day().is_empty()
        && rule.get_by_year_day().is_empty()
        && rule.get_by_week_no().is_empty()
        && rule.get_by_weekday().is_empty();
    let day = i8::try_from(date.day()).unwrap_or(1);
    let mut rule = rule.by_hour(vec![0]).by_minute(vec![0]).by_second(vec![0]);
    match rule.get_freq() {
        Frequency::Yearly if bare => {
            if rule.get_by_month().is_empty() {
                let month = u8::try_from(date.month())
                    .ok()
                    .and_then(|m| chrono::Month::try_from(m).ok());
                rule = rule.by_month(month.as_slice());
            }
            rule = rule.by_month_day(vec![day]);
        }
        Frequency::Monthly if bare => rule = rule.by_month_day(vec![day]),
        Frequency::Weekly if bare => rule = rule.by_weekday(vec![NWeekday::Every(date.weekday())]),
        Frequency::Hourly | Frequency::Minutely | Frequency::Secondly => {
            if bare && rule.get_by_month().is_empty() {
                return DayRule::Every;
            }
            // A year at a time: the crate filters days much faster than it counts them.
            rule = rule.freq(Frequency::Yearly).interval(1);
            if bare {
                rule = rule.by_weekday(WEEK.map(NWeekday::Every).to_vec());
            }
        }
        _ => {}
    }
    DayRule::Expand {
        rule: Box::new(rule),
        start: date,
    }
}

const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];
