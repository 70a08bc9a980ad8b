//! Instants as they are typed on the command line.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime};

use crate::clock::Timestamp;
use crate::schedule::{Zone, parse_duration};

/// An instant: RFC 3339, or a local date and time in `zone`, or a date, which is its midnight.
pub(super) fn parse(text: &str, zone: &Zone) -> Option<Timestamp> {
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Timestamp::from_datetime(at.to_utc()));
    }
    let forms = [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ];
    let local = forms
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok());
    let midnight = || {
        Some(
            NaiveDate::parse_from_str(text, "%Y-%m-%d")
                .ok()?
                .and_time(NaiveTime::MIN),
        )
    };
    local
        .or_else(midnight)
        .map(|local| zone.resolve(local).once())
}

/// An instant, or a duration after `from`.
pub(super) fn parse_after(text: &str, zone: &Zone, from: Timestamp) -> Option<Timestamp> {
    parse(text, zone).or_else(|| {
        let micros = parse_duration(text.trim_start_matches('+')).ok()?;
        Some(from.plus_micros(micros))
    })
}
