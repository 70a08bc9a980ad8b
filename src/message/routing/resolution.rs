//! The steps of Celery's `send_task` that decide exchange, routing key and declarations.

use std::sync::Arc;

use super::{Route, Routing};
use crate::message::redis::topic_matches;
use crate::message::{DeliveryMode, ExchangeKind, Invalid, Options, Queue, Transport, Value};

/// Longest delay, in seconds, that the 28 bits of a delayed routing key can say.
pub const MAX_DELAY: i64 = (1 << 28) - 1;

/// What one message is routed by.
pub struct Resolution<'a> {
    pub routing: &'a Routing,
    /// The entry's options over its route's.
    pub options: &'a Options,
    /// The entry's own options, to say where a mistake is.
    pub own: &'a Options,
    /// A route of `task_routes` matched: without a queue in it there is no default queue.
    pub routed: bool,
    pub transport: Transport,
}

impl Resolution<'_> {
    pub fn route(&self) -> Result<Route, Invalid> {
        let chosen = self.options.text("queue");
        let exchange = self.options.text("exchange");
        let routing_key = self.options.text("routing_key");
        let default = &self.routing.settings.default_queue;
        let queue = match chosen {
            Some(name) => Some(self.queue(name)?),
            None if exchange.is_none() || !self.routed => Some(self.queue(default)?),
            None => None,
        };
        let delivery_mode = self.delivery_mode(queue.as_deref());
        let direct = queue
            .as_ref()
            .is_none_or(|queue| *queue.kind() == ExchangeKind::Direct);
        self.refuse_lone_key(queue.as_deref(), direct)?;
        let delayed_key = self.delayed_key(queue.as_deref())?;
        let (exchange, kind, routing_key) = match (exchange, routing_key, &queue) {
            (Some(exchange), Some(key), _) => {
                let kind = self.routing.kind_of(exchange);
                (exchange.to_owned(), kind, key.to_owned())
            }
            (_, _, Some(queue)) if direct => {
                (String::new(), ExchangeKind::Direct, queue.name.clone())
            }
            (_, key, Some(queue)) => (
                queue.exchange_name().to_owned(),
                queue.kind().clone(),
                key.unwrap_or(&queue.routing_key).to_owned(),
            ),
            (_, _, None) => (String::new(), ExchangeKind::Direct, String::new()),
        };
        self.refuse_unreachable(&exchange, &kind, &routing_key, queue.as_deref())?;
        let declared = queue.as_ref().map_or("", |queue| queue.exchange_name());
        self.refuse_file_names(&[&exchange, declared])?;
        let listed = |name: &str| self.routing.queues.iter().any(|known| known.name == name);
        Ok(Route {
            unknown_queue: !self.routing.settings.queues.is_empty()
                && chosen.is_some_and(|name| name != default && !listed(name)),
            queue: queue.as_ref().map(|queue| queue.name.clone()),
            declare: queue.filter(|queue| !queue.broadcast && !queue.no_declare),
            exchange,
            kind,
            routing_key,
            delivery_mode,
            delayed_key,
        })
    }

    /// Where a complaint about `option` belongs: the entry, or the task whose route has it.
    fn at(&self, option: &str, message: String) -> Invalid {
        if self.own.get(option).is_some() {
            Invalid::new(format!("options.{option}"), message)
        } else if self.options.get(option).is_some() {
            Invalid::new("task", format!("{message} (from task_routes)"))
        } else {
            Invalid::new("task", message)
        }
    }

    fn queue(&self, name: &str) -> Result<Arc<Queue>, Invalid> {
        self.routing.queue(name).ok_or_else(|| {
            self.at(
                "queue",
                format!(
                    "the queue {name:?} is not in task_queues and may not be created: Celery would not send the message"
                ),
            )
            .help("add it to task_queues, or set task_create_missing_queues = true")
        })
    }

    fn delivery_mode(&self, queue: Option<&Queue>) -> DeliveryMode {
        let option = self.options.get("delivery_mode");
        option
            .and_then(|mode| DeliveryMode::from_value(mode).ok())
            .or_else(|| queue?.exchange.as_ref()?.delivery_mode)
            .unwrap_or(self.routing.settings.default_delivery_mode)
    }

    /// One of `exchange` and `routing_key` without the other, which Celery ignores.
    fn refuse_lone_key(&self, queue: Option<&Queue>, direct: bool) -> Result<(), Invalid> {
        let chosen = self.options.get("queue").is_some();
        match (
            self.options.text("exchange"),
            self.options.text("routing_key"),
        ) {
            // Ignored as well, but the message reaches the queue that was asked for.
            (Some(_), None) | (None, Some(_)) if chosen && direct => Ok(()),
            (Some(exchange), None) => Err(self
                .at(
                    "exchange",
                    format!("exchange {exchange:?} without a routing_key: Celery would ignore it or reach nobody"),
                )
                .help("give routing_key as well, or queue alone")),
            (None, Some(key)) if direct => {
                let own = queue.is_some_and(|queue| queue.name == key || queue.routing_key == key);
                if own {
                    return Ok(());
                }
                Err(self
                    .at(
                        "routing_key",
                        format!("routing_key {key:?} without an exchange: Celery would ignore it and use the default queue"),
                    )
                    .help("give exchange as well, or queue alone"))
            }
            _ => Ok(()),
        }
    }

    /// A topic exchange of the configuration none of whose queues takes the routing key; an
    /// exchange type that only RabbitMQ has.
    fn refuse_unreachable(
        &self,
        exchange: &str,
        kind: &ExchangeKind,
        routing_key: &str,
        queue: Option<&Queue>,
    ) -> Result<(), Invalid> {
        match kind {
            ExchangeKind::Topic => {
                let reached = self
                    .routing
                    .queues
                    .iter()
                    .map(|queue| &**queue)
                    .chain(queue)
                    .filter(|queue| queue.exchange_name() == exchange)
                    .any(|queue| topic_matches(&queue.routing_key, routing_key));
                if reached {
                    return Ok(());
                }
                Err(self
                    .at(
                        "routing_key",
                        format!("no queue of the topic exchange {exchange:?} takes the routing key {routing_key:?}: the message would be lost"),
                    )
                    .help("compare it with the routing_key of its queues in task_queues"))
            }
            ExchangeKind::Other(name) if self.transport != Transport::Amqp => Err(self.at(
                "exchange",
                format!("the exchange {exchange:?} is of type {name:?}, which only RabbitMQ has"),
            )),
            _ => Ok(()),
        }
    }

    /// Exchanges whose names cannot be files: in folders each has one, and neither Celery nor its workers would open it.
    fn refuse_file_names(&self, exchanges: &[&str]) -> Result<(), Invalid> {
        let fits = |name: &str| {
            name.is_empty()
                || (name.contains(|c| c != '.')
                    && name
                        .chars()
                        .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)))
        };
        match exchanges.iter().find(|name| !fits(name)) {
            Some(name) if self.transport == Transport::Filesystem => {
                let option = ["exchange", "queue"]
                    .into_iter()
                    .find(|option| self.options.text(option) == Some(name));
                Err(self
                    .at(
                        option.unwrap_or("queue"),
                        format!(
                            "the exchange {name:?} cannot be in a folder: no worker could read it"
                        ),
                    )
                    .help("use letters A to Z, digits, `.`, `_` and `-` in its name"))
            }
            _ => Ok(()),
        }
    }

    /// With RabbitMQ, a quorum queue in the configuration, `eta` or `countdown`, and an exchange
    /// that is not direct: the key that native delayed delivery hands the message on with.
    fn delayed_key(&self, queue: Option<&Queue>) -> Result<Option<String>, Invalid> {
        let countdown = match self.options.get("countdown") {
            Some(Value::Int(seconds)) if *seconds > 0 => Some(*seconds),
            #[expect(
                clippy::cast_possible_truncation,
                reason = "Celery takes int(countdown)"
            )]
            Some(Value::Float(seconds)) if *seconds > 0.0 => Some(*seconds as i64),
            _ => None,
        };
        let eta = self.options.get("eta").is_some();
        let quorum = self.routing.queues.iter().any(|queue| queue.is_quorum())
            || queue.is_some_and(Queue::is_quorum);
        if self.transport != Transport::Amqp || !quorum || !(eta || countdown.is_some()) {
            return Ok(None);
        }
        let option = if eta { "eta" } else { "countdown" };
        let Some(queue) = queue else {
            return Err(self
                .at(
                    option,
                    format!("{option} with a route that names an exchange but no queue: with quorum queues Celery would not send the message"),
                )
                .help("name the queue in the route"));
        };
        if *queue.kind() == ExchangeKind::Direct {
            return Ok(None);
        }
        match countdown.filter(|_| !eta) {
            Some(0) => Err(self
                .at(
                    "countdown",
                    "a countdown under one second is not possible with native delayed delivery: Celery would not send the message".to_owned(),
                )
                .help("use a whole second or more, or none")),
            Some(seconds) if seconds > MAX_DELAY => Err(self.at(
                "countdown",
                format!("countdown is {seconds} s, at most {MAX_DELAY} s are possible with native delayed delivery"),
            )),
            _ => Ok(Some(queue.routing_key.clone())),
        }
    }
}
