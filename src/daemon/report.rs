//! One log line for each thing that happened. Arguments of tasks are never shown.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::dispatch::Scribe;
use crate::observe::Facts;
use crate::plan::clocks::Finding;
use crate::plan::{Action, Due, Outcome, Reason, Settled, Skipped};
use crate::store::Term;
use crate::timetable::{Entry, Fate};

/// What became of the last chunks, and is still to be told.
///
/// Telling takes as long as committing, so it waits until there is nothing to commit, as long as it is
/// not too much: see [`Untold::LIMIT`].
#[derive(Debug, Default)]
pub struct Untold(VecDeque<Told>);

/// Items that were committed together.
#[derive(Debug)]
pub struct Told {
    /// How they were committed.
    pub mode: &'static str,
    /// In which term.
    pub term: Term,
    /// When that was heard.
    pub now: Timestamp,
    /// The items.
    pub dues: Vec<Due>,
    /// What they came to.
    pub outcomes: Vec<Outcome>,
    /// What that changed; those without it are left out.
    pub settled: Vec<Option<Settled>>,
}

impl Untold {
    /// Most items that wait while there is something to commit; some 200 bytes each.
    const LIMIT: usize = 8_192;

    /// Adds what is to be told.
    pub fn add(&mut self, told: Told) {
        self.0.push_back(told);
    }

    /// Whether more waits than should.
    #[must_use]
    pub fn is_much(&self) -> bool {
        self.0.iter().map(|told| told.dues.len()).sum::<usize>() > Self::LIMIT
    }

    /// Tells of the oldest chunk; whether there was one.
    pub fn tell(&mut self, facts: &Facts, scribe: &Scribe) -> bool {
        let Some(told) = self.0.pop_front() else {
            return false;
        };
        let chunk = Chunk {
            facts,
            scribe,
            mode: told.mode,
            term: told.term,
            now: told.now,
        };
        let items = told.dues.iter().zip(&told.outcomes).zip(&told.settled);
        for ((due, outcome), settled) in items {
            if let Some(settled) = settled {
                chunk.settled(due, outcome, settled);
            }
        }
        true
    }

    /// Tells everything.
    pub fn tell_all(&mut self, facts: &Facts, scribe: &Scribe) {
        while self.tell(facts, scribe) {}
    }
}

/// What the items of one chunk have in common.
struct Chunk<'a> {
    /// Where they are counted.
    facts: &'a Facts,
    /// Who wrote their messages.
    scribe: &'a Scribe,
    /// How they were committed.
    mode: &'a str,
    term: Term,
    /// When that was heard.
    now: Timestamp,
}

impl Chunk<'_> {
    /// What became of one item.
    fn settled(&self, due: &Due, outcome: &Outcome, settled: &Settled) {
        skipped(self.facts, &due.entry, &settled.skipped);
        if due.action == Action::Skip {
            return;
        }
        let entry = &*due.entry.name;
        let fire_time = due.fire_time;
        let send_instant = due.entry.send_instant(fire_time);
        match outcome {
            Outcome::Fired(_) | Outcome::AlreadyDone(_) | Outcome::Unknown(_) => {
                if due.misfire {
                    tracing::info!(event = "misfired", entry, %fire_time, "fired late: nobody could fire it in time");
                }
                let fate = match outcome {
                    Outcome::Fired(_) => Fate::Sent,
                    Outcome::AlreadyDone(_) => Fate::Repeated,
                    _ => Fate::Unknown,
                };
                // Nothing was sent, by whatever attempt.
                let shadow = self.mode == "shadow" && fate != Fate::Unknown;
                let lag = self.now.micros_since(send_instant);
                if !shadow {
                    self.facts.fired(&due.entry, fate);
                    self.facts.sent(&due.entry, self.now, lag);
                }
                due.entry.tally.recovered();
                let lag_ms = f64::from(i32::try_from(lag).unwrap_or(i32::MAX)) / 1e3;
                tracing::info!(
                    event = "fired",
                    entry,
                    task = &*due.entry.task,
                    task_id = %self.scribe.task_id(due),
                    %fire_time,
                    lag_ms,
                    queue = due.entry.template.route().queue.as_deref().unwrap_or_default(),
                    term = self.term.0,
                    outcome = if shadow { "shadow" } else { fate.as_str() },
                );
            }
            Outcome::Superseded(stored) => {
                tracing::info!(event = "skipped", entry, reason = "superseded", %fire_time, %stored);
            }
            Outcome::Paused => {
                let paused = Skipped {
                    reason: Reason::Paused,
                    count: 1,
                    first: fire_time,
                    last: fire_time,
                    estimated: false,
                };
                skipped(self.facts, &due.entry, &[paused]);
                // It is not tried any more.
                due.entry.tally.recovered();
            }
            Outcome::Rejected(error) => {
                // Once for a fire time; its repeats are silent until one succeeds.
                due.entry.tally.fails(&error.0);
                if settled.first_failure {
                    self.facts.fired(&due.entry, Fate::Failed);
                    tracing::warn!(event = "publish_failed", entry, %fire_time, %error, "not published; it is tried again");
                } else {
                    self.facts.retried();
                }
            }
            Outcome::Skipped | Outcome::Held => {}
        }
    }
}

/// Fire times that were not fired.
pub fn skipped(facts: &Facts, entry: &Entry, all: &[Skipped]) {
    for one in all {
        facts.skipped(entry, one);
    }
    for Skipped {
        reason,
        count,
        first,
        last,
        estimated,
    } in all
    {
        tracing::info!(
            event = "skipped", entry = &*entry.name, reason = reason.as_str(), count, %first, %last, estimated
        );
    }
}

/// State of the wrong shape was deleted.
pub fn repaired(keys: &[String]) {
    for key in keys {
        tracing::warn!(
            event = "state_repaired",
            key = key.as_str(),
            "a state key was of another type and was deleted"
        );
    }
}

/// The server deletes keys of its choice when its memory is full.
pub fn evicting(policy: &str) {
    tracing::warn!(
        event = "evicting",
        policy,
        "the store may delete any key when its memory is full, the schedule's state included; set maxmemory-policy to noeviction"
    );
}

/// The store lost its data.
pub fn state_lost(facts: &Facts, remembered: bool) {
    facts.state_lost();
    tracing::error!(
        event = "state_lost",
        seeded_from_memory = remembered,
        "the store lost its data; nothing past is fired again"
    );
}

/// Records were incomplete or unreadable.
pub fn damaged(entries: usize) {
    if entries > 0 {
        tracing::warn!(
            event = "state_repaired",
            entries,
            "parts of their records were missing or unreadable (evicted? the store needs maxmemory-policy noeviction)"
        );
    }
}

/// Records far ahead of now were brought back.
pub fn mended(entries: usize) {
    if entries > 0 {
        tracing::error!(
            event = "state_repaired",
            entries,
            "a wrong clock wrote times far ahead of now; they are brought back"
        );
    }
}

/// What a look at the clocks brought to light.
pub fn clocks(facts: &Facts, finding: Finding) {
    facts.clocks(finding);
    let seconds = |micros: i64| {
        Duration::from_micros(micros.unsigned_abs())
            .as_secs_f64()
            .copysign(if micros < 0 { -1.0 } else { 1.0 })
    };
    match finding {
        Finding::Step(step) => {
            tracing::warn!(
                event = "clock_step",
                seconds = seconds(step),
                "the wall clock was set"
            );
        }
        Finding::Skew(ahead) => tracing::warn!(
            event = "skew",
            store_ahead_s = seconds(ahead),
            "this machine's clock and the store's differ"
        ),
        Finding::OwnOutvoted(ahead) => tracing::error!(
            event = "skew",
            store_ahead_s = seconds(ahead),
            "this machine's clock is wrong by the store's and its own past: fired by the store's clock"
        ),
        Finding::OwnAgain => tracing::info!(
            event = "skew",
            store_ahead_s = 0.0,
            "this machine's clock agrees with the store's again: fired by it"
        ),
        Finding::PastOutvoted(step) => tracing::error!(
            event = "skew",
            seconds = seconds(step),
            "this machine's clock was wrong before it was set, by the store's: what it wrote ahead of now is mended"
        ),
        Finding::StoreOutvoted(ahead) => tracing::error!(
            event = "skew",
            store_ahead_s = seconds(ahead),
            "the store's clock is wrong by this machine's clock, which was not set: fired by this machine's"
        ),
        Finding::Undecided(ahead) => tracing::error!(
            event = "skew",
            store_ahead_s = seconds(ahead),
            "no two clocks agree: fired by this machine's"
        ),
    }
}
