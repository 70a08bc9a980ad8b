//! `task_queues` and `task_routes`.

use super::data;
use super::read::Export;
use super::settings::{Drafts, Line, without_nulls};
use crate::message::Value;

/// Adds both, as tables of the file.
pub fn tables(export: &Export, drafts: &mut Drafts) {
    routes(export, drafts);
    for (name, json) in &export.task_queues {
        match queue(name, &data::python(json)) {
            Some(table) => drafts.lines.push(Line {
                name: format!("task_queues.{}", data::key(name)),
                path: format!("task_queues.{}", crate::config::escaped(name)),
                value: toml::Value::Table(table),
                comment: None,
            }),
            None => drafts.refused.push(format!(
                "the queue {} of task_queues has a value that TOML lacks",
                data::line(name)
            )),
        }
    }
}

fn routes(export: &Export, drafts: &mut Drafts) {
    let Some(tables) = &export.task_routes else {
        return;
    };
    let read: Option<Vec<toml::Value>> = tables
        .iter()
        .map(|table| {
            let value = data::python(&serde_json::Value::Object(table.clone()));
            data::toml(&without_nulls(&value))
        })
        .collect();
    let value = match read {
        Some(tables) if tables.is_empty() => return,
        Some(mut tables) if tables.len() == 1 => tables.remove(0),
        Some(tables) => toml::Value::Array(tables),
        None => {
            drafts
                .refused
                .push("task_routes have a value that TOML lacks".to_owned());
            return;
        }
    };
    drafts.lines.push(Line {
        name: "task_routes".to_owned(),
        path: "task_routes".to_owned(),
        value,
        comment: Some(
            "Every entry below has its route written out; these are for entries that you add."
                .to_owned(),
        ),
    });
}

/// A queue with what is not the default.
fn queue(name: &str, value: &Value) -> Option<toml::Table> {
    let given = |key: &str| value.get(key).filter(|value| **value != Value::Null);
    let flag = |key: &str| match given(key) {
        Some(Value::Bool(flag)) => Some(*flag),
        _ => None,
    };
    let broadcast = flag("broadcast") == Some(true);
    let mut table = toml::Table::new();
    let mut put = |key: &str, value: toml::Value| {
        table.insert(key.to_owned(), value);
    };
    if broadcast {
        put("broadcast", true.into());
    }
    if let Some(exchange) = given("exchange") {
        let text = |key: &str| exchange.get(key).and_then(Value::as_str);
        let simple = matches!(exchange.get("delivery_mode"), None | Some(Value::Null))
            && exchange.get("durable") != Some(&Value::Bool(false))
            && exchange.get("auto_delete") != Some(&Value::Bool(true))
            && matches!(exchange.get("arguments"), None | Some(Value::Null));
        if simple {
            put("exchange", text("name").unwrap_or_default().into());
            if let Some(kind) = text("type").filter(|kind| *kind != "direct" && !broadcast) {
                put("exchange_type", kind.into());
            }
        } else {
            put("exchange", data::toml(&without_nulls(exchange))?);
        }
    }
    if let Some(key) = given("routing_key").filter(|key| key.as_str() != Some(name)) {
        put("routing_key", data::toml(key)?);
    }
    if flag("durable") == Some(false) {
        put("queue_durable", false.into());
    }
    if flag("auto_delete").unwrap_or(broadcast) != broadcast {
        put("queue_auto_delete", (!broadcast).into());
    }
    for key in ["exclusive", "no_declare"] {
        if flag(key) == Some(true) {
            put(key, true.into());
        }
    }
    for key in [
        "queue_arguments",
        "binding_arguments",
        "expires",
        "message_ttl",
        "max_length",
        "max_length_bytes",
        "max_priority",
    ] {
        match given(key) {
            Some(Value::Dict(pairs)) if pairs.is_empty() => {}
            Some(value) => put(key, data::toml(&without_nulls(value))?),
            None => {}
        }
    }
    Some(table)
}
