//! What publishes, and what it says about each message.

use super::CHUNK;
use super::amqp::AmqpPublisher;
use super::folder::Folder;
use super::memory::MemoryPublisher;
use super::redis::RedisPublisher;
use super::shadow::Shadow;
use crate::message::Fire;
use crate::plan::Due;

/// One message to publish.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// What is due.
    pub due: &'a Due,
    /// What is filled into its template.
    pub fire: Fire,
}

/// What became of one parcel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Receipt {
    /// The broker has it.
    Confirmed,
    /// The broker did not say that it has it.
    Failed(Failure),
}

/// Why there is no confirm.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Failure {
    /// For the log.
    pub why: String,
    /// Whose trouble it is.
    pub scope: Scope,
    /// Whether a worker may get it nevertheless.
    pub may_have_arrived: bool,
}

/// Whose trouble a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// The message's: others can go on.
    Message,
    /// The broker's: nothing can be published at present.
    Broker,
}

impl Receipt {
    /// The message is in no queue, by a fault of its own.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self::failed(why, Scope::Message, false)
    }

    /// The message never left, because the broker takes none.
    #[must_use]
    pub fn unsent(why: impl Into<String>) -> Self {
        Self::failed(why, Scope::Broker, false)
    }

    /// The message left, and the broker fell silent.
    #[must_use]
    pub fn lost(why: impl Into<String>) -> Self {
        Self::failed(why, Scope::Broker, true)
    }

    /// A failure.
    #[must_use]
    pub fn failed(why: impl Into<String>, scope: Scope, may_have_arrived: bool) -> Self {
        Self::Failed(Failure {
            why: why.into(),
            scope,
            may_have_arrived,
        })
    }
}

/// Something that takes messages and says when it has them.
pub trait Publisher {
    /// Connects unless it is connected; the error says why nothing can be published.
    fn ready(&mut self) -> impl Future<Output = Result<(), String>> + Send;

    /// Publishes `parcels` and waits, within a bound of its own, until the broker has confirmed or
    /// refused each. One receipt a parcel, in their order.
    fn publish(&mut self, parcels: &[Parcel<'_>]) -> impl Future<Output = Vec<Receipt>> + Send;
}

/// The publisher of whichever broker is configured.
#[derive(Debug)]
pub enum AnyPublisher {
    /// Redis.
    Redis(Box<RedisPublisher>),
    /// RabbitMQ.
    Amqp(Box<AmqpPublisher>),
    /// Folders in Kombu's layout.
    Folder(Folder),
    /// Nowhere.
    Shadow(Shadow),
    /// A scripted double.
    Memory(MemoryPublisher),
}

impl AnyPublisher {
    /// How many messages it is best given at once: RabbitMQ confirms in intervals, whose length does
    /// not depend on how much it has to confirm, and one batch is recorded while another is published.
    #[must_use]
    pub fn room(&self) -> usize {
        match self {
            Self::Amqp(_) => 16 * CHUNK,
            _ => CHUNK,
        }
    }

    /// Whether the broker was there when it was last talked to; `None` where there is none.
    pub fn is_up(&mut self) -> Option<bool> {
        match self {
            Self::Redis(redis) => Some(redis.link().is_connected()),
            Self::Amqp(amqp) => Some(amqp.is_up()),
            Self::Folder(_) | Self::Memory(_) => Some(true),
            Self::Shadow(_) => None,
        }
    }
}

impl Publisher for AnyPublisher {
    async fn ready(&mut self) -> Result<(), String> {
        match self {
            Self::Redis(redis) => redis.ready().await,
            Self::Amqp(amqp) => amqp.ready().await,
            Self::Folder(folder) => folder.ready().await,
            Self::Shadow(shadow) => shadow.ready().await,
            Self::Memory(memory) => memory.ready().await,
        }
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        match self {
            Self::Redis(redis) => redis.publish(parcels).await,
            Self::Amqp(amqp) => amqp.publish(parcels).await,
            Self::Folder(folder) => folder.publish(parcels).await,
            Self::Shadow(shadow) => shadow.publish(parcels).await,
            Self::Memory(memory) => memory.publish(parcels).await,
        }
    }
}
