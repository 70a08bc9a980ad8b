//! One crontab field: Celery's grammar to a set of numbers.
//!
//! ```text
//! field := part ("," part)*
//! part  := "*" | "*/n" | v | a-b | a-b/n        n > 0
//! ```
//! A step takes every n-th element of the list it follows, starting at the first. A range whose
//! end is below its start wraps around. Names (three letters or more of the English word, any
//! case) stand for months and weekdays in their own field only: Celery takes them anywhere, and
//! takes any ending (`monkey`), which only hides mistakes.

use super::invalid::{Invalid, shown};

/// A field's value as the schedule file gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldValue {
    /// `hour = 7`
    Int(i64),
    /// `hour = "9-17"`
    Text(String),
    /// `hour = [9, 12]`: whole numbers only, as in Celery.
    List(Vec<FieldValue>),
}

/// Numbers from 0 to 59 as bits.
pub(super) type Bits = u64;

/// What a field may hold.
#[derive(Debug)]
pub(super) struct Field {
    /// Celery's name, also the key in the schedule file.
    pub name: &'static str,
    plural: &'static str,
    min: u32,
    max: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] = &[
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];
const WEEKDAYS: &[&str] = &[
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

const fn field(name: &'static str, plural: &'static str, min: u32, max: u32) -> Field {
    Field {
        name,
        plural,
        min,
        max,
        names: &[],
    }
}

pub(super) static SECOND: Field = field("second", "seconds", 0, 59);
pub(super) static MINUTE: Field = field("minute", "minutes", 0, 59);
pub(super) static HOUR: Field = field("hour", "hours", 0, 23);
pub(super) static DAY_OF_MONTH: Field = field("day_of_month", "days of the month", 1, 31);
pub(super) static MONTH_OF_YEAR: Field = Field {
    names: MONTHS,
    ..field("month_of_year", "months", 1, 12)
};
pub(super) static DAY_OF_WEEK: Field = Field {
    names: WEEKDAYS,
    ..field("day_of_week", "weekdays", 0, 6)
};

impl Field {
    /// Every number of this field.
    pub fn all(&self) -> Bits {
        (self.min..=self.max).fold(0, |set, n| set | 1 << n)
    }

    /// A field of the keyword form.
    pub fn value(&self, value: &FieldValue) -> Result<Bits, Invalid> {
        match value {
            FieldValue::Int(n) => self.number(*n),
            FieldValue::Text(text) => self.text(text, false),
            FieldValue::List(items) if items.is_empty() => {
                Err(self.error("the list is empty".to_owned()))
            }
            FieldValue::List(items) => items.iter().try_fold(0, |set, item| match item {
                FieldValue::Int(n) => Ok(set | self.number(*n)?),
                FieldValue::Text(_) | FieldValue::List(_) => Err(self
                    .error("a list holds whole numbers only".to_owned())
                    .help("names and ranges go into one string: \"mon,wed-fri\"")),
            }),
        }
    }

    /// A field in text. `sunday_7`: 7 stands for Sunday, in weekdays of a crontab string.
    pub fn text(&self, text: &str, sunday_7: bool) -> Result<Bits, Invalid> {
        let sunday_7 = sunday_7 && self.name == DAY_OF_WEEK.name;
        text.split(',').try_fold(0, |set, part| {
            Ok(set | self.part(part.trim_matches([' ', '\t']), sunday_7)?)
        })
    }

    fn part(&self, part: &str, sunday_7: bool) -> Result<Bits, Invalid> {
        if part.is_empty() {
            return Err(self.error("a part is empty".to_owned()));
        }
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, Some(self.step(part, step)?)),
            None => (part, None),
        };
        let (first, last) = if range == "*" {
            (self.min, self.max)
        } else if let Some((first, last)) = range.split_once('-') {
            self.ends(
                self.atom(first, part, sunday_7)?,
                self.atom(last, part, sunday_7)?,
            )
        } else if step.is_some() {
            return Err(self
                .error(format!("`{}` puts a step on a single value", shown(part)))
                .help(format!(
                    "write `{range}-{}/n` for a start and a step",
                    self.max
                )));
        } else {
            let value = self.atom(range, part, sunday_7)?;
            (value, value)
        };
        let wrapped = if last < first {
            self.max - self.min + 1
        } else {
            0
        };
        let span = self.max - self.min + 1;
        Ok((first..=last + wrapped)
            .step_by(step.unwrap_or(1))
            .fold(0, |set, n| set | 1 << (self.min + (n - self.min) % span)))
    }

    /// The two ends of a range, Sunday as 7 put where it belongs: `fri-7` ends a week, `7-2` begins one.
    fn ends(&self, first: u32, last: u32) -> (u32, u32) {
        if first > self.max {
            (0, if last > self.max { 0 } else { last })
        } else {
            (first, last)
        }
    }

    /// A number or a name. 7 is returned as 7 where it is accepted.
    fn atom(&self, text: &str, part: &str, sunday_7: bool) -> Result<u32, Invalid> {
        if let Some(n) = digits(text) {
            if n == 7 && sunday_7 {
                return Ok(7);
            }
            return u32::try_from(n)
                .ok()
                .filter(|n| (self.min..=self.max).contains(n))
                .ok_or_else(|| self.out_of_range(text));
        }
        let lower = text.to_ascii_lowercase();
        let named = self.names.iter().position(|name| {
            lower.len() >= 3
                && lower.bytes().all(|b| b.is_ascii_lowercase())
                && name.starts_with(&lower)
        });
        if let Some(position) = named.and_then(|p| u32::try_from(p).ok()) {
            return Ok(self.min + position);
        }
        let inside = if text == part {
            String::new()
        } else {
            format!(" in `{}`", shown(part))
        };
        let found = if text.is_empty() {
            "nothing".to_owned()
        } else {
            format!("`{}`", shown(text))
        };
        Err(self.error(format!("{found} is not one of the {}{inside}", self.plural)))
    }

    fn step(&self, part: &str, step: &str) -> Result<usize, Invalid> {
        match digits(step) {
            Some(n) if n > 0 => Ok(usize::try_from(n).unwrap_or(usize::MAX)),
            _ => Err(self
                .error(format!(
                    "the step of `{}` is not a number above 0",
                    shown(part)
                ))
                .help("write `*/15` or `0-30/10`")),
        }
    }

    fn number(&self, n: i64) -> Result<Bits, Invalid> {
        u32::try_from(n)
            .ok()
            .filter(|n| (self.min..=self.max).contains(n))
            .map(|n| 1 << n)
            .ok_or_else(|| self.out_of_range(&n.to_string()))
    }

    fn out_of_range(&self, text: &str) -> Invalid {
        let error = self.error(format!("`{}` is out of range", shown(text)));
        if self.name == DAY_OF_WEEK.name && text == "7" {
            return error.help(
                "weekdays are 0 (Sunday) to 6; 7 stands for Sunday in a crontab string only",
            );
        }
        error
    }

    fn error(&self, message: String) -> Invalid {
        let names = match self.names {
            [first, .., last] => format!(", or names from `{}` to `{}`", &first[..3], &last[..3]),
            _ => String::new(),
        };
        Invalid::new(message).at(self.name).help(format!(
            "{} are {} to {}{names}",
            self.plural, self.min, self.max
        ))
    }

    /// Name of a month or weekday, capitalised.
    pub fn name_of(&self, n: u32) -> String {
        let name = usize::try_from(n - self.min)
            .ok()
            .and_then(|i| self.names.get(i));
        name.map_or_else(
            || n.to_string(),
            |name| format!("{}{}", name[..1].to_ascii_uppercase(), &name[1..]),
        )
    }
}

/// ASCII digits only: no sign, no underscore; saturating.
fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Some(text.parse().unwrap_or(u64::MAX))
}

/// The members of a set, ascending.
pub(super) fn members(set: Bits) -> impl Iterator<Item = u32> + Clone {
    (0..64).filter(move |n| set >> n & 1 == 1)
}
