//! A publisher whose broker's standing is known: said once when it goes, and once when it is back.

use super::publisher::{AnyPublisher, Parcel, Publisher, Receipt, Scope};
use crate::store::StoreError;

/// What is known of the broker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    /// Nothing wrong.
    Fine,
    /// Nobody answers.
    Unreachable,
    /// It answers, and took nothing when it was last given something.
    Refusing,
}

/// A publisher, and whether its broker takes messages.
#[derive(Debug)]
pub struct Outlet {
    publisher: AnyPublisher,
    standing: Standing,
}

impl Outlet {
    /// Nothing is known of the broker yet.
    #[must_use]
    pub fn new(publisher: AnyPublisher) -> Self {
        Self {
            publisher,
            standing: Standing::Fine,
        }
    }

    /// The publisher.
    pub fn publisher(&mut self) -> &mut AnyPublisher {
        &mut self.publisher
    }

    /// The publisher, to be looked at.
    #[must_use]
    pub fn peek(&self) -> &AnyPublisher {
        &self.publisher
    }

    /// See [`AnyPublisher::room`].
    #[must_use]
    pub fn room(&self) -> usize {
        self.publisher.room()
    }

    /// See [`AnyPublisher::is_up`].
    pub fn is_up(&mut self) -> Option<bool> {
        let up = self.publisher.is_up()?;
        Some(up && self.standing == Standing::Fine)
    }

    /// See [`Publisher::ready`].
    pub async fn ready(&mut self) -> Result<(), StoreError> {
        let ready = self.publisher.ready().await;
        self.reached(ready)
    }

    /// What an attempt to reach the broker showed.
    pub fn reached(&mut self, reached: Result<(), String>) -> Result<(), StoreError> {
        match reached {
            Ok(()) if self.standing == Standing::Unreachable => self.works(),
            Ok(()) => {}
            Err(why) => {
                self.fails(Standing::Unreachable, &why);
                return Err(StoreError::Broker(why));
            }
        }
        Ok(())
    }

    /// See [`Publisher::publish`].
    pub async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        let receipts = self.publisher.publish(parcels).await;
        let trouble = receipts.iter().find_map(|receipt| match receipt {
            Receipt::Failed(failure) if failure.scope == Scope::Broker => Some(&failure.why),
            _ => None,
        });
        if let Some(why) = trouble {
            self.fails(Standing::Refusing, why);
        } else if receipts.contains(&Receipt::Confirmed) {
            self.works();
        }
        receipts
    }

    fn fails(&mut self, standing: Standing, why: &str) {
        if std::mem::replace(&mut self.standing, standing) == Standing::Fine && self.is_silent() {
            let error = why;
            tracing::warn!(event = "broker_down", error, "nothing can be published");
        }
    }

    fn works(&mut self) {
        let before = std::mem::replace(&mut self.standing, Standing::Fine);
        if before != Standing::Fine && self.is_silent() {
            tracing::info!(event = "broker_up", "the broker takes messages again");
        }
    }

    /// Whether the publisher itself says nothing of its broker; RabbitMQ's tells each connection.
    fn is_silent(&self) -> bool {
        !matches!(self.publisher, AnyPublisher::Amqp(_))
    }
}
