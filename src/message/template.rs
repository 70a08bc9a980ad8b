//! Messages that are compiled once and filled in at each fire.

use std::sync::Arc;

use crate::schedule::Zone;
use uuid::Uuid;

use super::{AmqpMessage, Conventions, Invalid, Options, Route, Routing, Value};
use crate::clock::{FireTime, Timestamp};

/// What an entry publishes, as the schedule says it.
#[derive(Debug, Clone, Copy)]
pub struct Job<'a> {
    /// Name of the entry.
    pub entry: &'a str,
    /// Name of the task.
    pub task: &'a str,
    /// Positional arguments.
    pub args: &'a [Value],
    /// Keyword arguments.
    pub kwargs: &'a [(String, Value)],
    /// The entry's own options.
    pub options: &'a Options,
    /// The entry's zone, for placeholders.
    pub zone: &'a Zone,
}

/// What differs between the messages of one entry.
#[derive(Debug, Clone, Copy)]
pub struct Fire {
    /// The fire time that is published.
    pub fire_time: FireTime,
    /// The last fire time that was published before, for `{last_fire_time}`.
    pub last_fire_time: Option<FireTime>,
    /// The first fire time later than both `fire_time` and `now`, for `expires = "auto"`.
    pub next_fire_time: Option<FireTime>,
    /// The moment of publishing: numeric `expires` and `countdown` count from it.
    pub now: Timestamp,
    /// The task's id.
    pub task_id: Uuid,
    /// Random, per publish; not used with AMQP.
    pub delivery_tag: Uuid,
}

/// Keeps one copy of what templates have in common; one per schedule.
#[derive(Debug, Default)]
pub struct Interner {}

/// A compiled message.
#[derive(Debug)]
pub struct Template {
    route: Arc<Route>,
}

impl Template {
    /// Compiles what `job` publishes.
    ///
    /// # Errors
    /// Everything about the job that cannot be published; keys relative to the entry (`args.0`,
    /// `options.queue`).
    pub fn compile(
        job: &Job<'_>,
        routing: &Routing,
        conventions: &Conventions,
        interner: &mut Interner,
    ) -> Result<Self, Vec<Invalid>> {
        let _ = interner;
        let (_, route) = routing
            .resolve(job.task, job.options, conventions.transport)
            .map_err(|invalid| vec![invalid])?;
        Ok(Self {
            route: Arc::new(route),
        })
    }

    /// Where its messages go.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// Appends the JSON envelope for Redis and folders.
    pub fn render_envelope(&self, fire: &Fire, out: &mut Vec<u8>) {
        let _ = (fire, out);
    }

    /// The message for RabbitMQ.
    #[must_use]
    pub fn render_amqp(&self, fire: &Fire) -> Option<AmqpMessage> {
        let _ = fire;
        None
    }

    /// About how many bytes a rendered message has.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        0
    }

    /// Whether two renderings of the same fire time differ when published at different moments:
    /// numeric `expires` and `countdown`, native delayed delivery.
    #[must_use]
    pub fn depends_on_now(&self) -> bool {
        false
    }
}
