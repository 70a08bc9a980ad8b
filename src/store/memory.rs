//! A store within the process, for tests: several instances share one [`MemoryStore`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use super::control::{Carried, Order};
use super::tables::{Table, Tables};
use super::{
    Campaign, Claim, Lease, Ledger, Loaded, Paused, Renewal, Reservation, Settlement, StoreError,
    Term, Unmarked, Write,
};
use crate::plan::{Outcome, Recorded};
use crate::timetable::EntryName;

/// What the instances share.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    leader: Option<String>,
    term: u64,
    tables: Tables,
    /// While set, every call fails with it.
    fault: Option<StoreError>,
    /// The next write is done and its answer is lost.
    unheard: bool,
}

impl State {
    /// The answer to a write, unless it is to be lost.
    fn answer<T>(&mut self, answer: T) -> Result<T, StoreError> {
        if std::mem::take(&mut self.unheard) {
            return Err(StoreError::Ambiguous("the answer was lost".into()));
        }
        Ok(answer)
    }
}

impl MemoryStore {
    /// A lease and a ledger for the instance called `instance`.
    #[must_use]
    pub fn open(&self, instance: &str) -> (MemoryLease, MemoryLedger) {
        (
            MemoryLease {
                store: self.clone(),
                instance: instance.to_owned(),
            },
            MemoryLedger {
                store: self.clone(),
                instance: instance.to_owned(),
            },
        )
    }

    /// Lets every call fail with `fault` until `None` is set.
    pub fn set_fault(&self, fault: Option<StoreError>) {
        self.state().fault = fault;
    }

    /// The next write is done, and its answer is lost.
    pub fn lose_next_answer(&self) {
        self.state().unheard = true;
    }

    /// Forgets everything, as a server that was flushed.
    pub fn lose_data(&self) {
        let mut state = self.state();
        state.tables = Tables::default();
        state.leader = None;
        state.term = 0;
    }

    /// What is recorded of `entry`, whatever fault is set.
    #[must_use]
    pub fn recorded(&self, entry: &EntryName) -> Recorded {
        let loaded = self.state().tables.load(std::slice::from_ref(entry));
        loaded.recorded.into_iter().next().unwrap_or_default()
    }

    /// Takes the lease away from whoever holds it.
    pub fn depose(&self) {
        self.state().leader = None;
        self.0.wake.notify_waiters();
    }

    /// Pauses an entry, or all with `*`; `None` resumes.
    pub fn set_paused(&self, entry: &str, reason: Option<&str>) {
        let mut state = self.state();
        match reason {
            Some(reason) => state.tables.set(Table::Paused, entry, reason.to_owned()),
            None => state.tables.remove(Table::Paused, entry),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn healthy(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state();
        match &state.fault {
            Some(fault) => Err(fault.clone()),
            None => Ok(state),
        }
    }

    fn as_leader(&self, instance: &str, term: Term) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.healthy()?;
        if state.leader.as_deref() == Some(instance) && state.term == term.0 {
            Ok(state)
        } else {
            Err(StoreError::Deposed)
        }
    }
}

/// The lease of a [`MemoryStore`]; it never ends by itself.
#[derive(Debug)]
pub struct MemoryLease {
    store: MemoryStore,
    instance: String,
}

impl Lease for MemoryLease {
    async fn campaign(&mut self, _ttl: Duration, seen: Term) -> Result<Campaign, StoreError> {
        let mut state = self.store.healthy()?;
        match &state.leader {
            Some(leader) if *leader == self.instance => Ok(Campaign::Won(Term(state.term))),
            Some(leader) => Ok(Campaign::Held {
                holder: format!("{leader}/{}", state.term),
                term: Term(state.term),
                ends_in: None,
            }),
            None => {
                if state.term == 0 {
                    state.tables.mark_if_new(seen);
                }
                state.term = state.term.max(seen.0) + 1;
                state.leader = Some(self.instance.clone());
                Ok(Campaign::Won(Term(state.term)))
            }
        }
    }

    async fn renew(&mut self, term: Term, _ttl: Duration) -> Result<Renewal, StoreError> {
        match self.store.as_leader(&self.instance, term) {
            Ok(_) => Ok(Renewal::Held(None)),
            Err(StoreError::Deposed) => Ok(Renewal::Lost),
            Err(error) => Err(error),
        }
    }

    async fn resign(&mut self, term: Term) -> Result<(), StoreError> {
        if let Ok(mut state) = self.store.as_leader(&self.instance, term) {
            state.leader = None;
        }
        self.store.0.wake.notify_waiters();
        Ok(())
    }

    async fn wait(&mut self, limit: Duration) {
        let _ = tokio::time::timeout(limit, self.store.0.wake.notified()).await;
    }
}

/// The ledger of a [`MemoryStore`].
#[derive(Debug)]
pub struct MemoryLedger {
    store: MemoryStore,
    instance: String,
}

impl Ledger for MemoryLedger {
    async fn load(&mut self, names: &[EntryName]) -> Result<Loaded, StoreError> {
        Ok(self.store.healthy()?.tables.load(names))
    }

    async fn others(
        &mut self,
        names: &[EntryName],
    ) -> Result<Vec<(EntryName, String)>, StoreError> {
        Ok(self.store.healthy()?.tables.others(names))
    }

    async fn enrol(
        &mut self,
        term: Term,
        birth: Option<&str>,
        writes: &[Write],
    ) -> Result<Vec<usize>, StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        let conflicts = state.tables.enrol(birth, writes);
        state.answer(conflicts)
    }

    async fn pause(&mut self, term: Term, marks: &Paused) -> Result<(), StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        state.tables.pause(marks);
        state.answer(())
    }

    async fn claim(&mut self, term: Term, items: &[Settlement]) -> Result<Vec<Claim>, StoreError> {
        Ok(self
            .store
            .as_leader(&self.instance, term)?
            .tables
            .claim(items))
    }

    async fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        Ok(state.tables.reserve(term, items))
    }

    async fn unmarked(&mut self, term: Term) -> Result<Vec<Unmarked>, StoreError> {
        let state = self.store.as_leader(&self.instance, term)?;
        Ok(state.tables.unmarked(term))
    }

    async fn abandon(&mut self, term: Term, reservations: &[Unmarked]) -> Result<(), StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        state.tables.abandon(reservations);
        state.answer(())
    }

    async fn commit(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        let outcomes = state.tables.commit(term, items);
        state.answer(outcomes)
    }

    async fn repair(&mut self, term: Term) -> Result<Vec<String>, StoreError> {
        self.store
            .as_leader(&self.instance, term)
            .map(|_| Vec::new())
    }
}

impl MemoryLedger {
    /// See [`super::AnyLedger::obey`].
    pub fn obey(&mut self, term: Term, order: &Order) -> Result<Carried, StoreError> {
        let mut state = self.store.as_leader(&self.instance, term)?;
        let carried = state.tables.obey(order);
        state.answer(carried)
    }
}
