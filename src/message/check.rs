//! What a value may be, said the same way everywhere.

use super::{Invalid, Value};

/// Longest AMQP short string: names of queues, exchanges, routing keys, header keys, in bytes.
pub const SHORT_STRING: usize = 255;

/// "a string", "an integer": a kind with its article.
pub trait Found {
    /// With its article.
    fn found(&self) -> String;
}

impl Found for str {
    fn found(&self) -> String {
        match self {
            "integer" | "array" => format!("an {self}"),
            "null" => self.to_owned(),
            _ => format!("a {self}"),
        }
    }
}

/// `key` holds something else than `wanted`.
pub fn wrong(key: &str, wanted: &str, value: &Value) -> Invalid {
    Invalid::new(
        key,
        format!("{key} must be {wanted}, not {}", value.kind().found()),
    )
}

/// Refuses keys that are not in `allowed`, with the nearest that is.
pub fn known_keys(pairs: &[(String, Value)], allowed: &[&str]) -> Result<(), Invalid> {
    match pairs
        .iter()
        .find(|(key, _)| !allowed.contains(&key.as_str()))
    {
        Some((key, _)) => Err(unknown(key, allowed, "key")),
        None => Ok(()),
    }
}

/// `key` is not one of `allowed`; suggests the nearest, or lists them when they are few.
pub fn unknown(key: &str, allowed: &[&str], what: &str) -> Invalid {
    let invalid = Invalid::new(key, format!("unknown {what} {key:?}"));
    let nearest = allowed
        .iter()
        .map(|name| (strsim::damerau_levenshtein(key, name), *name))
        .min()
        .filter(|(distance, name)| *distance <= name.len().div_ceil(3));
    match nearest {
        Some((_, name)) => invalid.help(format!("did you mean {name:?}?")),
        None if allowed.len() <= 10 => invalid.help(format!("one of: {}", allowed.join(", "))),
        None => invalid,
    }
}

/// A name that AMQP can carry: 1 to 255 bytes, not blank, without control characters.
pub fn name(value: Option<&Value>, key: &str) -> Result<String, Invalid> {
    match value {
        None => Err(Invalid::new(key, format!("{key} is missing"))),
        Some(Value::Str(text)) => {
            name_text(text, key)?;
            Ok(text.clone())
        }
        Some(other) => Err(wrong(key, "a string", other)),
    }
}

/// The same for a string.
pub fn name_text(text: &str, key: &str) -> Result<(), Invalid> {
    if text.trim().is_empty() {
        return Err(Invalid::new(key, format!("{key} must not be blank")));
    }
    short_text(text, key)
}

/// A short string that may be empty: at most 255 bytes, no control characters.
pub fn short_text(text: &str, key: &str) -> Result<(), Invalid> {
    if text.len() > SHORT_STRING {
        return Err(Invalid::new(
            key,
            format!(
                "{key} has {} bytes, at most {SHORT_STRING} are possible",
                text.len()
            ),
        ));
    }
    if let Some(ch) = text.chars().find(|ch| ch.is_control()) {
        return Err(Invalid::new(
            key,
            format!("{key} holds the control character {ch:?}"),
        ));
    }
    Ok(())
}

/// A finite number that is not negative, in seconds.
pub fn seconds(value: &Value, key: &str) -> Result<f64, Invalid> {
    #[expect(
        clippy::cast_precision_loss,
        reason = "seconds beyond 2^53 are refused by the limit below"
    )]
    let number = match value {
        Value::Int(number) => *number as f64,
        Value::Float(number) => *number,
        other => return Err(wrong(key, "a number of seconds", other)),
    };
    if !(0.0..=MAX_SECONDS).contains(&number) {
        return Err(Invalid::new(
            key,
            format!("{key} is {number} s, possible are 0 to {MAX_SECONDS} s"),
        ));
    }
    Ok(number)
}

/// A hundred years of 365.25 days.
pub const MAX_SECONDS: f64 = 3_155_760_000.0;

/// An integer within `range`.
pub fn integer(
    value: &Value,
    key: &str,
    range: std::ops::RangeInclusive<i64>,
) -> Result<i64, Invalid> {
    match value {
        Value::Int(number) if range.contains(number) => Ok(*number),
        Value::Int(_) | Value::BigInt(_) => Err(Invalid::new(
            key,
            format!(
                "{key} is {}, possible are {} to {}",
                match value {
                    Value::BigInt(digits) => digits.to_string(),
                    Value::Int(number) => number.to_string(),
                    _ => String::new(),
                },
                range.start(),
                range.end()
            ),
        )),
        other => Err(wrong(key, "an integer", other)),
    }
}

/// `true` or `false`.
pub fn flag(value: &Value, key: &str) -> Result<bool, Invalid> {
    match value {
        Value::Bool(flag) => Ok(*flag),
        other => Err(wrong(key, "true or false", other)),
    }
}
