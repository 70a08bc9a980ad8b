//! `broker_transport_options`: Kombu's, as far as they concern publishing.

use toml::de::DeValue;

use super::connection::filled;
use super::diagnose::Collector;
use super::env::Env;
use super::secret::Secret;
use super::url::UrlContext;
use super::walk::Item;
use crate::message::RedisConventions;

/// Options of consumers and of client libraries: accepted, without effect.
const WITHOUT_EFFECT: &[&str] = &[
    "ack_emulation",
    "cancel_tasks_by_default",
    "client_name",
    "client_properties",
    "confirm_publish",
    "confirm_timeout",
    "connection_retry_timeout",
    "credential_provider",
    "errback",
    "health_check_interval",
    "interval_max",
    "interval_start",
    "interval_step",
    "max_connections",
    "max_retries",
    "min_other_sentinels",
    "polling_interval",
    "processed_folder",
    "queue_order_strategy",
    "read_timeout",
    "retry_errors",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_keepalive_options",
    "socket_timeout",
    "store_processed",
    "unacked_index_key",
    "unacked_key",
    "unacked_mutex_expire",
    "unacked_mutex_key",
    "unacked_restore_limit",
    "visibility_timeout",
    "write_timeout",
];

const KNOWN: &[&str] = &[
    "body_encoding",
    "control_folder",
    "data_folder_in",
    "data_folder_out",
    "deadletter_queue",
    "fanout_patterns",
    "fanout_prefix",
    "global_keyprefix",
    "master_name",
    "priority_steps",
    "sentinel_kwargs",
    "sep",
];

pub(super) fn take(
    item: &Item<'_>,
    env: &Env,
    context: &mut UrlContext,
    redis: &mut RedisConventions,
    out: &mut Collector,
) {
    let Some(fields) = item.fields(out) else {
        return;
    };
    for field in fields {
        let text = |out: &mut Collector| filled(&field, env, out);
        match field.name() {
            "master_name" => context.master_name = text(out),
            "sentinel_kwargs" => take_sentinel(&field, env, context, out),
            "data_folder_in" => context.folders[0] = text(out).map(Into::into),
            "data_folder_out" => context.folders[1] = text(out).map(Into::into),
            "control_folder" => context.folders[2] = text(out).map(Into::into),
            "global_keyprefix" => redis.global_keyprefix = text(out).unwrap_or_default(),
            "sep" => redis.sep = text(out).unwrap_or_default(),
            "deadletter_queue" => redis.deadletter_queue = text(out),
            "priority_steps" => take_steps(&field, redis, out),
            "fanout_prefix" => match field.value {
                DeValue::Boolean(true) => {}
                DeValue::Boolean(false) => redis.fanout_prefix = String::new(),
                _ => redis.fanout_prefix = text(out).unwrap_or_default(),
            },
            "fanout_patterns" => redis.fanout_patterns = field.flag(out).unwrap_or(true),
            "body_encoding" => {
                if let Some(word) = field.one_of(out, &["base64", "utf-8"]) {
                    redis.body_base64 = word == "base64";
                }
            }
            name if WITHOUT_EFFECT.contains(&name) => {}
            _ => {
                let known: Vec<&str> = KNOWN.iter().chain(WITHOUT_EFFECT).copied().collect();
                field.unknown_key(out, "transport option", &known);
            }
        }
    }
}

fn take_sentinel(item: &Item<'_>, env: &Env, context: &mut UrlContext, out: &mut Collector) {
    let Some(fields) = item.fields(out) else {
        return;
    };
    for field in fields {
        match field.name() {
            "password" => {
                context.sentinel_password = filled(&field, env, out).map(Secret::new);
            }
            "username" => context.sentinel_username = filled(&field, env, out),
            // Anything else is passed to redis-py's client: timeouts, TLS, names.
            _ => {}
        }
    }
}

fn take_steps(item: &Item<'_>, redis: &mut RedisConventions, out: &mut Collector) {
    let Some(elements) = item.elements(out) else {
        return;
    };
    let steps: Option<Vec<u8>> = elements
        .map(|step| {
            step.integer(out, 0..=255)
                .and_then(|step| u8::try_from(step).ok())
        })
        .collect();
    match steps {
        Some(steps) if !steps.is_empty() => redis.priority_steps = steps,
        Some(_) => item.error(out, "`priority_steps` must not be empty"),
        None => {}
    }
}
