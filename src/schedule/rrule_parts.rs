//! The text of a recurrence rule, taken apart: names, lists, and what RFC 5545 lets stand together.

use std::ops::RangeInclusive;

use chrono::Weekday;

use super::invalid::{Invalid, shown};

/// Longer than any rule one would write: all lists of all parts fit.
const MAX_TEXT: usize = 4_096;

/// `FREQ`, from the longest to the shortest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Frequency {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
    Minutely,
    Secondly,
}

const FREQUENCIES: [(&str, Frequency); 7] = [
    ("YEARLY", Frequency::Yearly),
    ("MONTHLY", Frequency::Monthly),
    ("WEEKLY", Frequency::Weekly),
    ("DAILY", Frequency::Daily),
    ("HOURLY", Frequency::Hourly),
    ("MINUTELY", Frequency::Minutely),
    ("SECONDLY", Frequency::Secondly),
];

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("MO", Weekday::Mon),
    ("TU", Weekday::Tue),
    ("WE", Weekday::Wed),
    ("TH", Weekday::Thu),
    ("FR", Weekday::Fri),
    ("SA", Weekday::Sat),
    ("SU", Weekday::Sun),
];

pub(super) fn refused(message: impl Into<String>) -> Invalid {
    Invalid::new(message).at("rrule")
}

/// The parts of a rule; a list that is not written is empty.
#[derive(Debug)]
pub(super) struct Parts {
    /// The whole rule, upper case.
    pub text: String,
    pub freq: Frequency,
    pub interval: u32,
    pub count: Option<u64>,
    pub until: Option<String>,
    pub week_start: Weekday,
    pub by_second: Vec<i32>,
    pub by_minute: Vec<i32>,
    pub by_hour: Vec<i32>,
    pub by_month: Vec<i32>,
    pub by_month_day: Vec<i32>,
    pub by_year_day: Vec<i32>,
    pub by_week_no: Vec<i32>,
    /// With the number in the month or year; zero: each.
    pub by_day: Vec<(i32, Weekday)>,
    pub by_set_pos: Vec<i32>,
}

impl Parts {
    /// Of `text` such as `FREQ=MONTHLY;BYDAY=-1FR`.
    pub fn read(text: &str) -> Result<Self, Invalid> {
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
        let mut parts = Self {
            text: upper.to_owned(),
            freq: Frequency::Daily,
            interval: 1,
            count: None,
            until: None,
            week_start: Weekday::Mon,
            by_second: Vec::new(),
            by_minute: Vec::new(),
            by_hour: Vec::new(),
            by_month: Vec::new(),
            by_month_day: Vec::new(),
            by_year_day: Vec::new(),
            by_week_no: Vec::new(),
            by_day: Vec::new(),
            by_set_pos: Vec::new(),
        };
        let mut seen = Vec::new();
        for part in upper.split(';') {
            let (key, value) = part
                .split_once('=')
                .filter(|(_, value)| !value.is_empty())
                .ok_or_else(|| refused(format!("`{}` is not NAME=value", shown(part))))?;
            // The name of the part in other libraries.
            let key = if key == "BYWEEKDAY" { "BYDAY" } else { key };
            if seen.contains(&key) {
                return Err(refused(format!("{} appears twice", shown(key))));
            }
            seen.push(key);
            parts.take(key, value)?;
        }
        if !seen.contains(&"FREQ") {
            return Err(refused("FREQ is missing").help("such as FREQ=DAILY"));
        }
        parts.fit_together()?;
        Ok(parts)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), Invalid> {
        let list = |range| numbers(key, value, range);
        match key {
            "FREQ" => self.freq = word(key, value, &FREQUENCIES)?,
            "WKST" => self.week_start = word(key, value, &WEEKDAYS)?,
            "INTERVAL" => {
                let interval = positive(key, value)?;
                self.interval = u32::try_from(interval)
                    .map_err(|_| refused(format!("INTERVAL {interval} is too large")))?;
            }
            "COUNT" => self.count = Some(positive(key, value)?),
            "UNTIL" => self.until = Some(value.to_owned()),
            "BYSECOND" => self.by_second = list(0..=59)?,
            "BYMINUTE" => self.by_minute = list(0..=59)?,
            "BYHOUR" => self.by_hour = list(0..=23)?,
            "BYMONTH" => self.by_month = list(1..=12)?,
            "BYMONTHDAY" => self.by_month_day = list(-31..=31)?,
            "BYYEARDAY" => self.by_year_day = list(-366..=366)?,
            "BYWEEKNO" => self.by_week_no = list(-53..=53)?,
            "BYSETPOS" => self.by_set_pos = list(-366..=366)?,
            "BYDAY" => {
                let days = value.split(',').map(day);
                self.by_day = days.collect::<Result<_, _>>()?;
            }
            _ => {
                return Err(refused(format!("unknown part `{}`", shown(key)))
                    .help("parts are those of RFC 5545, such as FREQ, INTERVAL, BYDAY, UNTIL"));
            }
        }
        Ok(())
    }

    fn fit_together(&self) -> Result<(), Invalid> {
        let freq = self.freq;
        let with = |key: &str| {
            let name = FREQUENCIES.iter().find(|(_, other)| *other == freq);
            refused(format!(
                "{key} cannot be used with FREQ={}",
                name.map_or("", |(name, _)| name)
            ))
        };
        if self.count.is_some() && self.until.is_some() {
            return Err(refused("COUNT and UNTIL exclude each other"));
        }
        if freq <= Frequency::Daily && self.interval > u16::MAX.into() {
            return Err(refused(format!("INTERVAL {} is too large", self.interval)));
        }
        if !self.by_month_day.is_empty() && freq == Frequency::Weekly {
            return Err(with("BYMONTHDAY"));
        }
        let inside_a_year = (Frequency::Monthly..=Frequency::Daily).contains(&freq);
        if !self.by_year_day.is_empty() && inside_a_year {
            return Err(with("BYYEARDAY"));
        }
        if !self.by_week_no.is_empty() && freq != Frequency::Yearly {
            return Err(with("BYWEEKNO"));
        }
        if let Some((nth, _)) = self.by_day.iter().find(|(nth, _)| *nth != 0) {
            let most = match freq {
                Frequency::Yearly => 53,
                Frequency::Monthly => 5,
                _ => return Err(with("BYDAY with a number")),
            };
            if !self.by_week_no.is_empty() {
                return Err(refused("BYDAY with a number cannot be used with BYWEEKNO"));
            }
            if nth.abs() > most {
                return Err(refused(format!("BYDAY {nth} is outside -{most} to {most}")));
            }
        }
        let beside = self.text.matches("BY").count();
        if !self.by_set_pos.is_empty() && beside == 1 {
            return Err(refused("BYSETPOS picks from what another BY part chooses"));
        }
        Ok(())
    }
}

/// One of `known`.
fn word<T: Copy>(key: &str, value: &str, known: &[(&str, T)]) -> Result<T, Invalid> {
    let found = known.iter().find(|(name, _)| *name == value);
    found.map(|(_, found)| *found).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
        refused(format!("{key} `{}` is unknown", shown(value)))
            .help(format!("one of {}", names.join(", ")))
    })
}

/// 1 or more.
fn positive(key: &str, value: &str) -> Result<u64, Invalid> {
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

/// Whole numbers of `range`; where that goes from -n to n, there is no zeroth.
fn numbers(key: &str, value: &str, range: RangeInclusive<i32>) -> Result<Vec<i32>, Invalid> {
    let (least, most) = (*range.start(), *range.end());
    let one = |text: &str| {
        let number = text.parse().ok().filter(|n| range.contains(n));
        number
            .filter(|n| least >= 0 || *n != 0)
            .ok_or_else(|| match least {
                0.. => refused(format!("{key} `{}` is not {least} to {most}", shown(text))),
                _ => refused(format!(
                    "{key} `{}` is not 1 to {most} or -1 to -{most}",
                    shown(text)
                )),
            })
    };
    value.split(',').map(one).collect()
}

/// `MO`, `1MO`, `-1MO`.
fn day(text: &str) -> Result<(i32, Weekday), Invalid> {
    let wrong = || {
        refused(format!("BYDAY `{}` is no day", shown(text)))
            .help("write MO, TU, WE, TH, FR, SA or SU, with a number as in -1FR for the last one")
    };
    let (number, name) = text
        .split_at_checked(text.len().saturating_sub(2))
        .ok_or_else(wrong)?;
    let weekday = word("BYDAY", name, &WEEKDAYS).map_err(|_| wrong())?;
    match number {
        "" => Ok((0, weekday)),
        number => {
            let nth = number.parse().ok().filter(|nth| *nth != 0);
            Ok((nth.ok_or_else(wrong)?, weekday))
        }
    }
}
