//! Messages that are compiled once and filled in at each fire.
//!
//! [`plan`] decides what a message says, in Celery's order; [`pieces`] turns the plan into text
//! with holes (envelopes, events), [`table`] into AMQP headers with holes. What entries have in
//! common is kept once by the [`Interner`]; what only some need is in [`Extra`].

mod event;
mod extra;
mod interner;
mod pieces;
mod placeholder;
mod plan;
mod table;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use uuid::Uuid;

use super::redis::RedisDestination;
use super::{AmqpMessage, Conventions, Invalid, Options, Route, Routing, Transport, Value};
use crate::clock::{FireTime, Timestamp};
use crate::schedule::Zone;
use event::Event;
use extra::{Context, Extra};
pub use interner::Interner;
use pieces::Pieces;
use plan::Plan;
use table::AmqpTemplate;

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

/// A compiled message.
#[derive(Debug)]
pub struct Template {
    route: Arc<Route>,
    form: Form,
    extra: Option<Box<Extra>>,
    event: Option<Box<Event>>,
    size: u32,
    priority: u8,
}

#[derive(Debug)]
enum Form {
    Envelope(Pieces),
    Amqp(AmqpTemplate),
}

impl Template {
    /// Compiles what `job` publishes over the transport that `conventions` name.
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
        let (options, route) = routing
            .resolve(job.task, job.options, conventions.transport)
            .map_err(|invalid| vec![invalid])?;
        let route = interner.route(route);
        let plan = Plan::new(job, &options, &route, conventions)?;
        let one = |invalid| vec![invalid];
        let form = match conventions.transport {
            Transport::Amqp => Form::Amqp(AmqpTemplate::new(&plan, &route, interner).map_err(one)?),
            Transport::Redis | Transport::Filesystem => {
                Form::Envelope(Pieces::envelope(&plan, &route, conventions, interner))
            }
        };
        let event = conventions
            .events
            .as_ref()
            .map(|_| Box::new(Event::new(&plan, &route, conventions, interner)));
        let mut template = Self {
            route,
            form,
            event,
            priority: plan.priority,
            extra: plan.extra.map(Box::new),
            size: 0,
        };
        template.size = u32::try_from(template.measure()).unwrap_or(u32::MAX);
        Ok(template)
    }

    /// Where its messages go.
    #[must_use]
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    /// The message's priority, not clamped.
    #[must_use]
    pub fn priority(&self) -> u8 {
        self.priority
    }

    /// Where its messages go in Redis.
    #[must_use]
    pub fn redis_destination(&self, conventions: &Conventions) -> RedisDestination {
        conventions.redis.destination(&self.route, self.priority)
    }

    /// Appends the JSON envelope for Redis and folders; nothing when it was compiled for AMQP.
    pub fn render_envelope(&self, fire: &Fire, out: &mut Vec<u8>) {
        match &self.form {
            Form::Envelope(pieces) => pieces.render(&self.context(fire, 0), out),
            Form::Amqp(_) => debug_assert!(false, "compiled for AMQP"),
        }
    }

    /// The message for RabbitMQ; `None` when it was compiled for another transport.
    #[must_use]
    pub fn render_amqp(&self, fire: &Fire) -> Option<AmqpMessage> {
        match &self.form {
            Form::Amqp(amqp) => Some(amqp.render(&self.context(fire, 0))),
            Form::Envelope(_) => None,
        }
    }

    /// Whether a `task-sent` event follows each message.
    #[must_use]
    pub fn sends_event(&self) -> bool {
        self.event.is_some()
    }

    /// Appends the envelope of the `task-sent` event; `clock` counts this process's events from 1.
    /// It goes to the channel [`Conventions::event_channel`]. Nothing when no events are sent.
    pub fn render_event_envelope(&self, fire: &Fire, clock: u64, out: &mut Vec<u8>) {
        if let Some(event) = &self.event {
            event.render_envelope(&self.context(fire, clock), out);
        }
    }

    /// The `task-sent` event for RabbitMQ, `None` when no events are sent.
    #[must_use]
    pub fn render_event_amqp(&self, fire: &Fire, clock: u64) -> Option<AmqpMessage> {
        let event = self.event.as_ref()?;
        Some(event.render_amqp(&self.context(fire, clock)))
    }

    /// About how many bytes a rendered message has.
    #[must_use]
    pub fn size_hint(&self) -> usize {
        usize::try_from(self.size).unwrap_or(usize::MAX)
    }

    /// Whether two renderings of the same fire time differ when published at different moments:
    /// `expires`, `countdown`, native delayed delivery.
    #[must_use]
    pub fn depends_on_now(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| extra.depends_on_now())
    }

    /// Whether [`Fire::next_fire_time`] is used.
    #[must_use]
    pub fn needs_next_fire_time(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| extra.expires.is_next())
    }

    fn context<'a>(&'a self, fire: &'a Fire, clock: u64) -> Context<'a> {
        Context {
            fire,
            extra: self.extra.as_deref(),
            route: &self.route,
            clock,
        }
    }

    /// The size of a sample.
    fn measure(&self) -> usize {
        let fire = Fire {
            fire_time: Timestamp::from_micros(1_000_000),
            last_fire_time: Some(Timestamp::EPOCH),
            next_fire_time: Some(Timestamp::from_micros(2_000_000)),
            now: Timestamp::EPOCH,
            task_id: Uuid::nil(),
            delivery_tag: Uuid::nil(),
        };
        match &self.form {
            Form::Amqp(amqp) => amqp.size(&self.context(&fire, 0)),
            Form::Envelope(pieces) => pieces.size(&self.context(&fire, 0)),
        }
    }
}
