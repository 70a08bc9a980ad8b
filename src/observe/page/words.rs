//! Times and texts as people read them.

use std::fmt::{self, Display, Write as _};

use chrono::Datelike as _;

use crate::clock::Timestamp;
use crate::config::escaped;
use crate::schedule::Zone;

/// Text within HTML, whatever it holds.
pub struct Html<T>(pub T);

impl<T: AsRef<str>> Display for Html<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.as_ref().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// Text that others wrote, in the store perhaps: cut, and nothing in it that moves other text.
#[must_use]
pub fn foreign(text: &str) -> Html<String> {
    Html(escaped(text))
}

/// An instant as a clock on the wall of `zone` shows it; the year only where it is another than
/// that of `now`.
#[must_use]
pub fn local(at: Timestamp, zone: &Zone, now: Timestamp) -> String {
    let (at, now) = (zone.datetime(at), zone.datetime(now));
    let form = if at.date_naive() == now.date_naive() {
        "%H:%M:%S"
    } else if at.year() == now.year() {
        "%a %-d %b %H:%M:%S"
    } else {
        "%-d %b %Y %H:%M:%S"
    };
    at.format(form).to_string()
}

/// How far `at` is from `now`: `in 5 min`, `2 h ago`.
#[must_use]
pub fn distance(at: Timestamp, now: Timestamp) -> String {
    let micros = at.micros_since(now);
    let length = length(micros.unsigned_abs() / 1_000_000);
    if micros >= 0 {
        format!("in {length}")
    } else {
        format!("{length} ago")
    }
}

/// The same of a fire time: `in 5 min`, `2 h overdue`.
#[must_use]
pub fn due(at: Timestamp, now: Timestamp) -> String {
    distance(at, now).replace(" ago", " overdue")
}

/// `42 s`, `5 min`, `2 h 5 min`, `3 d`.
#[must_use]
pub fn length(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => format!("{minutes} min"),
        3_600..86_400 if minutes % 60 > 0 => format!("{hours} h {} min", minutes % 60),
        3_600..86_400 => format!("{hours} h"),
        _ => format!("{days} d"),
    }
}

/// A lag of so many µs: `3 ms`, `1.2 s`.
#[must_use]
pub fn lag(micros: i64) -> String {
    let millis = crate::observe::status::millis(micros);
    match millis {
        ..10.0 => format!("{millis:.1} ms"),
        ..1_000.0 => format!("{millis:.0} ms"),
        _ => format!("{:.1} s", millis / 1e3),
    }
}

/// A number with thin spaces between thousands.
#[must_use]
pub fn number(value: impl Into<u64>) -> String {
    let digits = value.into().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_said_as_people_say_them() {
        for (seconds, said) in [
            (0, "0 s"),
            (59, "59 s"),
            (60, "1 min"),
            (3_599, "59 min"),
            (3_600, "1 h"),
            (7_500, "2 h 5 min"),
            (86_399, "23 h 59 min"),
            (200_000, "2 d"),
        ] {
            assert_eq!(length(seconds), said);
        }
        assert_eq!(number(1_234_567_u64), "1\u{202f}234\u{202f}567");
        assert_eq!(
            Html("<a href=\"x\">'&").to_string(),
            "&lt;a href=&quot;x&quot;&gt;&#39;&amp;"
        );
    }
}
