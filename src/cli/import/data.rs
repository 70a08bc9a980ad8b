//! Python's data on its way into TOML.

use std::fmt::Write as _;
use std::str::FromStr;

use crate::message::Value;

/// The JSON of the export as Celery had it: what JSON lacks is tagged there.
pub fn python(json: &serde_json::Value) -> Value {
    untagged(Value::from_json(json.clone()))
}

fn untagged(value: Value) -> Value {
    match value {
        Value::List(items) => Value::List(items.into_iter().map(untagged).collect()),
        Value::Dict(pairs) => match tag(&pairs) {
            Some(value) => value,
            None => Value::Dict(
                pairs
                    .into_iter()
                    .map(|(key, value)| (key, untagged(value)))
                    .collect(),
            ),
        },
        other => other,
    }
}

/// Floats that JSON does not have; dates and times where they have a form in TOML.
fn tag(pairs: &[(String, Value)]) -> Option<Value> {
    let [(first, Value::Str(kind)), (second, Value::Str(text))] = pairs else {
        return None;
    };
    if first != "__type__" || second != "__value__" {
        return None;
    }
    match kind.as_str() {
        "float" => text.parse().ok().map(Value::Float),
        "datetime" => chrono::DateTime::parse_from_rfc3339(text)
            .map(Value::DateTime)
            .or_else(|_| text.parse().map(Value::LocalDateTime))
            .ok(),
        "date" => text.parse().ok().map(Value::Date),
        "time" => text.parse().ok().map(Value::Time),
        _ => None,
    }
}

/// `value` in TOML; `None` for what it lacks: nulls, integers beyond 64 bit, offsets with seconds.
pub fn toml(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null | Value::BigInt(_) => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.clone().into(),
        Value::List(items) => {
            toml::Value::Array(items.iter().map(toml).collect::<Option<Vec<_>>>()?)
        }
        Value::Dict(pairs) => {
            let mut table = toml::Table::new();
            for (key, item) in pairs {
                table.insert(key.clone(), toml(item)?);
            }
            toml::Value::Table(table)
        }
        Value::DateTime(at) => datetime(&at.format("%Y-%m-%dT%H:%M:%S%.6f%:z").to_string())?,
        Value::LocalDateTime(at) => datetime(&at.format("%Y-%m-%dT%H:%M:%S%.6f").to_string())?,
        Value::Date(date) => datetime(&date.format("%Y-%m-%d").to_string())?,
        Value::Time(time) => datetime(&time.format("%H:%M:%S%.6f").to_string())?,
    })
}

/// A TOML datetime from its text, its fraction without the zeros at its end.
pub fn datetime(text: &str) -> Option<toml::Value> {
    let short = match text.split_once('.') {
        Some((whole, rest)) => {
            let digits = rest
                .find(|c: char| !c.is_ascii_digit())
                .unwrap_or(rest.len());
            let (fraction, zone) = rest.split_at(digits);
            match fraction.trim_end_matches('0') {
                "" => format!("{whole}{zone}"),
                fraction => format!("{whole}.{fraction}{zone}"),
            }
        }
        None => text.to_owned(),
    };
    toml::value::Datetime::from_str(&short)
        .ok()
        .map(toml::Value::Datetime)
}

/// `value` with every string that would be filled in at each fire written so that it stays as it is.
pub fn literal(value: Value) -> Value {
    match value {
        Value::Str(text)
            if ["{fire_time", "{last_fire_time", "{entry}"]
                .iter()
                .any(|mark| text.contains(mark)) =>
        {
            Value::Str(text.replace('{', "{{").replace('}', "}}"))
        }
        Value::List(items) => Value::List(items.into_iter().map(literal).collect()),
        Value::Dict(pairs) => Value::Dict(
            pairs
                .into_iter()
                .map(|(key, value)| (key, literal(value)))
                .collect(),
        ),
        other => other,
    }
}

/// Whether strict JSON cannot say it.
pub fn beyond_json(value: &Value) -> bool {
    match value {
        Value::Float(number) => !number.is_finite(),
        Value::List(items) => items.iter().any(beyond_json),
        Value::Dict(pairs) => pairs.iter().any(|(_, value)| beyond_json(value)),
        _ => false,
    }
}

/// Whether it holds an object of Python that only Celery's JSON writes as `{"__type__": ...}`.
pub fn has_object(value: &Value) -> bool {
    match value {
        Value::List(items) => items.iter().any(has_object),
        Value::Dict(pairs) => pairs
            .iter()
            .any(|(key, value)| key == "__type__" || has_object(value)),
        _ => false,
    }
}

/// Text from outside as one line without control characters, cut where it gets long.
pub fn line(text: &str) -> String {
    const MOST: usize = 600;
    let chars: Vec<char> = text.chars().take(MOST + 1).collect();
    let mut shown = String::new();
    for piece in chars[..chars.len().min(MOST)].chunks(100) {
        shown += &crate::config::escaped(&piece.iter().collect::<String>());
    }
    if chars.len() > MOST {
        shown.push('…');
    }
    shown
}

/// A key of TOML: bare where that is possible, else a basic string.
pub fn key(name: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if !name.is_empty() && name.chars().all(bare) {
        return name.to_owned();
    }
    let mut out = String::from("\"");
    for c in name.chars() {
        match c {
            '"' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c if c.is_control() => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04X}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
