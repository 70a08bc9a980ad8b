//! `task-sent` events: they follow their tasks, without confirms, and fail alone.

use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Error, ExchangeKind};

use super::encode::{properties, short};
use super::link::{Link, Until};
use crate::message::AmqpMessage;

impl Link {
    /// Sends the events of `letters`; whatever goes wrong is nobody's trouble.
    pub async fn notify(&mut self, events: &[AmqpMessage], until: &mut Until<'_>) {
        if events.is_empty() || self.doubt.is_some() || self.blocked().is_some() {
            return;
        }
        tokio::select! {
            sent = self.send_events(events) => if sent.is_err() {
                self.notices = None;
                self.notices_declared = false;
            },
            () = until => self.doubt = Some("an event was not taken in time".to_owned()),
        }
    }

    async fn send_events(&mut self, events: &[AmqpMessage]) -> Result<(), String> {
        let say = |error: Error| error.to_string();
        let channel = match &self.notices {
            Some(channel) if channel.status().connected() => channel.clone(),
            _ => self.connection.create_channel().await.map_err(say)?,
        };
        for event in events {
            let exchange = short(&event.exchange)?;
            if !std::mem::replace(&mut self.notices_declared, true) {
                let options = ExchangeDeclareOptions {
                    durable: true,
                    ..ExchangeDeclareOptions::default()
                };
                let topic = ExchangeKind::Topic;
                let arguments = FieldTable::default();
                channel
                    .exchange_declare(exchange.clone(), topic, options, arguments)
                    .await
                    .map_err(say)?;
            }
            let (key, options) = (short(&event.routing_key)?, BasicPublishOptions::default());
            channel
                .basic_publish(exchange, key, options, &event.body, properties(event)?)
                .await
                .map_err(say)?;
        }
        self.notices = Some(channel);
        Ok(())
    }
}
