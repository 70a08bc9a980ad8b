//! Times as log lines show them.

use std::sync::LazyLock;

use chrono::{DateTime, NaiveDate};
use regex::{Captures, Regex};
use serde_json::Value;

use crate::clock::Timestamp;
use crate::schedule::{LocalTime, Zone};

/// Bytes at the start of a line in which its time is looked for.
const HEAD: usize = 256;

/// A time of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// Microseconds since the epoch; of a local time, read as if it were UTC.
    pub micros: i64,
    /// Whether the zone is not said.
    pub local: bool,
}

/// `2026-11-20 13:36:31,123`, with `/`, `T`, `.`, and perhaps an offset.
static ISO: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(\d{4})[-/](\d{2})[-/](\d{2})[T _](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?(?: ?(Z\b|UTC\b|GMT\b|[+-]\d{2}:?\d{2}\b))?",
    )
    .ok()
});
/// `20/Nov/2026 13:36:31`, as web servers write it.
static NAMED: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(\d{1,2})[/ -](Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[/ -](\d{4})[: ](\d{2}):(\d{2}):(\d{2})(?:[.,](\d{1,9}))?(?: ?(Z\b|UTC\b|GMT\b|[+-]\d{4}\b))?",
    )
    .ok()
});

/// Keys under which loggers of JSON put the time, the likeliest first.
const KEYS: [&str; 9] = [
    "asctime",
    "timestamp",
    "@timestamp",
    "time",
    "ts",
    "datetime",
    "created",
    "date",
    "when",
];

/// The time at the head of `text`: the first that says its zone, else the first. A collector's time
/// before Celery's own says its zone, and Celery's seldom does.
pub fn of_text(text: &str) -> Option<Stamp> {
    let mut end = text.len().min(HEAD);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let head = &text[..end];
    let mut first = None;
    for captured in ISO.as_ref()?.captures_iter(head) {
        let found = read(&captured, [1, 2, 3], |month| month.parse().ok());
        match found {
            Some(stamp) if !stamp.local => return Some(stamp),
            Some(stamp) => first = first.or(Some(stamp)),
            None => {}
        }
    }
    first.or_else(|| {
        let captured = NAMED.as_ref()?.captures(head)?;
        read(&captured, [3, 2, 1], |month| {
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            Some(u32::try_from(months.find(month)?).ok()? / 3 + 1)
        })
    })
}

fn read(
    captured: &Captures<'_>,
    [year, month, day]: [usize; 3],
    number_of: impl Fn(&str) -> Option<u32>,
) -> Option<Stamp> {
    let text = |group: usize| captured.get(group).map_or("", |found| found.as_str());
    let number = |group: usize| text(group).parse::<u32>().ok();
    let date = NaiveDate::from_ymd_opt(
        text(year).parse().ok()?,
        number_of(text(month))?,
        number(day)?,
    )?;
    let time = date.and_hms_opt(number(4)?, number(5)?, number(6)?)?;
    let fraction: String = text(7).chars().chain("000000".chars()).take(6).collect();
    let micros = time.and_utc().timestamp_micros() + fraction.parse::<i64>().ok()?;
    let offset = match text(8) {
        "" => None,
        "Z" | "UTC" | "GMT" => Some(0),
        signed => {
            let digits: String = signed.chars().filter(char::is_ascii_digit).collect();
            let hours: i64 = digits.get(..2)?.parse().ok()?;
            let minutes: i64 = digits.get(2..)?.parse().ok()?;
            let seconds = hours * 3_600 + minutes * 60;
            Some(if signed.starts_with('-') {
                -seconds
            } else {
                seconds
            })
        }
    };
    Some(Stamp {
        micros: micros - offset.unwrap_or(0) * 1_000_000,
        local: offset.is_none(),
    })
}

/// The time of a record in JSON.
pub fn of_record(record: &Value) -> Option<Stamp> {
    KEYS.iter().find_map(|key| match record.get(key)? {
        Value::String(text) => match text.parse::<f64>() {
            Ok(number) => of_number(number),
            Err(_) => of_text(text),
        },
        Value::Number(number) => of_number(number.as_f64()?),
        nested @ Value::Object(_) => of_record(nested),
        _ => None,
    })
}

/// Seconds, or milli-, micro- or nanoseconds since the epoch: by size, as all are used.
fn of_number(number: f64) -> Option<Stamp> {
    let micros = match number {
        n if !(1e8..1e20).contains(&n) => return None,
        n if n < 1e11 => n * 1e6,
        n if n < 1e14 => n * 1e3,
        n if n < 1e17 => n,
        n => n / 1e3,
    };
    #[expect(clippy::cast_possible_truncation, reason = "below 1e17")]
    Some(Stamp {
        micros: micros.round() as i64,
        local: false,
    })
}

impl Stamp {
    /// The instant, where local times are those of `zone`. Of the two passes of an hour that is
    /// shown twice it is the one that follows `previous`, the line before.
    pub fn instant(self, zone: &Zone, previous: i64) -> i64 {
        if !self.local {
            return self.micros;
        }
        let Some(local) = DateTime::from_timestamp_micros(self.micros) else {
            return self.micros;
        };
        let at = match zone.resolve(local.naive_utc()) {
            LocalTime::Fold { first, second }
                if first.as_micros() < previous && second.as_micros() >= previous =>
            {
                second
            }
            other => other.once(),
        };
        Timestamp::as_micros(at)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-20T13:36:31Z.
    const AT: i64 = 1_795_181_791_000_000;

    #[test]
    fn the_times_of_many_formats_are_read() {
        let local = |micros| {
            Some(Stamp {
                micros,
                local: true,
            })
        };
        let instant = |micros| {
            Some(Stamp {
                micros,
                local: false,
            })
        };
        for (line, expected) in [
            // Celery's own.
            (
                "[2026-11-20 13:36:31,123: INFO/MainProcess] x",
                local(AT + 123_000),
            ),
            ("2026-11-20 13:36:31 - celery.beat - INFO - x", local(AT)),
            ("INFO 2026-11-20 13:36:31,5 beat x", local(AT + 500_000)),
            ("[2026-11-20 13:36:31 +0000] [7] [INFO] x", instant(AT)),
            ("2026-11-20T13:36:31.123456789Z x", instant(AT + 123_456)),
            ("2026-11-20T22:36:31+09:00 x", instant(AT)),
            ("2026/11/20 08:36:31-0500 x", instant(AT)),
            ("2026-11-20 13:36:31 UTC x", instant(AT)),
            ("[20/Nov/2026 13:36:31] x", local(AT)),
            ("20/Nov/2026:13:36:31 +0000 x", instant(AT)),
            // A collector's time goes before Celery's, wherever it stands.
            (
                "2026-11-20T13:36:31Z beat-1 [2026-11-20 22:36:30,9: INFO/Beat] x",
                instant(AT),
            ),
            (
                "[2026-11-20 22:36:30,9: INFO/Beat] 2026-11-20T13:36:31Z x",
                instant(AT),
            ),
            // No times.
            ("Nov 20 13:36:31 host celery[1]: x", None),
            ("2026-13-20 13:36:31 x", None),
            ("2026-11-20 25:36:31 x", None),
            ("", None),
        ] {
            assert_eq!(of_text(line), expected, "{line}");
        }
    }

    #[test]
    fn the_times_of_records_are_read() {
        for record in [
            json!({"asctime": "2026-11-20T13:36:31Z", "created": 1.0}),
            json!({"timestamp": 1_795_181_791}),
            json!({"ts": 1_795_181_791_000_u64}),
            json!({"time": "1795181791.0"}),
            json!({"time": {"repr": "x", "timestamp": 1_795_181_791.0}}),
            json!({"@timestamp": "2026-11-20T13:36:31+00:00"}),
        ] {
            let found = of_record(&record).map(|stamp| (stamp.micros, stamp.local));
            assert_eq!(found, Some((AT, false)), "{record}");
        }
        assert_eq!(of_record(&json!({"time": -1, "level": "info"})), None);
    }

    #[test]
    fn an_hour_that_is_shown_twice_is_read_in_order() {
        let berlin = Zone::load("Europe/Berlin").unwrap();
        let mut previous = i64::MIN;
        let times = [
            "01:59:00", "02:10:00", "02:50:00", "02:05:00", "02:30:00", "03:00:00",
        ];
        let utc: Vec<String> = times
            .iter()
            .map(|time| {
                let stamp = of_text(&format!("2026-10-25 {time}")).unwrap();
                previous = stamp.instant(&berlin, previous);
                Timestamp::from_micros(previous).to_rfc3339()[11..16].to_owned()
            })
            .collect();
        assert_eq!(utc, ["23:59", "00:10", "00:50", "01:05", "01:30", "02:00"]);
    }
}
