//! Declarations, as kombu makes them: exchange, queue, binding; once a connection, and again after
//! a message came back.
//!
//! They have a channel of their own: what the broker refuses (a queue that exists with other
//! arguments is 406) closes the channel. A refusal is said once and the queue is used as it is.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Error, ExchangeKind};

use super::encode::{short, table};
use super::link::Cause;
use crate::message::{AmqpDeclaration, Queue};

/// What one connection has declared.
#[derive(Default)]
pub struct Topology {
    channel: Option<Channel>,
    queues: HashMap<String, Arc<Queue>>,
    exchanges: HashSet<String>,
}

/// Refusals; outlives connections.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Said in the log.
    said: HashSet<String>,
    /// Closed the whole connection; not tried again.
    fatal: HashSet<String>,
}

impl Topology {
    /// Whether `exchange` is there: declared, or something published to it was confirmed.
    pub fn knows(&self, exchange: &str) -> bool {
        exchange.is_empty() || self.exchanges.contains(exchange)
    }

    /// Something published to `exchange` was confirmed.
    pub fn trust(&mut self, exchange: &str) {
        if !self.knows(exchange) {
            self.exchanges.insert(exchange.to_owned());
        }
    }

    /// Declare `queue` again: a message for it came back.
    pub fn forget(&mut self, queue: &Queue) {
        self.queues.remove(&queue.name);
    }

    /// Whether `queue` was declared as it is.
    pub fn has(&self, queue: &Arc<Queue>) -> bool {
        let known = self.queues.get(&queue.name);
        known.is_some_and(|known| Arc::ptr_eq(known, queue) || known == queue)
    }

    /// Declares `queue` with its exchange and binding. Fails only with the connection.
    pub async fn declare(
        &mut self,
        connection: &Connection,
        queue: &Arc<Queue>,
        refusals: &mut Refusals,
    ) -> Result<(), String> {
        if queue.no_declare {
            return Ok(());
        }
        let declarations = match AmqpDeclaration::of_queue(queue) {
            Ok(declarations) => declarations,
            Err(invalid) => {
                refusals.say(&format!("queue {:?}", queue.name), &invalid.message);
                Vec::new()
            }
        };
        for declaration in &declarations {
            let what = name(declaration);
            if refusals.fatal.contains(&what) {
                continue;
            }
            let channel = match &self.channel {
                Some(channel) if channel.status().connected() => channel,
                _ => {
                    let channel = connection.create_channel().await;
                    let channel = channel.map_err(|error| error.to_string())?;
                    self.channel.insert(channel)
                }
            };
            let done = match arguments(declaration) {
                Ok(arguments) => method(channel, declaration, arguments).await,
                Err(why) => {
                    refusals.say(&what, &why);
                    continue;
                }
            };
            if let Err(error) = done {
                let why = error.to_string();
                match Cause::of(&error) {
                    Cause::Channel => refusals.say(&what, &why),
                    Cause::Content => {
                        refusals.say(&what, &why);
                        refusals.fatal.insert(what);
                        return Err(why);
                    }
                    Cause::Connection => return Err(why),
                }
            }
            // One that exists otherwise is there as well.
            if let AmqpDeclaration::Exchange { name, .. } = declaration {
                self.exchanges.insert(name.clone());
            }
        }
        self.queues.insert(queue.name.clone(), Arc::clone(queue));
        Ok(())
    }
}

impl Refusals {
    fn say(&mut self, what: &str, why: &str) {
        if self.said.insert(what.to_owned()) {
            tracing::warn!(
                event = "recovered",
                declaration = what,
                error = why,
                "the broker refuses a declaration; what exists is used as it is"
            );
        }
    }
}

fn name(declaration: &AmqpDeclaration) -> String {
    match declaration {
        AmqpDeclaration::Exchange { name, .. } => format!("exchange {name:?}"),
        AmqpDeclaration::Queue { name, .. } => format!("queue {name:?}"),
        AmqpDeclaration::Bind {
            queue,
            exchange,
            routing_key,
            ..
        } => format!("binding of {queue:?} to {exchange:?} by {routing_key:?}"),
    }
}

/// The arguments, when everything about the declaration can be written.
fn arguments(declaration: &AmqpDeclaration) -> Result<FieldTable, String> {
    let (names, arguments) = match declaration {
        AmqpDeclaration::Exchange {
            name,
            kind,
            arguments,
            ..
        } => (vec![name, kind], arguments),
        AmqpDeclaration::Queue {
            name, arguments, ..
        } => (vec![name], arguments),
        AmqpDeclaration::Bind {
            queue,
            exchange,
            routing_key,
            arguments,
        } => (vec![queue, exchange, routing_key], arguments),
    };
    for name in names {
        short(name)?;
    }
    table(arguments)
}

async fn method(
    channel: &Channel,
    declaration: &AmqpDeclaration,
    arguments: FieldTable,
) -> lapin::Result<()> {
    let short = |text: &str| short(text).map_err(|why| Error::from(std::io::Error::other(why)));
    match declaration {
        AmqpDeclaration::Exchange {
            name,
            kind,
            durable,
            auto_delete,
            ..
        } => {
            let kind = match kind.as_str() {
                "direct" => ExchangeKind::Direct,
                "topic" => ExchangeKind::Topic,
                "fanout" => ExchangeKind::Fanout,
                "headers" => ExchangeKind::Headers,
                other => ExchangeKind::Custom(other.to_owned()),
            };
            let options = ExchangeDeclareOptions {
                durable: *durable,
                auto_delete: *auto_delete,
                ..ExchangeDeclareOptions::default()
            };
            channel
                .exchange_declare(short(name)?, kind, options, arguments)
                .await
        }
        AmqpDeclaration::Queue {
            name,
            durable,
            exclusive,
            auto_delete,
            ..
        } => {
            let options = QueueDeclareOptions {
                durable: *durable,
                exclusive: *exclusive,
                auto_delete: *auto_delete,
                ..QueueDeclareOptions::default()
            };
            channel
                .queue_declare(short(name)?, options, arguments)
                .await
                .map(drop)
        }
        AmqpDeclaration::Bind {
            queue,
            exchange,
            routing_key,
            ..
        } => {
            let (queue, exchange) = (short(queue)?, short(exchange)?);
            let options = QueueBindOptions::default();
            channel
                .queue_bind(queue, exchange, short(routing_key)?, options, arguments)
                .await
        }
    }
}
