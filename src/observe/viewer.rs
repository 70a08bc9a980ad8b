//! Takes looks: what this instance knows, and what the store says, asked at most once a second.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex, watch};
use tokio::time::timeout;

use super::Facts;
use super::page::Timeline;
use super::view::{Known, Own, View};
use crate::clock::{Clock, SystemClock};
use crate::config::Loaded;
use crate::store::presence::Presence;
use crate::store::redis::Overview;
use crate::store::{AnyRemote, StoreError};
use crate::timetable::{EntryName, Fingerprint};

/// How long what the store said is as good as new.
const FRESH: Duration = Duration::from_secs(1);

/// What was read for longer is read again only after so many times as long.
const REST: u32 = 10;

/// Longest wait for the store: for what it says of the scheduler, and of all entries.
const PATIENCE: Duration = Duration::from_millis(1_500);
const LONG_PATIENCE: Duration = Duration::from_secs(6);

/// Entries asked for at a time.
const PIECE: usize = 1_000;

/// How much is to be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// Who runs and what is paused.
    Overview,
    /// Where each entry stands, too.
    Entries,
}

/// What a viewer sees.
pub struct Viewer {
    /// What the tasks of this instance put in.
    pub facts: Arc<Facts>,
    /// What it runs.
    pub schedule: watch::Receiver<Arc<Loaded>>,
    /// Why its last reload was refused.
    pub refused: watch::Receiver<Option<String>>,
    /// How its messages are committed, once that is known.
    pub mode: watch::Receiver<Option<&'static str>>,
    /// What it says of itself and never changes.
    pub this: Presence,
    /// The timeline drawn last.
    pub drawn: std::sync::Mutex<Option<Arc<Timeline>>>,
    /// Held while the store is asked: whoever comes meanwhile waits for the same answer.
    pub ear: Mutex<Ear>,
}

/// What was heard of the store.
pub struct Ear {
    remote: AnyRemote,
    overview: Arc<Overview>,
    up: bool,
    asked: Option<Duration>,
    known: Option<Arc<Vec<Known>>>,
    /// Of which schedule, as whom, and until which reading of the boot clock that is fresh.
    known_for: Option<(Fingerprint, Option<u64>, Duration)>,
}

impl Ear {
    /// Nothing heard yet.
    #[must_use]
    pub fn new(remote: AnyRemote) -> Self {
        Self {
            remote,
            overview: Arc::default(),
            up: false,
            asked: None,
            known: None,
            known_for: None,
        }
    }

    /// Asks for the overview, unless it is fresh.
    async fn listen(&mut self) {
        let boot = SystemClock.boot();
        if self.asked.is_some_and(|asked| boot < asked + FRESH) {
            return;
        }
        let heard = timeout(PATIENCE, self.remote.overview()).await;
        // After the answer: a store that is slow to fail is not asked all the time.
        self.asked = Some(SystemClock.boot());
        self.up = matches!(heard, Ok(Ok(_)));
        if let Ok(Ok(overview)) = heard {
            self.overview = Arc::new(overview);
        }
    }

    /// Asks where all entries stand, unless that is known: a leader, of `term`, asks once.
    async fn listen_long(&mut self, loaded: &Loaded, term: Option<u64>) {
        if !self.up {
            return;
        }
        let remote = &mut self.remote;
        let (digest, began) = (loaded.timetable.digest, SystemClock.boot());
        if let Some((of, as_of, fresh_until)) = self.known_for
            && of == digest
            && as_of == term
            && (term.is_some() || began < fresh_until)
        {
            return;
        }
        let asked = async {
            let names: Vec<EntryName> = loaded.timetable.entries.keys().cloned().collect();
            let mut known = Vec::with_capacity(names.len());
            // Piece by piece: the records of a large schedule are never in memory together.
            let mut entries = loaded.timetable.entries.values();
            for names in names.chunks(PIECE) {
                let (recorded, now) = (remote.recorded(names).await?, SystemClock.wall());
                let loaded_at = loaded.timetable.loaded_at;
                // In this order: the shorter side ends first, and takes nothing of the other.
                let pairs = recorded.iter().zip(entries.by_ref());
                known.extend(pairs.map(|(one, entry)| Known::of(entry, one, loaded_at, now)));
            }
            Ok::<_, StoreError>(known)
        };
        match timeout(LONG_PATIENCE, asked).await {
            Ok(Ok(known)) => {
                let done = SystemClock.boot();
                let rest = FRESH.max(done.saturating_sub(began) * REST);
                self.known = Some(Arc::new(known));
                self.known_for = Some((digest, term, done + rest));
            }
            _ => self.up = false,
        }
    }
}

impl Viewer {
    /// What is to be seen now.
    pub async fn look(&self, depth: Depth) -> View {
        let loaded = Arc::clone(&self.schedule.borrow());
        let (leads, term) = (self.facts.leads(), self.facts.term());
        let mut ear = self.ear.lock().await;
        ear.listen().await;
        if depth == Depth::Entries {
            ear.listen_long(&loaded, leads.then_some(term)).await;
        }
        let is_of_this =
            |(of, ..): &(Fingerprint, Option<u64>, Duration)| *of == loaded.timetable.digest;
        let known = ear
            .known
            .clone()
            .filter(|_| ear.known_for.as_ref().is_some_and(is_of_this));
        let believed = self.facts.store_up() == Some(true);
        let view = View {
            overview: Arc::clone(&ear.overview),
            store_up: believed && ear.up,
            known,
            own: Some(self.own(&loaded, leads, term)),
            now: SystemClock.wall(),
            loaded,
        };
        drop(ear);
        view
    }

    /// What is due in a day; drawn anew once a minute, and when the schedule changes.
    pub fn timeline(&self, view: &View) -> Arc<Timeline> {
        // Held while drawing: whoever comes meanwhile wants the same.
        let mut drawn = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        match &*drawn {
            Some(timeline) if timeline.is_of(view) => Arc::clone(timeline),
            _ => Arc::clone(drawn.insert(Arc::new(Timeline::draw(view)))),
        }
    }

    fn own(&self, loaded: &Loaded, leads: bool, term: u64) -> Own {
        let role = if leads { "leader" } else { "standby" };
        let mode = *self.mode.borrow();
        let presence = Presence {
            role: role.to_owned(),
            digest: loaded.timetable.digest.to_string(),
            loaded_at: loaded.timetable.loaded_at.to_rfc3339(),
            entries: loaded.timetable.entries.len(),
            reload_error: self.refused.borrow().clone(),
            mode: mode.filter(|_| leads).map(str::to_owned),
            clock_skew_s: super::status::millis(self.facts.skew() / 1_000),
            warnings: self.facts.warnings(),
            seen_at: SystemClock.wall().to_rfc3339(),
            ..self.this.clone()
        };
        Own {
            presence,
            leads,
            term,
            broker_up: self.facts.broker_up(),
            refusal: self.facts.refusal(),
        }
    }
}
