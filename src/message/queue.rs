//! Queues and exchanges as they are configured and declared.

use super::{Invalid, Value};

/// How an exchange routes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub enum ExchangeKind {
    /// Routing key equals binding key.
    #[default]
    Direct,
    /// Routing key matches a pattern of words.
    Topic,
    /// To everybody bound.
    Fanout,
    /// `headers` or a plug-in's type: RabbitMQ only.
    Other(Box<str>),
}

/// Whether a message survives a restart of RabbitMQ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum DeliveryMode {
    /// 1.
    Transient,
    /// 2.
    #[default]
    Persistent,
}

/// What `x-queue-type` asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum QueueType {
    /// No argument.
    #[default]
    Classic,
    /// `x-queue-type: quorum`.
    Quorum,
}

/// An exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Exchange {
    /// Name; empty is the default exchange.
    pub name: String,
    /// Type.
    pub kind: ExchangeKind,
    /// Delivery mode of messages published to it, if it sets one.
    pub delivery_mode: Option<DeliveryMode>,
    /// Survives a restart.
    pub durable: bool,
    /// Is deleted with its last binding.
    pub auto_delete: bool,
    /// Arguments of its declaration.
    pub arguments: Vec<(String, Value)>,
}

/// A queue of `task_queues`, or one that is created because it is missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Queue {
    /// Name.
    pub name: String,
    /// Its exchange; `None` takes the default exchange of the settings.
    pub exchange: Option<Exchange>,
    /// Binding key, also the routing key of messages that name none.
    pub routing_key: String,
    /// Survives a restart.
    pub durable: bool,
    /// Belongs to one connection.
    pub exclusive: bool,
    /// Is deleted with its last consumer.
    pub auto_delete: bool,
    /// Is never declared.
    pub no_declare: bool,
    /// Arguments of its declaration, `x-expires` and the like included, in kombu's order.
    pub arguments: Vec<(String, Value)>,
    /// Arguments of its binding.
    pub binding_arguments: Vec<(String, Value)>,
    /// A fanout to every worker: the name is the exchange's, the queues are the workers' own.
    pub broadcast: bool,
}

impl Queue {
    /// A queue of `task_queues` in Celery's dict form.
    ///
    /// # Errors
    /// Every key that is unknown or holds a value it cannot, keys relative to `table`.
    pub fn from_value(name: &str, table: &Value) -> Result<Self, Vec<Invalid>> {
        let _ = (name, table);
        Err(Vec::new())
    }
}
