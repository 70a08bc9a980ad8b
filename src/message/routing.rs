//! From the options of an entry to where its message goes.

use std::sync::Arc;

use super::{DeliveryMode, ExchangeKind, Invalid, Options, Queue, QueueType, Routes, Transport};

/// The `task_*` settings that decide where messages go; the defaults are Celery's.
#[derive(Debug, Clone)]
pub struct RoutingSettings {
    /// `task_default_queue`.
    pub default_queue: String,
    /// `task_default_exchange`; `None` is the name of the default queue.
    pub default_exchange: Option<String>,
    /// `task_default_exchange_type`.
    pub default_exchange_type: ExchangeKind,
    /// `task_default_routing_key`; `None` is the name of the default queue.
    pub default_routing_key: Option<String>,
    /// `task_default_delivery_mode`.
    pub default_delivery_mode: DeliveryMode,
    /// `task_default_queue_type`.
    pub default_queue_type: QueueType,
    /// `task_queues`, in the order of the file.
    pub queues: Vec<Queue>,
    /// `task_routes`.
    pub routes: Routes,
    /// `task_create_missing_queues`.
    pub create_missing: bool,
    /// `task_create_missing_queue_type`.
    pub create_missing_type: QueueType,
    /// `task_create_missing_queue_exchange_type`.
    pub create_missing_exchange_type: Option<ExchangeKind>,
    /// `task_queue_max_priority`.
    pub queue_max_priority: Option<i64>,
}

impl Default for RoutingSettings {
    fn default() -> Self {
        Self {
            default_queue: "celery".to_owned(),
            default_exchange: None,
            default_exchange_type: ExchangeKind::Direct,
            default_routing_key: None,
            default_delivery_mode: DeliveryMode::Persistent,
            default_queue_type: QueueType::Classic,
            queues: Vec::new(),
            routes: Routes::default(),
            create_missing: true,
            create_missing_type: QueueType::Classic,
            create_missing_exchange_type: None,
            queue_max_priority: None,
        }
    }
}

/// Where the messages of an entry go, and what must exist for them to arrive.
#[derive(Debug, Clone, PartialEq)]
pub struct Route {
    /// Exchange, empty for the default exchange.
    pub exchange: String,
    /// How that exchange routes, as far as the configuration says; unknown ones are direct.
    pub kind: ExchangeKind,
    /// Routing key.
    pub routing_key: String,
    /// Name of the queue that Celery would report: in events, logs and status.
    pub queue: Option<String>,
    /// What to declare before publishing, exchange and all.
    pub declare: Option<Arc<Queue>>,
    /// Delivery mode.
    pub delivery_mode: DeliveryMode,
    /// The queue is neither in `task_queues` nor the default queue.
    pub unknown_queue: bool,
    /// A quorum queue is configured: with AMQP, `eta` and `countdown` use native delayed delivery.
    pub quorum: bool,
}

/// Resolves routes; made once per schedule.
#[derive(Debug)]
pub struct Routing {
    settings: RoutingSettings,
}

impl Routing {
    /// Prepares `settings`.
    #[must_use]
    pub fn new(settings: RoutingSettings) -> Self {
        Self { settings }
    }

    /// The settings it was made from.
    #[must_use]
    pub fn settings(&self) -> &RoutingSettings {
        &self.settings
    }

    /// The options of `task` with those of its route under them, and the route they lead to.
    ///
    /// # Errors
    /// Where Celery would drop the message or send it where nobody reads; keys relative to the entry.
    pub fn resolve(
        &self,
        task: &str,
        options: &Options,
        transport: Transport,
    ) -> Result<(Options, Arc<Route>), Invalid> {
        let _ = (task, options, transport);
        Err(Invalid::new("options", "not resolved"))
    }
}
