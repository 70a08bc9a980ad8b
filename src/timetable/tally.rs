//! What was seen of one entry since this process started.
//!
//! The firing loop writes it, with plain atomic stores and never a wait; status and metrics read it
//! from another thread. It is no part of the entry: nothing is decided by it, and it is handed on
//! when the schedule is loaded again.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::clock::{FireTime, Timestamp};

/// What became of a fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Published.
    Sent,
    /// Published before already; found out when it was sent again.
    Repeated,
    /// Refused; counted once for a fire time, which stays due.
    Failed,
    /// Nobody can say whether it was published; `at_most_once`.
    Unknown,
}

impl Fate {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Sent, Self::Repeated, Self::Failed, Self::Unknown];

    /// The word used in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Repeated => "repeated",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}

/// Reasons for which fire times are skipped; `plan` knows their names.
pub const REASONS: usize = 7;

/// Longest text of an error that is kept, in characters.
const LONGEST: usize = 1_000;

/// Counters and last values of one entry.
#[derive(Debug)]
pub struct Tally {
    count: AtomicU64,
    anchor: AtomicI64,
    last: AtomicI64,
    next: AtomicI64,
    /// Made at the first event: of a hundred thousand entries most wait for theirs.
    events: OnceLock<Box<Events>>,
}

/// What came of fire times.
#[derive(Debug)]
struct Events {
    fires: [AtomicU64; Fate::ALL.len()],
    skipped: [AtomicU64; REASONS],
    sent_at: AtomicI64,
    lag: AtomicI64,
    failing: AtomicBool,
    error: Mutex<Option<Box<str>>>,
}

/// No instant.
const NONE: i64 = i64::MIN;

impl Default for Tally {
    fn default() -> Self {
        Self {
            count: AtomicU64::new(0),
            anchor: AtomicI64::new(0),
            last: AtomicI64::new(NONE),
            next: AtomicI64::new(NONE),
            events: OnceLock::new(),
        }
    }
}

impl Default for Events {
    fn default() -> Self {
        Self {
            fires: Default::default(),
            skipped: Default::default(),
            sent_at: AtomicI64::new(NONE),
            lag: AtomicI64::new(0),
            failing: AtomicBool::new(false),
            error: Mutex::new(None),
        }
    }
}

impl Tally {
    /// Where the entry stands: the instant its intervals count from, its last and next fire time,
    /// and how often it was published.
    pub fn stands(
        &self,
        anchor: Timestamp,
        last: Option<FireTime>,
        next: Option<FireTime>,
        count: u64,
    ) {
        self.anchor.store(anchor.as_micros(), Relaxed);
        self.last.store(stored(last), Relaxed);
        self.next.store(stored(next), Relaxed);
        self.count.store(count, Relaxed);
    }

    /// A fire came to `fate`.
    pub fn came_to(&self, fate: Fate) {
        self.events().fires[fate as usize].fetch_add(1, Relaxed);
    }

    /// Published at `at`, `lag` µs after its send instant.
    pub fn sent(&self, at: Timestamp, lag: i64) {
        let events = self.events();
        events.sent_at.store(at.as_micros(), Relaxed);
        events.lag.store(lag, Relaxed);
    }

    /// `count` fire times were skipped for the reason at that place.
    pub fn skipped(&self, reason: usize, count: u64) {
        if let Some(counter) = self.events().skipped.get(reason) {
            counter.fetch_add(count, Relaxed);
        }
    }

    /// It fails, and why.
    pub fn fails(&self, why: &str) {
        let cut: String = why.chars().take(LONGEST).collect();
        let events = self.events();
        *events.lock() = Some(cut.into());
        events.failing.store(true, Relaxed);
    }

    /// It fails no more.
    pub fn recovered(&self) {
        let Some(events) = self.events.get() else {
            return;
        };
        // The lock is taken only where there was something to say.
        if events.failing.load(Relaxed) {
            events.failing.store(false, Relaxed);
            *events.lock() = None;
        }
    }

    /// How often fires came to `fate`.
    #[must_use]
    pub fn fires(&self, fate: Fate) -> u64 {
        let events = self.events.get();
        events.map_or(0, |events| events.fires[fate as usize].load(Relaxed))
    }

    /// How many fire times were skipped for the reason at that place.
    #[must_use]
    pub fn skips(&self, reason: usize) -> u64 {
        let counter = self.events.get().and_then(|all| all.skipped.get(reason));
        counter.map_or(0, |counter| counter.load(Relaxed))
    }

    /// Published fire times, over all processes.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Relaxed)
    }

    /// The instant its intervals count from.
    #[must_use]
    pub fn anchor(&self) -> Timestamp {
        Timestamp::from_micros(self.anchor.load(Relaxed))
    }

    /// The last published fire time.
    #[must_use]
    pub fn last(&self) -> Option<FireTime> {
        instant(&self.last)
    }

    /// The next fire time, as the leader plans it.
    #[must_use]
    pub fn next(&self) -> Option<FireTime> {
        instant(&self.next)
    }

    /// When this process published last, and how many µs after the send instant.
    #[must_use]
    pub fn last_sent(&self) -> Option<(Timestamp, i64)> {
        let events = self.events.get()?;
        instant(&events.sent_at).map(|at| (at, events.lag.load(Relaxed)))
    }

    /// Whether its last attempt failed.
    #[must_use]
    pub fn is_failing(&self) -> bool {
        let events = self.events.get();
        events.is_some_and(|events| events.failing.load(Relaxed))
    }

    /// Why it fails, while it does.
    #[must_use]
    pub fn error(&self) -> Option<Box<str>> {
        self.events.get()?.lock().clone()
    }

    fn events(&self) -> &Events {
        self.events.get_or_init(Box::default)
    }
}

impl Events {
    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Box<str>>> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stored(at: Option<Timestamp>) -> i64 {
    at.map_or(NONE, Timestamp::as_micros)
}

fn instant(cell: &AtomicI64) -> Option<Timestamp> {
    Some(cell.load(Relaxed))
        .filter(|micros| *micros != NONE)
        .map(Timestamp::from_micros)
}
