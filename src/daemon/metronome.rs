//! The loop: wait for the next send instant, dispatch what is due, settle it.
//!
//! One task owns the plan, so nothing is locked. Its naps are short and it reads the clocks anew
//! each time: timers stop during suspend and do not notice when the clock is set.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::control::Controller;
use super::elector::{Ended, Leadership};
use super::links::{self, Links};
use super::office::{self, Memory};
use super::report::{self, Untold};
use super::trouble::Trouble;
use crate::clock::{Clock, Timestamp};
use crate::config::Loaded;
use crate::dispatch::{Dispatcher, Scribe};
use crate::observe::Facts;
use crate::plan::Plan;
use crate::plan::clocks::{Clocks, Reading};
use crate::store::{Ledger as _, StoreError, Term};

/// Longest nap: what a step of the clock or a suspend can cost.
const NAP: Duration = Duration::from_secs(1);

/// The task that fires.
pub struct Metronome<C> {
    /// The clocks.
    pub clock: C,
    /// What is loaded; the latest counts.
    pub schedule: watch::Receiver<Arc<Loaded>>,
    /// What the elector says.
    pub leadership: watch::Receiver<Leadership>,
    /// Where a term that ended here is reported.
    pub ended: mpsc::Sender<Ended>,
    /// Publishes and records.
    pub dispatcher: Dispatcher,
    /// Makes a dispatcher for changed connection settings.
    pub links: Links,
    /// Writes messages.
    pub scribe: Scribe,
    /// Finish the chunk in flight and end.
    pub stop: CancellationToken,
    /// Changes whenever requests of operators wait.
    pub requests: watch::Receiver<()>,
    /// How messages are committed, for status.
    pub mode: watch::Sender<Option<&'static str>>,
    /// Whether commits fail at present.
    pub trouble: Trouble,
    /// Where it shows that it is alive, and what it does.
    pub facts: Arc<Facts>,
    /// Which of the clocks is right.
    pub clocks: Clocks,
    /// Reading of [`Clock::boot`] until which the term last led for was trusted, as last heard.
    pub trusted_until: Duration,
    /// Reading of [`Clock::boot`] at which the broker was last talked to.
    pub tended: Option<Duration>,
    /// Reading of [`Clock::boot`] since which nothing that was sent in this term was answered.
    pub unanswered_since: Option<Duration>,
    /// Wakes it for the next fire.
    pub alarm: Alarm,
    /// What became of the last chunks.
    pub untold: Untold,
}

/// Why a term ends for the metronome.
pub(super) enum Over {
    /// Another leads, or nobody.
    Deposed,
    /// The lease is kept, but what is sent is not answered.
    Unable,
    /// The process is to end.
    Stopped,
}

impl<C: Clock> Metronome<C> {
    /// Runs until stopped.
    pub async fn run(mut self) {
        let mut memory = Memory::default();
        loop {
            let leads = |leadership: &Leadership| leadership.term().is_some();
            let Some(term) = self.stand_by(leads).await.and_then(|now| now.term()) else {
                return;
            };
            let mut plan = Plan::default();
            let over = self.lead(term, &mut plan, &mut memory).await;
            self.untold.tell_all(&self.facts, &self.scribe);
            // A term that came to nothing has no plan, and leaves what was known before.
            if plan.entries().next().is_some() {
                memory.plan = Some((plan, self.trusted_until));
            }
            match over {
                Over::Stopped => return,
                Over::Deposed | Over::Unable => {
                    let ended = match over {
                        Over::Unable => Ended::Unable(term),
                        _ => Ended::Lost(term),
                    };
                    let _ = self.ended.try_send(ended);
                    // Only the elector may say so again.
                    let still = |leadership: &Leadership| leadership.term() != Some(term);
                    if self.stand_by(still).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Waits for a leadership that is as asked; `None` when the process is to end.
    async fn stand_by(&mut self, until: impl Fn(&Leadership) -> bool) -> Option<Leadership> {
        loop {
            self.facts.pulse.mark(&self.clock);
            tokio::select! {
                now = self.leadership.wait_for(&until) => return now.ok().map(|now| *now),
                () = tokio::time::sleep(NAP) => {}
                () = self.stop.cancelled() => return None,
            }
        }
    }

    async fn lead(&mut self, term: Term, plan: &mut Plan, memory: &mut Memory) -> Over {
        let mut loaded = Arc::clone(&self.schedule.borrow_and_update());
        self.unanswered_since = None;
        // The ledger is read with an ear for the store's clock.
        self.look_at_the_clocks(plan);
        if let Err(over) = self.take_office(term, &loaded, plan, memory).await {
            return over;
        }
        // A new leader carries out what waits before it fires.
        let mut asked = true;
        loop {
            self.facts.pulse.mark(&self.clock);
            if let Some(over) = self.is_over(term) {
                return over;
            }
            if self.schedule.has_changed().unwrap_or(false) {
                self.untold.tell_all(&self.facts, &self.scribe);
                let new = Arc::clone(&self.schedule.borrow_and_update());
                if let Err(over) = self.reload(term, plan, memory, &loaded, &new).await {
                    return over;
                }
                let old = std::mem::replace(&mut loaded, new);
                // Freeing a large schedule must not hold up a fire.
                tokio::task::spawn_blocking(move || drop(old));
            }
            if self.look_at_the_clocks(plan) {
                // The ledger is ahead of now, and so is what this plan took from it.
                if let Err(over) = self.take_office(term, &loaded, plan, memory).await {
                    return over;
                }
            }
            if std::mem::take(&mut asked) || self.requests.has_changed().unwrap_or(false) {
                self.requests.borrow_and_update();
                self.untold.tell_all(&self.facts, &self.scribe);
                if let Err(over) = self.control(term, plan, memory, &loaded).await {
                    return over;
                }
            }
            let dues = plan.due(self.now(), self.dispatcher.room());
            if dues.is_empty() {
                if self.untold.tell(&self.facts, &self.scribe) {
                    // Something may have become due meanwhile.
                    continue;
                }
                self.tend(plan.next_wake()).await;
                self.nap(plan.next_wake()).await;
            } else if let Err(over) = self.burst(term, plan, memory, &loaded, dues).await {
                return over;
            }
        }
    }

    /// Carries out what operators ask. A request that is in doubt is repeated before anything else
    /// looks at its entries.
    async fn control(
        &mut self,
        term: Term,
        plan: &mut Plan,
        memory: &mut Memory,
        loaded: &Loaded,
    ) -> Result<(), Over> {
        let mut in_doubt = false;
        loop {
            if let Some(over) = self.is_over(term) {
                return Err(over);
            }
            let mut controller = Controller {
                now: self.now(),
                dispatcher: &mut self.dispatcher,
                scribe: &self.scribe,
                term,
                plan,
                loaded,
                paused: &mut memory.paused,
            };
            let boot = self.clock.boot();
            let pulse = &self.facts.pulse;
            let mut done = pulse.during(&self.clock, controller.run()).await;
            let ledger = self.dispatcher.ledger();
            if done == Ok(()) && in_doubt {
                // What a request did whose answer was lost is seen in the store only.
                done = ledger
                    .load(&[])
                    .await
                    .map(|loaded| memory.paused = loaded.paused);
            }
            if done == Err(StoreError::Corrupt) {
                done = ledger
                    .repair(term)
                    .await
                    .map(|keys| report::repaired(&keys));
                if done == Ok(()) {
                    return self.rebuild(term, plan, memory, loaded).await;
                }
            }
            match done {
                Err(StoreError::Deposed) => return Err(Over::Deposed),
                Err(error @ StoreError::Ambiguous(_)) => {
                    in_doubt = true;
                    self.unanswered_since.get_or_insert(boot);
                    self.give_up_in_time(loaded)?;
                    self.trouble(term, &error).await?;
                }
                Err(error) if in_doubt => self.trouble(term, &error).await?,
                // Noticed again soon, or the next commit says what is wrong.
                _ => return Ok(()),
            }
        }
    }

    /// Whether this term, or the process, is over.
    pub(super) fn is_over(&mut self, term: Term) -> Option<Over> {
        if self.stop.is_cancelled() {
            return Some(Over::Stopped);
        }
        match *self.leadership.borrow() {
            Leadership::Leader {
                term: led,
                trusted_until,
                ..
            } if led == term => {
                self.trusted_until = trusted_until;
                None
            }
            _ => Some(Over::Deposed),
        }
    }

    fn reading(&self) -> Reading {
        Reading {
            wall: self.clock.wall(),
            boot: self.clock.boot(),
        }
    }

    /// Now, by the clock that rules.
    pub(super) fn now(&self) -> Timestamp {
        self.clocks.now(self.reading())
    }

    /// Looks for steps and disagreement; whether records ahead of now have to be mended.
    fn look_at_the_clocks(&mut self, plan: &mut Plan) -> bool {
        let store = match *self.leadership.borrow() {
            Leadership::Leader { store_offset, .. } => store_offset,
            Leadership::Standby => None,
        };
        let look = self.clocks.look(self.reading(), store);
        for finding in look.findings {
            report::clocks(&self.facts, finding);
        }
        if look.jumped {
            plan.set_able_since(self.now());
        }
        look.rebase
    }

    async fn nap(&mut self, wake: Option<Timestamp>) {
        let nap = wake.map_or(NAP, |at| at.since(self.now()).min(NAP));
        tokio::select! {
            () = self.alarm.sleep(nap) => {}
            _ = self.leadership.changed() => {}
            Ok(()) = self.requests.changed() => self.requests.mark_changed(),
            _ = self.schedule.changed() => self.schedule.mark_changed(),
            () = self.stop.cancelled() => {}
        }
    }

    /// Waits a pause out unless the term ends before.
    pub(super) async fn pause(&mut self, term: Term, pause: Duration) -> Result<(), Over> {
        self.facts.pulse.mark(&self.clock);
        let ended = |leadership: &Leadership| leadership.term() != Some(term);
        tokio::select! {
            () = tokio::time::sleep(pause) => Ok(()),
            _ = self.leadership.wait_for(ended) => Err(Over::Deposed),
            () = self.stop.cancelled() => Err(Over::Stopped),
        }
    }

    /// Logs trouble once and waits before the next attempt.
    pub(super) async fn trouble(&mut self, term: Term, error: &StoreError) -> Result<(), Over> {
        self.facts.retried();
        let pause = self.trouble.met(error);
        self.pause(term, pause).await
    }

    pub(super) async fn take_office(
        &mut self,
        term: Term,
        loaded: &Loaded,
        plan: &mut Plan,
        memory: &mut Memory,
    ) -> Result<(), Over> {
        // Taken once: a repeated attempt must not move what counts from it. Nor may a term that
        // came to nothing: by now others may have fired.
        let reading = self.reading();
        loop {
            if let Some(over) = self.is_over(term) {
                return Err(over);
            }
            memory.forget_before(self.clock.boot());
            let taken = office::take(
                self.dispatcher.ledger(),
                term,
                &loaded.timetable,
                memory,
                &mut self.clocks,
                reading,
                &self.facts,
            );
            match self.facts.pulse.during(&self.clock, taken).await {
                Ok(taken) => {
                    self.trouble.over();
                    *plan = taken;
                    // What is not said now is said when its entry is reserved next.
                    let _ = self.dispatcher.take_over(term).await;
                    return Ok(());
                }
                Err(StoreError::Deposed) => return Err(Over::Deposed),
                Err(error) => self.trouble(term, &error).await?,
            }
        }
    }

    /// Rebuilds the ledger from what this leader knows.
    pub(super) async fn rebuild(
        &mut self,
        term: Term,
        plan: &mut Plan,
        memory: &mut Memory,
        loaded: &Loaded,
    ) -> Result<(), Over> {
        memory.plan = Some((std::mem::take(plan), self.trusted_until));
        memory.rebuild = true;
        self.take_office(term, loaded, plan, memory).await
    }

    /// Settles what the old schedule still owes of changed entries, then swaps.
    async fn reload(
        &mut self,
        term: Term,
        plan: &mut Plan,
        memory: &mut Memory,
        old: &Loaded,
        new: &Loaded,
    ) -> Result<(), Over> {
        if new.timetable.digest != old.timetable.digest {
            loop {
                // Loading was timed by the own clock, which may be outvoted.
                let until = new.timetable.loaded_at.min(self.now());
                let dues = plan.due(until, self.dispatcher.room());
                if dues.is_empty() {
                    break;
                }
                self.commit(term, plan, memory, old, dues, None).await?;
            }
        }
        if !links::same(&old.settings, &new.settings) {
            self.dispatcher = self.links.dispatcher(&new.settings);
        }
        loop {
            let now = self.now();
            let ledger = self.dispatcher.ledger();
            let change = office::change(
                ledger,
                term,
                plan,
                &old.timetable,
                &new.timetable,
                now,
                &self.facts,
            );
            match self.facts.pulse.during(&self.clock, change).await {
                Ok(()) => {
                    self.trouble.over();
                    return Ok(());
                }
                Err(StoreError::Deposed) => return Err(Over::Deposed),
                Err(error) => self.trouble(term, &error).await?,
            }
        }
    }
}
