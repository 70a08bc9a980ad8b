//! One table of `task_queues`: the dict form of `Queue.from_dict`, and `broadcast`.

use super::{DeliveryMode, Exchange, ExchangeKind, Queue};
use crate::message::{Invalid, Value, check};

const KEYS: &[&str] = &[
    "exchange",
    "exchange_type",
    "exchange_durable",
    "exchange_auto_delete",
    "exchange_arguments",
    "delivery_mode",
    "routing_key",
    "binding_key",
    "durable",
    "auto_delete",
    "exclusive",
    "no_declare",
    "queue_durable",
    "queue_auto_delete",
    "queue_arguments",
    "binding_arguments",
    "expires",
    "message_ttl",
    "max_length",
    "max_length_bytes",
    "max_priority",
    "broadcast",
    "consumer_arguments",
    "no_ack",
];

/// Reads `table` and reports all that is wrong with it.
pub fn queue(name: &str, table: &Value) -> Result<Queue, Vec<Invalid>> {
    let Value::Dict(pairs) = table else {
        return Err(vec![check::wrong("", "a table", table)]);
    };
    let mut reader = Reader {
        pairs,
        errors: Vec::new(),
    };
    if let Err(error) = check::name_text(name, "the name of a queue") {
        reader.errors.push(Invalid::new("", error.message));
    }
    for (key, _) in pairs {
        if !KEYS.contains(&key.as_str()) {
            reader.errors.push(check::unknown(key, KEYS, "key"));
        }
    }
    let queue = reader.queue(name);
    if reader.errors.is_empty() {
        Ok(queue)
    } else {
        Err(reader.errors)
    }
}

struct Reader<'a> {
    pairs: &'a [(String, Value)],
    errors: Vec<Invalid>,
}

impl<'a> Reader<'a> {
    fn queue(&mut self, name: &str) -> Queue {
        let durable = self.flag("durable");
        let auto_delete = self.flag("auto_delete");
        let exclusive = self.flag("exclusive").unwrap_or(false);
        let broadcast = self.flag("broadcast").unwrap_or(false);
        let mut exchange = self.exchange(durable, auto_delete);
        if broadcast {
            let fanout = exchange.get_or_insert_with(|| Exchange::new(name, ExchangeKind::Fanout));
            fanout.kind = ExchangeKind::Fanout;
        }
        let routing_key = self
            .name("binding_key")
            .or_else(|| self.name("routing_key"))
            // A broadcast is bound with the default routing key, like any queue without one.
            .unwrap_or_else(|| if broadcast { "" } else { name }.to_owned());
        Queue {
            name: name.to_owned(),
            exchange,
            routing_key,
            durable: self.flag("queue_durable").or(durable).unwrap_or(true),
            exclusive,
            auto_delete: exclusive
                || self
                    .flag("queue_auto_delete")
                    .or(auto_delete)
                    .unwrap_or(broadcast),
            no_declare: self.flag("no_declare").unwrap_or(false),
            arguments: self.arguments(),
            binding_arguments: self.table("binding_arguments"),
            broadcast,
        }
    }

    /// The exchange, if it is named; kombu ignores the other keys when it is not.
    fn exchange(&mut self, durable: Option<bool>, auto_delete: Option<bool>) -> Option<Exchange> {
        let kind = self.kind("exchange_type", self.get("exchange_type"));
        let mode = self.mode("delivery_mode", self.get("delivery_mode"));
        let durable = self.flag("exchange_durable").or(durable).unwrap_or(true);
        let auto_delete = self
            .flag("exchange_auto_delete")
            .or(auto_delete)
            .unwrap_or(false);
        let arguments = self.table("exchange_arguments");
        let mut exchange = Exchange {
            name: String::new(),
            kind: kind.unwrap_or_default(),
            delivery_mode: mode,
            durable,
            auto_delete,
            arguments,
        };
        match self.get("exchange")? {
            Value::Str(name) => {
                if let Err(error) = check::name_text(name, "exchange") {
                    self.errors.push(error);
                }
                exchange.name.clone_from(name);
            }
            Value::Dict(pairs) => {
                self.exchange_table(pairs, &mut exchange);
            }
            other => {
                self.errors
                    .push(check::wrong("exchange", "a name or a table", other));
            }
        }
        Some(exchange)
    }

    fn exchange_table(&mut self, pairs: &[(String, Value)], exchange: &mut Exchange) {
        let keys = &[
            "name",
            "type",
            "delivery_mode",
            "durable",
            "auto_delete",
            "arguments",
        ];
        if !pairs.iter().any(|(key, _)| key == "name") {
            self.errors
                .push(Invalid::new("exchange.name", "the exchange has no name"));
        }
        for (key, value) in pairs {
            let place = format!("exchange.{key}");
            let result = match key.as_str() {
                "name" => check::name(Some(value), &place).map(|name| exchange.name = name),
                "type" => {
                    if let Some(kind) = self.kind(&place, Some(value)) {
                        exchange.kind = kind;
                    }
                    Ok(())
                }
                "delivery_mode" => {
                    exchange.delivery_mode = self.mode(&place, Some(value));
                    Ok(())
                }
                "durable" => check::flag(value, &place).map(|flag| exchange.durable = flag),
                "auto_delete" => check::flag(value, &place).map(|flag| exchange.auto_delete = flag),
                "arguments" => match value {
                    Value::Dict(pairs) => {
                        exchange.arguments.clone_from(pairs);
                        Ok(())
                    }
                    other => Err(check::wrong(&place, "a table", other)),
                },
                _ => Err(check::unknown(key, keys, "key").under("exchange")),
            };
            self.errors.extend(result.err());
        }
    }

    /// `queue_arguments`, then what kombu makes of the short keys.
    fn arguments(&mut self) -> Vec<(String, Value)> {
        let mut arguments = self.table("queue_arguments");
        for (key, argument) in [("expires", "x-expires"), ("message_ttl", "x-message-ttl")] {
            if let Some(value) = self.get(key) {
                match check::seconds(value, key) {
                    Ok(seconds) => put(&mut arguments, argument, Value::Int(millis(seconds))),
                    Err(error) => self.errors.push(error),
                }
            }
        }
        for (key, argument, most) in [
            ("max_length", "x-max-length", i64::MAX),
            ("max_length_bytes", "x-max-length-bytes", i64::MAX),
            ("max_priority", "x-max-priority", 255),
        ] {
            if let Some(value) = self.get(key) {
                match check::integer(value, key, 0..=most) {
                    Ok(number) => put(&mut arguments, argument, Value::Int(number)),
                    Err(error) => self.errors.push(error),
                }
            }
        }
        arguments
    }

    fn get(&self, key: &str) -> Option<&'a Value> {
        let pairs: &'a [(String, Value)] = self.pairs;
        pairs.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    fn flag(&mut self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        check::flag(value, key)
            .map_err(|error| self.errors.push(error))
            .ok()
    }

    fn name(&mut self, key: &str) -> Option<String> {
        let value = self.get(key)?;
        // An empty key is what Celery writes for "the default".
        let text = match value {
            Value::Str(text) => text,
            other => {
                self.errors.push(check::wrong(key, "a string", other));
                return None;
            }
        };
        self.errors.extend(check::short_text(text, key).err());
        Some(text.clone())
    }

    fn table(&mut self, key: &str) -> Vec<(String, Value)> {
        match self.get(key) {
            None => Vec::new(),
            Some(Value::Dict(pairs)) => pairs.clone(),
            Some(other) => {
                self.errors.push(check::wrong(key, "a table", other));
                Vec::new()
            }
        }
    }

    fn kind(&mut self, key: &str, value: Option<&Value>) -> Option<ExchangeKind> {
        let kind = match value? {
            Value::Str(name) => ExchangeKind::from_name(name).map_err(|e| e.under(key)),
            other => Err(check::wrong(key, "a string", other)),
        };
        kind.map_err(|error| self.errors.push(error)).ok()
    }

    fn mode(&mut self, key: &str, value: Option<&Value>) -> Option<DeliveryMode> {
        DeliveryMode::from_value(value?)
            .map_err(|error| self.errors.push(error.under(key)))
            .ok()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "seconds are limited to a hundred years; kombu cuts off what is finer than a millisecond"
)]
fn millis(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

/// Sets a key, in its place when it is there already.
pub fn put(pairs: &mut Vec<(String, Value)>, key: &str, value: Value) {
    match pairs.iter_mut().find(|(k, _)| k == key) {
        Some(slot) => slot.1 = value,
        None => pairs.push((key.to_owned(), value)),
    }
}
