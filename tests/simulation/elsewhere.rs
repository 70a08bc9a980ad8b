//! Store and broker apart: `dispatch::Confirmed` with a ledger and a publisher that fail at random.
//!
//! What must hold, whatever happens between the steps of publishing and recording:
//! - `at_least_once`: every fire time arrives, in order; one that arrives again does so only after
//!   something went wrong since it was first sent, as the same message;
//! - `at_most_once`: none arrives twice; one that does not arrive was said to be unknown, or was
//!   skipped because of a pause.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use beat::clock::{FireTime, Timestamp};
use beat::config::Loaded;
use beat::dispatch::memory::{MemoryPublisher, Script};
use beat::dispatch::{AnyPublisher, Confirmed, Scribe};
use beat::plan::{Action, Due, Outcome};
use beat::store::memory::{MemoryLease, MemoryStore};
use beat::store::{AnyLedger, Campaign, Lease, Ledger, StoreError, Term};
use beat::timetable::{Delivery, Entry, EntryName};

use crate::instance::now;
use crate::rng::Rng;
use crate::schedules::compile;

const ENTRIES: &str = "[beat_schedule.least]\ntask = 't'\nschedule = 1\n\
    [beat_schedule.also]\ntask = 't'\nschedule = 1\n\
    [beat_schedule.once]\ntask = 't'\nschedule = 1\ndelivery = 'at_most_once'\n\
    [beat_schedule.only]\ntask = 't'\nschedule = 1\ndelivery = 'at_most_once'\n";

const TTL: Duration = Duration::from_secs(10);

struct Instance {
    lease: MemoryLease,
    confirmed: Confirmed,
    term: Option<Term>,
    seen: Term,
    /// The next fire time of each entry, in seconds since the start; empty before office is taken.
    next: HashMap<EntryName, i64>,
    /// A chunk whose fate is not known: sent again before anything else.
    doubt: Option<Vec<Due>>,
}

/// Everything.
struct World {
    rng: Rng,
    store: MemoryStore,
    publisher: MemoryPublisher,
    loaded: Loaded,
    scribe: Scribe,
    instances: Vec<Instance>,
    started: u64,
    faulty: u64,
    start: Timestamp,
    /// Fire times that were said to be unknown, or skipped by a pause.
    excused: HashSet<(EntryName, FireTime)>,
    /// Things that went wrong.
    mishaps: usize,
}

impl World {
    fn new(seed: u64) -> Self {
        let start = Timestamp::from_micros(1_795_000_000_000_000);
        let mut world = Self {
            rng: Rng::new(seed),
            store: MemoryStore::default(),
            publisher: MemoryPublisher::default(),
            loaded: compile(ENTRIES, start),
            scribe: Scribe::new("sim"),
            instances: Vec::new(),
            started: 0,
            faulty: 0,
            start,
            excused: HashSet::new(),
            mishaps: 0,
        };
        world.instances = (0..2).map(|_| world.launch()).collect();
        world
    }

    fn launch(&mut self) -> Instance {
        self.started += 1;
        let (lease, ledger) = self.store.open(&self.started.to_string());
        let publisher = AnyPublisher::Memory(self.publisher.clone());
        Instance {
            lease,
            confirmed: Confirmed::new(publisher, AnyLedger::Memory(ledger)),
            term: None,
            seen: Term(0),
            next: HashMap::new(),
            doubt: None,
        }
    }

    fn at(&self, second: i64) -> FireTime {
        self.start.plus_micros(second * 1_000_000)
    }

    fn disturb(&mut self) {
        if self.faulty > 0 {
            self.faulty -= 1;
            if self.faulty == 0 {
                self.store.set_fault(None);
            }
        }
        let before = self.mishaps;
        self.mishaps += 1;
        match self.rng.below(300) {
            0..6 => self.store.depose(),
            6..10 => {
                let place = usize::from(self.rng.once_in(2));
                self.instances[place] = self.launch();
                self.store.depose();
            }
            10..16 => {
                let fault = if self.rng.once_in(2) {
                    StoreError::Unavailable("not there".into())
                } else {
                    StoreError::Ambiguous("no answer".into())
                };
                self.store.set_fault(Some(fault));
                self.faulty = 1 + self.rng.below(4);
            }
            16..26 => self.store.lose_next_answer(),
            26..36 => self.publisher.script([Script::LoseConfirm]),
            36..44 => self.publisher.script([Script::Refuse]),
            44..50 => {
                let name = *self.rng.pick(&["least", "once"]);
                self.publisher.script([Script::Reject(name.into())]);
            }
            50..56 => {
                // Between a publication and its receipt.
                let store = self.store.clone();
                self.publisher.then(move || store.depose());
            }
            56..62 => {
                let name = *self.rng.pick(&["least", "once", "*"]);
                let reason = self.rng.once_in(2).then_some("because");
                self.store.set_paused(name, reason);
            }
            _ => self.mishaps = before,
        }
    }

    fn due(&self, entry: &Arc<Entry>, second: i64) -> Due {
        Due {
            slot: 0,
            entry: Arc::clone(entry),
            fire_time: self.at(second),
            action: Action::Fire,
            anchor: self.start,
            last_fire_time: None,
            skipped: Vec::new(),
            misfire: false,
            task_id: OnceLock::new(),
        }
    }

    /// An instance acts: stands, takes office, or commits what is due until `second`.
    fn act(&mut self, place: usize, second: i64) {
        let names: Vec<EntryName> = self.loaded.timetable.entries.keys().cloned().collect();
        let one = &mut self.instances[place];
        let Some(term) = one.term else {
            if let Ok(Campaign::Won(term)) = now(one.lease.campaign(TTL, one.seen)) {
                if term <= one.seen {
                    let _ = now(one.lease.resign(term));
                    return;
                }
                (one.seen, one.term) = (term, Some(term));
                one.next.clear();
                one.doubt = None;
            }
            return;
        };
        if one.next.is_empty() {
            let _ = now(one.confirmed.take_over(term));
            self.excused.extend(one.confirmed.take_unknown());
            if let Ok(loaded) = now(one.confirmed.ledger().load(&names)) {
                for (name, recorded) in names.iter().zip(loaded.recorded) {
                    let base = recorded.last.max(recorded.from).unwrap_or(self.start);
                    let done = base.micros_since(self.start) / 1_000_000;
                    one.next.insert(name.clone(), done + 1);
                    // Skipped by a pause, and whoever was to say so is gone.
                    let fired = recorded.last.unwrap_or(self.start);
                    let skipped = fired.micros_since(self.start) / 1_000_000 + 1..=done;
                    let start = self.start;
                    let at = |second| start.plus_micros(second * 1_000_000);
                    self.excused
                        .extend(skipped.map(|second| (name.clone(), at(second))));
                }
            }
            return;
        }
        let dues = one.doubt.take().unwrap_or_else(|| {
            let one = &self.instances[place];
            let entries = self.loaded.timetable.entries.values();
            entries
                .filter(|entry| one.next[&entry.name] <= second)
                .map(|entry| self.due(entry, one.next[&entry.name]))
                .collect()
        });
        if dues.is_empty() {
            return;
        }
        let wall = self.at(second);
        let one = &mut self.instances[place];
        let answer = now(one.confirmed.dispatch(&self.scribe, term, &dues, wall));
        self.excused.extend(one.confirmed.take_unknown());
        match answer {
            Err(StoreError::Deposed) => one.term = None,
            Err(StoreError::Ambiguous(_)) => one.doubt = Some(dues),
            Err(_) => {}
            Ok(outcomes) => {
                for (due, outcome) in dues.iter().zip(outcomes) {
                    let key = (due.entry.name.clone(), due.fire_time);
                    match outcome {
                        Outcome::Fired(_) | Outcome::AlreadyDone(_) => {}
                        Outcome::Unknown(_) | Outcome::Paused => {
                            self.excused.insert(key);
                        }
                        Outcome::Rejected(_) | Outcome::Held => continue,
                        other => panic!("{key:?}: {other:?}"),
                    }
                    *one.next.get_mut(&due.entry.name).unwrap() += 1;
                }
            }
        }
    }

    /// What arrived, against what was promised for the first `seconds`.
    fn judge(&self, seconds: i64) -> usize {
        let mut arrived: HashMap<(EntryName, FireTime), usize> = HashMap::new();
        let mut latest: HashMap<EntryName, FireTime> = HashMap::new();
        for (name, fire_time) in self.publisher.published() {
            let last = latest.entry(name.clone()).or_insert(fire_time);
            assert!(*last <= fire_time, "{name}: {fire_time} after {last}");
            *last = fire_time;
            *arrived.entry((name, fire_time)).or_default() += 1;
        }
        let mut repeats = 0;
        for entry in self.loaded.timetable.entries.values() {
            for second in 1..=seconds {
                let key = (entry.name.clone(), self.at(second));
                let count = arrived.get(&key).copied().unwrap_or(0);
                let excused = self.excused.contains(&key);
                assert!(count > 0 || excused, "{key:?} was lost in silence");
                if entry.policy.delivery == Delivery::AtMostOnce {
                    assert!(count <= 1, "{key:?} arrived {count} times");
                }
                repeats += count.saturating_sub(1);
            }
        }
        assert!(
            repeats <= 4 * self.mishaps,
            "{repeats} repeats of {} mishaps",
            self.mishaps
        );
        repeats
    }
}

/// A run of `steps` steps; how many messages arrived again.
pub fn run(seed: u64, steps: u64) -> usize {
    let mut world = World::new(seed);
    let mut second = 0;
    for _ in 0..steps {
        world.disturb();
        if world.rng.once_in(3) {
            second += 1;
        }
        let leader = world.instances.iter().position(|one| one.term.is_some());
        let place = match leader {
            Some(place) if !world.rng.once_in(10) => place,
            _ => usize::from(world.rng.once_in(2)),
        };
        world.act(place, second);
    }
    // Everything gets well, and what is due is settled.
    world.store.set_fault(None);
    for name in ["*", "least", "once"] {
        world.store.set_paused(name, None);
    }
    world.store.depose();
    for one in &mut world.instances {
        one.term = None;
    }
    for _ in 0..10 * second + 100 {
        world.act(0, second);
    }
    world.judge(second)
}
