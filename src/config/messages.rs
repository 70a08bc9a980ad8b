//! Settings that change what is published and where it goes.

use std::time::Duration;

use toml::de::DeValue;

use super::diagnose::Collector;
use super::value::{report_invalid, to_value};
use super::walk::Item;
use crate::message::{
    Compression, Conventions, DeliveryMode, EventConventions, ExchangeKind, Identity, Invalid,
    Protocol, Queue, QueueType, RedisConventions, RetryPolicy, Routes, Routing, RoutingSettings,
    Serializer, Transport,
};
use crate::schedule::Zone;
use crate::timetable::Backoff;

/// Those settings on their way.
#[derive(Default)]
pub(super) struct MessageDraft {
    routing: RoutingSettings,
    protocol: Protocol,
    serializer: Serializer,
    compression: Option<Compression>,
    enable_utc: Option<bool>,
    repr_maxlevels: Option<usize>,
    send_events: bool,
    events: EventConventions,
    /// `task_publish_retry` and its policy.
    pub retry: RetryPolicy,
}

/// What they make.
pub(super) struct Messages {
    pub conventions: Conventions,
    pub routing: Routing,
    pub backoff: Backoff,
}

impl MessageDraft {
    /// Takes a setting; false when it is none of these.
    pub(super) fn take(&mut self, item: &Item<'_>, out: &mut Collector) -> bool {
        let routing = &mut self.routing;
        match item.name() {
            "enable_utc" => self.enable_utc = item.flag(out),
            "task_default_queue" => set(&mut routing.default_queue, name(item, out)),
            "task_default_exchange" => routing.default_exchange = name(item, out),
            "task_default_exchange_type" => {
                set(&mut routing.default_exchange_type, exchange_kind(item, out));
            }
            "task_default_routing_key" => routing.default_routing_key = name(item, out),
            "task_default_priority" => {
                item.integer(out, 0..=255);
            }
            "task_default_delivery_mode" => {
                set(&mut routing.default_delivery_mode, delivery_mode(item, out));
            }
            "task_default_queue_type" => {
                set(&mut routing.default_queue_type, queue_type(item, out));
            }
            "task_queues" => routing.queues = queues(item, out),
            "task_queue_max_priority" => routing.queue_max_priority = item.integer(out, 0..=255),
            "task_create_missing_queues" => set(&mut routing.create_missing, item.flag(out)),
            "task_create_missing_queue_type" => {
                set(&mut routing.create_missing_type, queue_type(item, out));
            }
            "task_create_missing_queue_exchange_type" => {
                routing.create_missing_exchange_type = exchange_kind(item, out);
            }
            "task_routes" => {
                if let Some(value) = to_value(item, out) {
                    set(
                        &mut routing.routes,
                        checked(item, Routes::from_value(&value), out),
                    );
                }
            }
            "task_serializer" => set(&mut self.serializer, serializer(item, out)),
            "task_compression" => {
                if let Some(text) = item.text(out) {
                    self.compression =
                        checked(item, Compression::from_name(text).map_err(one), out);
                }
            }
            "task_protocol" => {
                self.protocol = match item.integer(out, 1..=2) {
                    Some(1) => Protocol::V1,
                    _ => Protocol::V2,
                };
            }
            "task_repr_maxlevels" => {
                let levels = item.integer(out, 0..=1_000);
                self.repr_maxlevels = levels.and_then(|n| usize::try_from(n).ok());
            }
            "task_send_sent_event" => self.send_events = item.flag(out).unwrap_or(false),
            "event_exchange" => set(&mut self.events.exchange, name(item, out)),
            "event_serializer" => set(&mut self.events.serializer, serializer(item, out)),
            "task_publish_retry" => set(&mut self.retry.enabled, item.flag(out)),
            "task_publish_retry_policy" => {
                if let Some(value) = to_value(item, out) {
                    let retry = self.retry.with(&value);
                    set(&mut self.retry, checked(item, retry, out));
                }
            }
            _ => return false,
        }
        true
    }

    pub(super) fn finish(
        self,
        transport: Transport,
        redis: RedisConventions,
        zone: &Zone,
        identity: &Identity,
    ) -> Messages {
        Messages {
            backoff: backoff(&self.retry),
            routing: Routing::new(self.routing),
            conventions: Conventions {
                transport,
                protocol: self.protocol,
                serializer: self.serializer,
                compression: self.compression,
                enable_utc: self.enable_utc.unwrap_or(true),
                timezone: zone.clone(),
                repr_maxlevels: self.repr_maxlevels.unwrap_or(3),
                redis,
                events: self.send_events.then_some(self.events),
                identity: identity.clone(),
            },
        }
    }
}

/// The pauses that a retry policy asks for. With retries off there is no quick second attempt: each
/// pause is the longest.
pub(super) fn backoff(retry: &RetryPolicy) -> Backoff {
    let seconds = |s: f64| Duration::try_from_secs_f64(s.clamp(0.0, 86_400.0)).unwrap_or_default();
    let max = seconds(retry.interval_max);
    if retry.enabled {
        Backoff {
            start: seconds(retry.interval_start),
            step: seconds(retry.interval_step),
            max,
        }
    } else {
        Backoff {
            start: max,
            step: Duration::ZERO,
            max,
        }
    }
}

fn set<T>(slot: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *slot = value;
    }
}

fn one(invalid: Invalid) -> Vec<Invalid> {
    vec![invalid]
}

/// The value, or a report of the complaints about it.
fn checked<T>(item: &Item<'_>, result: Result<T, Vec<Invalid>>, out: &mut Collector) -> Option<T> {
    result
        .map_err(|invalid| report_invalid(item, invalid, out))
        .ok()
}

fn name(item: &Item<'_>, out: &mut Collector) -> Option<String> {
    item.name_text(out).map(str::to_owned)
}

fn serializer(item: &Item<'_>, out: &mut Collector) -> Option<Serializer> {
    checked(
        item,
        Serializer::from_name(item.text(out)?).map_err(one),
        out,
    )
}

fn exchange_kind(item: &Item<'_>, out: &mut Collector) -> Option<ExchangeKind> {
    Some(match item.name_text(out)? {
        "direct" => ExchangeKind::Direct,
        "topic" => ExchangeKind::Topic,
        "fanout" => ExchangeKind::Fanout,
        other => ExchangeKind::Other(other.into()),
    })
}

fn queue_type(item: &Item<'_>, out: &mut Collector) -> Option<QueueType> {
    item.one_of(out, &["classic", "quorum"])
        .map(|word| match word {
            "quorum" => QueueType::Quorum,
            _ => QueueType::Classic,
        })
}

fn delivery_mode(item: &Item<'_>, out: &mut Collector) -> Option<DeliveryMode> {
    if item.as_integer().is_some() {
        return item.integer(out, 1..=2).map(|mode| match mode {
            1 => DeliveryMode::Transient,
            _ => DeliveryMode::Persistent,
        });
    }
    item.one_of(out, &["transient", "persistent"])
        .map(|word| match word {
            "transient" => DeliveryMode::Transient,
            _ => DeliveryMode::Persistent,
        })
}

fn queues(item: &Item<'_>, out: &mut Collector) -> Vec<Queue> {
    let mut queues = Vec::new();
    if matches!(item.value, DeValue::Array(_)) {
        item.error_help(
            out,
            "`task_queues` takes a table by name",
            "[task_queues.feeds] exchange = \"media\"",
        );
        return queues;
    }
    for queue in item.fields(out).into_iter().flatten() {
        if let Some(why) = super::walk::bad_name(queue.name()) {
            queue.report_key(
                out,
                super::diagnose::Finding::error(format!("the name of a queue {why}")),
            );
            continue;
        }
        if let Some(value) = to_value(&queue, out) {
            queues.extend(checked(
                &queue,
                Queue::from_value(queue.name(), &value),
                out,
            ));
        }
    }
    queues
}
