//! From the options of an entry to where its message goes.

mod resolution;

use std::sync::Arc;

use super::{
    DeliveryMode, Exchange, ExchangeKind, Invalid, Options, Queue, QueueType, Routes, Transport,
    Value,
};
pub(super) use resolution::MAX_DELAY;
use resolution::Resolution;

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
    /// The queue is not in `task_queues`, although there is one, nor the default queue.
    pub unknown_queue: bool,
    /// With native delayed delivery: the routing key that the delay is written before.
    pub delayed_key: Option<String>,
}

/// Resolves routes; made once per schedule.
#[derive(Debug)]
pub struct Routing {
    settings: RoutingSettings,
    default_exchange: Exchange,
    default_routing_key: String,
    queues: Vec<Arc<Queue>>,
}

impl Routing {
    /// Prepares `settings`.
    #[must_use]
    pub fn new(mut settings: RoutingSettings) -> Self {
        let or_queue = |name: &Option<String>| {
            name.clone()
                .unwrap_or_else(|| settings.default_queue.clone())
        };
        let default_exchange = Exchange::new(
            or_queue(&settings.default_exchange),
            settings.default_exchange_type.clone(),
        );
        let default_routing_key = or_queue(&settings.default_routing_key);
        let mut configured = std::mem::take(&mut settings.queues);
        if configured.is_empty() {
            let mut queue = Queue::new(&settings.default_queue, None, &default_routing_key);
            if settings.default_queue_type == QueueType::Quorum {
                queue.arguments = quorum();
            }
            configured.push(queue);
        } else {
            settings.queues.clone_from(&configured);
        }
        let mut routing = Self {
            settings,
            default_exchange,
            default_routing_key,
            queues: Vec::new(),
        };
        routing.queues = configured
            .into_iter()
            .map(|queue| routing.completed(queue))
            .collect();
        routing
    }

    /// The settings it was made from.
    #[must_use]
    pub fn settings(&self) -> &RoutingSettings {
        &self.settings
    }

    /// Every queue of the configuration, completed with the defaults.
    #[must_use]
    pub fn queues(&self) -> &[Arc<Queue>] {
        &self.queues
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
    ) -> Result<(Options, Route), Invalid> {
        let routed = self
            .settings
            .routes
            .lookup(task)
            .filter(|route| !route.is_empty());
        let merged = routed.map_or_else(|| options.clone(), |route| options.over(route));
        let route = Resolution {
            routing: self,
            options: &merged,
            own: options,
            routed: routed.is_some(),
            transport,
        }
        .route()?;
        Ok((merged, route))
    }

    /// The queue called `name`, created if it is missing and may be.
    fn queue(&self, name: &str) -> Option<Arc<Queue>> {
        let known = self.queues.iter().find(|queue| queue.name == name);
        if let Some(queue) = known {
            return Some(queue.clone());
        }
        if !self.settings.create_missing {
            return None;
        }
        let kind = self.settings.create_missing_exchange_type.clone();
        let exchange = Exchange::new(name, kind.unwrap_or_default());
        let mut queue = Queue::new(name, Some(exchange), name);
        if self.settings.create_missing_type == QueueType::Quorum {
            queue.arguments = quorum();
        }
        Some(self.completed(queue))
    }

    fn completed(&self, mut queue: Queue) -> Arc<Queue> {
        queue
            .exchange
            .get_or_insert_with(|| self.default_exchange.clone());
        if queue.routing_key.is_empty() {
            queue.routing_key.clone_from(&self.default_routing_key);
        }
        if let Some(most) = self.settings.queue_max_priority
            && queue.argument("x-max-priority").is_none()
        {
            queue
                .arguments
                .push(("x-max-priority".to_owned(), Value::Int(most)));
        }
        Arc::new(queue)
    }

    /// How the configuration says that `exchange` routes; what it does not name is direct.
    fn kind_of(&self, exchange: &str) -> ExchangeKind {
        self.queues
            .iter()
            .filter_map(|queue| queue.exchange.as_ref())
            .chain([&self.default_exchange])
            .find(|known| known.name == exchange)
            .map_or(ExchangeKind::Direct, |known| known.kind.clone())
    }
}

fn quorum() -> Vec<(String, Value)> {
    vec![("x-queue-type".to_owned(), Value::from("quorum"))]
}

#[cfg(test)]
mod tests;
