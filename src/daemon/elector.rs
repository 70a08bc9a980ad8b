//! Stands for election, keeps the lease, gives it up.
//!
//! What it announces is trusted for a limited time: the lease counted from the *start* of the last
//! successful attempt, less a margin, on a clock that also runs during suspend. Safety does not
//! rest on it (every commit checks the lease where it is stored); it spares work that would be
//! refused.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::backoff::Pauses;
use crate::clock::{Clock, Timestamp};
use crate::observe::Facts;
use crate::plan::clocks::Reading;
use crate::store::{AnyLease, Campaign, Lease, Renewal, StoreError, Term};

/// What this instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Leadership {
    /// Another instance leads, or none can.
    #[default]
    Standby,
    /// This instance leads.
    Leader {
        /// Its term.
        term: Term,
        /// Reading of [`Clock::boot`] until which it may act on that.
        trusted_until: Duration,
        /// How far the store's wall clock is ahead of [`Clock::boot`], µs, where it has one.
        store_offset: Option<i64>,
    },
}

impl Leadership {
    /// The term, when leading.
    #[must_use]
    pub fn term(&self) -> Option<Term> {
        match self {
            Self::Leader { term, .. } => Some(*term),
            Self::Standby => None,
        }
    }
}

/// How a term came to its end when something was committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The lease was another's, or nobody's.
    Lost(Term),
    /// The lease is held, but commits are not answered: another may do better.
    Unable(Term),
}

/// Longest time an answer may take whose clock reading is used.
const MOST_UNSURE: Duration = Duration::from_secs(1);

/// How often a standby looks at the lease though nobody woke it.
const POLL: Duration = Duration::from_secs(1);

/// The task that holds the lease.
pub struct Elector<C> {
    /// The lease.
    pub lease: AnyLease,
    /// `lease_ttl`; read at each attempt.
    pub ttl: watch::Receiver<Duration>,
    /// Where it is announced.
    pub leadership: watch::Sender<Leadership>,
    /// Terms that came to their end when something was committed.
    pub ended: mpsc::Receiver<Ended>,
    /// Resign and end.
    pub stop: CancellationToken,
    /// The clocks.
    pub clock: C,
    /// Where it shows what this instance is.
    pub facts: Arc<Facts>,
    /// Whether the store does not answer at present; said once each time it changes.
    pub store_is_down: bool,
    /// Calls that failed since one succeeded.
    pub failures: u32,
}

impl<C: Clock> Elector<C> {
    /// Runs until stopped; resigns before it returns.
    pub async fn run(mut self) {
        let mut seen = Term(0);
        let mut led = Term(0);
        let mut known: Option<String> = None;
        let mut pauses = Pauses::default();
        while !self.stop.is_cancelled() {
            let ttl = *self.ttl.borrow_and_update();
            let started = self.clock.boot();
            // Not cut short by a stop: a lease that was won but not noticed would lock out the others.
            let campaign = self.lease.campaign(ttl, seen).await;
            if campaign.is_ok() {
                self.store_answers();
            }
            match campaign {
                Ok(Campaign::Won(term)) if term <= led => {
                    // Stepped down from, and the lease has not ended. What was sent in that term
                    // may still be under way and must not meet a second plan: a new term fences it.
                    if let Err(error) = self.lease.resign(term).await {
                        self.store_fails(&error);
                        let pause = pauses.longer();
                        tokio::select! {
                            () = tokio::time::sleep(pause) => {}
                            () = self.stop.cancelled() => {}
                        }
                    }
                }
                Ok(Campaign::Won(term)) => {
                    pauses.reset();
                    led = term;
                    seen = seen.max(term);
                    tracing::info!(
                        event = "elected",
                        term = term.0,
                        previous = known.as_deref().unwrap_or_default(),
                        "this instance leads"
                    );
                    known = None;
                    self.lead(term, started, ttl).await;
                }
                Ok(Campaign::Held {
                    holder,
                    term,
                    ends_in,
                }) => {
                    pauses.reset();
                    seen = seen.max(term);
                    if known.as_ref() != Some(&holder) {
                        tracing::info!(
                            event = "standby",
                            leader = holder.as_str(),
                            "another instance leads"
                        );
                        known = Some(holder);
                    }
                    self.facts.stand_by(Some(term.0));
                    self.leadership.send_replace(Leadership::Standby);
                    // Shortly after the lease ends, each standby at a moment of its own.
                    let wait = ends_in.map_or(POLL, |left| (left + pauses.spread()).min(POLL));
                    let stop = self.stop.clone();
                    tokio::select! {
                        () = self.lease.wait(wait) => {}
                        () = stop.cancelled() => {}
                    }
                }
                Err(error) => {
                    self.store_fails(&error);
                    let pause = pauses.longer();
                    tokio::select! {
                        () = tokio::time::sleep(pause) => {}
                        () = self.stop.cancelled() => {}
                    }
                }
            }
        }
    }

    /// Keeps the lease until it is lost or given up.
    async fn lead(&mut self, term: Term, started: Duration, mut ttl: Duration) {
        let mut trusted_until = trusted(started, ttl);
        let mut pauses = Pauses::default();
        // What is left in there is about earlier terms.
        while self.ended.try_recv().is_ok() {}
        // The first renewal brings the store's clock, before anything is fired by the own one.
        let mut pause = Duration::ZERO;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                Some(ended) = self.ended.recv() => match ended {
                    Ended::Lost(over) if over == term => {
                        return self.step_down(term, "the lease was found to be another's");
                    }
                    Ended::Unable(over) if over == term => {
                        self.resign(term).await;
                        // Time for another to take it.
                        tokio::select! {
                            () = tokio::time::sleep(POLL) => {}
                            () = self.stop.cancelled() => {}
                        }
                        return;
                    }
                    _ => continue,
                },
                () = self.stop.cancelled() => return self.resign(term).await,
            }
            ttl = *self.ttl.borrow_and_update();
            let attempt = self.clock.boot();
            if attempt >= trusted_until {
                return self.step_down(term, "the lease could not be renewed in time");
            }
            let stop = self.stop.clone();
            let renewal = tokio::select! {
                renewal = self.lease.renew(term, ttl) => renewal,
                () = stop.cancelled() => return self.resign(term).await,
            };
            match renewal {
                Ok(Renewal::Held(store_now)) => {
                    self.store_answers();
                    pauses.reset();
                    pause = ttl / 3;
                    trusted_until = trusted(attempt, ttl);
                    self.facts.lead(term.0, attempt + ttl);
                    self.announce(term, trusted_until, self.store_offset(store_now, attempt));
                }
                Ok(Renewal::Lost) | Err(StoreError::Deposed) => {
                    self.facts.renewal_failed();
                    return self.step_down(term, "the lease is another's or gone");
                }
                Err(error) => {
                    self.facts.renewal_failed();
                    self.store_fails(&error);
                    pause = pauses.longer();
                }
            }
        }
    }

    fn store_fails(&mut self, error: &StoreError) {
        self.failures += 1;
        if self.failures == 1 && matches!(error, StoreError::Ambiguous(_)) {
            // A connection broke. The next attempt tells why, or that it was only that.
            return;
        }
        self.facts.store_is(false);
        if !std::mem::replace(&mut self.store_is_down, true) {
            tracing::error!(event = "store_down", %error, "nobody can be elected or stay so; trying on");
        }
    }

    fn store_answers(&mut self) {
        self.failures = 0;
        self.facts.store_is(true);
        if std::mem::take(&mut self.store_is_down) {
            tracing::info!(event = "store_up", "the store answers again");
        }
    }

    /// Compares the store's clock, read between `asked` and now, with the one that is never set.
    fn store_offset(&self, store_now: Option<Timestamp>, asked: Duration) -> Option<i64> {
        let took = self.clock.boot().saturating_sub(asked);
        // A slow answer says little; the one before it counts on.
        let wall = store_now.filter(|_| took <= MOST_UNSURE)?;
        let boot = asked + took / 2;
        let store = Reading { wall, boot }.offset();
        let own = Reading {
            wall: self.clock.wall(),
            boot: self.clock.boot(),
        };
        self.facts
            .clock_is_ahead(own.offset().saturating_sub(store));
        Some(store)
    }

    fn announce(&self, term: Term, trusted_until: Duration, store_offset: Option<i64>) {
        self.leadership.send_replace(Leadership::Leader {
            term,
            trusted_until,
            store_offset,
        });
    }

    fn step_down(&self, term: Term, why: &str) {
        tracing::warn!(
            event = "deposed",
            term = term.0,
            why,
            "this instance no longer leads"
        );
        self.facts.stand_by(None);
        self.leadership.send_replace(Leadership::Standby);
    }

    async fn resign(&mut self, term: Term) {
        self.facts.stand_by(None);
        self.leadership.send_replace(Leadership::Standby);
        match self.lease.resign(term).await {
            Ok(()) => tracing::info!(event = "resigned", term = term.0, "the lease is given up"),
            Err(error) => tracing::warn!(
                event = "resigned", term = term.0, %error, "the lease could not be given up; it ends by itself"
            ),
        }
    }
}

/// Until when a lease of `ttl`, asked for at `started`, may be acted upon.
fn trusted(started: Duration, ttl: Duration) -> Duration {
    started + ttl * 9 / 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::store::memory::MemoryStore;

    /// The term this instance leads for next, other than `but`.
    async fn next_term(leadership: &mut watch::Receiver<Leadership>, but: Option<Term>) -> Term {
        let other = |now: &Leadership| now.term().is_some() && now.term() != but;
        let led = leadership.wait_for(other);
        let led = tokio::time::timeout(Duration::from_secs(10), led).await;
        led.unwrap().unwrap().term().unwrap()
    }

    #[tokio::test]
    async fn a_term_that_was_stepped_down_from_is_given_up_and_not_led_again() {
        let store = MemoryStore::default();
        let (lease, _) = store.open("one");
        let (leadership, mut seen) = watch::channel(Leadership::Standby);
        let (_ttl, ttl) = watch::channel(Duration::from_millis(300));
        let (_ended, ended) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let elector = Elector {
            lease: AnyLease::Memory(lease),
            ttl,
            leadership,
            ended,
            stop: stop.clone(),
            clock: SystemClock,
            facts: Arc::new(Facts::new(Duration::ZERO, Timestamp::EPOCH)),
            store_is_down: false,
            failures: 0,
        };
        let running = tokio::spawn(elector.run());
        assert_eq!(next_term(&mut seen, None).await, Term(1));
        // The lease of this store does not end: only the trust in it does.
        store.set_fault(Some(StoreError::Unavailable("gone".into())));
        let standby = |now: &Leadership| now.term().is_none();
        seen.wait_for(standby).await.unwrap();
        store.set_fault(None);
        assert_eq!(next_term(&mut seen, Some(Term(1))).await, Term(2));
        stop.cancel();
        running.await.unwrap();
    }
}
