//! One batch: publish all, then collect the confirms, and tell what became of each message.

use std::collections::HashMap;
use std::sync::Arc;

use lapin::message::BasicReturnMessage;
use lapin::options::{BasicPublishOptions, ExchangeDeclareOptions};
use lapin::{BasicProperties, Channel, Confirmation, Error, ExchangeKind, PublisherConfirm};
use uuid::Uuid;

use super::encode::{properties, short};
use super::link::{Cause, Flight, Lane, Link, Until};
use super::topology::Refusals;
use crate::dispatch::publisher::{Receipt, Scope};
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

/// What was heard of a message.
enum Landing {
    Confirmed,
    /// It is in no queue.
    CameBack,
    Nacked,
    /// Ended together with its channel or connection.
    Failed(Error),
    /// Never handed to the connection.
    Unsent(String),
    /// Nothing yet.
    Silent(String),
}

type Landings = Vec<(usize, Landing)>;

impl Link {
    /// Publishes `letters` and waits for their confirms until `until`. A message that comes back is
    /// sent once more after its queue is declared again.
    pub async fn post(
        &mut self,
        letters: &[Arc<Letter>],
        experience: &mut Experience,
        until: &mut Until<'_>,
    ) -> Vec<Receipt> {
        let mut receipts: Vec<Option<Receipt>> = vec![None; letters.len()];
        let mut open: Vec<usize> = (0..letters.len()).collect();
        let landings = self.land_flights(letters, &mut open, until).await;
        let mut back = self.sort(letters, landings, Lane::Together, &mut receipts, experience);
        for last in [false, true] {
            open.append(&mut back);
            if open.is_empty() {
                break;
            }
            if let Err(why) = self.declare(letters, &open, experience, until).await {
                self.doubt.get_or_insert(why);
            }
            let risky = |place: &usize| {
                let letter = &letters[*place];
                !self.topology.knows(&letter.message.exchange)
                    || experience.suspects.contains_key(&letter.entry)
            };
            let (mut alone, together): (Vec<_>, Vec<_>) =
                std::mem::take(&mut open).into_iter().partition(risky);
            let landings = self.run(Lane::Together, letters, together, until).await;
            back.extend(self.sort(letters, landings, Lane::Together, &mut receipts, experience));
            // Who failed most comes last: it must not keep the others from their turn.
            alone.sort_by_key(|&place| experience.suspects.get(&letters[place].entry).copied());
            for place in alone {
                let landings = self.run(Lane::Alone, letters, vec![place], until).await;
                back.extend(self.sort(letters, landings, Lane::Alone, &mut receipts, experience));
            }
            for &place in &back {
                if let Some(queue) = &letters[place].queue {
                    self.topology.forget(queue);
                }
                if last {
                    let key = &letters[place].message.routing_key;
                    let why = format!("no queue takes what is published with key {key:?}");
                    receipts[place] = Some(Receipt::refused(why));
                }
            }
        }
        let doubt = self.doubt.clone().unwrap_or_default();
        let receipts = receipts.into_iter();
        receipts
            .map(|receipt| receipt.unwrap_or_else(|| Receipt::unsent(doubt.clone())))
            .collect()
    }

    /// Declares what `places` need and this connection has not declared.
    async fn declare(
        &mut self,
        letters: &[Arc<Letter>],
        places: &[usize],
        experience: &mut Experience,
        until: &mut Until<'_>,
    ) -> Result<(), String> {
        if self.blocked().is_some() {
            // Nothing is published, and nothing else is asked for.
            return Ok(());
        }
        for queue in places
            .iter()
            .filter_map(|&place| letters[place].queue.as_ref())
        {
            if self.topology.has(queue) {
                continue;
            }
            tokio::select! {
                done = self.topology.declare(&self.connection, queue, &mut experience.refusals) => done?,
                () = &mut *until => return Err("no answer to a declaration".to_owned()),
            }
        }
        Ok(())
    }

    /// Waits for those of `letters` that are on their way since before; the others stay in `open`.
    async fn land_flights(
        &mut self,
        letters: &[Arc<Letter>],
        open: &mut Vec<usize>,
        until: &mut Until<'_>,
    ) -> Landings {
        let mut flights = Vec::new();
        open.retain(|&place| match self.flights.remove(&letters[place].id) {
            Some(flight) => {
                flights.push((place, flight));
                false
            }
            None => true,
        });
        let mut landings = Landings::new();
        for (place, mut flight) in flights {
            tokio::select! {
                biased;
                landed = &mut flight => landings.push((place, self.landing(landed))),
                () = &mut *until => {
                    // Still blocked, presumably; otherwise the next attempt gives it up.
                    let why = self.blocked().map(str::to_owned);
                    if why.is_none() {
                        self.doubt = Some("no confirm although the broker is not blocked".to_owned());
                    }
                    self.flights.insert(letters[place].id, flight);
                    landings.push((place, Landing::Silent(why.unwrap_or_default())));
                }
            }
        }
        landings
    }

    /// Publishes `places` one after the other on one channel, then waits for all confirms.
    async fn run(
        &mut self,
        lane: Lane,
        letters: &[Arc<Letter>],
        places: Vec<usize>,
        until: &mut Until<'_>,
    ) -> Landings {
        let unsent = |why: &str, places: &[usize]| {
            let unsent = |&place: &usize| (place, Landing::Unsent(why.to_owned()));
            places.iter().map(unsent).collect::<Landings>()
        };
        if places.is_empty() {
            return Landings::new();
        }
        if let Some(why) = self.blocked().map(|why| format!("blocked: {why}")) {
            return unsent(&why, &places);
        }
        if let Some(why) = &self.doubt {
            return unsent(why, &places);
        }
        let channel = tokio::select! {
            channel = self.lane(lane) => channel,
            () = &mut *until => Err("no answer to the opening of a channel".to_owned()),
        };
        let channel = match channel {
            Ok(channel) => channel,
            Err(why) => {
                self.doubt = Some(why.clone());
                return unsent(&why, &places);
            }
        };
        let mut landings = Landings::new();
        let mut flights: Vec<(usize, Flight)> = Vec::with_capacity(places.len());
        let mut late = false;
        for (done, &place) in places.iter().enumerate() {
            let mut sending = Box::pin(send(Arc::clone(&channel), Arc::clone(&letters[place])));
            let halt = tokio::select! {
                biased;
                sent = &mut sending => match sent {
                    Ok(confirm) => {
                        flights.push((place, Box::pin(confirm)));
                        continue;
                    }
                    Err(error) => {
                        let why = error.to_string();
                        landings.push((place, Landing::Failed(error)));
                        why
                    }
                },
                why = self.events.blocked() => {
                    flights.push((place, Box::pin(async move { sending.await?.await })));
                    self.block.insert(why).clone()
                }
                () = &mut *until => {
                    late = true;
                    landings.push((place, Landing::Silent("the message was not taken in time".to_owned())));
                    "no time was left".to_owned()
                }
            };
            landings.extend(unsent(&halt, &places[done + 1..]));
            break;
        }
        for (place, mut flight) in flights {
            let landed = tokio::select! {
                biased;
                landed = &mut flight => Some(landed),
                why = self.events.blocked(), if self.block.is_none() => {
                    self.block = Some(why);
                    None
                }
                // What is blocked is asked for again, with its confirm, by the next attempt.
                () = std::future::ready(()), if self.block.is_some() => None,
                () = &mut *until, if !late => {
                    late = true;
                    None
                }
                () = std::future::ready(()), if late => None,
            };
            match landed {
                Some(landed) => landings.push((place, self.landing(landed))),
                None if self.block.is_some() => {
                    self.flights.insert(letters[place].id, flight);
                    landings.push((place, Landing::Silent("blocked".to_owned())));
                }
                None => landings.push((place, Landing::Silent("no confirm in time".to_owned()))),
            }
        }
        if late && self.block.is_none() {
            self.doubt = Some("no confirm in time".to_owned());
        }
        landings
    }

    fn landing(&mut self, landed: lapin::Result<Confirmation>) -> Landing {
        self.heard();
        let (landing, returned) = match landed {
            Ok(Confirmation::Ack(returned)) => (Landing::Confirmed, returned),
            Ok(Confirmation::Nack(returned)) => (Landing::Nacked, returned),
            Ok(Confirmation::NotRequested) => (Landing::Confirmed, None),
            Err(error) => (Landing::Failed(error), None),
        };
        // It came with this confirm, which says nothing about whose it is.
        self.returned.extend(returned);
        landing
    }

    /// Writes receipts; the messages that came back are returned instead.
    fn sort(
        &mut self,
        letters: &[Arc<Letter>],
        mut landings: Landings,
        lane: Lane,
        receipts: &mut [Option<Receipt>],
        experience: &mut Experience,
    ) -> Vec<usize> {
        for returned in std::mem::take(&mut self.returned) {
            let is_it = |landing: &&mut (usize, Landing)| {
                matches!(landing.1, Landing::Confirmed) && letters[landing.0].is(&returned)
            };
            if let Some(landing) = landings.iter_mut().find(is_it) {
                landing.1 = Landing::CameBack;
            }
        }
        let failed = |landing: &&(usize, Landing)| matches!(landing.1, Landing::Failed(_));
        let culprit_known = lane == Lane::Alone || landings.iter().filter(failed).count() == 1;
        let mut back = Vec::new();
        for (place, landing) in landings {
            let letter = &letters[place];
            let receipt = match landing {
                Landing::Confirmed => {
                    self.topology.trust(&letter.message.exchange);
                    experience.suspects.remove(&letter.entry);
                    Receipt::Confirmed
                }
                Landing::CameBack => {
                    back.push(place);
                    continue;
                }
                Landing::Nacked => {
                    Receipt::failed("the broker could not take it (nack)", Scope::Message, true)
                }
                Landing::Unsent(why) => Receipt::unsent(why),
                Landing::Silent(why) => Receipt::lost(why),
                Landing::Failed(error) => {
                    let (cause, why) = (Cause::of(&error), error.to_string());
                    if cause != Cause::Channel {
                        self.doubt = Some(why.clone());
                    }
                    if cause != Cause::Connection {
                        *experience.suspects.entry(letter.entry.clone()).or_default() += 1;
                    }
                    match cause {
                        Cause::Channel | Cause::Content if culprit_known => Receipt::refused(why),
                        Cause::Channel => Receipt::failed(why, Scope::Message, true),
                        Cause::Content | Cause::Connection => Receipt::lost(why),
                    }
                }
            };
            receipts[place] = Some(receipt);
        }
        back
    }

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
                let arguments = lapin::types::FieldTable::default();
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

impl Letter {
    /// Whether `returned` is this message.
    fn is(&self, returned: &BasicReturnMessage) -> bool {
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
async fn send(channel: Arc<Channel>, letter: Arc<Letter>) -> lapin::Result<PublisherConfirm> {
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
