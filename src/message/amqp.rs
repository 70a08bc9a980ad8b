//! Messages and declarations for AMQP 0-9-1 in neutral types.

use chrono::{DateTime, Utc};

use super::{Exchange, Invalid, Queue, Value};

/// One `basic.publish` with its content.
#[derive(Debug, Clone, PartialEq)]
pub struct AmqpMessage {
    /// Exchange, empty for the default exchange.
    pub exchange: String,
    /// Routing key.
    pub routing_key: String,
    /// Whether the broker shall return the message when no queue takes it.
    pub mandatory: bool,
    /// Basic properties.
    pub properties: AmqpProperties,
    /// Header table, in Celery's order.
    pub headers: Vec<(String, Field)>,
    /// Body as sent.
    pub body: Vec<u8>,
}

/// Basic properties; `None` is not sent.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AmqpProperties {
    /// `content_type`.
    pub content_type: String,
    /// `content_encoding`.
    pub content_encoding: String,
    /// `delivery_mode`: 1 transient, 2 persistent.
    pub delivery_mode: u8,
    /// `priority`; always sent, 0 by default.
    pub priority: u8,
    /// `correlation_id`.
    pub correlation_id: Option<String>,
    /// `reply_to`.
    pub reply_to: Option<String>,
    /// `expiration` in whole milliseconds, as decimal text.
    pub expiration: Option<String>,
    /// `message_id`.
    pub message_id: Option<String>,
    /// `timestamp` in seconds since the epoch.
    pub timestamp: Option<u64>,
    /// `type`.
    pub kind: Option<String>,
    /// `user_id`.
    pub user_id: Option<String>,
    /// `app_id`.
    pub app_id: Option<String>,
    /// `cluster_id`.
    pub cluster_id: Option<String>,
}

/// A value in an AMQP field table, with the type that py-amqp gives it.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// `V`.
    Void,
    /// `t`.
    Bool(bool),
    /// `I`: up to 2147483647 in magnitude.
    Int(i32),
    /// `L`: larger integers.
    Long(i64),
    /// `d`.
    Double(f64),
    /// `S`: UTF-8 text.
    Text(String),
    /// `A`.
    List(Vec<Field>),
    /// `F`.
    Table(Vec<(String, Field)>),
    /// `T`: whole seconds.
    Time(DateTime<Utc>),
}

impl Field {
    /// As py-amqp writes a header or argument.
    ///
    /// # Errors
    /// Integers beyond 64 bit, dates and times of day, which AMQP cannot carry; keys relative to
    /// `value`.
    pub fn from_value(value: &Value) -> Result<Self, Invalid> {
        Ok(match value {
            Value::Null => Self::Void,
            Value::Bool(flag) => Self::Bool(*flag),
            Value::Int(number) => match i32::try_from(*number) {
                Ok(number) if number > i32::MIN => Self::Int(number),
                _ => Self::Long(*number),
            },
            Value::BigInt(digits) => {
                return Err(Invalid::new(
                    "",
                    format!("{digits} does not fit an AMQP header, which holds 64 bit"),
                ));
            }
            Value::Float(number) => Self::Double(*number),
            Value::Str(text) => Self::Text(text.clone()),
            Value::List(items) => Self::List(
                items
                    .iter()
                    .enumerate()
                    .map(|(position, item)| {
                        Self::from_value(item).map_err(|e| e.under(&position.to_string()))
                    })
                    .collect::<Result<_, _>>()?,
            ),
            Value::Dict(pairs) => Self::Table(table(pairs)?),
            Value::DateTime(at) => Self::Time(at.to_utc()),
            Value::LocalDateTime(at) => Self::Time(at.and_utc()),
            Value::Date(_) | Value::Time(_) => {
                return Err(Invalid::new(
                    "",
                    format!("an AMQP header cannot hold a {}", value.kind()),
                )
                .help("write it as a string"));
            }
        })
    }
}

/// A field table, in order.
///
/// # Errors
/// As [`Field::from_value`], and keys of more than 255 bytes.
pub fn table(pairs: &[(String, Value)]) -> Result<Vec<(String, Field)>, Invalid> {
    pairs
        .iter()
        .map(|(key, value)| {
            super::check::short_text(key, key)?;
            let field = Field::from_value(value).map_err(|e| e.under(key))?;
            Ok((key.clone(), field))
        })
        .collect()
}

/// One method of a declaration; `passive`, `nowait` and `internal` are always false.
#[derive(Debug, Clone, PartialEq)]
pub enum AmqpDeclaration {
    /// `exchange.declare`.
    Exchange {
        /// Name.
        name: String,
        /// Type.
        kind: String,
        /// Survives a restart.
        durable: bool,
        /// Goes with its last binding.
        auto_delete: bool,
        /// Arguments.
        arguments: Vec<(String, Field)>,
    },
    /// `queue.declare`.
    Queue {
        /// Name.
        name: String,
        /// Survives a restart.
        durable: bool,
        /// Belongs to one connection.
        exclusive: bool,
        /// Goes with its last consumer.
        auto_delete: bool,
        /// Arguments.
        arguments: Vec<(String, Field)>,
    },
    /// `queue.bind`.
    Bind {
        /// Queue.
        queue: String,
        /// Exchange.
        exchange: String,
        /// Binding key.
        routing_key: String,
        /// Arguments.
        arguments: Vec<(String, Field)>,
    },
}

impl AmqpDeclaration {
    /// The exchange alone; `None` for the default exchange and those of the broker itself.
    ///
    /// # Errors
    /// Arguments that AMQP cannot carry.
    pub fn of_exchange(exchange: &Exchange) -> Result<Option<Self>, Invalid> {
        if exchange.name.is_empty() || exchange.name.starts_with("amq.") {
            return Ok(None);
        }
        Ok(Some(Self::Exchange {
            name: exchange.name.clone(),
            kind: exchange.kind.name().to_owned(),
            durable: exchange.durable,
            auto_delete: exchange.auto_delete,
            arguments: table(&exchange.arguments).map_err(|e| e.under("exchange_arguments"))?,
        }))
    }

    /// All that declaring `queue` does, in kombu's order.
    ///
    /// # Errors
    /// Arguments that AMQP cannot carry.
    pub fn of_queue(queue: &Queue) -> Result<Vec<Self>, Invalid> {
        let mut methods = Vec::with_capacity(3);
        if let Some(exchange) = &queue.exchange {
            methods.extend(Self::of_exchange(exchange)?);
        }
        methods.push(Self::Queue {
            name: queue.name.clone(),
            durable: queue.durable,
            exclusive: queue.exclusive,
            auto_delete: queue.auto_delete,
            arguments: table(&queue.arguments).map_err(|e| e.under("queue_arguments"))?,
        });
        if !queue.exchange_name().is_empty() {
            methods.push(Self::Bind {
                queue: queue.name.clone(),
                exchange: queue.exchange_name().to_owned(),
                routing_key: queue.routing_key.clone(),
                arguments: table(&queue.binding_arguments)
                    .map_err(|e| e.under("binding_arguments"))?,
            });
        }
        Ok(methods)
    }
}
