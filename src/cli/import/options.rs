//! `options` of an entry.

use super::data;
use super::entry::Around;
use super::settings::without_nulls;
use super::signature;
use crate::message::{OPTION_NAMES, Value};

/// The options that were kept, and what became of the others.
#[derive(Debug, Default)]
pub struct Kept {
    /// In their order.
    pub table: toml::Table,
    /// What is not the same afterwards.
    pub approximated: Vec<String>,
    /// What cannot be said.
    pub refused: Vec<String>,
}

/// Translates what reaches Celery's `send_task`.
pub fn kept(
    options: &serde_json::Map<String, serde_json::Value>,
    entry: &str,
    around: &Around,
) -> Kept {
    let mut kept = Kept::default();
    let stamps: Vec<&str> = match options.get("stamped_headers") {
        Some(serde_json::Value::Array(names)) => names.iter().filter_map(|n| n.as_str()).collect(),
        _ => Vec::new(),
    };
    for (name, json) in options {
        if json.is_null() {
            continue;
        }
        let value = data::python(json);
        match name.as_str() {
            "queue" if !around.has_routes && value.as_str() == Some(&around.default_queue) => {}
            // Forms of Django leave empty strings; Celery takes them as not given.
            "queue" if blank(Some(json)) => {}
            "exchange" | "routing_key"
                if blank(options.get("exchange")) && blank(options.get("routing_key")) => {}
            "serializer"
                if !around.routed_serializer && value.as_str() == Some(&around.serializer) => {}
            "retry_policy" => put(name, plain(&without_nulls(&value)), &mut kept),
            "headers" => headers(value, entry, &mut kept),
            "link" | "link_error" | "chain" => put(name, signature::list(&value), &mut kept),
            "chord" => put(name, signature::short(&value), &mut kept),
            "expires" if value.as_str() == Some("auto") => kept
                .refused
                .push("options.expires is \"auto\", which Celery cannot read".to_owned()),
            // What Celery writes as its default.
            "retries" if value == Value::Int(0) => {}
            "task_id" => kept
                .approximated
                .push("options.task_id is left out: each fire has an id of its own".to_owned()),
            "immediate" => {}
            _ if !OPTION_NAMES.contains(&name.as_str()) && !stamps.contains(&name.as_str()) => {
                kept.approximated.push(format!(
                    "options.{} is left out: apply_async has no such option, and Celery only adds it to the message's properties",
                    data::line(name)
                ));
            }
            _ => put(name, plain(&value), &mut kept),
        }
    }
    kept
}

fn blank(value: Option<&serde_json::Value>) -> bool {
    value.is_none_or(|value| value.is_null() || value.as_str() == Some(""))
}

fn plain(value: &Value) -> Result<toml::Value, String> {
    data::toml(value).ok_or_else(|| "holds None, which the file cannot say".to_owned())
}

fn put(name: &str, value: Result<toml::Value, String>, kept: &mut Kept) {
    match value {
        Ok(value) => {
            kept.table.insert(name.to_owned(), value);
        }
        Err(why) => kept.refused.push(format!("options.{name}: {why}")),
    }
}

fn headers(value: Value, entry: &str, kept: &mut Kept) {
    let Value::Dict(pairs) = value else {
        kept.refused.push("options.headers is no table".to_owned());
        return;
    };
    // Both are written at each fire.
    let pairs: Vec<_> = pairs
        .into_iter()
        .filter(|(key, value)| {
            key != "celery_beat_task"
                && !(key == "periodic_task_name" && value.as_str() == Some(entry))
        })
        .collect();
    if pairs.is_empty() {
        return;
    }
    let value = data::literal(Value::Dict(pairs));
    put("headers", plain(&value), kept);
}
