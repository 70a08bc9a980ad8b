//! Scalars with a meaning: durations, instants, zones, words.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use toml::de::DeValue;

use super::diagnose::{Collector, Finding};
use super::value::{Civil, civil};
use super::walk::Item;
use crate::clock::Timestamp;
use crate::schedule::{Invalid, Zone, parse_duration};

/// Longest duration: 100 years, in microseconds.
pub(super) const CENTURY: i64 = 36_525 * 86_400 * 1_000_000;

/// Microseconds of a number of seconds or a string such as `"1h30m"`.
pub(super) fn micros(item: &Item<'_>, out: &mut Collector) -> Option<i64> {
    match item.value {
        DeValue::String(text) => match parse_duration(text) {
            Ok(micros) => Some(micros),
            Err(invalid) => {
                report_time(item, invalid, out);
                None
            }
        },
        DeValue::Integer(_) => {
            let micros = item.as_integer().and_then(|s| s.checked_mul(1_000_000));
            if micros.is_none() {
                item.error(out, "the duration is longer than 100 years");
            }
            micros
        }
        DeValue::Float(_) if item.as_number().is_some() => {
            let micros = item.as_number().unwrap_or(0.0) * 1e6;
            if micros.abs() > 1e18 {
                item.error(out, "the duration is longer than 100 years");
                return None;
            }
            // 0.1 s is not exactly 100 000 µs in binary; 0.0000015 s is no whole number at all.
            if (micros - micros.round()).abs() > 0.01 {
                item.error(out, "the duration is no whole number of microseconds");
                return None;
            }
            #[expect(clippy::cast_possible_truncation, reason = "below 1e18")]
            Some(micros.round() as i64)
        }
        _ => {
            item.wrong_type(
                out,
                "a duration: a number of seconds, or a string such as \"1h30m\"",
            );
            None
        }
    }
}

/// A duration from `min` to `max` microseconds.
pub(super) fn duration_in(
    item: &Item<'_>,
    out: &mut Collector,
    (min, max): (i64, i64),
    words: &str,
) -> Option<Duration> {
    let micros = micros(item, out)?;
    if !(min..=max).contains(&micros) {
        let name = super::escaped(item.name());
        item.error(out, format!("`{name}` takes {words}"));
        return None;
    }
    u64::try_from(micros).ok().map(Duration::from_micros)
}

/// A duration of zero or more.
pub(super) fn duration(item: &Item<'_>, out: &mut Collector) -> Option<Duration> {
    duration_in(item, out, (0, CENTURY), "a duration of 0 to 100 years")
}

/// An instant: a TOML datetime or date, or its text; without an offset it is in `zone`.
pub(super) fn instant(item: &Item<'_>, zone: &Zone, out: &mut Collector) -> Option<Timestamp> {
    let at = match item.value {
        DeValue::Datetime(at) => civil(at),
        DeValue::String(text) => civil_text(text),
        _ => None,
    };
    let instant = match at {
        Some(Civil::Aware(at)) => Timestamp::from_datetime(at.to_utc()),
        Some(Civil::Naive(at)) => zone.resolve(at).once(),
        Some(Civil::Date(date)) => zone.resolve(date.and_time(chrono::NaiveTime::MIN)).once(),
        Some(Civil::Time(_)) | None => {
            item.wrong_type(out, "a date and time such as 2026-12-24T18:00:00+09:00");
            return None;
        }
    };
    Some(instant)
}

/// A local or absolute date and time as text.
pub(super) fn civil_text(text: &str) -> Option<Civil> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Some(Civil::Aware(at));
    }
    for form in [
        "%Y-%m-%dT%H:%M:%S%.f",
        "%Y-%m-%d %H:%M:%S%.f",
        "%Y-%m-%dT%H:%M",
        "%Y-%m-%d %H:%M",
    ] {
        if let Ok(at) = NaiveDateTime::parse_from_str(text, form) {
            return Some(Civil::Naive(at));
        }
    }
    for form in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M%#z"] {
        if let Ok(at) = DateTime::parse_from_str(text, form) {
            return Some(Civil::Aware(at));
        }
    }
    NaiveDate::parse_from_str(text, "%Y-%m-%d")
        .ok()
        .map(Civil::Date)
}

/// Reports a complaint of the schedule layer at the field that it names, or at the item.
pub(super) fn report_time(item: &Item<'_>, invalid: Invalid, out: &mut Collector) {
    let mut finding = Finding::error(invalid.message);
    if let Some(help) = invalid.help {
        finding = finding.help(help);
    }
    let mut quiet = Collector::default();
    let field = (invalid
        .field
        .filter(|_| matches!(item.value, DeValue::Table(_))))
    .and_then(|name| item.fields(&mut quiet)?.find(|f| f.name() == name));
    match field {
        Some(field) => field.report(out, finding),
        None => item.report(out, finding),
    }
}

/// The zones that were named so far.
#[derive(Default)]
pub(super) struct Zones(HashMap<String, Zone>);

impl Zones {
    /// The zone that `item` names.
    pub(super) fn get(&mut self, item: &Item<'_>, out: &mut Collector) -> Option<Zone> {
        let name = item.text(out)?;
        if let Some(zone) = self.0.get(name) {
            return Some(zone.clone());
        }
        match Zone::load(name) {
            Ok(zone) => {
                self.0.insert(name.to_owned(), zone.clone());
                Some(zone)
            }
            Err(unknown) => {
                item.report(
                    out,
                    Finding::error(unknown.to_string()).help(unknown.help()),
                );
                None
            }
        }
    }
}
