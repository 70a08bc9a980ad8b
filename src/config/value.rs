//! TOML values as the message layer holds them, and its complaints back at their place.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};
use toml::de::DeValue;
use toml::value::{Date, Datetime, Offset, Time};

use super::diagnose::{Collector, Finding};
use super::walk::Item;
use crate::message::{Invalid, Value};

/// Converts a value; datetimes stay datetimes. `None`, and a report, for what Python cannot hold.
pub(super) fn to_value(item: &Item<'_>, out: &mut Collector) -> Option<Value> {
    Some(match item.value {
        DeValue::String(text) => Value::Str(text.to_string()),
        DeValue::Integer(int) => match (item.as_integer(), int.radix()) {
            (Some(int), _) => Value::Int(int),
            (None, 10) => Value::BigInt(int.as_str().trim_start_matches('+').into()),
            (None, _) => {
                item.error(out, "an integer of more than 64 bits is written in decimal");
                return None;
            }
        },
        DeValue::Float(float) => Value::Float(float.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(at) => {
            let value = from_datetime(at);
            if value.is_none() {
                item.error(
                    out,
                    "no such instant: Python's datetime has no leap seconds",
                );
            }
            value?
        }
        DeValue::Array(_) => {
            let elements = item.elements(out)?;
            let mut list = Vec::with_capacity(elements.len());
            for element in elements {
                list.push(to_value(&element, out)?);
            }
            Value::List(list)
        }
        DeValue::Table(_) => Value::Dict(to_pairs(item, out)?),
    })
}

/// Converts a table, its keys in the order of the file.
pub(super) fn to_pairs(item: &Item<'_>, out: &mut Collector) -> Option<Vec<(String, Value)>> {
    let fields = item.fields(out)?;
    let mut pairs = Vec::with_capacity(fields.len());
    for field in fields {
        pairs.push((field.name().to_owned(), to_value(&field, out)?));
    }
    Some(pairs)
}

fn from_datetime(at: &Datetime) -> Option<Value> {
    match civil(at)? {
        Civil::Aware(at) => Some(Value::DateTime(at)),
        Civil::Naive(at) => Some(Value::LocalDateTime(at)),
        Civil::Date(date) => Some(Value::Date(date)),
        Civil::Time(time) => Some(Value::Time(time)),
    }
}

/// The four kinds of TOML's datetime, whole microseconds.
pub(super) enum Civil {
    Aware(DateTime<FixedOffset>),
    Naive(NaiveDateTime),
    Date(NaiveDate),
    Time(NaiveTime),
}

/// `None` for a leap second and what else has no place in a calendar.
pub(super) fn civil(at: &Datetime) -> Option<Civil> {
    let date = |d: Date| NaiveDate::from_ymd_opt(d.year.into(), d.month.into(), d.day.into());
    let time = |t: Time| {
        let micros = t.nanosecond.unwrap_or(0) / 1_000;
        NaiveTime::from_hms_micro_opt(
            t.hour.into(),
            t.minute.into(),
            t.second.unwrap_or(0).into(),
            micros,
        )
    };
    match (at.date, at.time, at.offset) {
        (Some(d), Some(t), Some(offset)) => {
            let minutes = match offset {
                Offset::Z => 0,
                Offset::Custom { minutes } => i32::from(minutes),
            };
            let zone = FixedOffset::east_opt(minutes * 60)?;
            date(d)?
                .and_time(time(t)?)
                .and_local_timezone(zone)
                .single()
                .map(Civil::Aware)
        }
        (Some(d), Some(t), None) => Some(Civil::Naive(date(d)?.and_time(time(t)?))),
        (Some(d), None, _) => date(d).map(Civil::Date),
        (None, Some(t), _) => time(t).map(Civil::Time),
        (None, None, _) => None,
    }
}

/// Reports the message layer's complaints, each at the item that its key leads to from `item`.
pub(super) fn report_invalid(item: &Item<'_>, invalid: Vec<Invalid>, out: &mut Collector) {
    for one in invalid {
        let mut finding = Finding::error(one.message);
        if let Some(help) = one.help {
            finding = finding.help(help);
        }
        report_under(item, &one.key, finding, out);
    }
}

/// Follows `key` as far as it leads. Keys of TOML may contain dots, so the longest match counts.
fn report_under(item: &Item<'_>, key: &str, finding: Finding, out: &mut Collector) {
    let mut quiet = Collector::default();
    let rest_of = |name: &str| {
        let rest = key.strip_prefix(name)?;
        (rest.is_empty() || rest.starts_with('.')).then(|| rest.trim_start_matches('.'))
    };
    if !key.is_empty() {
        match item.value {
            DeValue::Table(_) => {
                let found = item.fields(&mut quiet).and_then(|fields| {
                    fields
                        .filter(|f| rest_of(f.name()).is_some())
                        .max_by_key(|f| f.name().len())
                });
                if let Some(field) = found {
                    let rest = rest_of(field.name()).unwrap_or("");
                    return report_under(&field, rest, finding, out);
                }
            }
            DeValue::Array(_) => {
                let (index, rest) = key.split_once('.').unwrap_or((key, ""));
                let found = (item.elements(&mut quiet))
                    .and_then(|mut elements| elements.nth(index.parse().ok()?));
                if let Some(element) = found {
                    return report_under(&element, rest, finding, out);
                }
            }
            _ => {}
        }
    }
    item.report(out, finding);
}
