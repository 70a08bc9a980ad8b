//! Data as Python would hold it.

use chrono::{DateTime, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime};

use super::Invalid;

/// A Python-like value: keys keep their order, integers have any size, floats may be NaN or
/// infinite, and TOML's datetimes stay datetimes until they are serialised.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `None`; only JSON text can say it.
    Null,
    /// `True`, `False`.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// An integer beyond 64 bit: decimal digits with an optional minus sign, no leading zeros.
    BigInt(Box<str>),
    /// A float.
    Float(f64),
    /// A string.
    Str(String),
    /// A list.
    List(Vec<Value>),
    /// A dict with string keys, in insertion order, each key once.
    Dict(Vec<(String, Value)>),
    /// An aware `datetime`.
    DateTime(DateTime<FixedOffset>),
    /// A naive `datetime`.
    LocalDateTime(NaiveDateTime),
    /// A `date`.
    Date(NaiveDate),
    /// A `time`.
    Time(NaiveTime),
}

impl Value {
    /// Reads strict JSON (no NaN, no comments); numbers of any size, the order of keys is kept,
    /// of a repeated key the last value stands. `{"__type__": …}` stays the object it is.
    ///
    /// # Errors
    /// What the JSON parser says, with its line and column; the key is empty.
    pub fn from_json_text(text: &str) -> Result<Self, Invalid> {
        serde_json::from_str::<serde_json::Value>(text)
            .map(Self::from_json)
            .map_err(|error| Invalid::new("", format!("not valid JSON: {error}")))
    }

    /// Converts parsed JSON.
    #[must_use]
    pub fn from_json(json: serde_json::Value) -> Self {
        match json {
            serde_json::Value::Null => Self::Null,
            serde_json::Value::Bool(b) => Self::Bool(b),
            serde_json::Value::Number(n) => Self::from_number(n.as_str()),
            serde_json::Value::String(s) => Self::Str(s),
            serde_json::Value::Array(items) => {
                Self::List(items.into_iter().map(Self::from_json).collect())
            }
            serde_json::Value::Object(map) => Self::Dict(
                map.into_iter()
                    .map(|(key, value)| (key, Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// Its JSON as Celery writes it: Python's `json.dumps` through kombu's encoder.
    #[must_use]
    pub fn to_json_text(&self) -> String {
        let mut out = Vec::new();
        super::json::write_value(self, &mut out);
        String::from_utf8_lossy(&out).into_owned()
    }

    /// A number as JSON writes it: a float when it has a fraction or an exponent.
    fn from_number(text: &str) -> Self {
        if text.contains(['.', 'e', 'E']) {
            return Self::Float(text.parse().unwrap_or(f64::NAN));
        }
        text.parse()
            .map_or_else(|_| Self::BigInt(text.into()), Self::Int)
    }

    /// The name of the type as a reader of TOML knows it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "boolean",
            Self::Int(_) | Self::BigInt(_) => "integer",
            Self::Float(_) => "float",
            Self::Str(_) => "string",
            Self::List(_) => "array",
            Self::Dict(_) => "table",
            Self::DateTime(_) | Self::LocalDateTime(_) => "datetime",
            Self::Date(_) => "date",
            Self::Time(_) => "time",
        }
    }

    /// The string, if it is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Str(s) => Some(s),
            _ => None,
        }
    }

    /// The value under `key`, if this is a dict that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        match self {
            Self::Dict(pairs) => pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v),
            _ => None,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Str(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl From<bool> for Value {
    fn from(flag: bool) -> Self {
        Self::Bool(flag)
    }
}
