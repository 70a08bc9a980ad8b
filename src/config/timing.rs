//! The `schedule` of an entry, in all its forms.

use toml::de::DeValue;

use super::crontab_fields::{self, FIELDS};
use super::diagnose::{Collector, Finding};
use super::lint::Lint;
use super::scalar::{civil_text, micros, report_time};
use super::value::{Civil, civil};
use super::walk::Item;
use crate::schedule::{
    At, Crontab, Dst, Every, Invalid, Once, Rrule, Schedule, Solar, SolarEvent, Zone,
};

/// What the entry says beside `schedule`.
#[derive(Clone, Copy)]
pub(super) struct Beside<'a> {
    pub zone: &'a Zone,
    pub relative: bool,
    /// Whether a lint is to be reported.
    pub wanted: &'a dyn Fn(Lint) -> bool,
}

const KEYS: &[&str] = &[
    "every",
    "align",
    "crontab",
    "second",
    "minute",
    "hour",
    "day_of_month",
    "month_of_year",
    "day_of_week",
    "dst",
    "solar",
    "at",
    "rrule",
    "dtstart",
];
/// A day, an hour, a minute, in microseconds: what `relative` rounds down to.
const UNITS: [i64; 3] = [86_400_000_000, 3_600_000_000, 60_000_000];
const FORMS: &str = "a number of seconds, \"30s\", { every = … }, { crontab = \"m h dom mon dow\" }, { minute = …, hour = … }, { solar = … }, { at = … }, { rrule = …, dtstart = … }, or an array of these";

/// Reads a schedule; an array is the union of its elements.
pub(super) fn schedule(
    item: &Item<'_>,
    beside: Beside<'_>,
    out: &mut Collector,
) -> Option<Schedule> {
    if !matches!(item.value, DeValue::Array(_)) {
        return form(item, beside, out);
    }
    let elements = item.elements(out)?;
    if elements.len() == 0 {
        item.error_help(out, "`schedule` is an empty array", FORMS);
        return None;
    }
    // Every element is read before any is missed, so that all errors show.
    let read: Vec<Option<Schedule>> = elements.map(|one| form(&one, beside, out)).collect();
    let all = read.into_iter().collect::<Option<Vec<_>>>()?;
    kept(item, Schedule::any_of(all), out)
}

fn kept<T>(item: &Item<'_>, result: Result<T, Invalid>, out: &mut Collector) -> Option<T> {
    result
        .map_err(|invalid| report_time(item, invalid, out))
        .ok()
}

fn form(item: &Item<'_>, beside: Beside<'_>, out: &mut Collector) -> Option<Schedule> {
    match item.value {
        DeValue::Integer(_) | DeValue::Float(_) => every(item, item, false, beside, out),
        DeValue::String(text) => {
            if text.trim().contains([' ', '*', '@']) {
                let help = "a crontab is written { crontab = \"…\" }";
                item.error_help(out, "a string is a duration such as \"30s\"", help);
                return None;
            }
            every(item, item, false, beside, out)
        }
        DeValue::Table(_) => table(item, beside, out),
        _ => {
            item.wrong_type(out, FORMS);
            None
        }
    }
}

/// The keys of a schedule table that were found.
#[derive(Default)]
struct Keys<'a> {
    every: Option<Item<'a>>,
    align: Option<Item<'a>>,
    crontab: Option<Item<'a>>,
    fields: [Option<Item<'a>>; 6],
    dst: Option<Item<'a>>,
    solar: Option<Item<'a>>,
    at: Option<Item<'a>>,
    rrule: Option<Item<'a>>,
    dtstart: Option<Item<'a>>,
}

fn table(item: &Item<'_>, beside: Beside<'_>, out: &mut Collector) -> Option<Schedule> {
    let mut keys = Keys::default();
    let mut unknown = false;
    for field in item.fields(out)? {
        let slot = match field.name() {
            "every" => &mut keys.every,
            "align" => &mut keys.align,
            "crontab" => &mut keys.crontab,
            "dst" => &mut keys.dst,
            "solar" => &mut keys.solar,
            "at" => &mut keys.at,
            "rrule" => &mut keys.rrule,
            "dtstart" => &mut keys.dtstart,
            name => {
                let Some(index) = FIELDS.iter().position(|known| *known == name) else {
                    field.unknown_key(out, "schedule key", KEYS);
                    unknown = true;
                    continue;
                };
                &mut keys.fields[index]
            }
        };
        *slot = Some(field);
    }
    let has_fields = keys.fields.iter().any(Option::is_some);
    let forms = [
        (keys.every.is_some(), "every"),
        (keys.crontab.is_some(), "crontab"),
        (has_fields, "the crontab fields"),
        (keys.solar.is_some(), "solar"),
        (keys.at.is_some(), "at"),
        (keys.rrule.is_some(), "rrule"),
    ];
    let given: Vec<&str> = forms
        .iter()
        .filter(|(is, _)| *is)
        .map(|(_, name)| *name)
        .collect();
    let form = match given.as_slice() {
        [] => {
            if !unknown {
                item.error_help(out, "`schedule` says nothing about when", FORMS);
            }
            return None;
        }
        [one] => *one,
        many => {
            let message = format!("`schedule` mixes {}", many.join(" and "));
            item.error_help(out, message, "an array of schedules is their union");
            return None;
        }
    };
    let before = out.error_count();
    misplaced(keys.align.as_ref(), form == "every", "align", "every", out);
    misplaced(
        keys.dst.as_ref(),
        matches!(form, "crontab" | "the crontab fields"),
        "dst",
        "a crontab",
        out,
    );
    misplaced(
        keys.dtstart.as_ref(),
        form == "rrule",
        "dtstart",
        "rrule",
        out,
    );
    if beside.relative && form != "every" {
        item.error(out, "`relative` belongs to intervals only");
    }
    let schedule = read_form(item, &keys, form, beside, out);
    schedule.filter(|_| !unknown && out.error_count() == before)
}

fn read_form(
    item: &Item<'_>,
    keys: &Keys<'_>,
    form: &str,
    beside: Beside<'_>,
    out: &mut Collector,
) -> Option<Schedule> {
    let zone = beside.zone;
    match form {
        "every" => {
            let align = keys
                .align
                .is_some_and(|align| align.flag(out) == Some(true));
            every(item, keys.every.as_ref()?, align, beside, out)
        }
        "crontab" => {
            let crontab = keys.crontab.as_ref()?;
            let dst = dst(keys.dst.as_ref(), out);
            let text = crontab.text(out)?;
            kept(crontab, Crontab::parse(text, zone.clone(), dst), out).map(Schedule::Crontab)
        }
        "solar" => solar(keys.solar.as_ref()?, out),
        "at" => once(keys.at.as_ref()?, zone, out),
        "rrule" => rrule(item, keys, zone, out),
        _ => {
            let [_, minute, hour, ..] = &keys.fields;
            if let (None, Some(hour), true) = (minute, hour, (beside.wanted)(Lint::EveryMinute))
                && !matches!(hour.value, DeValue::String(text) if text.trim() == "*")
            {
                let message = "`hour` without `minute` fires in every minute of that hour";
                hour.report_key(
                    out,
                    Finding::lint(Lint::EveryMinute, message).help("minute = 0 fires once"),
                );
            }
            crontab_fields::fields(item, &keys.fields, dst(keys.dst.as_ref(), out), zone, out)
        }
    }
}

fn misplaced(key: Option<&Item<'_>>, fits: bool, name: &str, with: &str, out: &mut Collector) {
    if let (Some(key), false) = (key, fits) {
        key.report_key(
            out,
            Finding::error(format!("`{name}` belongs to {with} only")),
        );
    }
}

/// An interval; `item` is the whole schedule, `value` its length.
fn every(
    item: &Item<'_>,
    value: &Item<'_>,
    align: bool,
    beside: Beside<'_>,
    out: &mut Collector,
) -> Option<Schedule> {
    if align && beside.relative {
        item.error_help(
            out,
            "`align` and `relative` exclude each other",
            "`relative` is Celery's rule, `align` counts from midnight",
        );
        return None;
    }
    let every = kept(value, Every::new(micros(value, out)?), out)?;
    let every = if align {
        kept(item, every.aligned(beside.zone.clone()), out)?
    } else if beside.relative {
        let micros = every.micros();
        let unit = UNITS
            .into_iter()
            .find(|unit| micros >= *unit)
            .unwrap_or(micros);
        if micros % unit != 0 && (beside.wanted)(Lint::Relative) {
            let (is, becomes) = (micros / 1_000_000, (micros - micros % unit) / 1_000_000);
            let message = format!(
                "`relative` rounds down to the unit, as in Celery: {is} s becomes {becomes} s"
            );
            value.report(
                out,
                Finding::lint(Lint::Relative, message)
                    .help(format!("leave out `relative` to fire each {is} s")),
            );
        }
        kept(item, every.relative(beside.zone.clone()), out)?
    } else {
        every
    };
    Some(Schedule::Every(every))
}

fn dst(item: Option<&Item<'_>>, out: &mut Collector) -> Option<Dst> {
    item?
        .one_of(out, &["elapsed", "once"])
        .map(|word| match word {
            "elapsed" => Dst::Elapsed,
            _ => Dst::Once,
        })
}

fn solar(item: &Item<'_>, out: &mut Collector) -> Option<Schedule> {
    let (mut event, mut lat, mut lon) = (None, None, None);
    for field in item.fields(out)? {
        match field.name() {
            "event" => {
                event = Some(
                    field
                        .text(out)
                        .and_then(|name| kept(&field, SolarEvent::parse(name), out)),
                );
            }
            "lat" => lat = Some(field.number(out)),
            "lon" => lon = Some(field.number(out)),
            _ => field.unknown_key(out, "solar key", &["event", "lat", "lon"]),
        }
    }
    let missing: Vec<&str> = [
        ("event", event.is_none()),
        ("lat", lat.is_none()),
        ("lon", lon.is_none()),
    ]
    .into_iter()
    .filter_map(|(name, is)| is.then_some(name))
    .collect();
    if !missing.is_empty() {
        let message = format!("`solar` lacks {}", missing.join(", "));
        item.error_help(
            out,
            message,
            "{ event = \"sunset\", lat = 37.57, lon = 126.98 }",
        );
        return None;
    }
    kept(item, Solar::new(event??, lat??, lon??), out).map(Schedule::Solar)
}

fn once(item: &Item<'_>, zone: &Zone, out: &mut Collector) -> Option<Schedule> {
    let points = item.one_or_many();
    let points: Vec<Option<At>> = points.iter().map(|point| at(point, out)).collect();
    let points: Option<Vec<At>> = points.into_iter().collect();
    kept(item, Once::new(points?, zone.clone()), out).map(Schedule::Once)
}

fn at(item: &Item<'_>, out: &mut Collector) -> Option<At> {
    match item.value {
        DeValue::String(text) => kept(item, At::parse(text), out),
        DeValue::Datetime(at) => match civil(at) {
            Some(Civil::Aware(at)) => Some(At::Instant(crate::clock::Timestamp::from_datetime(
                at.to_utc(),
            ))),
            Some(Civil::Naive(at)) => Some(At::Local(at)),
            _ => {
                item.error_help(
                    out,
                    "`at` needs a date and a time of day",
                    "2026-12-24T18:00:00, with Z or an offset for an instant",
                );
                None
            }
        },
        _ => {
            item.wrong_type(out, "a date and time such as 2026-12-24T18:00:00");
            None
        }
    }
}

fn rrule(item: &Item<'_>, keys: &Keys<'_>, zone: &Zone, out: &mut Collector) -> Option<Schedule> {
    let rule = keys.rrule.as_ref()?;
    let Some(start) = &keys.dtstart else {
        item.error_help(
            out,
            "`rrule` needs `dtstart`, which its occurrences count from",
            "dtstart = 2026-01-01T09:00:00",
        );
        return None;
    };
    let text = rule.text(out)?;
    let at = match start.value {
        DeValue::String(text) => civil_text(text),
        DeValue::Datetime(at) => civil(at),
        _ => None,
    };
    let at = match at {
        Some(Civil::Naive(at)) => at,
        Some(Civil::Aware(at)) => zone.local(crate::clock::Timestamp::from_datetime(at.to_utc())),
        Some(Civil::Date(date)) => date.and_time(chrono::NaiveTime::MIN),
        _ => {
            start.wrong_type(out, "a date and time such as 2026-01-01T09:00:00");
            return None;
        }
    };
    kept(rule, Rrule::new(text, at, zone.clone()), out).map(Schedule::Rrule)
}
