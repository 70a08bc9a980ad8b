//! Queues and exchanges as they are configured and declared.

mod table;

use super::{Invalid, Value, check};

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

impl ExchangeKind {
    /// By the name that AMQP gives it.
    ///
    /// # Errors
    /// A name that AMQP cannot carry; the key is empty.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        check::name_text(name, "exchange type").map_err(|e| Invalid::new("", e.message))?;
        Ok(match name {
            "direct" => Self::Direct,
            "topic" => Self::Topic,
            "fanout" => Self::Fanout,
            other => Self::Other(other.into()),
        })
    }

    /// AMQP's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Direct => "direct",
            Self::Topic => "topic",
            Self::Fanout => "fanout",
            Self::Other(name) => name,
        }
    }
}

impl DeliveryMode {
    /// 1, 2, `"transient"` or `"persistent"`.
    ///
    /// # Errors
    /// Anything else; the key is empty.
    pub fn from_value(value: &Value) -> Result<Self, Invalid> {
        match value {
            Value::Int(1) => Ok(Self::Transient),
            Value::Int(2) => Ok(Self::Persistent),
            Value::Str(name) if name == "transient" => Ok(Self::Transient),
            Value::Str(name) if name == "persistent" => Ok(Self::Persistent),
            _ => Err(Invalid::new(
                "",
                "must be 1, 2, \"transient\" or \"persistent\"",
            )),
        }
    }

    /// AMQP's number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Transient => 1,
            Self::Persistent => 2,
        }
    }
}

impl QueueType {
    /// `"classic"` or `"quorum"`.
    ///
    /// # Errors
    /// Anything else; the key is empty.
    pub fn from_name(name: &str) -> Result<Self, Invalid> {
        match name {
            "classic" => Ok(Self::Classic),
            "quorum" => Ok(Self::Quorum),
            other => Err(Invalid::new("", format!("unknown queue type {other:?}"))
                .help("\"classic\" or \"quorum\"")),
        }
    }
}

impl Exchange {
    /// A durable exchange.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ExchangeKind) -> Self {
        Self {
            name: name.into(),
            kind,
            delivery_mode: None,
            durable: true,
            auto_delete: false,
            arguments: Vec::new(),
        }
    }
}

impl Queue {
    /// A durable queue bound to `exchange`.
    #[must_use]
    pub fn new(name: &str, exchange: Option<Exchange>, routing_key: &str) -> Self {
        Self {
            name: name.to_owned(),
            exchange,
            routing_key: routing_key.to_owned(),
            durable: true,
            exclusive: false,
            auto_delete: false,
            no_declare: false,
            arguments: Vec::new(),
            binding_arguments: Vec::new(),
            broadcast: false,
        }
    }

    /// A queue of `task_queues` in Celery's dict form.
    ///
    /// # Errors
    /// Every key that is unknown or holds a value it cannot, keys relative to `table`.
    pub fn from_value(name: &str, table: &Value) -> Result<Self, Vec<Invalid>> {
        table::queue(name, table)
    }

    /// The value of `x-queue-type` is `quorum`.
    #[must_use]
    pub fn is_quorum(&self) -> bool {
        self.argument("x-queue-type").and_then(Value::as_str) == Some("quorum")
    }

    /// An argument of its declaration.
    #[must_use]
    pub fn argument(&self, name: &str) -> Option<&Value> {
        self.arguments
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    /// Name and type of its exchange.
    #[must_use]
    pub fn exchange_name(&self) -> &str {
        self.exchange.as_ref().map_or("", |exchange| &exchange.name)
    }

    /// How its exchange routes.
    #[must_use]
    pub fn kind(&self) -> &ExchangeKind {
        self.exchange
            .as_ref()
            .map_or(&ExchangeKind::Direct, |exchange| &exchange.kind)
    }
}
