//! Every message that was captured from Celery 5.7's beat is reproduced: on Redis the envelope
//! text, the keys it goes to and what is declared; on AMQP exchange, routing key, properties,
//! header table with field types, body and declarations. What Celery makes at random or from its
//! clock is compared by shape.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

#[path = "wire_golden/compare.rs"]
mod compare;
#[path = "wire_golden/given.rs"]
mod given;

use std::collections::BTreeSet;
use std::fs;

use beat::clock::Timestamp;
use beat::message::{
    AmqpDeclaration, AmqpMessage, Conventions, Field, Fire, RedisDestination, Template, Transport,
};
use compare::{Differ, envelope, kept};
use serde_json::{Value as Json, json};

/// Celery with the task imported: its bytes differ, and `beat` imports no tasks.
const REGISTERED: &[&str] = &["priority_default_setting_registered"];
/// What the contract refuses.
const REFUSED: &[&str] = &["task_id", "serializer_pickle"];

fn cases() -> Vec<Json> {
    let mut paths: Vec<_> = fs::read_dir("tests/data/golden")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

/// The moment at which all messages are published.
fn fire() -> Fire {
    Fire {
        fire_time: Timestamp::from_micros(1_795_163_884_000_000),
        last_fire_time: None,
        next_fire_time: None,
        now: Timestamp::from_micros(1_795_163_884_130_395),
        task_id: uuid::Uuid::from_u128(0x7ac0_0000_0000_4000_8000_0000_0000_0001),
        delivery_tag: uuid::Uuid::from_u128(0xde00_0000_0000_4000_8000_0000_0000_0002),
    }
}

fn run(
    transport: Transport,
    section: &str,
    check: fn(&Json, &Template, &Conventions, &mut Differ),
) {
    let mut ran = 0;
    let mut failures = Vec::new();
    for case in cases() {
        let name = case["case"].as_str().unwrap();
        let captured = &case[section];
        if captured.is_null() || REGISTERED.contains(&name) {
            continue;
        }
        let compiled = given::template(&case, transport);
        if REFUSED.contains(&name) {
            assert!(compiled.is_err(), "{name} was not refused");
            continue;
        }
        ran += 1;
        let (template, conventions) = match compiled {
            Ok(compiled) => compiled,
            Err(errors) => {
                failures.push(format!("{name}: {errors:?}"));
                continue;
            }
        };
        let mut differ = Differ::new(&case["volatile"]);
        check(captured, &template, &conventions, &mut differ);
        failures.extend(differ.found.iter().map(|line| format!("{name}: {line}")));
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
    assert!(ran >= 80, "only {ran} cases ran");
}

#[test]
fn redis() {
    run(
        Transport::Redis,
        "redis",
        |captured, template, conventions, differ| {
            let mut text = Vec::new();
            template.render_envelope(&fire(), &mut text);
            let ours = envelope(&text, differ);
            let messages = captured["messages"].as_array().unwrap();
            let mut keys = BTreeSet::new();
            for (index, message) in messages.iter().enumerate() {
                let place = format!("redis.messages.{index}");
                if message["kind"] == "event" {
                    let mut event = Vec::new();
                    template.render_event_envelope(&fire(), 1, &mut event);
                    let event = envelope(&event, differ);
                    differ.same_envelope(&place, message, &event, false);
                    let channel = conventions.event_channel().unwrap();
                    differ.same(&format!("{place}.key"), &message["key"], &json!(channel));
                    continue;
                }
                keys.insert((text_of(&message["op"]), text_of(&message["key"])));
                differ.same_envelope(&place, message, &ours, true);
            }
            let goes = pushes(captured, template, conventions);
            if keys != goes {
                differ.add(format!("goes to {goes:?}, captured {keys:?}"));
            }
            let events = messages.iter().filter(|m| m["kind"] == "event").count();
            if (events > 0) != template.sends_event() {
                differ.add("events differ".to_owned());
            }
            same_commands(captured, template, conventions, differ);
        },
    );
}

fn text_of(value: &Json) -> String {
    value.as_str().unwrap().to_owned()
}

/// Where the message is pushed or published, given the binding sets that were captured.
fn pushes(
    captured: &Json,
    template: &Template,
    conventions: &Conventions,
) -> BTreeSet<(String, String)> {
    let redis = &conventions.redis;
    let push = |key: String| ("LPUSH".to_owned(), key);
    match template.redis_destination(conventions) {
        RedisDestination::List { key } => BTreeSet::from([push(key)]),
        RedisDestination::Channel { channel } => BTreeSet::from([("PUBLISH".to_owned(), channel)]),
        RedisDestination::Bound {
            set,
            topic,
            routing_key,
        } => {
            let members: Vec<String> = captured["keys"][&set]["value"]
                .as_array()
                .map(|members| members.iter().map(text_of).collect())
                .unwrap_or_default();
            redis
                .bound_queues(&members, topic, &routing_key)
                .iter()
                .map(|queue| push(redis.queue_key(queue, template.priority())))
                .collect()
        }
    }
}

/// What declaring writes, and the expiry of queues; a script without its hash.
fn same_commands(
    captured: &Json,
    template: &Template,
    conventions: &Conventions,
    differ: &mut Differ,
) {
    let theirs: BTreeSet<String> = captured["commands"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|command| ["SADD", "PEXPIRE", "EVALSHA"].contains(&command[0].as_str().unwrap()))
        .map(|command| {
            let mut command = command.as_array().unwrap().clone();
            if command[0] == "EVALSHA" {
                command.remove(1);
            }
            Json::Array(command).to_string()
        })
        .collect();
    let declared = template
        .route()
        .declare
        .as_ref()
        .and_then(|queue| conventions.redis.declaration(queue));
    let mut ours = BTreeSet::new();
    if let Some(d) = declared {
        match d.expires {
            None => {
                ours.insert(json!(["SADD", d.set, d.member]).to_string());
                ours.insert(json!(["SADD", d.permanent, d.member]).to_string());
            }
            Some(e) => {
                let ttl = e.binding_ttl.to_string();
                ours.insert(
                    json!([
                        "EVALSHA",
                        "2",
                        d.set,
                        e.deadlines,
                        d.member,
                        e.exchange,
                        ttl
                    ])
                    .to_string(),
                );
                for key in e.keys {
                    ours.insert(json!(["PEXPIRE", key, e.queue_ttl.to_string()]).to_string());
                }
            }
        }
    }
    if theirs != ours {
        differ.add(format!("declares {ours:?}, captured {theirs:?}"));
    }
}

#[test]
fn amqp() {
    run(
        Transport::Amqp,
        "amqp",
        |captured, template, conventions, differ| {
            for (index, message) in captured["messages"].as_array().unwrap().iter().enumerate() {
                let place = format!("amqp.messages.{index}");
                let ours = if message["kind"] == "event" {
                    template.render_event_amqp(&fire(), 1)
                } else {
                    template.render_amqp(&fire())
                };
                same_message(&place, message, &ours.unwrap(), differ);
            }
            let mut ours = Vec::new();
            if template.route().delayed_key.is_none()
                && let Some(queue) = &template.route().declare
            {
                ours.extend(AmqpDeclaration::of_queue(queue).unwrap());
            }
            if let Some(exchange) = conventions.event_exchange() {
                ours.extend(AmqpDeclaration::of_exchange(&exchange).unwrap());
            }
            let theirs: Vec<&Json> = captured["methods"]
                .as_array()
                .unwrap()
                .iter()
                .filter(|method| {
                    let name = method["method"].as_str().unwrap();
                    ["exchange.declare", "queue.declare", "queue.bind"].contains(&name)
                })
                .collect();
            let ours: Vec<Json> = ours.iter().map(method).collect();
            if theirs.len() != ours.len() {
                differ.add(format!("declares {ours:?}, captured {theirs:?}"));
            }
            for (index, (theirs, ours)) in theirs.iter().zip(&ours).enumerate() {
                differ.same(&format!("amqp.methods.{index}"), theirs, ours);
            }
        },
    );
}

fn method(declaration: &AmqpDeclaration) -> Json {
    let table = |fields: &[(String, Field)]| compare::table(fields);
    match declaration {
        AmqpDeclaration::Exchange {
            name,
            kind,
            durable,
            auto_delete,
            arguments,
        } => {
            let (values, types) = table(arguments);
            json!({"method": "exchange.declare", "exchange": name, "type": kind, "passive": false,
                "durable": durable, "auto_delete": auto_delete, "internal": false, "nowait": false,
                "arguments": values, "argument_types": types})
        }
        AmqpDeclaration::Queue {
            name,
            durable,
            exclusive,
            auto_delete,
            arguments,
        } => {
            let (values, types) = table(arguments);
            json!({"method": "queue.declare", "queue": name, "passive": false, "durable": durable,
                "exclusive": exclusive, "auto_delete": auto_delete, "nowait": false,
                "arguments": values, "argument_types": types})
        }
        AmqpDeclaration::Bind {
            queue,
            exchange,
            routing_key,
            arguments,
        } => {
            let (values, types) = table(arguments);
            json!({"method": "queue.bind", "queue": queue, "exchange": exchange,
                "routing_key": routing_key, "nowait": false,
                "arguments": values, "argument_types": types})
        }
    }
}

fn same_message(place: &str, theirs: &Json, ours: &AmqpMessage, differ: &mut Differ) {
    let p = &ours.properties;
    let (headers, types) = compare::table(&kept(&ours.headers, differ));
    let mut properties = serde_json::Map::new();
    let mut put = |key: &str, value: Json| {
        if !value.is_null() {
            properties.insert(key.to_owned(), value);
        }
    };
    put("delivery_mode", json!(p.delivery_mode));
    put("priority", json!(p.priority));
    put("correlation_id", json!(p.correlation_id));
    put("reply_to", json!(p.reply_to));
    put("expiration", json!(p.expiration));
    put("message_id", json!(p.message_id));
    put("timestamp", json!(p.timestamp));
    put("type", json!(p.kind));
    put("user_id", json!(p.user_id));
    put("app_id", json!(p.app_id));
    put("cluster_id", json!(p.cluster_id));
    for (key, value) in [
        ("exchange", json!(ours.exchange)),
        ("routing_key", json!(ours.routing_key)),
        ("mandatory", json!(ours.mandatory)),
        ("content_type", json!(p.content_type)),
        ("content_encoding", json!(p.content_encoding)),
        ("properties", Json::Object(properties)),
        ("headers", headers),
        ("header_types", types),
    ] {
        differ.same(&format!("{place}.{key}"), &theirs[key], &value);
    }
    differ.same_body(&format!("{place}.body"), &theirs["body"], &ours.body);
}
