//! The keyword form of a crontab: `{ minute = 0, hour = "9-17" }`.

use toml::de::DeValue;

use super::diagnose::Collector;
use super::scalar::report_time;
use super::walk::Item;
use crate::schedule::{Crontab, Dst, FieldValue, Fields, Schedule, Zone};

/// Celery's names, in the order of six fields.
pub(super) const FIELDS: &[&str] = &[
    "second",
    "minute",
    "hour",
    "day_of_month",
    "month_of_year",
    "day_of_week",
];

/// Compiles the fields that the table `item` gives.
pub(super) fn fields(
    item: &Item<'_>,
    given: &[Option<Item<'_>>; 6],
    dst: Option<Dst>,
    zone: &Zone,
    out: &mut Collector,
) -> Option<Schedule> {
    let before = out.error_count();
    let [
        second,
        minute,
        hour,
        day_of_month,
        month_of_year,
        day_of_week,
    ] = given
        .each_ref()
        .map(|field| field.as_ref().and_then(|field| field_value(field, out)));
    if out.error_count() > before {
        return None;
    }
    let fields = Fields {
        second,
        minute,
        hour,
        day_of_month,
        month_of_year,
        day_of_week,
    };
    match Crontab::from_fields(&fields, zone.clone(), dst) {
        Ok(crontab) => Some(Schedule::Crontab(crontab)),
        Err(first) => {
            // Each field by itself, so that every wrong one is named.
            let count = FIELDS.iter().filter(|name| {
                let Err(invalid) = Crontab::from_fields(&only(&fields, name), zone.clone(), None)
                else {
                    return false;
                };
                report_time(item, invalid.at(name), out);
                true
            });
            if count.count() == 0 {
                report_time(item, first, out);
            }
            None
        }
    }
}

/// `fields` with one of them left.
fn only(fields: &Fields, name: &str) -> Fields {
    let keep = |this: &str, value: &Option<FieldValue>| value.clone().filter(|_| this == name);
    Fields {
        second: keep("second", &fields.second),
        minute: keep("minute", &fields.minute),
        hour: keep("hour", &fields.hour),
        day_of_month: keep("day_of_month", &fields.day_of_month),
        month_of_year: keep("month_of_year", &fields.month_of_year),
        day_of_week: keep("day_of_week", &fields.day_of_week),
    }
}

fn field_value(item: &Item<'_>, out: &mut Collector) -> Option<FieldValue> {
    match item.value {
        DeValue::String(text) => Some(FieldValue::Text(text.to_string())),
        DeValue::Integer(_) => {
            let int = item.as_integer();
            if int.is_none() {
                item.error(out, "the number is out of range");
            }
            int.map(FieldValue::Int)
        }
        DeValue::Array(_) => {
            let elements = item.elements(out)?;
            if elements.len() == 0 {
                item.error_help(
                    out,
                    "the array is empty",
                    "leave the field out for every value",
                );
                return None;
            }
            let values: Vec<Option<i64>> = elements
                .map(|one| {
                    let int = one.as_integer();
                    if int.is_none() {
                        one.wrong_type(out, "a whole number; words and ranges go into one string");
                    }
                    int
                })
                .collect();
            let values: Option<Vec<i64>> = values.into_iter().collect();
            Some(FieldValue::List(
                values?.into_iter().map(FieldValue::Int).collect(),
            ))
        }
        _ => {
            item.wrong_type(
                out,
                "an integer, a string such as \"*/15\", or an array of integers",
            );
            None
        }
    }
}
