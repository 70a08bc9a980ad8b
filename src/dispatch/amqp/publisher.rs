//! The publisher: one link at a time, dialled anew after any doubt.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::dial::Dialer;
use super::encode;
use super::letter::{Experience, Letter};
use super::link::Link;
use crate::config::{AmqpServers, Rotation};
use crate::dispatch::publisher::{Parcel, Publisher, Receipt};
use crate::message::{AmqpMessage, ExchangeKind};

/// Publishes to RabbitMQ.
pub struct AmqpPublisher {
    dialer: Dialer,
    deadline: Duration,
    /// `broker_connection_timeout`. Nothing is reserved or claimed meanwhile.
    patience: Duration,
    link: Option<Link>,
    experience: Experience,
    /// Events of this process so far.
    events: u64,
    down: bool,
    blocked: bool,
}

impl std::fmt::Debug for AmqpPublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AmqpPublisher")
            .field("dialer", &self.dialer)
            .field("down", &self.down)
            .field("blocked", &self.blocked)
            .finish_non_exhaustive()
    }
}

impl AmqpPublisher {
    /// Publishes to `servers`: connects within `patience`, every other call ends within `deadline`.
    #[must_use]
    pub fn new(servers: &AmqpServers, deadline: Duration, patience: Duration) -> Self {
        Self {
            dialer: Dialer::new(servers),
            deadline,
            patience,
            link: None,
            experience: Experience::default(),
            events: 0,
            down: false,
            blocked: false,
        }
    }

    /// Reads the credentials anew at each dial, where they came from a file.
    #[must_use]
    pub fn rotating(mut self, rotation: Option<Rotation>) -> Self {
        self.dialer.rotate(rotation);
        self
    }

    /// Whether the last call found the broker, and it takes messages.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.link.is_some() && !self.down && !self.blocked
    }

    /// Gives a doubtful link up, and says once that the broker cannot be used.
    fn lose(&mut self, why: &str) {
        if self.link.take().is_some() {
            self.dialer.move_on();
        }
        if !std::mem::replace(&mut self.down, true) {
            tracing::warn!(
                event = "broker_down",
                error = why,
                "nothing can be published"
            );
        }
    }

    /// Says once that the broker blocks its publishers, and once that it does no more.
    fn say_blocked(&mut self, why: Option<String>) {
        let was = std::mem::replace(&mut self.blocked, why.is_some());
        match why {
            Some(reason) if !was => tracing::warn!(
                event = "blocked",
                reason,
                "the broker takes no messages at present"
            ),
            None if was => {
                tracing::info!(
                    event = "blocked",
                    "unblocked: the broker takes messages again"
                );
            }
            _ => {}
        }
    }

    fn letter(&mut self, parcel: &Parcel<'_>) -> Result<Arc<Letter>, String> {
        let Parcel { due, fire } = parcel;
        let template = &due.entry.template;
        let message = template
            .render_amqp(fire)
            .ok_or("the message was not compiled for RabbitMQ")?;
        encode::short(&message.exchange)?;
        encode::short(&message.routing_key)?;
        let route = template.route();
        let broadcast = route.kind == ExchangeKind::Fanout && route.declare.is_none();
        Ok(Arc::new(Letter {
            id: fire.task_id,
            entry: due.entry.name.clone(),
            properties: encode::properties(&message)?,
            mandatory: !broadcast || message.mandatory,
            queue: route.declare.clone(),
            event: template
                .sends_event()
                .then(|| {
                    self.events += 1;
                    template.render_event_amqp(fire, self.events)
                })
                .flatten(),
            message,
        }))
    }

    /// Publishes `letters` over the present link.
    pub async fn post(&mut self, letters: &[Arc<Letter>]) -> Vec<Receipt> {
        let until = sleep(self.deadline);
        tokio::pin!(until);
        let Some(link) = &mut self.link else {
            return vec![Receipt::unsent("not connected"); letters.len()];
        };
        let receipts = link.post(letters, &mut self.experience, &mut until).await;
        let arrived = letters
            .iter()
            .zip(&receipts)
            .filter_map(|(letter, receipt)| {
                let event = letter.event.clone();
                event.filter(|_| *receipt == Receipt::Confirmed)
            });
        let events: Vec<AmqpMessage> = arrived.collect();
        link.notify(&events, &mut until).await;
        let blocked = link.blocked().map(str::to_owned);
        let doubt = link.doubt.clone();
        // A new connection hears of a block only when something is published on it.
        if blocked.is_some() || receipts.contains(&Receipt::Confirmed) {
            self.say_blocked(blocked);
        }
        if let Some(why) = doubt {
            self.lose(&why);
        }
        receipts
    }
}

impl Publisher for AmqpPublisher {
    async fn ready(&mut self) -> Result<(), String> {
        let until = sleep(self.deadline);
        tokio::pin!(until);
        if let Some(link) = &mut self.link {
            let checked = link.check(&mut until).await;
            let on_their_way = !link.flights.is_empty();
            let blocked = link.blocked().map(str::to_owned);
            self.say_blocked(blocked.clone());
            match (checked, blocked) {
                (Err(why), _) => self.lose(&why),
                (Ok(()), Some(why)) if !on_their_way => return Err(format!("blocked: {why}")),
                (Ok(()), _) => return Ok(()),
            }
        }
        match self.dialer.dial(self.patience).await {
            Ok(dialled) => {
                let server = dialled.server.clone();
                self.link = Some(Link::new(dialled));
                self.down = false;
                tracing::info!(event = "broker_up", server, "connected");
                Ok(())
            }
            Err(why) => {
                self.lose(&why);
                Err(why)
            }
        }
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        let letters: Vec<Result<Arc<Letter>, String>> =
            parcels.iter().map(|parcel| self.letter(parcel)).collect();
        let good: Vec<Arc<Letter>> = letters.iter().flatten().cloned().collect();
        let mut posted = self.post(&good).await.into_iter();
        letters
            .into_iter()
            .map(|letter| match letter {
                Ok(_) => posted.next().unwrap_or_else(|| Receipt::lost("no receipt")),
                Err(why) => Receipt::refused(why),
            })
            .collect()
    }
}
