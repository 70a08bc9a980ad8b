//! What is committed by scripts, one after the other.

use std::collections::HashSet;
use std::sync::Arc;

use super::mail::Mail;
use super::publisher::RedisPublisher;
use super::switchboard::Address;
use crate::clock::Timestamp;
use crate::dispatch::{CHUNK, CHUNK_BYTES, Scribe};
use crate::plan::{Action, Due, Outcome};
use crate::store::redis::{Item, RedisLedger};
use crate::store::{Settlement, StoreError, Term};

/// Items of any kind, in any number, in their order.
pub struct Batch<'a> {
    /// Publishes and records.
    pub ledger: &'a mut RedisLedger,
    /// Writes messages.
    pub publisher: &'a mut RedisPublisher,
    /// Names tasks and records.
    pub scribe: &'a Scribe,
    /// The term that it is done in.
    pub term: Term,
    /// Number of the database that the queues are in.
    pub queues: i64,
    /// The items.
    pub dues: &'a [Due],
    /// As of when they are published.
    pub now: Timestamp,
    /// The chunk that is being written.
    pub mail: Mail,
}

/// Tells the entries of one batch apart, faster than their names.
fn address_of(due: &Due) -> usize {
    Arc::as_ptr(&due.entry).addr()
}

impl Batch<'_> {
    /// Commits everything, at most [`CHUNK`] items and [`CHUNK_BYTES`] in a script. `addresses` are
    /// those of the fires among them.
    ///
    /// After an error of a later chunk, what earlier ones did is told and the rest is held, unless
    /// it is in doubt: then all is to be sent again.
    pub async fn commit(mut self, addresses: Vec<Address>) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = vec![Outcome::Held; self.dues.len()];
        // Entries of which an item failed: the rest is held.
        let mut failed = HashSet::new();
        let mut addresses = addresses.into_iter();
        let mut landed = false;
        let mut next = 0;
        while next < self.dues.len() {
            let (places, settlements) = self.write(&mut next, &mut addresses, &failed);
            let (effects, parts) = self.mail.effects(self.publisher.events());
            let items: Vec<Item<'_>> = settlements
                .iter()
                .zip(parts)
                .map(|(settlement, part)| Item {
                    settlement,
                    effects: &effects[part],
                })
                .collect();
            match self.ledger.fire(self.term, self.queues, &items).await {
                Ok(chunk) => {
                    landed = true;
                    for (place, outcome) in places.into_iter().zip(chunk) {
                        if matches!(outcome, Outcome::Rejected(_) | Outcome::Held) {
                            failed.insert(address_of(&self.dues[place]));
                        }
                        outcomes[place] = outcome;
                    }
                }
                Err(error) if !landed || matches!(error, StoreError::Ambiguous(_)) => {
                    return Err(error);
                }
                Err(_) => break,
            }
        }
        Ok(outcomes)
    }

    /// Writes the chunk that begins at `next`, which is moved behind it; the places of its items.
    fn write(
        &mut self,
        next: &mut usize,
        addresses: &mut impl Iterator<Item = Address>,
        failed: &HashSet<usize>,
    ) -> (Vec<usize>, Vec<Settlement>) {
        self.mail.clear();
        let mut places = Vec::with_capacity(CHUNK);
        let mut settlements: Vec<Settlement> = Vec::with_capacity(CHUNK);
        while let Some(due) = self.dues.get(*next) {
            let template = &due.entry.template;
            let full = self.mail.size() + template.size_hint() > CHUNK_BYTES && !places.is_empty();
            if places.len() == CHUNK || full {
                break;
            }
            let address = if due.action == Action::Fire {
                addresses.next()
            } else {
                None
            };
            *next += 1;
            if failed.contains(&address_of(due)) {
                continue;
            }
            match address {
                Some(address) => {
                    let fire = self.scribe.fire(due, self.now);
                    self.publisher
                        .write(&mut self.mail, template, &fire, address);
                }
                None => self.mail.skip(),
            }
            settlements.push(self.scribe.settlement(due, self.now));
            places.push(*next - 1);
        }
        (places, settlements)
    }
}
