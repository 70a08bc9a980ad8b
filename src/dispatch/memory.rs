//! A publisher that does what a test tells it to.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::publisher::{Parcel, Publisher, Receipt};
use crate::clock::FireTime;
use crate::plan::Due;
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
    then: Option<Then>,
}

/// What happens between the next batch's publication and its receipts.
struct Then(Box<dyn FnOnce() + Send>);

impl std::fmt::Debug for Then {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Then")
    }
}

impl MemoryPublisher {
    /// What the next batches meet, one each; later ones are published.
    pub fn script(&self, script: impl IntoIterator<Item = Script>) {
        self.state().script.extend(script);
    }

    /// Runs `event` when the next batch is published and not yet recorded.
    pub fn then(&self, event: impl FnOnce() + Send + 'static) {
        self.state().then = Some(Then(Box::new(event)));
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
    async fn ready(&mut self) -> Result<(), String> {
        Ok(())
    }

    async fn publish(&mut self, parcels: &[Parcel<'_>]) -> Vec<Receipt> {
        let mut state = self.state();
        let script = state.script.pop_front().unwrap_or(Script::Publish);
        let receipt = |due: &Due| match &script {
            Script::Refuse => Receipt::unsent("refused"),
            Script::Reject(entry) if *entry == due.entry.name => Receipt::refused("poisoned"),
            Script::LoseConfirm => Receipt::lost("confirm lost"),
            Script::Publish | Script::Reject(_) => Receipt::Confirmed,
        };
        let receipts: Vec<Receipt> = parcels.iter().map(|parcel| receipt(parcel.due)).collect();
        for (Parcel { due, .. }, receipt) in parcels.iter().zip(&receipts) {
            let arrived = match receipt {
                Receipt::Confirmed => true,
                Receipt::Failed(failure) => failure.may_have_arrived,
            };
            if arrived {
                state
                    .published
                    .push((due.entry.name.clone(), due.fire_time));
            }
        }
        let then = state.then.take();
        drop(state);
        if let Some(Then(event)) = then {
            event();
        }
        receipts
    }
}
