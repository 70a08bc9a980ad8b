//! What is known of this instance: the daemon's tasks put it in, health, metrics and status read it.

use std::sync::atomic::{
    AtomicBool, AtomicI64, AtomicU8, AtomicU64,
    Ordering::{AcqRel, Relaxed},
};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::Pulse;
use super::histogram::Histogram;
use crate::clock::Timestamp;
use crate::plan::clocks::Finding;
use crate::plan::{Reason, Skipped};
use crate::timetable::{Entry, Fate};

/// One for the process, shared by all tasks. Counters only grow; everything is one atomic, so that
/// counting costs the firing loop next to nothing.
#[derive(Debug)]
pub struct Facts {
    /// Of the firing loop.
    pub pulse: Pulse,
    /// From send instant to confirm.
    pub lag: Histogram,
    /// Of one commit: a chunk of messages, published, confirmed and recorded.
    pub publishing: Histogram,
    fires: [AtomicU64; Fate::ALL.len()],
    skipped: [AtomicU64; Reason::ALL.len()],
    retries: AtomicU64,
    leads: AtomicBool,
    term: AtomicU64,
    /// Reading of the boot clock, µs.
    lease_ends: AtomicU64,
    transitions: AtomicU64,
    renewals_failed: AtomicU64,
    store: Line,
    broker: Line,
    reloads: [AtomicU64; 2],
    reload_failed: AtomicBool,
    reloaded_at: AtomicI64,
    /// Drawn on the source, of the last reload that was refused.
    refusal: Mutex<Option<String>>,
    clock_steps: AtomicU64,
    /// Own clock less the store's, µs.
    skew: AtomicI64,
    ruling: AtomicU8,
    state_lost: AtomicU64,
    mismatch: AtomicBool,
    replicas_behind: AtomicU64,
    stopping: AtomicBool,
}

/// Whether a server answers.
#[derive(Debug, Default)]
struct Line(AtomicU8);

impl Line {
    fn set(&self, up: Option<bool>) {
        let state = match up {
            None => 0,
            Some(false) => 1,
            Some(true) => 2,
        };
        self.0.store(state, Relaxed);
    }

    fn is_up(&self) -> Option<bool> {
        match self.0.load(Relaxed) {
            0 => None,
            state => Some(state == 2),
        }
    }
}

/// What was last found wrong with the clocks; `None` and those after it for [`Facts::warnings`].
const RULINGS: [Option<&str>; 4] = [
    None,
    Some("this machine's clock is wrong: fired by the store's clock"),
    Some("the store's clock is wrong: fired by this machine's"),
    Some("no two clocks agree: fired by this machine's"),
];

impl Facts {
    /// Of an instance that has loaded its schedule at `now`; `boot` is a reading of
    /// [`crate::clock::Clock::boot`].
    #[must_use]
    pub fn new(boot: Duration, now: Timestamp) -> Self {
        Self {
            pulse: Pulse::new(boot),
            lag: Histogram::default(),
            publishing: Histogram::default(),
            fires: Default::default(),
            skipped: Default::default(),
            retries: AtomicU64::default(),
            leads: AtomicBool::default(),
            term: AtomicU64::default(),
            lease_ends: AtomicU64::default(),
            transitions: AtomicU64::default(),
            renewals_failed: AtomicU64::default(),
            store: Line::default(),
            broker: Line::default(),
            reloads: Default::default(),
            reload_failed: AtomicBool::default(),
            reloaded_at: AtomicI64::new(now.as_micros()),
            refusal: Mutex::default(),
            clock_steps: AtomicU64::default(),
            skew: AtomicI64::default(),
            ruling: AtomicU8::default(),
            state_lost: AtomicU64::default(),
            mismatch: AtomicBool::default(),
            replicas_behind: AtomicU64::default(),
            stopping: AtomicBool::default(),
        }
    }
}

/// What the tasks put in.
impl Facts {
    /// This instance leads for `term`, by a lease that ends at the reading `ends` of the boot clock.
    pub fn lead(&self, term: u64, ends: Duration) {
        self.term.store(term, Relaxed);
        let ends = u64::try_from(ends.as_micros()).unwrap_or(u64::MAX);
        self.lease_ends.store(ends, Relaxed);
        if !self.leads.swap(true, AcqRel) {
            self.transitions.fetch_add(1, Relaxed);
        }
    }

    /// Another instance leads, for `term` if that is known, or nobody.
    pub fn stand_by(&self, term: Option<u64>) {
        if let Some(term) = term {
            self.term.fetch_max(term, Relaxed);
        }
        self.lease_ends.store(0, Relaxed);
        if self.leads.swap(false, AcqRel) {
            self.transitions.fetch_add(1, Relaxed);
            // A standby does not talk to the broker.
            self.broker.set(None);
        }
    }

    /// A renewal was refused or not answered.
    pub fn renewal_failed(&self) {
        self.renewals_failed.fetch_add(1, Relaxed);
    }

    /// Whether the store answers.
    pub fn store_is(&self, up: bool) {
        self.store.set(Some(up));
    }

    /// Whether the broker takes messages; `None` where nobody can tell.
    pub fn broker_is(&self, up: Option<bool>) {
        self.broker.set(up);
    }

    /// A fire of `entry` came to `fate`.
    pub fn fired(&self, entry: &Entry, fate: Fate) {
        self.fires[fate as usize].fetch_add(1, Relaxed);
        entry.tally.came_to(fate);
    }

    /// `entry` was published at `at`, `lag` µs after its send instant.
    pub fn sent(&self, entry: &Entry, at: Timestamp, lag: i64) {
        self.lag
            .observe(Duration::from_micros(u64::try_from(lag).unwrap_or(0)));
        entry.tally.sent(at, lag);
    }

    /// Fire times of `entry` were skipped.
    pub fn skipped(&self, entry: &Entry, skipped: &Skipped) {
        let reason = skipped.reason as usize;
        self.skipped[reason].fetch_add(skipped.count, Relaxed);
        entry.tally.skipped(reason, skipped.count);
    }

    /// Something is sent again.
    pub fn retried(&self) {
        self.retries.fetch_add(1, Relaxed);
    }

    /// A new schedule is in force since `at`.
    pub fn reload_applied(&self, at: Timestamp) {
        self.reloads[0].fetch_add(1, Relaxed);
        self.reloaded_at.store(at.as_micros(), Relaxed);
        self.reload_stands();
    }

    /// The files are again what is in force.
    pub fn reload_stands(&self) {
        self.reload_failed.store(false, Relaxed);
        *self.lock() = None;
    }

    /// The old schedule stays in force, for the reason drawn.
    pub fn reload_refused(&self, drawn: String) {
        self.reloads[1].fetch_add(1, Relaxed);
        self.reload_failed.store(true, Relaxed);
        *self.lock() = Some(drawn);
    }

    /// The clocks were looked at.
    pub fn clocks(&self, finding: Finding) {
        let ruling = match finding {
            Finding::Step(_) => {
                self.clock_steps.fetch_add(1, Relaxed);
                return;
            }
            Finding::Skew(_) => return,
            Finding::OwnAgain | Finding::PastOutvoted(_) => 0,
            Finding::OwnOutvoted(_) => 1,
            Finding::StoreOutvoted(_) => 2,
            Finding::Undecided(_) => 3,
        };
        self.ruling.store(ruling, Relaxed);
    }

    /// The own clock is `micros` ahead of the store's.
    pub fn clock_is_ahead(&self, micros: i64) {
        self.skew.store(micros, Relaxed);
        if micros.abs() < crate::plan::clocks::TOLERANCE {
            self.ruling.store(0, Relaxed);
        }
    }

    /// The store lost its data.
    pub fn state_lost(&self) {
        self.state_lost.fetch_add(1, Relaxed);
    }

    /// Whether the leader runs other entries than this instance, and has for a while.
    pub fn mismatch_is(&self, so: bool) {
        self.mismatch.store(so, Relaxed);
    }

    /// So many times fewer replicas had what was fired than were asked for.
    pub fn replicas_behind(&self, times: u64) {
        self.replicas_behind.fetch_add(times, Relaxed);
    }

    /// The process ends: it does not stand for election any more.
    pub fn stop(&self) {
        self.stopping.store(true, Relaxed);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is read from it.
impl Facts {
    /// Whether this instance leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leads.load(Relaxed)
    }

    /// Whether it can stand for election, or leads: the store answers.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store_up() == Some(true) && !self.stopping.load(Relaxed)
    }

    /// The highest term it knows of; zero for none.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.term.load(Relaxed)
    }

    /// Reading of the boot clock at which the lease ends, while it leads.
    #[must_use]
    pub fn lease_ends(&self) -> Option<Duration> {
        let ends = self.lease_ends.load(Relaxed);
        (ends > 0).then(|| Duration::from_micros(ends))
    }

    /// Whether the store answered last; `None` before it was asked.
    #[must_use]
    pub fn store_up(&self) -> Option<bool> {
        self.store.is_up()
    }

    /// Whether the broker took messages last; `None` where this instance has not talked to it.
    #[must_use]
    pub fn broker_up(&self) -> Option<bool> {
        self.broker.is_up()
    }

    /// Why the last reload was refused, drawn on the source; `None` when it was not.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        self.lock().clone()
    }

    /// How far the own clock is ahead of the store's, µs.
    #[must_use]
    pub fn skew(&self) -> i64 {
        self.skew.load(Relaxed)
    }

    /// What is wrong with this instance and not with an entry, one line each.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mismatch = "the leader runs other entries: an old file here or there, or two projects under one name";
        let ruling = RULINGS.get(usize::from(self.ruling.load(Relaxed)));
        let all = [
            ruling.copied().flatten(),
            self.mismatch.load(Relaxed).then_some(mismatch),
        ];
        all.into_iter().flatten().map(str::to_owned).collect()
    }

    /// Counters and gauges by the names of their metrics.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let read = |counter: &AtomicU64| counter.load(Relaxed);
        Numbers {
            fires: std::array::from_fn(|fate| read(&self.fires[fate])),
            skipped: std::array::from_fn(|reason| read(&self.skipped[reason])),
            retries: read(&self.retries),
            transitions: read(&self.transitions),
            renewals_failed: read(&self.renewals_failed),
            reloads: std::array::from_fn(|result| read(&self.reloads[result])),
            reload_failed: self.reload_failed.load(Relaxed),
            reloaded_at: Timestamp::from_micros(self.reloaded_at.load(Relaxed)),
            clock_steps: read(&self.clock_steps),
            state_lost: read(&self.state_lost),
            mismatch: self.mismatch.load(Relaxed),
            replicas_behind: read(&self.replicas_behind),
        }
    }
}

/// The plain counters and gauges of [`Facts`], read together.
#[derive(Debug, Clone)]
pub struct Numbers {
    /// Fires, by [`Fate`].
    pub fires: [u64; Fate::ALL.len()],
    /// Skipped fire times, by [`Reason`].
    pub skipped: [u64; Reason::ALL.len()],
    /// Attempts after a failed one.
    pub retries: u64,
    /// How often this instance became leader or ceased to be it.
    pub transitions: u64,
    /// Renewals that were refused or not answered.
    pub renewals_failed: u64,
    /// Reloads applied, and refused.
    pub reloads: [u64; 2],
    /// Whether the last one was refused.
    pub reload_failed: bool,
    /// When the schedule in force was loaded.
    pub reloaded_at: Timestamp,
    /// Steps of the own clock.
    pub clock_steps: u64,
    /// How often the store had lost its data.
    pub state_lost: u64,
    /// Whether the leader runs other entries.
    pub mismatch: bool,
    /// How often replicas were behind.
    pub replicas_behind: u64,
}
