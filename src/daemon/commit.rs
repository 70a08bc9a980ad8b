//! One chunk: commits it, again while it is not known what became of it, and settles it.

use std::time::Duration;

use super::metronome::{Metronome, Over};
use super::office::Memory;
use super::report::Told;
use crate::clock::Clock;
use crate::config::Loaded;
use crate::plan::clocks::is_ahead;
use crate::plan::{Due, Outcome, Plan};
use crate::store::{StoreError, Term};

impl<C: Clock> Metronome<C> {
    /// A leader who renews its lease but gets no answer to what it commits ends its term after half
    /// a lease: another may have a better line. Not where messages go to another server, which
    /// would not answer the other leader either.
    pub(super) fn give_up_in_time(&self, loaded: &Loaded) -> Result<(), Over> {
        let atomic = self.dispatcher.mode() == "atomic";
        let unanswered = self
            .unanswered_since
            .map(|since| self.clock.boot().saturating_sub(since));
        match unanswered {
            Some(time) if atomic && time * 2 >= loaded.settings.lease_ttl => Err(Over::Unable),
            _ => Ok(()),
        }
    }

    async fn dispatch(&mut self, term: Term, dues: &[Due]) -> Result<Vec<Outcome>, StoreError> {
        let now = self.now();
        let commit = self.dispatcher.dispatch(&self.scribe, term, dues, now);
        let commit = self.facts.pulse.during(&self.clock, commit);
        // What became of the last ones, while the server works on these.
        let tell = async { self.untold.tell_all(&self.facts, &self.scribe) };
        tokio::join!(commit, tell).0
    }

    /// Settles a chunk that was handed over at `began`. Whether somebody wrote that an entry fired
    /// far ahead of now.
    pub(super) fn settle(
        &mut self,
        term: Term,
        plan: &mut Plan,
        loaded: &Loaded,
        dues: Vec<Due>,
        outcomes: Vec<Outcome>,
        began: Duration,
    ) -> bool {
        self.trouble.over();
        self.unanswered_since = None;
        self.committed(loaded, began);
        let done = self.now();
        let misled =
            |outcome: &Outcome| matches!(outcome, Outcome::Superseded(at) if is_ahead(*at, done));
        let settle = |(due, outcome)| (!misled(outcome)).then(|| plan.settle(due, outcome, done));
        let settled = dues.iter().zip(&outcomes).map(settle).collect();
        for due in &dues {
            plan.rearm(due.slot);
        }
        let is_misled = outcomes.iter().any(misled);
        self.untold.add(Told {
            mode: self.dispatcher.mode(),
            term,
            now: done,
            dues,
            outcomes,
            settled,
        });
        is_misled
    }

    /// Commits one chunk; sends it again while it is not known what became of it. `failed`: how an
    /// attempt went that was made before.
    pub(super) async fn commit(
        &mut self,
        term: Term,
        plan: &mut Plan,
        memory: &mut Memory,
        loaded: &Loaded,
        dues: Vec<Due>,
        mut failed: Option<StoreError>,
    ) -> Result<(), Over> {
        let mut in_doubt = false;
        loop {
            if let Some(over) = self.is_over(term) {
                return Err(over);
            }
            if self.clock.boot() >= self.trusted_until {
                // The elector is about to renew, or to say that it could not.
                self.pause(term, Duration::from_millis(20)).await?;
                continue;
            }
            let began = self.clock.boot();
            let committed = match failed.take() {
                Some(error) => Err(error),
                None => self.dispatch(term, &dues).await,
            };
            match committed {
                Ok(outcomes) => {
                    if self.settle(term, plan, loaded, dues, outcomes, began) {
                        // This leader knows better.
                        memory.plan = Some((std::mem::take(plan), self.trusted_until));
                        self.take_office(term, loaded, plan, memory).await?;
                    }
                    return Ok(());
                }
                Err(StoreError::Deposed) => return Err(Over::Deposed),
                Err(StoreError::Corrupt) => {
                    // Nothing was written.
                    return self.rebuild(term, plan, memory, loaded).await;
                }
                Err(error @ StoreError::Ambiguous(_)) => {
                    in_doubt = true;
                    let boot = self.clock.boot();
                    self.unanswered_since.get_or_insert(boot);
                    self.hear_of_broker(false);
                    self.give_up_in_time(loaded)?;
                    self.trouble(term, &error).await?;
                }
                Err(error @ (StoreError::Unavailable(_) | StoreError::Broker(_))) => {
                    self.hear_of_broker(false);
                    self.give_up_in_time(loaded)?;
                    self.trouble(term, &error).await?;
                    if in_doubt {
                        // What an earlier attempt did is still not known.
                        continue;
                    }
                    // Nothing was done: what is due by then is decided anew.
                    for due in &dues {
                        plan.rearm(due.slot);
                    }
                    return Ok(());
                }
            }
        }
    }
}
