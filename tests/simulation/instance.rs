//! One instance: the loop of `daemon::metronome`, one step at a time.

use std::sync::Arc;
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::Loaded;
use beat::daemon::office::{self, Memory};
use beat::observe::Facts;
use beat::plan::clocks::{Clocks, Reading};
use beat::plan::{Due, Plan, Progress};
use beat::store::memory::{MemoryLease, MemoryStore};
use beat::store::{AnyLedger, Campaign, Lease, StoreError, Term};
use futures_util::FutureExt;

use crate::audit::Before;

/// One instance.
pub struct Instance {
    /// Its lease.
    pub lease: MemoryLease,
    /// Its ledger.
    pub ledger: AnyLedger,
    /// The schedule it has loaded last.
    pub loaded: Arc<Loaded>,
    /// The schedule that the plan goes by.
    pub running: Arc<Loaded>,
    /// Its plan; `None` until it has taken office.
    pub plan: Option<Plan>,
    /// The term it leads for.
    pub term: Option<Term>,
    /// The highest it has led for or seen.
    pub seen: Term,
    /// What outlives a term.
    pub memory: Memory,
    /// By how many µs its clock is ahead.
    pub ahead: i64,
    /// A chunk that is to be sent, or sent again.
    pub chunk: Option<Chunk>,
}

/// A chunk.
pub struct Chunk {
    /// Its items.
    pub dues: Vec<Due>,
    /// Where their entries stood.
    pub before: Before,
    /// No answer was lost.
    pub clean: bool,
}

/// The answer of something that never waits.
pub fn now<T>(future: impl Future<Output = T>) -> T {
    future
        .now_or_never()
        .expect("the memory store does not wait")
}

impl Instance {
    /// One that was just started.
    pub fn new(store: &MemoryStore, name: &str, loaded: Arc<Loaded>, ahead: i64) -> Self {
        let (lease, ledger) = store.open(name);
        Self {
            lease,
            ledger: AnyLedger::Memory(ledger),
            running: loaded.clone(),
            loaded,
            plan: None,
            term: None,
            seen: Term(0),
            memory: Memory::default(),
            ahead,
            chunk: None,
        }
    }

    /// What its clock reads.
    pub fn wall(&self, now: Timestamp) -> Timestamp {
        now.plus_micros(self.ahead)
    }

    /// Stands for election; whether it leads.
    pub fn campaign(&mut self) -> bool {
        match now(self.lease.campaign(Duration::from_secs(10), self.seen)) {
            Ok(Campaign::Won(term)) if term <= self.seen => {
                now(self.lease.resign(term)).unwrap();
                false
            }
            Ok(Campaign::Won(term)) => {
                self.seen = term;
                self.term = Some(term);
                true
            }
            Ok(Campaign::Held { .. }) | Err(_) => false,
        }
    }

    /// The term is over.
    pub fn leave(&mut self) {
        self.term = None;
        self.plan = None;
        self.chunk = None;
    }

    /// Takes office; whether it has.
    pub fn take(&mut self, wall: Timestamp) -> bool {
        let term = self.term.unwrap();
        self.running = self.loaded.clone();
        // Nobody but the own clock has a say.
        let boot = Duration::ZERO;
        let reading = Reading { wall, boot };
        match now(office::take(
            &mut self.ledger,
            term,
            &self.running.timetable,
            &mut self.memory,
            &mut Clocks::new(reading),
            reading,
            &Facts::new(boot, wall),
        )) {
            Ok(plan) => {
                self.plan = Some(plan);
                true
            }
            Err(StoreError::Deposed) => {
                self.leave();
                false
            }
            Err(_) => false,
        }
    }

    /// Goes over to the schedule it has loaded; whether it has.
    pub fn change(&mut self, wall: Timestamp) -> bool {
        let (term, plan) = (self.term.unwrap(), self.plan.as_mut().unwrap());
        let (old, new) = (&self.running.timetable, &self.loaded.timetable);
        let difference = new.difference(old);
        let untouched: Vec<(Arc<str>, Progress)> = plan
            .entries()
            .map(|(entry, standing)| (entry.name.clone(), standing.progress))
            .filter(|(name, _)| {
                !difference.changed.contains(name) && !difference.removed.contains(name)
            })
            .collect();
        let facts = Facts::new(Duration::ZERO, wall);
        match now(office::change(
            &mut self.ledger,
            term,
            plan,
            old,
            new,
            wall,
            &facts,
        )) {
            Ok(()) => {
                for (name, progress) in untouched {
                    assert_eq!(
                        plan.standing(&name).unwrap().progress,
                        progress,
                        "{name} was not edited"
                    );
                }
                assert_eq!(plan.entries().count(), new.entries.len());
                self.running = self.loaded.clone();
                true
            }
            Err(StoreError::Deposed) => {
                self.leave();
                false
            }
            Err(_) => false,
        }
    }
}
