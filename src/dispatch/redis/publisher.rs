//! Publishes to Redis alone, where the store is elsewhere.

use redis::{RedisResult, Value};

use super::mail::Mail;
use super::switchboard::{Address, Switchboard};
use crate::dispatch::publisher::{Parcel, Publisher, Receipt, Scope};
use crate::message::{Conventions, Fire, Template};
use crate::store::redis::{Effect, Link, LinkError, Verb};

/// Renders and publishes.
#[derive(Debug)]
pub struct RedisPublisher {
    switchboard: Switchboard,
    /// Channel of `task-sent` events.
    events: String,
    /// Events sent so far.
    clock: u64,
}

impl RedisPublisher {
    /// Publishes through `link` as `conventions` say.
    #[must_use]
    pub fn new(link: Link, conventions: &Conventions) -> Self {
        Self {
            switchboard: Switchboard::new(link, conventions.redis.clone()),
            events: conventions.event_channel().unwrap_or_default(),
            clock: 0,
        }
    }

    /// The connection to the broker.
    pub fn link(&mut self) -> &mut Link {
        self.switchboard.link()
    }

    /// Channel of `task-sent` events.
    #[must_use]
    pub fn events(&self) -> &str {
        &self.events
    }

    /// Where the messages of `templates` go, one for each.
    pub async fn addresses(&mut self, templates: &[&Template]) -> Result<Vec<Address>, LinkError> {
        self.switchboard.addresses(templates).await
    }

    /// Adds a message to `mail`.
    pub fn write(&mut self, mail: &mut Mail, template: &Template, fire: &Fire, address: Address) {
        if template.sends_event() {
            self.clock += 1;
        }
        mail.add(template, fire, self.clock, address);
    }
}

impl Publisher for RedisPublisher {
    async fn ready(&mut self) -> Result<(), String> {
        self.link()
            .connect()
            .await
            .map(drop)
            .map_err(|error| error.to_string())
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        let templates: Vec<&Template> = parcels
            .iter()
            .map(|parcel| &parcel.due.entry.template)
            .collect();
        let mut addresses = match self.addresses(&templates).await {
            Ok(addresses) => addresses,
            // Nothing is published yet: a lost reply to a look-up leaves no doubt.
            Err(error) => return vec![Receipt::unsent(error.to_string()); parcels.len()],
        };
        if let Err(error) = self.switchboard.refuse_halves(&mut addresses).await {
            return vec![Receipt::unsent(error.to_string()); parcels.len()];
        }
        let mut mail = Mail::default();
        for (parcel, address) in parcels.iter().zip(addresses) {
            self.write(&mut mail, &parcel.due.entry.template, &parcel.fire, address);
        }
        let (effects, parts) = mail.effects(&self.events);
        let mut pipe = redis::pipe();
        pipe.ignore_errors();
        for effect in &effects {
            let name = match effect.verb {
                Verb::Push => "LPUSH",
                Verb::Publish | Verb::Notify => "PUBLISH",
                Verb::Expire => "PEXPIRE",
                Verb::Refuse => continue,
            };
            pipe.cmd(name).arg(effect.key).arg(effect.argument);
        }
        let link = self.switchboard.link();
        let mut replies = Vec::new().into_iter();
        if !pipe.is_empty() {
            let answered: Result<Vec<RedisResult<Value>>, LinkError> = link
                .run(async |connection| pipe.query_async(connection).await)
                .await;
            replies = match answered {
                Ok(replies) => replies.into_iter(),
                Err(LinkError::Ambiguous(why)) => return vec![Receipt::lost(why); parcels.len()],
                Err(error) => return vec![Receipt::unsent(error.to_string()); parcels.len()],
            };
        }
        parts
            .into_iter()
            .map(|part| receipt(&effects[part], &mut replies, link))
            .collect()
    }
}

/// What the replies to the effects of one message mean for it.
fn receipt(
    effects: &[Effect<'_>],
    replies: &mut impl Iterator<Item = RedisResult<Value>>,
    link: &mut Link,
) -> Receipt {
    let mut pushed = false;
    let mut failed = None;
    for effect in effects {
        if effect.verb == Verb::Refuse {
            failed = Some((
                String::from_utf8_lossy(effect.argument).into_owned(),
                Scope::Message,
            ));
            continue;
        }
        let reply = replies.next();
        if !matches!(effect.verb, Verb::Push | Verb::Publish) {
            continue;
        }
        match reply {
            Some(Ok(_)) => pushed = true,
            Some(Err(error)) => {
                // What the server refuses to everybody is no fault of the message.
                failed = Some(match link.judge::<()>(Ok(Err(error))) {
                    Err(LinkError::Refused(error)) => (error.to_string(), Scope::Message),
                    Err(error) => (error.to_string(), Scope::Broker),
                    Ok(()) => continue,
                });
            }
            None => failed = Some(("no reply".to_owned(), Scope::Broker)),
        }
    }
    match failed {
        // One of several queues has it.
        Some((why, scope)) => Receipt::failed(why, scope, pushed),
        None => Receipt::Confirmed,
    }
}
