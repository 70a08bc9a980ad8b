//! A message with what it needs, and what was learned about messages.

use std::collections::HashMap;
use std::sync::Arc;

use lapin::message::BasicReturnMessage;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel, Error, PublisherConfirm};
use uuid::Uuid;

use super::encode::short;
use super::topology::Refusals;
use crate::message::{AmqpMessage, Queue};
use crate::timetable::EntryName;

/// A message with what it needs.
#[derive(Debug)]
pub struct Letter {
    /// Its task id.
    pub id: Uuid,
    /// Whose it is.
    pub entry: EntryName,
    /// The message.
    pub message: AmqpMessage,
    /// The same in the library's types.
    pub properties: BasicProperties,
    /// Comes back when no queue takes it.
    pub mandatory: bool,
    /// What has to be declared for it to arrive.
    pub queue: Option<Arc<Queue>>,
    /// The event to send when it has arrived.
    pub event: Option<AmqpMessage>,
}

/// What was learned of entries and queues; outlives connections.
#[derive(Debug, Default)]
pub struct Experience {
    /// Declarations that the broker refused.
    pub refusals: Refusals,
    /// Entries that were among the unconfirmed when a channel or connection was closed for what
    /// was sent on it, and how often; they are published alone until they are confirmed.
    pub suspects: HashMap<EntryName, u32>,
}

impl Letter {
    /// Whether `returned` is this message.
    pub fn is(&self, returned: &BasicReturnMessage) -> bool {
        let delivery = &returned.delivery;
        let (ours, theirs) = (&self.properties, &delivery.properties);
        delivery.exchange.as_str() == self.message.exchange
            && delivery.routing_key.as_str() == self.message.routing_key
            && theirs.correlation_id() == ours.correlation_id()
            && theirs.message_id() == ours.message_id()
            && delivery.data == self.message.body
    }
}

/// Hands a message to the connection.
pub async fn send(channel: Arc<Channel>, letter: Arc<Letter>) -> lapin::Result<PublisherConfirm> {
    let message = &letter.message;
    let short = |text: &str| short(text).map_err(|why| Error::from(std::io::Error::other(why)));
    let options = BasicPublishOptions {
        mandatory: letter.mandatory,
        immediate: false,
    };
    channel
        .basic_publish(
            short(&message.exchange)?,
            short(&message.routing_key)?,
            options,
            &message.body,
            letter.properties.clone(),
        )
        .await
}
