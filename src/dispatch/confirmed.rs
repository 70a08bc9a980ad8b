//! Publish and record one after the other, where no transaction spans both.
//!
//! At least once: look, publish, wait for the confirm, record. What was confirmed but could not be
//! recorded is remembered, so that the repeat of a chunk records it without publishing it again;
//! only a crash in between, or a leader that was paused there, leads to a second message, with the
//! same task id. One fire of an entry is in flight at a time.

use std::collections::{HashMap, HashSet};

use super::Scribe;
use super::folder::Folder;
use super::memory::MemoryPublisher;
use crate::clock::{FireTime, Timestamp};
use crate::message::Fire;
use crate::plan::{Action, Due, Outcome, Rejection};
use crate::store::{AnyLedger, Claim, Ledger, Settlement, StoreError, Term};
use crate::timetable::EntryName;

/// One message to publish.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// What is due.
    pub due: &'a Due,
    /// What is filled into its template.
    pub fire: Fire,
}

/// Why nothing, or an unknown part, of a batch was published.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// Nothing was published.
    #[error("{0}")]
    Unavailable(String),
    /// Some may have been published.
    #[error("{0}")]
    Ambiguous(String),
}

/// Something that takes messages and says when it has them.
pub trait Publisher {
    /// Publishes `parcels` and waits until the broker has confirmed or refused each.
    fn publish(
        &mut self,
        parcels: &[Parcel<'_>],
    ) -> impl Future<Output = Result<Vec<Result<(), Rejection>>, PublishError>> + Send;
}

/// The publisher of whichever broker is configured.
#[derive(Debug)]
pub enum AnyPublisher {
    /// Folders in Kombu's layout.
    Folder(Folder),
    /// A scripted double.
    Memory(MemoryPublisher),
}

impl Publisher for AnyPublisher {
    async fn publish(
        &mut self,
        parcels: &[Parcel<'_>],
    ) -> Result<Vec<Result<(), Rejection>>, PublishError> {
        match self {
            Self::Folder(folder) => folder.publish(parcels).await,
            Self::Memory(memory) => memory.publish(parcels).await,
        }
    }
}

/// A publisher and a ledger.
#[derive(Debug)]
pub struct Confirmed {
    publisher: AnyPublisher,
    ledger: AnyLedger,
    /// Confirmed by the broker, not yet recorded.
    unrecorded: HashMap<(EntryName, FireTime), Timestamp>,
}

impl Confirmed {
    /// Publishes through `publisher`, records in `ledger`.
    #[must_use]
    pub fn new(publisher: AnyPublisher, ledger: AnyLedger) -> Self {
        Self {
            publisher,
            ledger,
            unrecorded: HashMap::new(),
        }
    }

    /// The ledger.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        &mut self.ledger
    }

    /// See [`super::Dispatcher::dispatch`].
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes: Vec<Option<Outcome>> = vec![None; dues.len()];
        let mut in_flight: HashSet<&str> = HashSet::new();
        let mut to_claim = Vec::new();
        let mut to_record = Vec::new();
        for (place, due) in dues.iter().enumerate() {
            if !in_flight.insert(&due.entry.name) {
                outcomes[place] = Some(Outcome::Held);
            } else if due.action == Action::Skip {
                to_record.push((place, scribe.settlement(due, now)));
            } else if let Some(&sent_at) = self.unrecorded.get(&key(due)) {
                to_record.push((place, scribe.settlement(due, sent_at)));
            } else {
                to_claim.push((place, scribe.settlement(due, now)));
            }
        }

        let mut to_publish = Vec::new();
        if !to_claim.is_empty() {
            let settlements: Vec<Settlement> = to_claim
                .iter()
                .map(|(_, settlement)| settlement.clone())
                .collect();
            let claims = self.ledger.claim(term, &settlements).await?;
            for ((place, settlement), claim) in to_claim.into_iter().zip(claims) {
                match claim {
                    Claim::Publish => to_publish.push((place, settlement)),
                    // Recorded as skipped by the commit, which sees the pause itself.
                    Claim::Settled(Outcome::Paused) => to_record.push((place, settlement)),
                    Claim::Settled(outcome) => outcomes[place] = Some(outcome),
                }
            }
        }

        if !to_publish.is_empty() {
            let parcels: Vec<Parcel<'_>> = to_publish
                .iter()
                .map(|(place, _)| Parcel {
                    due: &dues[*place],
                    fire: scribe.fire(&dues[*place], now),
                })
                .collect();
            let results = self
                .publisher
                .publish(&parcels)
                .await
                .map_err(|error| match error {
                    PublishError::Unavailable(why) => StoreError::Unavailable(why),
                    PublishError::Ambiguous(why) => StoreError::Ambiguous(why),
                })?;
            for ((place, settlement), result) in to_publish.into_iter().zip(results) {
                match result {
                    Ok(()) => {
                        self.unrecorded.insert(key(&dues[place]), now);
                        to_record.push((place, settlement));
                    }
                    Err(rejection) => outcomes[place] = Some(Outcome::Rejected(rejection)),
                }
            }
        }

        if !to_record.is_empty() {
            let settlements: Vec<Settlement> = to_record
                .iter()
                .map(|(_, settlement)| settlement.clone())
                .collect();
            let recorded = self.ledger.commit(term, &settlements).await?;
            for ((place, _), outcome) in to_record.into_iter().zip(recorded) {
                self.unrecorded.remove(&key(&dues[place]));
                outcomes[place] = Some(outcome);
            }
        }
        Ok(outcomes
            .into_iter()
            .map(|outcome| outcome.unwrap_or(Outcome::Held))
            .collect())
    }

    /// Forgets what a term that is over left unrecorded: the next leader decides from the ledger.
    pub fn forget(&mut self) {
        self.unrecorded.clear();
    }
}

fn key(due: &Due) -> (EntryName, FireTime) {
    (due.entry.name.clone(), due.fire_time)
}
