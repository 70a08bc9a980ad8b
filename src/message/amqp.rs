//! A message for AMQP 0-9-1 in neutral types.

use chrono::{DateTime, Utc};

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
