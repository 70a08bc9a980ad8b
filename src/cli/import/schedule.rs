//! When an entry is due, in the words of the file.

use super::data;
use super::read::When;
use crate::schedule::{Crontab, FieldValue, Fields, Schedule, Zone};

/// The names of a crontab's fields, in Celery's order.
const FIELDS: [&str; 5] = [
    "minute",
    "hour",
    "day_of_month",
    "month_of_year",
    "day_of_week",
];

/// The keys that say when.
#[derive(Debug, Default)]
pub struct Timing {
    /// `schedule`.
    pub schedule: Option<toml::Value>,
    /// `relative`.
    pub relative: bool,
    /// `timezone`, where it is not the file's.
    pub timezone: Option<String>,
    /// What is worth a look and yet the same as in Celery.
    pub notes: Vec<String>,
}

/// Translates `when`; `zone` is the file's.
///
/// # Errors
/// Why it cannot be said.
pub fn timing(when: &When, zone: &str) -> Result<Timing, String> {
    let mut timing = Timing::default();
    let own = |name: &str| (name != zone).then(|| name.to_owned());
    let schedule = match when {
        When::Interval {
            micros,
            relative,
            timezone,
        } => {
            if *micros < 1_000 {
                return Err(format!(
                    "its interval is {micros} µs, and the shortest is 1 ms"
                ));
            }
            timing.relative = *relative;
            timing.timezone = timezone.as_deref().and_then(own);
            every(*micros)
        }
        When::Crontab {
            fields,
            sets,
            timezone,
        } => {
            timing.timezone = timezone.as_deref().and_then(own);
            let zone = timezone.as_deref().unwrap_or(zone);
            crontab(fields, sets, zone, &mut timing.notes)?
        }
        When::Solar { event, lat, lon } => {
            let mut solar = toml::Table::new();
            solar.insert("event".to_owned(), event.clone().into());
            solar.insert("lat".to_owned(), (*lat).into());
            solar.insert("lon".to_owned(), (*lon).into());
            table([("solar", toml::Value::Table(solar))])
        }
        When::Clocked { at } => {
            let at = at.0.to_rfc3339();
            table([("at", data::datetime(&at).unwrap_or(at.into()))])
        }
        When::Rrule {
            rrule,
            dtstart,
            timezone,
        } => {
            timing.timezone = own(timezone);
            let start = data::datetime(dtstart)
                .ok_or_else(|| format!("its dtstart {dtstart:?} is no datetime"))?;
            table([("rrule", rrule.clone().into()), ("dtstart", start)])
        }
    };
    timing.schedule = Some(schedule);
    Ok(timing)
}

fn table<const N: usize>(pairs: [(&str, toml::Value); N]) -> toml::Value {
    let pairs = pairs.into_iter().map(|(key, v)| (key.to_owned(), v));
    toml::Value::Table(pairs.collect())
}

/// An interval as people write it: `"1h30m"`; what is finer than a millisecond as a number.
fn every(micros: i64) -> toml::Value {
    const UNITS: [(i64, &str); 5] = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
        (1, "ms"),
    ];
    if micros % 1_000 != 0 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "intervals of a century have 52 bits of microseconds"
        )]
        return (micros as f64 / 1e6).into();
    }
    let mut left = micros / 1_000;
    let mut text = String::new();
    for (unit, name) in UNITS {
        if left >= unit {
            text.push_str(&(left / unit).to_string());
            text.push_str(name);
            left %= unit;
        }
    }
    text.into()
}

/// A crontab by Celery's keyword names, as it was spelled where that spelling means the same here.
fn crontab(
    fields: &serde_json::Map<String, serde_json::Value>,
    sets: &serde_json::Map<String, serde_json::Value>,
    zone: &str,
    notes: &mut Vec<String>,
) -> Result<toml::Value, String> {
    let loaded = Zone::load(zone).map_err(|unknown| unknown.to_string())?;
    let compiled = |values: &[Option<FieldValue>; 5]| {
        let [minute, hour, day_of_month, month_of_year, day_of_week] = values.clone();
        let fields = Fields {
            second: None,
            minute,
            hour,
            day_of_month,
            month_of_year,
            day_of_week,
        };
        Crontab::from_fields(&fields, loaded.clone(), None)
            .map(|crontab| Schedule::Crontab(crontab).canonical())
            .map_err(|invalid| match invalid.help {
                Some(help) => format!("{}: {help}", invalid.message),
                None => invalid.message,
            })
    };
    let spelled = FIELDS.map(|name| fields.get(name).and_then(field));
    let members = FIELDS.map(|name| sets.get(name).and_then(field));
    if members.iter().any(Option::is_none) {
        return Err("its crontab has a field without any value".to_owned());
    }
    let meant = compiled(&members)?;
    let values = match compiled(&spelled) {
        Ok(same) if same == meant && spelled.iter().all(Option::is_some) => spelled,
        // Spellings that Celery takes and this program does not, such as 1_0 or a weekday as hour.
        _ => members,
    };
    let every = |value: &Option<FieldValue>| matches!(value, Some(FieldValue::Text(text)) if text.trim() == "*");
    let [minute, hour, day, _, weekday] = &values;
    if every(minute) && !every(hour) {
        notes.push(
            "its crontab has an hour and no minute: it fires in each of the 60 minutes, here as in Celery"
                .to_owned(),
        );
    }
    if !every(day) && !every(weekday) {
        notes.push(
            "its crontab has a day of the month and a day of the week: both must match, here as in Celery"
                .to_owned(),
        );
    }
    let mut table = toml::Table::new();
    for (name, value) in FIELDS.iter().zip(&values) {
        if !every(value) {
            table.insert((*name).to_owned(), shown(value.as_ref()));
        }
    }
    if table.is_empty() {
        table.insert("crontab".to_owned(), "* * * * *".into());
    }
    Ok(toml::Value::Table(table))
}

fn field(value: &serde_json::Value) -> Option<FieldValue> {
    match value {
        serde_json::Value::String(text) => Some(FieldValue::Text(text.clone())),
        serde_json::Value::Number(number) => number.as_i64().map(FieldValue::Int),
        serde_json::Value::Array(items) if !items.is_empty() => {
            let items = items.iter().map(|item| item.as_i64().map(FieldValue::Int));
            items.collect::<Option<Vec<_>>>().map(FieldValue::List)
        }
        _ => None,
    }
}

fn shown(value: Option<&FieldValue>) -> toml::Value {
    match value {
        Some(FieldValue::Int(number)) => (*number).into(),
        Some(FieldValue::Text(text)) => text.clone().into(),
        Some(FieldValue::List(items)) => {
            toml::Value::Array(items.iter().map(|item| shown(Some(item))).collect())
        }
        _ => "*".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn intervals_read_well() {
        for (micros, text) in [
            (30_000_000, "\"30s\""),
            (5_400_000_000, "\"1h30m\""),
            (86_400_000_000, "\"1d\""),
            (1_500_000, "\"1s500ms\""),
            (1_500_250, "1.50025"),
        ] {
            assert_eq!(every(micros).to_string(), text);
        }
    }

    #[test]
    fn crontabs_keep_their_spelling_where_it_means_the_same() {
        let all = |n: i64, from: i64| (from..n).collect::<Vec<_>>();
        let sets = json!({"minute": [0, 30], "hour": [22, 23, 0, 1], "day_of_month": all(32, 1),
            "month_of_year": all(13, 1), "day_of_week": all(7, 0)});
        for (minute, expected) in [
            (json!("*/30"), r#"{ minute = "*/30", hour = "22-1" }"#),
            (json!([0, 30]), r#"{ minute = [0, 30], hour = "22-1" }"#),
            // Celery takes underscores in numbers; then the members are written.
            (
                json!("0,3_0"),
                "{ minute = [0, 30], hour = [22, 23, 0, 1], ",
            ),
        ] {
            let fields = json!({"minute": minute, "hour": "22-1", "day_of_month": "*",
                "month_of_year": "*", "day_of_week": "*"});
            let (Some(fields), Some(sets)) = (fields.as_object(), sets.as_object()) else {
                panic!()
            };
            let made = crontab(fields, sets, "UTC", &mut Vec::new()).unwrap();
            assert!(made.to_string().starts_with(expected), "{made}");
        }
    }
}
