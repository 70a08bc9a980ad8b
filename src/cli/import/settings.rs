//! Settings of the application that concern publishing, and where the broker is looked for.

use serde_json::json;

use super::data;
use super::entry::Around;
use super::queues;
use super::read::Export;
use crate::message::{Serializer, Value};

/// A setting on its way into the file.
#[derive(Debug)]
pub struct Line {
    /// Its name as it is written.
    pub name: String,
    /// Its name as diagnostics have it.
    pub path: String,
    /// Its value, or a table of its own.
    pub value: toml::Value,
    /// Said above it.
    pub comment: Option<String>,
}

/// All of them, and what could not be said.
#[derive(Debug, Default)]
pub struct Drafts {
    /// In the order of the file, tables last.
    pub lines: Vec<Line>,
    /// What is not the same afterwards.
    pub approximated: Vec<String>,
    /// What cannot be carried over.
    pub refused: Vec<String>,
}

impl Drafts {
    fn put(&mut self, name: &str, value: impl Into<toml::Value>, comment: Option<&str>) {
        self.lines.push(Line {
            name: name.to_owned(),
            path: name.to_owned(),
            value: value.into(),
            comment: comment.map(str::to_owned),
        });
    }
}

/// Settings that are written where they differ from the default of Celery 5.7.
fn copied() -> Vec<(&'static str, serde_json::Value)> {
    vec![
        ("enable_utc", json!(true)),
        ("beat_cron_starting_deadline", json!(null)),
        ("broker_connection_timeout", json!(4)),
        ("broker_failover_strategy", json!("round-robin")),
        ("broker_heartbeat", json!(120)),
        ("broker_login_method", json!(null)),
        ("task_default_queue", json!("celery")),
        ("task_default_exchange", json!(null)),
        ("task_default_exchange_type", json!("direct")),
        ("task_default_routing_key", json!(null)),
        ("task_default_priority", json!(null)),
        ("task_default_delivery_mode", json!(2)),
        ("task_default_queue_type", json!("classic")),
        ("task_queue_max_priority", json!(null)),
        ("task_create_missing_queues", json!(true)),
        ("task_create_missing_queue_type", json!("classic")),
        ("task_create_missing_queue_exchange_type", json!(null)),
        ("task_serializer", json!("json")),
        ("task_compression", json!(null)),
        ("task_protocol", json!(2)),
        ("task_repr_maxlevels", json!(3)),
        ("task_send_sent_event", json!(false)),
        ("event_exchange", json!("celeryev")),
        ("event_serializer", json!("json")),
        ("task_publish_retry", json!(true)),
        (
            "task_publish_retry_policy",
            json!({"max_retries": 3, "interval_start": 0, "interval_max": 1, "interval_step": 0.2}),
        ),
    ]
}

/// What entries depend on.
pub fn around(export: &Export) -> Around {
    let text = |name: &str| {
        export
            .settings
            .get(name)
            .and_then(|value| value.as_str())
            .map(str::to_owned)
    };
    let levels = export.settings.get("task_repr_maxlevels");
    Around {
        zone: text("timezone").unwrap_or_else(|| "UTC".to_owned()),
        default_queue: text("task_default_queue").unwrap_or_else(|| "celery".to_owned()),
        serializer: text("task_serializer")
            .filter(|name| Serializer::from_name(name).is_ok())
            .unwrap_or_else(|| "json".to_owned()),
        levels: levels
            .and_then(serde_json::Value::as_u64)
            .and_then(|levels| usize::try_from(levels).ok())
            .unwrap_or(3),
        routed_serializer: (export.task_routes.iter().flatten())
            .flat_map(serde_json::Map::values)
            .any(|route| route.get("serializer").is_some()),
        has_routes: export.task_routes.as_ref().is_none_or(|r| !r.is_empty()),
        exported_at: export.exported_at.0,
    }
}

/// The settings of the file.
pub fn drafts(export: &Export, around: &Around) -> Drafts {
    let mut drafts = Drafts::default();
    drafts.put("timezone", around.zone.clone(), None);
    broker(export, &mut drafts);
    for (name, default) in copied() {
        let Some(json) = export.settings.get(name).filter(|json| !json.is_null()) else {
            continue;
        };
        let implied = match name {
            "task_default_exchange" | "task_default_routing_key" => {
                json.as_str() == Some(&around.default_queue)
            }
            "task_default_delivery_mode" => json.as_str() == Some("persistent"),
            _ => false,
        };
        if *json == default || implied {
            continue;
        }
        if name == "task_serializer" && json.as_str() != Some(&around.serializer) {
            drafts.refused.push(format!(
                "task_serializer is {json}: only json, msgpack and yaml can be published"
            ));
            continue;
        }
        match data::toml(&without_nulls(&data::python(json))) {
            Some(value) => {
                let comment = (name == "beat_cron_starting_deadline").then_some(
                    "Celery applies this to crontabs only; here it holds for intervals as well.",
                );
                drafts.put(name, value, comment);
            }
            None => drafts
                .refused
                .push(format!("{name} has a value that TOML lacks")),
        }
    }
    tls(export, &mut drafts);
    queues::tables(export, &mut drafts);
    drafts
}

/// Where the broker is comes from the environment: an address may hold a password.
fn broker(export: &Export, drafts: &mut Drafts) {
    let url = match export.broker.scheme.as_str() {
        "redis" => "redis://localhost:6379/0",
        "rediss" => "rediss://localhost:6379/0",
        "sentinel" => "sentinel://localhost:26379/0",
        "amqp" | "pyamqp" | "librabbitmq" | "py-amqp" => "amqp://localhost//",
        "amqps" => "amqps://localhost//",
        "filesystem" => "filesystem://",
        other => {
            drafts.refused.push(format!(
                "the broker is {:?}: possible are Redis, RabbitMQ and filesystem",
                data::line(other)
            ));
            "redis://localhost:6379/0"
        }
    };
    drafts.put(
        "broker_url",
        format!("${{CELERY_BROKER_URL:-{url}}}"),
        Some(
            "From the variable, so that no password stands here. \"${CELERY_BROKER_URL}\" alone makes it mandatory.",
        ),
    );
    if url.starts_with("amqp") {
        drafts.put(
            "state_url",
            "${BEAT_STATE_URL:-file:///var/lib/beat/state}",
            Some(
                "RabbitMQ cannot hold leases and last runs: a Redis, or a file for the instances of one host.",
            ),
        );
    }
    let credentials = export.settings.get("sentinel_credentials");
    let mut sentinel = toml::Table::new();
    for name in credentials
        .and_then(|names| names.as_array())
        .into_iter()
        .flatten()
    {
        if let Some(name @ ("username" | "password")) = name.as_str() {
            let variable = format!("${{CELERY_SENTINEL_{}:-}}", name.to_uppercase());
            sentinel.insert(name.to_owned(), variable.into());
        }
    }
    let given = export.settings.get("broker_transport_options");
    let mut options = match given.and_then(|given| data::toml(&without_nulls(&data::python(given))))
    {
        Some(toml::Value::Table(table)) => table,
        _ => toml::Table::new(),
    };
    if !sentinel.is_empty() {
        drafts.approximated.push(
            "the credentials of Sentinel are read from CELERY_SENTINEL_USERNAME and CELERY_SENTINEL_PASSWORD"
                .to_owned(),
        );
        options.insert("sentinel_kwargs".to_owned(), toml::Value::Table(sentinel));
    }
    if !options.is_empty() {
        drafts.put(
            "broker_transport_options",
            toml::Value::Table(options),
            None,
        );
    }
}

fn tls(export: &Export, drafts: &mut Drafts) {
    let Some(json) = export.settings.get("broker_use_ssl") else {
        return;
    };
    let Value::Dict(mut pairs) = data::python(json) else {
        return;
    };
    let off = |key: &str, value: &Value| match (key, value) {
        ("ssl_cert_reqs", Value::Int(0)) | ("ssl_check_hostname", Value::Bool(false)) => true,
        ("ssl_cert_reqs", Value::Str(word)) => word.to_ascii_lowercase().ends_with("none"),
        _ => false,
    };
    let before = pairs.len();
    pairs.retain(|(key, value)| !off(key, value));
    if pairs.len() < before {
        drafts.approximated.push(
            "Celery does not verify the broker's certificate; beat does, unless broker_tls_dangerously_skip_verification = true"
                .to_owned(),
        );
    }
    let value = match data::toml(&Value::Dict(pairs)) {
        Some(toml::Value::Table(table)) if !table.is_empty() => toml::Value::Table(table),
        _ => true.into(),
    };
    drafts.put("broker_use_ssl", value, None);
}

/// Nulls in tables say "not given".
pub fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Dict(pairs) => Value::Dict(
            pairs
                .iter()
                .filter(|(_, value)| *value != Value::Null)
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
        ),
        Value::List(items) => Value::List(items.iter().map(without_nulls).collect()),
        other => other.clone(),
    }
}
