//! A recurrence rule from its text: what is chosen from `dtstart`, and what cannot be bounded.

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Timelike, Utc};

use super::field::Bits;
use super::invalid::{Invalid, shown};
use super::rrule::{Inner, MAX_COUNT, Period};
use super::rrule_days::DayRule;
use super::rrule_parts::{Frequency, Parts, refused};
use super::time_of_day::TimeOfDay;
use super::zone::Zone;
use crate::clock::Timestamp;

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
    let parts = Parts::read(text)?;
    let start = dtstart.and_utc().timestamp();
    let times = times(&parts, dtstart);
    if !parts.by_set_pos.is_empty() && (times.len() > 1 || unit(parts.freq).is_some()) {
        return Err(refused("BYSETPOS is supported for one time a day only")
            .help("list the times with BYHOUR and BYMINUTE, or use a crontab"));
    }
    let period = unit(parts.freq).map(|unit| Period {
        unit,
        interval: parts.interval.into(),
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
    let (until, last) = match &parts.until {
        None => (None, None),
        Some(until) => until_of(until)?,
    };
    let inner = Inner {
        zone,
        start,
        days: days(&parts, dtstart.date()),
        text: parts.text,
        times,
        period,
        until,
        last,
    };
    Ok((inner, count))
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
fn times(parts: &Parts, dtstart: NaiveDateTime) -> TimeOfDay {
    let freq = unit(parts.freq).unwrap_or(i64::MAX);
    let set = |listed: &[i32], own: u32, moves: bool, all: u32| -> Bits {
        match listed {
            [] if moves => (0..all).fold(0, |set, n| set | 1 << n),
            [] => 1 << own,
            listed => listed.iter().fold(0, |set, n| set | 1 << n),
        }
    };
    TimeOfDay {
        seconds: set(&parts.by_second, dtstart.second(), freq <= 1, 60),
        minutes: set(&parts.by_minute, dtstart.minute(), freq <= 60, 60),
        hours: u32::try_from(set(&parts.by_hour, dtstart.hour(), freq <= 3_600, 24)).unwrap_or(1),
    }
}

/// The day parts. What a daily or longer rule takes from `dtstart` is written into them.
fn days(parts: &Parts, start: NaiveDate) -> DayRule {
    let mut rule = DayRule {
        freq: parts.freq,
        // The interval of a shorter period is held to by time of day.
        interval: match unit(parts.freq) {
            Some(_) => 1,
            None => parts.interval,
        },
        start,
        week_start: parts.week_start,
        by_month: parts.by_month.clone(),
        by_month_day: parts.by_month_day.clone(),
        by_year_day: parts.by_year_day.clone(),
        by_week_no: parts.by_week_no.clone(),
        by_day: parts.by_day.clone(),
        by_set_pos: parts.by_set_pos.clone(),
    };
    let bare = rule.by_month_day.is_empty()
        && rule.by_year_day.is_empty()
        && rule.by_week_no.is_empty()
        && rule.by_day.is_empty();
    let day = i32::try_from(start.day()).unwrap_or(1);
    match rule.freq {
        Frequency::Yearly if bare => {
            if rule.by_month.is_empty() {
                rule.by_month.extend(i32::try_from(start.month()));
            }
            rule.by_month_day.push(day);
        }
        Frequency::Monthly if bare => rule.by_month_day.push(day),
        Frequency::Weekly if bare => rule.by_day.push((0, start.weekday())),
        _ => {}
    }
    rule
}
