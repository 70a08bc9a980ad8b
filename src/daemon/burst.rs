//! Everything that is due now: chunk after chunk, several on their way at once.

use std::collections::VecDeque;
use std::time::Duration;

use super::metronome::{Metronome, Over};
use super::office::Memory;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::dispatch::{Landing, TRANSACTION};
use crate::plan::{Due, Plan};
use crate::store::{StoreError, Term};

/// Chunks on their way at once: while the server works on one, another waits there, and the one before
/// is settled and the next one written here.
const FLIGHTS: usize = 3;

/// Items of the first chunk; each further one has twice as many, up to [`TRANSACTION`]. The first message
/// leaves early, and soon the server is never idle.
const FIRST: usize = 16;

/// How long the loop is away from its other duties, such as its look at the clocks.
const LONGEST: Duration = Duration::from_millis(100);

/// What is on its way or came back.
#[derive(Default)]
struct Sent {
    /// Chunks on their way, the oldest first, and when they were handed over.
    flying: VecDeque<(Vec<Due>, Duration)>,
    /// What is to be committed in the other way.
    left: Vec<Due>,
    /// The worst that was met.
    error: Option<StoreError>,
}

impl<C: Clock> Metronome<C> {
    /// Commits `dues`, and what else becomes due meanwhile.
    pub(super) async fn burst(
        &mut self,
        term: Term,
        plan: &mut Plan,
        memory: &mut Memory,
        loaded: &Loaded,
        mut dues: Vec<Due>,
    ) -> Result<(), Over> {
        let until = self.clock.boot() + LONGEST;
        let mut sent = Sent::default();
        let mut size = FIRST;
        loop {
            while !dues.is_empty() && sent.left.is_empty() && sent.flying.len() < FLIGHTS {
                let rest = dues.split_off(size.min(dues.len()));
                size = TRANSACTION.min(2 * size);
                self.launch(term, dues, &mut sent).await;
                dues = rest;
                if dues.is_empty() && self.goes_on(until) {
                    dues = plan.due(self.now(), size);
                }
            }
            if self.untold.is_much() {
                // While the server works.
                self.untold.tell(&self.facts, &self.scribe);
            }
            let Some((landed, began)) = sent.flying.pop_front() else {
                break;
            };
            let landing = self.dispatcher.land();
            match self.facts.pulse.during(&self.clock, landing).await {
                Some(Landing::Done(outcomes)) => {
                    self.settle(term, plan, loaded, landed, outcomes, began);
                }
                Some(Landing::Failed(error)) => sent.comes_back(landed, Some(error)),
                Some(Landing::Back) | None => sent.comes_back(landed, None),
            }
            if dues.is_empty() && sent.left.is_empty() && self.goes_on(until) {
                dues = plan.due(self.now(), size);
            }
        }
        sent.left.append(&mut dues);
        if sent.left.is_empty() {
            return Ok(());
        }
        self.commit(term, plan, memory, loaded, sent.left, sent.error)
            .await
    }

    /// Sends a chunk off, if this term may still send and the chunk may go this way.
    async fn launch(&mut self, term: Term, dues: Vec<Due>, sent: &mut Sent) {
        let began = self.clock.boot();
        let now = self.now();
        let may = self.is_over(term).is_none() && began < self.trusted_until;
        let launched = may && {
            let launch = self.dispatcher.launch(&self.scribe, term, &dues, now);
            self.facts.pulse.during(&self.clock, launch).await
        };
        if launched {
            sent.flying.push_back((dues, began));
        } else {
            sent.left.extend(dues);
        }
    }

    /// Whether more may be taken from the plan before the loop looks at what else there is.
    fn goes_on(&self, until: Duration) -> bool {
        self.clock.boot() < until
            && !self.schedule.has_changed().unwrap_or(true)
            && !self.requests.has_changed().unwrap_or(true)
    }
}

impl Sent {
    /// A doubt weighs more than an error.
    fn comes_back(&mut self, dues: Vec<Due>, error: Option<StoreError>) {
        self.left.extend(dues);
        if self.error.is_none() || matches!(error, Some(StoreError::Ambiguous(_))) {
            self.error = error.or(self.error.take());
        }
    }
}
