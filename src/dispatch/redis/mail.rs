//! The rendered messages of a batch and what each does to the server.

use std::ops::Range;
use std::sync::Arc;

use super::switchboard::{Address, Step};
use crate::message::{Fire, Template};
use crate::store::redis::{Effect, Verb};

/// Messages, one after the other in one buffer.
#[derive(Debug, Default)]
pub struct Mail {
    bytes: Vec<u8>,
    letters: Vec<Letter>,
}

#[derive(Debug)]
struct Letter {
    address: Address,
    message: Range<usize>,
    event: Range<usize>,
}

impl Mail {
    /// Adds the message of `template`, with its event as the `clock`-th of this process; nothing is
    /// rendered for one that cannot be delivered.
    pub fn add(&mut self, template: &Template, fire: &Fire, clock: u64, address: Address) {
        let start = self.bytes.len();
        if address.is_ok() {
            self.bytes.reserve(template.size_hint());
            template.render_envelope(fire, &mut self.bytes);
        }
        let end = self.bytes.len();
        if address.is_ok() {
            template.render_event_envelope(fire, clock, &mut self.bytes);
        }
        self.letters.push(Letter {
            address,
            message: start..end,
            event: end..self.bytes.len(),
        });
    }

    /// Adds nothing, for an item that publishes nothing.
    pub fn skip(&mut self) {
        let end = self.bytes.len();
        self.letters.push(Letter {
            address: Ok(Arc::from([])),
            message: end..end,
            event: end..end,
        });
    }

    /// Empties it; what it has allocated is used again.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.letters.clear();
    }

    /// Bytes so far.
    #[must_use]
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// What is done to the server, and which part of that belongs to each message. Events go to
    /// `channel`.
    #[must_use]
    pub fn effects<'a>(&'a self, channel: &'a str) -> (Vec<Effect<'a>>, Vec<Range<usize>>) {
        let mut effects = Vec::with_capacity(self.letters.len());
        let mut parts = Vec::with_capacity(self.letters.len());
        for letter in &self.letters {
            let start = effects.len();
            let message = &self.bytes[letter.message.clone()];
            match &letter.address {
                Ok(steps) => effects.extend(steps.iter().map(|step| match step {
                    Step::Push(key) => Effect {
                        verb: Verb::Push,
                        key,
                        argument: message,
                    },
                    Step::Publish(channel) => Effect {
                        verb: Verb::Publish,
                        key: channel,
                        argument: message,
                    },
                    Step::Expire(key, millis) => Effect {
                        verb: Verb::Expire,
                        key,
                        argument: millis.as_bytes(),
                    },
                })),
                Err(rejection) => effects.push(Effect {
                    verb: Verb::Refuse,
                    key: "",
                    argument: rejection.0.as_bytes(),
                }),
            }
            if !letter.event.is_empty() {
                let argument = &self.bytes[letter.event.clone()];
                effects.push(Effect {
                    verb: Verb::Notify,
                    key: channel,
                    argument,
                });
            }
            parts.push(start..effects.len());
        }
        (effects, parts)
    }
}
