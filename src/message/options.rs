//! What `apply_async` takes as an entry writes it.

use super::check::{self, Found};
use super::conventions::RetryPolicy;
use super::{Compression, Invalid, Serializer, Value, moment, signature};

/// Every option that can be written, apart from the names that `stamped_headers` lists.
pub const OPTION_NAMES: &[&str] = &[
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "expires",
    "countdown",
    "eta",
    "headers",
    "serializer",
    "compression",
    "time_limit",
    "soft_time_limit",
    "shadow",
    "ignore_result",
    "reply_to",
    "link",
    "link_error",
    "chain",
    "chord",
    "delivery_mode",
    "mandatory",
    "retry",
    "retry_policy",
    "retries",
    "origin",
    "argsrepr",
    "kwargsrepr",
    "group_id",
    "group_index",
    "root_id",
    "parent_id",
    "correlation_id",
    "message_id",
    "app_id",
    "type",
    "timestamp",
    "user_id",
    "cluster_id",
    "stamped_headers",
];

/// Checked options, in the order they were written: unknown options cannot be in here, and each
/// value has the type and range that Celery needs. Signatures are in Celery's form,
/// `delivery_mode` is a number.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    values: Vec<(Box<str>, Value)>,
}

impl Options {
    /// Checks a table of options.
    ///
    /// # Errors
    /// Every option that is unknown or refused; keys relative to the table.
    pub fn from_pairs(pairs: Vec<(String, Value)>) -> Result<Self, Vec<Invalid>> {
        let mut errors = Vec::new();
        let stamps = match pairs.iter().find(|(key, _)| key == "stamped_headers") {
            Some((_, names)) => stamp_names(names, &pairs).unwrap_or_else(|error| {
                errors.push(error);
                Vec::new()
            }),
            None => Vec::new(),
        };
        let mut values = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            if stamps.contains(&key) || key == "stamped_headers" {
                values.push((key.into(), value));
                continue;
            }
            match checked(&key, value) {
                Ok(value) => values.push((key.into(), value)),
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() {
            Ok(Self { values })
        } else {
            Err(errors)
        }
    }

    /// The value of an option or stamp.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value)
    }

    /// All that were given, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.values.iter().map(|(key, value)| (&**key, value))
    }

    /// Whether none was given.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// These options with `route`'s under them: key by key, these win.
    #[must_use]
    pub fn over(&self, route: &Self) -> Self {
        let mut merged = route.clone();
        for (key, value) in &self.values {
            match merged.values.iter_mut().find(|(k, _)| k == key) {
                Some(slot) => slot.1 = value.clone(),
                None => merged.values.push((key.clone(), value.clone())),
            }
        }
        merged
    }

    /// The pauses between attempts: `retry` and `retry_policy` over the settings'.
    #[must_use]
    pub fn retry_policy(&self, settings: RetryPolicy) -> RetryPolicy {
        let mut policy = settings;
        if let Some(table) = self.get("retry_policy") {
            policy = policy.with(table).unwrap_or(settings);
        }
        if let Some(Value::Bool(retry)) = self.get("retry") {
            policy.enabled = *retry;
        }
        policy
    }

    /// A string option.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.get(name).and_then(Value::as_str)
    }

    /// A clone of an option, null when it is not given.
    pub(super) fn or_null(&self, name: &str) -> Value {
        self.get(name).cloned().unwrap_or(Value::Null)
    }

    /// Names of the stamps, in order.
    pub(super) fn stamp_names(&self) -> Vec<&str> {
        match self.get("stamped_headers") {
            Some(Value::List(names)) => names.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        }
    }
}

/// The names in `stamped_headers`; each must have its stamp beside it.
fn stamp_names(names: &Value, pairs: &[(String, Value)]) -> Result<Vec<String>, Invalid> {
    let Value::List(names) = names else {
        return Err(check::wrong("stamped_headers", "an array of names", names));
    };
    names
        .iter()
        .enumerate()
        .map(|(position, name)| {
            let place = format!("stamped_headers.{position}");
            let Value::Str(name) = name else {
                return Err(check::wrong(&place, "a string", name));
            };
            check::name_text(name, &place)?;
            if OPTION_NAMES.contains(&name.as_str()) || name == "task_id" {
                return Err(Invalid::new(
                    place,
                    format!("{name:?} is an option and cannot be a stamp as well"),
                ));
            }
            if !pairs.iter().any(|(key, _)| key == name) {
                return Err(
                    Invalid::new(place, format!("the stamp {name:?} has no value"))
                        .help(format!("add {name} = … beside stamped_headers")),
                );
            }
            Ok(name.clone())
        })
        .collect()
}

fn checked(key: &str, value: Value) -> Result<Value, Invalid> {
    match key {
        "queue" | "exchange" | "routing_key" | "reply_to" | "correlation_id" | "message_id"
        | "app_id" | "type" | "user_id" | "cluster_id" | "group_id" | "root_id" | "parent_id" => {
            check::name(Some(&value), key)?;
        }
        "shadow" | "origin" | "argsrepr" | "kwargsrepr" => {
            if value.as_str().is_none() {
                return Err(check::wrong(key, "a string", &value));
            }
        }
        "priority" => {
            check::integer(&value, key, 0..=255)?;
        }
        "retries" | "group_index" => {
            check::integer(&value, key, 0..=i64::from(i32::MAX))?;
        }
        "timestamp" => match value {
            Value::DateTime(_) | Value::LocalDateTime(_) => {}
            _ => {
                check::integer(&value, key, 0..=i64::MAX)?;
            }
        },
        "countdown" | "time_limit" | "soft_time_limit" => {
            check::seconds(&value, key)?;
        }
        "expires" | "eta" => instant(key, &value)?,
        "ignore_result" | "mandatory" | "retry" => {
            check::flag(&value, key)?;
        }
        "headers" => headers(&value)?,
        "serializer" => {
            Serializer::from_name(text(key, &value)?).map_err(|e| e.under(key))?;
        }
        "compression" => {
            Compression::from_name(text(key, &value)?).map_err(|e| e.under(key))?;
        }
        "delivery_mode" => return delivery_mode(value),
        "retry_policy" => {
            RetryPolicy::default()
                .with(&value)
                .map_err(|mut errors| errors.swap_remove(0).under(key))?;
        }
        "link" | "link_error" | "chain" => {
            return signature::list(&value).map_err(|e| e.under(key));
        }
        "chord" => return signature::single(&value).map_err(|e| e.under(key)),
        "task_id" => {
            return Err(Invalid::new(
                key,
                "task_id is not possible: it is a function of the scheduler's name, the entry and the fire time",
            )
            .help("use correlation_id or a header for an id of your own"));
        }
        _ => return Err(check::unknown(key, OPTION_NAMES, "option")),
    }
    Ok(value)
}

fn text<'a>(key: &str, value: &'a Value) -> Result<&'a str, Invalid> {
    value
        .as_str()
        .ok_or_else(|| check::wrong(key, "a string", value))
}

/// `eta` and `expires`: a datetime, ISO 8601 text, and for `expires` also seconds or `"auto"`.
fn instant(key: &str, value: &Value) -> Result<(), Invalid> {
    let expires = key == "expires";
    match value {
        Value::DateTime(_) | Value::LocalDateTime(_) | Value::Date(_) => Ok(()),
        Value::Str(text) if text == "auto" && expires => Ok(()),
        Value::Str(text) => match moment::parse_iso(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.under(key).help(if expires {
                "write seconds, a datetime such as \"2031-05-06T07:08:09+00:00\", or \"auto\""
            } else {
                "write a datetime such as \"2031-05-06T07:08:09+00:00\""
            })),
        },
        Value::Int(_) | Value::Float(_) if expires => check::seconds(value, key).map(|_| ()),
        other => Err(check::wrong(key, "a datetime", other).help(if expires {
            "or a number of seconds, or \"auto\""
        } else {
            "countdown takes seconds"
        })),
    }
}

fn headers(value: &Value) -> Result<(), Invalid> {
    let Value::Dict(pairs) = value else {
        return Err(check::wrong("headers", "a table", value));
    };
    for (key, _) in pairs {
        check::short_text(key, &format!("headers.{key}"))?;
        if key == "id" {
            return Err(Invalid::new(
                "headers.id",
                "the header id is the task id, which cannot be chosen",
            ));
        }
    }
    Ok(())
}

fn delivery_mode(value: Value) -> Result<Value, Invalid> {
    match &value {
        Value::Int(1 | 2) => Ok(value),
        Value::Str(name) if name == "transient" => Ok(Value::Int(1)),
        Value::Str(name) if name == "persistent" => Ok(Value::Int(2)),
        Value::Int(other) => Err(Invalid::new(
            "delivery_mode",
            format!("delivery_mode is {other}, possible are 1 and 2"),
        )),
        other => Err(Invalid::new(
            "delivery_mode",
            format!(
                "delivery_mode must be 1, 2, \"transient\" or \"persistent\", not {}",
                match other {
                    Value::Str(text) => format!("{text:?}"),
                    other => other.kind().found(),
                }
            ),
        )),
    }
}

#[cfg(test)]
mod tests;
