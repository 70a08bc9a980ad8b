//! A publisher that does what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::confirmed::{Parcel, PublishError, Publisher};
use crate::clock::FireTime;
use crate::plan::Rejection;
use crate::timetable::EntryName;

/// What becomes of one batch.
#[derive(Debug, Clone)]
pub enum Script {
    /// Everything is published.
    Publish,
    /// Published, but the confirm is lost.
    LoseConfirm,
    /// Nothing is published.
    Refuse,
    /// All is published but what belongs to this entry.
    Reject(EntryName),
}

/// Records what was published; clones share the record.
#[derive(Debug, Clone, Default)]
pub struct MemoryPublisher(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Script>,
    published: Vec<(EntryName, FireTime)>,
}

impl MemoryPublisher {
    /// What the next batches meet, one each; later ones are published.
    pub fn script(&self, script: impl IntoIterator<Item = Script>) {
        self.state().script.extend(script);
    }

    /// What was published so far, in order.
    #[must_use]
    pub fn published(&self) -> Vec<(EntryName, FireTime)> {
        self.state().published.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Publisher for MemoryPublisher {
    async fn publish(
        &mut self,
        parcels: &[Parcel<'_>],
    ) -> Result<Vec<Result<(), Rejection>>, PublishError> {
        let mut state = self.state();
        let script = state.script.pop_front().unwrap_or(Script::Publish);
        if matches!(script, Script::Refuse) {
            return Err(PublishError::Unavailable("refused".into()));
        }
        let mut results = Vec::with_capacity(parcels.len());
        for Parcel { due, .. } in parcels {
            if matches!(&script, Script::Reject(entry) if *entry == due.entry.name) {
                results.push(Err(Rejection("poisoned".into())));
            } else {
                state
                    .published
                    .push((due.entry.name.clone(), due.fire_time));
                results.push(Ok(()));
            }
        }
        match script {
            Script::LoseConfirm => Err(PublishError::Ambiguous("confirm lost".into())),
            _ => Ok(results),
        }
    }
}
