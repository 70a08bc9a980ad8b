//! One look at everything there is to show.
//!
//! The leader knows its entries better than the store: it has their errors and the plan. A standby,
//! and `beat status`, read them from the store.

use std::sync::Arc;

use crate::clock::{FireTime, Timestamp};
use crate::config::{Broker, Loaded, Settings, StoreLocation};
use crate::plan::{Progress, Recorded, enrol};
use crate::store::control::Mark;
use crate::store::presence::Presence;
use crate::store::redis::Overview;
use crate::timetable::{Entry, Timetable};

/// A look, as of one moment.
#[derive(Debug)]
pub struct View {
    /// What this process has loaded.
    pub loaded: Arc<Loaded>,
    /// What the store said last.
    pub overview: Arc<Overview>,
    /// Whether it was the store that said so just now.
    pub store_up: bool,
    /// Where the entries stand by the store, in the order of their names, where it was asked.
    pub known: Option<Arc<Vec<Known>>>,
    /// What this instance knows of itself; `None` when it is looked at from outside.
    pub own: Option<Own>,
    /// When.
    pub now: Timestamp,
}

/// What an instance knows of itself.
#[derive(Debug, Clone)]
pub struct Own {
    /// What it says of itself to others.
    pub presence: Presence,
    /// Whether it leads.
    pub leads: bool,
    /// Its term, or the highest it knows of; zero for none.
    pub term: u64,
    /// Whether the broker takes messages, where it can tell.
    pub broker_up: Option<bool>,
    /// Its own last refused reload, drawn on the source.
    pub refusal: Option<String>,
}

/// Where one entry stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Known {
    /// The instant its intervals count from.
    pub anchor: Timestamp,
    /// Last published fire time.
    pub last: Option<FireTime>,
    /// Next fire time.
    pub next: Option<FireTime>,
    /// When the last message was published, and how many µs after its send instant.
    pub sent: Option<(Timestamp, i64)>,
    /// Published fire times.
    pub count: u64,
}

/// Whether an entry will fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It will.
    Active,
    /// Not until it is resumed.
    Paused,
    /// Not by the file.
    Disabled,
    /// Nothing is left to fire.
    Finished,
}

impl State {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 4] = [Self::Active, Self::Paused, Self::Disabled, Self::Finished];

    /// The word used in metrics and on the status page.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Paused => "paused",
            Self::Disabled => "disabled",
            Self::Finished => "finished",
        }
    }
}

impl Known {
    /// What this file makes of what is recorded; a leader with another file may differ.
    #[must_use]
    pub fn of(entry: &Entry, recorded: &Recorded, loaded_at: Timestamp, now: Timestamp) -> Self {
        let record = recorded.record();
        let Progress { anchor, .. } = enrol(entry, recorded, loaded_at, now).progress;
        let base = recorded.last.max(recorded.from).unwrap_or(now);
        let max_runs = entry.policy.max_runs;
        let spent = max_runs.is_some_and(|max| recorded.count >= max);
        let sent_at = record.and_then(|record| record.sent_at);
        Self {
            anchor,
            last: recorded.last,
            next: (!spent).then(|| entry.next_fire(anchor, base)).flatten(),
            sent: sent_at
                .zip(recorded.last)
                .map(|(sent, last)| (sent, sent.micros_since(entry.send_instant(last)))),
            count: recorded.count,
        }
    }

    /// The same for all entries, in their order.
    #[must_use]
    pub fn all(timetable: &Timetable, recorded: &[Recorded], now: Timestamp) -> Vec<Self> {
        let entries = timetable.entries.values().zip(recorded);
        entries
            .map(|(entry, recorded)| Self::of(entry, recorded, timetable.loaded_at, now))
            .collect()
    }
}

impl View {
    /// Whether this instance leads; then it knows best.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.own.as_ref().is_some_and(|own| own.leads)
    }

    /// `leader` or `standby`; nothing when looked at from outside.
    #[must_use]
    pub fn role(&self) -> Option<&'static str> {
        let own = self.own.as_ref()?;
        Some(if own.leads { "leader" } else { "standby" })
    }

    /// Who leads, and for which term.
    #[must_use]
    pub fn leader(&self) -> (Option<&str>, Option<u64>) {
        if let Some(own) = self.own.as_ref().filter(|own| own.leads) {
            return (Some(&own.presence.instance), Some(own.term));
        }
        match self.overview.leader.as_deref() {
            Some(holder) => match holder.rsplit_once('/') {
                Some((leader, term)) => (Some(leader), term.parse().ok()),
                None => (Some(holder), None),
            },
            None => (None, None),
        }
    }

    /// The instances; this one as it knows itself.
    #[must_use]
    pub fn instances(&self) -> Vec<&Presence> {
        let own = self.own.as_ref().map(|own| &own.presence);
        let name = own.map(|own| own.instance.as_str());
        let others = self.overview.instances.iter();
        let others = others.filter(|one| Some(one.instance.as_str()) != name);
        own.into_iter().chain(others).collect()
    }

    /// The instance whose schedule is spoken of: this one, else the leader.
    #[must_use]
    pub fn speaker(&self) -> Option<&Presence> {
        if let Some(own) = &self.own {
            return Some(&own.presence);
        }
        let (leader, _) = self.leader();
        let mut instances = self.overview.instances.iter();
        instances.find(|one| Some(one.instance.as_str()) == leader)
    }

    /// How messages are committed, once the leader has found out.
    #[must_use]
    pub fn mode(&self) -> Option<&str> {
        let (leader, _) = self.leader();
        let instances = self.instances();
        let leader = instances.iter().find(|one| Some(&*one.instance) == leader);
        leader.and_then(|one| one.mode.as_deref())
    }

    /// Whether the broker takes messages, where that is known.
    #[must_use]
    pub fn broker_up(&self) -> Option<bool> {
        let own = self.own.as_ref()?;
        if own.presence.mode.as_deref() == Some("shadow") {
            return None;
        }
        if is_one_server(&self.loaded.settings) {
            return Some(self.store_up && own.broker_up.unwrap_or(true));
        }
        own.broker_up
    }

    /// What is wrong, one line each: of each instance, and with reaching the store.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        let mut all = Vec::new();
        if !self.store_up {
            all.push("the store does not answer: what follows is what was last known".to_owned());
        }
        for one in self.instances() {
            let lines = one.warnings.iter();
            all.extend(lines.map(|line| format!("{}: {line}", one.host)));
        }
        all
    }

    /// The entries in the order of their names, with their places.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &Entry)> {
        let entries = self.loaded.timetable.entries.values();
        entries.map(|entry| &**entry).enumerate()
    }

    /// Where the entry at `place` stands.
    #[must_use]
    pub fn known(&self, place: usize, entry: &Entry) -> Known {
        let stored = self.known.as_ref().and_then(|known| known.get(place));
        let stored = stored.copied().unwrap_or_default();
        if !self.leads() {
            return stored;
        }
        let tally = &entry.tally;
        Known {
            anchor: tally.anchor(),
            last: tally.last(),
            next: tally.next(),
            sent: tally.last_sent().or(stored.sent),
            count: tally.count(),
        }
    }

    /// Why the entry is paused, by itself or with all others.
    #[must_use]
    pub fn mark(&self, entry: &Entry) -> Option<&Mark> {
        let paused = &self.overview.paused;
        if paused.is_empty() {
            return None;
        }
        paused.get(&*entry.name).or_else(|| paused.get("*"))
    }

    /// Whether the entry will fire.
    #[must_use]
    pub fn state(&self, entry: &Entry, known: &Known) -> State {
        let is_known = self.leads() || self.known.is_some();
        if !entry.policy.enabled {
            State::Disabled
        } else if known.next.is_none() && is_known {
            State::Finished
        } else if self.mark(entry).is_some() {
            State::Paused
        } else {
            State::Active
        }
    }

    /// Why the entry fails at present; only the leader knows.
    #[must_use]
    pub fn error(&self, entry: &Entry) -> Option<Box<str>> {
        self.leads().then(|| entry.tally.error()).flatten()
    }
}

/// Whether store and broker are the same Redis by their URLs.
fn is_one_server(settings: &Settings) -> bool {
    match (&settings.broker, &settings.store) {
        (Broker::Redis(broker), StoreLocation::Redis(store)) => broker == store,
        _ => false,
    }
}
