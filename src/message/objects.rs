//! `repr` of the Python objects that have no JSON form of their own.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Datelike, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, Timelike};

use super::Value;
use super::moment::micros_of;

/// What `saferepr` shows of an object.
pub enum Object {
    /// Its `repr`.
    Repr(String),
    /// Bytes, which have a form of their own.
    Bytes(Vec<u8>),
}

/// The Python object that `{"__type__": …, "__value__": …}` stands for, which is what Celery's
/// beat would have had in its hands.
pub fn python_object(value: &Value) -> Option<Object> {
    let Value::Dict(pairs) = value else {
        return None;
    };
    if pairs.len() != 2 {
        return None;
    }
    let held = value.get("__value__")?;
    let kind = value.get("__type__")?.as_str()?;
    if kind == "uuid" {
        let id = uuid::Uuid::try_parse(held.get("hex")?.as_str()?).ok()?;
        return Some(Object::Repr(format!("UUID('{id}')")));
    }
    let text = held.as_str()?;
    match kind {
        "decimal" => Some(Object::Repr(format!("Decimal('{text}')"))),
        "bytes" => Some(Object::Bytes(text.as_bytes().to_vec())),
        "base64" => STANDARD.decode(text).ok().map(Object::Bytes),
        "date" => Some(Object::Repr(date_repr(text.parse().ok()?))),
        "time" => Some(Object::Repr(time_repr(text.parse().ok()?))),
        "datetime" => DateTime::parse_from_rfc3339(text)
            .map(aware_repr)
            .or_else(|_| text.parse().map(|naive| naive_repr(naive, None)))
            .ok()
            .map(Object::Repr),
        _ => None,
    }
}

/// Bytes: as text when they are UTF-8, else in hex, cut after `left` of them.
pub fn bytes_repr(bytes: &[u8], left: usize) -> String {
    let (shown, dots) = match bytes.get(..left) {
        Some(head) if bytes.len() > left => (head, "..."),
        _ => (bytes, ""),
    };
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text.to_owned(),
        Err(_) => hex(shown),
    };
    format!("b'{text}{dots}'")
}

/// `repr` of an aware datetime.
pub fn aware_repr(at: DateTime<FixedOffset>) -> String {
    let seconds = at.offset().local_minus_utc();
    let zone = match seconds {
        0 => "datetime.timezone.utc".to_owned(),
        1.. => format!("datetime.timezone(datetime.timedelta(seconds={seconds}))"),
        // Python normalises a negative timedelta to -1 day plus a positive rest.
        _ => format!(
            "datetime.timezone(datetime.timedelta(days=-1, seconds={}))",
            86_400 + seconds
        ),
    };
    naive_repr(at.naive_local(), Some(&zone))
}

/// `repr` of a datetime, with the `repr` of its zone if it has one.
pub fn naive_repr(at: NaiveDateTime, zone: Option<&str>) -> String {
    let zone = zone.map_or(String::new(), |zone| format!(", tzinfo={zone}"));
    format!(
        "datetime.datetime({}, {}, {}, {}{zone})",
        at.year(),
        at.month(),
        at.day(),
        clock_fields(at.time())
    )
}

/// `repr` of a date.
pub fn date_repr(date: NaiveDate) -> String {
    format!(
        "datetime.date({}, {}, {})",
        date.year(),
        date.month(),
        date.day()
    )
}

/// `repr` of a time.
pub fn time_repr(time: NaiveTime) -> String {
    format!("datetime.time({})", clock_fields(time))
}

/// Hour and minute always, second and microsecond when they or what follows are not zero.
fn clock_fields(time: NaiveTime) -> String {
    let (h, m, s, us) = (time.hour(), time.minute(), time.second(), micros_of(time));
    match (s, us) {
        (0, 0) => format!("{h}, {m}"),
        (_, 0) => format!("{h}, {m}, {s}"),
        _ => format!("{h}, {m}, {s}, {us}"),
    }
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}
