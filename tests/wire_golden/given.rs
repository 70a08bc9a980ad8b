//! From a captured case to what `beat` is told.

use beat::message::{
    Conventions, DeliveryMode, EventConventions, ExchangeKind, Identity, Interner, Invalid, Job,
    Options, Protocol, Queue, QueueType, Routes, Routing, RoutingSettings, Serializer, Template,
    Transport, Value,
};
use beat::schedule::Zone;
use chrono::{DateTime, NaiveDateTime};
use serde_json::{Value as Json, json};

/// Compiles the case's entry over `transport`.
pub fn template(
    case: &Json,
    transport: Transport,
) -> Result<(Template, Conventions), Vec<Invalid>> {
    let entry = &case["entry"];
    let settings = &case["settings"];
    let conventions = conventions(case, transport)?;
    let routing = Routing::new(routing(settings)?);
    let Value::List(args) = value(&entry["args"]) else {
        panic!("args of {case}");
    };
    let options = Options::from_pairs(pairs(value(&entry["options"])))?;
    let job = Job {
        entry: entry["name"].as_str().unwrap(),
        task: entry["task"].as_str().unwrap(),
        args: &args,
        kwargs: &pairs(value(&entry["kwargs"])),
        options: &options,
        zone: &Zone::utc(),
    };
    let template = Template::compile(&job, &routing, &conventions, &mut Interner::default())?;
    Ok((template, conventions))
}

fn pairs(value: Value) -> Vec<(String, Value)> {
    match value {
        Value::Dict(pairs) => pairs,
        other => panic!("{other:?} is no table"),
    }
}

/// A captured value; Python objects are tagged.
pub fn value(json: &Json) -> Value {
    match json {
        Json::Array(items) => Value::List(items.iter().map(value).collect()),
        Json::Object(map) => {
            if let (1, Some((tag, held))) = (map.len(), map.iter().next())
                && let Some(object) = tagged(tag, held)
            {
                return object;
            }
            Value::Dict(map.iter().map(|(k, v)| (k.clone(), value(v))).collect())
        }
        other => Value::from_json(other.clone()),
    }
}

fn tagged(tag: &str, held: &Json) -> Option<Value> {
    let typed =
        |kind: &str, held: Json| Value::from_json(json!({"__type__": kind, "__value__": held}));
    let text = || held.as_str().unwrap();
    Some(match tag {
        "$datetime" => match DateTime::parse_from_rfc3339(text()) {
            Ok(aware) => Value::DateTime(aware),
            Err(_) => Value::LocalDateTime(text().parse::<NaiveDateTime>().unwrap()),
        },
        "$date" => Value::Date(text().parse().unwrap()),
        "$float" => Value::Float(text().parse().unwrap()),
        "$decimal" => typed("decimal", held.clone()),
        "$uuid" => typed("uuid", json!({"hex": text().replace('-', "")})),
        "$bytes" => match text() {
            "aGk=" => typed("bytes", json!("hi")),
            other => typed("base64", json!(other)),
        },
        "$sig" | "$pairs" => value(held),
        "$group" => Value::Dict(vec![("group".to_owned(), value(held))]),
        "$chain" => Value::Dict(vec![("chain".to_owned(), value(held))]),
        "$chord" => Value::Dict(vec![(
            "chord".to_owned(),
            Value::Dict(vec![
                ("header".to_owned(), value(&held[0])),
                ("body".to_owned(), value(&held[1])),
            ]),
        )]),
        "$items" => Value::Dict(
            held.as_array()
                .unwrap()
                .iter()
                .map(|pair| (pattern(&pair[0]), value(&pair[1])))
                .collect(),
        ),
        _ => return None,
    })
}

fn pattern(json: &Json) -> String {
    match json["$regex"].as_str() {
        Some(regex) => format!("re:{regex}"),
        None => json.as_str().unwrap().to_owned(),
    }
}

fn conventions(case: &Json, transport: Transport) -> Result<Conventions, Vec<Invalid>> {
    let settings = &case["settings"];
    let one = |error| vec![error];
    let mut conventions = Conventions::new(Identity {
        pid: 27_284,
        hostname: "vm".to_owned(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    });
    conventions.transport = transport;
    let mut zone = case["env"]["TZ"].as_str();
    for (key, setting) in settings.as_object().unwrap() {
        match key.as_str() {
            "task_protocol" if setting == 1 => conventions.protocol = Protocol::V1,
            "task_serializer" => {
                conventions.serializer =
                    Serializer::from_name(setting.as_str().unwrap()).map_err(one)?;
            }
            "task_compression" => {
                conventions.compression = Some(
                    beat::message::Compression::from_name(setting.as_str().unwrap())
                        .map_err(one)?,
                );
            }
            "task_repr_maxlevels" => {
                conventions.repr_maxlevels = usize::try_from(setting.as_u64().unwrap()).unwrap();
            }
            "enable_utc" => conventions.enable_utc = setting.as_bool().unwrap(),
            "timezone" => zone = setting.as_str(),
            "task_send_sent_event" => {
                conventions.events = Some(EventConventions {
                    exchange: settings["event_exchange"]
                        .as_str()
                        .unwrap_or("celeryev")
                        .to_owned(),
                    serializer: Serializer::Json,
                });
            }
            "broker_transport_options" => redis(setting, &mut conventions),
            _ => {}
        }
    }
    if let Some(name) = zone {
        conventions.timezone = Zone::load(name).unwrap();
    }
    conventions.redis.db = case["redis"]["db"].as_i64().unwrap_or(0);
    Ok(conventions)
}

fn redis(options: &Json, conventions: &mut Conventions) {
    let redis = &mut conventions.redis;
    for (key, option) in options.as_object().unwrap() {
        let text = option.as_str().unwrap_or_default().to_owned();
        match key.as_str() {
            "global_keyprefix" => redis.global_keyprefix = text,
            "sep" => redis.sep = text,
            "body_encoding" => redis.body_base64 = text == "base64",
            "deadletter_queue" => redis.deadletter_queue = Some(text),
            "fanout_patterns" => redis.fanout_patterns = option.as_bool().unwrap(),
            "fanout_prefix" => redis.fanout_prefix = text,
            "priority_steps" => redis.priority_steps = (0..10).collect(),
            other => panic!("transport option {other}"),
        }
    }
}

fn routing(settings: &Json) -> Result<RoutingSettings, Vec<Invalid>> {
    let one = |error| vec![error];
    let mut routing = RoutingSettings::default();
    for (key, setting) in settings.as_object().unwrap() {
        let text = || setting.as_str().unwrap().to_owned();
        match key.as_str() {
            "task_default_queue" => routing.default_queue = text(),
            "task_default_exchange" => routing.default_exchange = Some(text()),
            "task_default_routing_key" => routing.default_routing_key = Some(text()),
            "task_default_exchange_type" => {
                routing.default_exchange_type = ExchangeKind::from_name(&text()).map_err(one)?;
            }
            "task_default_queue_type" => {
                routing.default_queue_type = QueueType::from_name(&text()).map_err(one)?;
            }
            "task_create_missing_queues" => routing.create_missing = setting.as_bool().unwrap(),
            "task_create_missing_queue_type" => {
                routing.create_missing_type = QueueType::from_name(&text()).map_err(one)?;
            }
            "task_create_missing_queue_exchange_type" => {
                routing.create_missing_exchange_type =
                    Some(ExchangeKind::from_name(&text()).map_err(one)?);
            }
            "task_default_delivery_mode" => {
                routing.default_delivery_mode =
                    DeliveryMode::from_value(&value(setting)).map_err(one)?;
            }
            "task_queue_max_priority" => routing.queue_max_priority = setting.as_i64(),
            "task_queues" => routing.queues = queues(setting)?,
            "task_routes" => {
                // A list of lists of pairs is written as the list of pairs.
                let routes = match setting[0]["$pairs"].as_array() {
                    Some(pairs) => Value::List(pairs.iter().map(value).collect()),
                    None => value(setting),
                };
                routing.routes = Routes::from_value(&routes)?;
            }
            _ => {}
        }
    }
    Ok(routing)
}

fn queues(list: &Json) -> Result<Vec<Queue>, Vec<Invalid>> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|queue| {
            let mut table = queue["$queue"].as_object().unwrap().clone();
            let name = table.remove("name").unwrap();
            if let Some(exchange) = table.get_mut("exchange") {
                *exchange = exchange["$exchange"].clone();
            }
            Queue::from_value(name.as_str().unwrap(), &value(&Json::Object(table)))
        })
        .collect()
}
