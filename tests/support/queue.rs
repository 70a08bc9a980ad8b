//! What arrived at the broker, and what that says about (entry, fire time) pairs.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use lapin::message::Delivery;
use lapin::options::BasicGetOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use serde_json::{Map, Value, json};

/// One message of `beat`.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// The header `periodic_task_name`.
    pub entry: String,
    /// The header `scheduled_time`, microseconds since the epoch.
    pub fire_time: i64,
    /// Task id.
    pub id: String,
    /// Task name.
    pub task: String,
    /// The body `[args, kwargs, embed]`; null when it is not JSON.
    pub body: Value,
    /// The envelope: `headers`, `properties`, `content-type`, …
    pub raw: Value,
}

impl Row {
    /// From an envelope as Redis and the filesystem transport carry it.
    pub fn from_envelope(text: &[u8]) -> Self {
        let raw: Value = serde_json::from_slice(text).expect("an envelope is JSON");
        let body = raw["body"].as_str().expect("an envelope has a body");
        let body = BASE64_STANDARD.decode(body).expect("a body is base64");
        Self::new(raw, &body)
    }

    fn new(raw: Value, body: &[u8]) -> Self {
        let headers = &raw["headers"];
        let text = |name: &str| headers[name].as_str().unwrap_or_default().to_owned();
        let fire_time = headers["scheduled_time"].as_str().map(|t| {
            chrono::DateTime::parse_from_rfc3339(t)
                .unwrap_or_else(|e| panic!("scheduled_time {t:?}: {e}"))
                .timestamp_micros()
        });
        Self {
            entry: text("periodic_task_name"),
            fire_time: fire_time.unwrap_or_default(),
            id: text("id"),
            task: text("task"),
            body: serde_json::from_slice(body).unwrap_or_default(),
            raw,
        }
    }
}

/// The messages in a Redis list, oldest first; they stay there.
pub fn read_redis(link: &mut redis::Connection, key: &str) -> Vec<Row> {
    let items: Vec<Vec<u8>> = redis::cmd("LRANGE")
        .arg(key)
        .arg(0)
        .arg(-1)
        .query(link)
        .expect("a list can be read");
    // Publishers push on the left.
    items.iter().rev().map(|i| Row::from_envelope(i)).collect()
}

/// The messages in a Redis list, oldest first; the list is empty afterwards.
pub fn drain_redis(link: &mut redis::Connection, key: &str) -> Vec<Row> {
    let (items, _): (Vec<Vec<u8>>, u8) = redis::pipe()
        .atomic()
        .cmd("LRANGE")
        .arg(key)
        .arg(0)
        .arg(-1)
        .cmd("DEL")
        .arg(key)
        .query(link)
        .expect("a list can be taken");
    items.iter().rev().map(|i| Row::from_envelope(i)).collect()
}

/// The messages for `queue` in a folder of the filesystem transport, in the order in which a worker takes them; they
/// stay there.
pub fn read_folder(folder: &Path, queue: &str) -> Vec<Row> {
    let suffix = format!("{queue}.msg");
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut names: Vec<_> = entries
        .filter_map(|e| e.ok()?.file_name().into_string().ok())
        .filter(|name| name.split_once('.').is_some_and(|(_, q)| q == suffix))
        .collect();
    names.sort();
    let read = |name: &String| std::fs::read(folder.join(name)).ok();
    names
        .iter()
        .filter_map(read)
        .map(|m| Row::from_envelope(&m))
        .collect()
}

/// The messages in a RabbitMQ queue, oldest first; they are taken from it. A queue that does not exist holds none.
pub fn drain_amqp(url: &str, queue: &str) -> Vec<Row> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let link = Connection::connect(url, ConnectionProperties::default())
            .await
            .expect("RabbitMQ answers");
        let channel = link.create_channel().await.expect("a channel");
        let mut rows = Vec::new();
        let get = BasicGetOptions { no_ack: true };
        while let Ok(Some(got)) = channel.basic_get(queue.into(), get).await {
            rows.push(read_delivery(&got.delivery));
        }
        rows
    })
}

/// A message as RabbitMQ delivers it.
pub fn read_delivery(delivery: &Delivery) -> Row {
    let properties = &delivery.properties;
    let headers = properties.headers().as_ref();
    let headers: Map<_, _> = headers
        .into_iter()
        .flat_map(FieldTable::inner)
        .map(|(name, value)| (name.to_string(), to_json(value)))
        .collect();
    let raw = json!({
        "headers": headers,
        "content-type": properties.content_type().as_ref().map(ToString::to_string),
        "properties": {
            "delivery_mode": properties.delivery_mode(),
            "priority": properties.priority(),
            "correlation_id": properties.correlation_id().as_ref().map(ToString::to_string),
            "delivery_info": {
                "exchange": delivery.exchange.as_str(),
                "routing_key": delivery.routing_key.as_str(),
            },
        },
    });
    Row::new(raw, &delivery.data)
}

fn to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(b) => json!(b),
        AMQPValue::ShortShortInt(n) => json!(n),
        AMQPValue::ShortInt(n) => json!(n),
        AMQPValue::LongInt(n) => json!(n),
        AMQPValue::LongLongInt(n) => json!(n),
        AMQPValue::Double(n) => json!(n),
        AMQPValue::LongString(s) => json!(String::from_utf8_lossy(s.as_bytes())),
        AMQPValue::ShortString(s) => json!(s.as_str()),
        AMQPValue::Timestamp(n) => json!(n),
        AMQPValue::FieldArray(items) => items.as_slice().iter().map(to_json).collect(),
        AMQPValue::FieldTable(table) => {
            let pairs = table.inner().iter();
            pairs.map(|(k, v)| (k.to_string(), to_json(v))).collect()
        }
        _ => Value::Null,
    }
}

/// The (entry, fire time) pairs that are there more than once, with the ids of their messages.
pub fn duplicates(rows: &[Row]) -> Vec<(String, i64, Vec<String>)> {
    let mut ids: BTreeMap<(&str, i64), Vec<String>> = BTreeMap::new();
    for row in rows {
        ids.entry((&row.entry, row.fire_time))
            .or_default()
            .push(row.id.clone());
    }
    ids.into_iter()
        .filter(|(_, ids)| ids.len() > 1)
        .map(|((entry, at), ids)| (entry.to_owned(), at, ids))
        .collect()
}

/// The fire times of `entry` that are not there, of the grid `from, from + period, … until` (both included, all in
/// microseconds).
pub fn missing(rows: &[Row], entry: &str, from: i64, until: i64, period: i64) -> Vec<i64> {
    let there: std::collections::BTreeSet<_> = fire_times(rows, entry).into_iter().collect();
    let step = usize::try_from(period).expect("a positive period");
    (from..=until)
        .step_by(step)
        .filter(|at| !there.contains(at))
        .collect()
}

/// The fire times of `entry` in the order of arrival.
pub fn fire_times(rows: &[Row], entry: &str) -> Vec<i64> {
    rows.iter()
        .filter(|row| row.entry == entry)
        .map(|row| row.fire_time)
        .collect()
}
