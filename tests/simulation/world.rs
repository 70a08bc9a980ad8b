//! Time, faults, and whose turn it is.

use std::collections::BTreeSet;
use std::sync::Arc;

use beat::clock::Timestamp;
use beat::dispatch::Scribe;
use beat::plan::{Action, Due, Outcome, Rejection};
use beat::store::memory::MemoryStore;
use beat::store::{Claim, Ledger, StoreError};
use beat::timetable::EntryName;

use crate::audit::{Audit, Before, progress};
use crate::instance::{Chunk, Instance, now};
use crate::rng::Rng;
use crate::schedules::Draft;

const MINUTE: i64 = 60_000_000;

/// What happened in one run, or in several.
#[derive(Debug, Default, Clone, Copy)]
pub struct Totals {
    /// Steps taken.
    pub steps: u64,
    /// Messages.
    pub fired: u64,
    /// Fire times counted as skipped.
    pub skipped: u64,
    /// Offices taken.
    pub terms: u64,
    /// Schedules changed under a running plan.
    pub reloads: u64,
    /// Chunks sent again.
    pub repeats: u64,
    /// Times at which the store was seeded by a leader that remembered.
    pub seeded: u64,
    /// Hours that passed.
    pub hours: u64,
}

impl Totals {
    /// Adds another run.
    pub fn add(&mut self, other: &Self) {
        self.steps += other.steps;
        self.fired += other.fired;
        self.skipped += other.skipped;
        self.terms += other.terms;
        self.reloads += other.reloads;
        self.repeats += other.repeats;
        self.seeded += other.seeded;
        self.hours += other.hours;
    }
}

/// Everything.
pub struct World {
    rng: Rng,
    now: Timestamp,
    start: Timestamp,
    store: MemoryStore,
    draft: Draft,
    instances: Vec<Instance>,
    scribe: Scribe,
    audit: Audit,
    /// Entries whose messages are refused.
    poisoned: BTreeSet<EntryName>,
    /// Steps for which the store stays as it is.
    faulty: u64,
    started: u64,
    traced: bool,
}

impl World {
    /// The beginning of the run of `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let now = Timestamp::from_micros(
            1_795_000_000_000_000 + i64::try_from(rng.below(86_400_000_000)).unwrap(),
        );
        let store = MemoryStore::default();
        let draft = Draft::random(&mut rng, now);
        let instances = (0..2)
            .map(|place| Instance::new(&store, &format!("{place}"), Arc::new(draft.load(now)), 0))
            .collect();
        Self {
            rng,
            now,
            start: now,
            store,
            draft,
            instances,
            scribe: Scribe::new("sim"),
            audit: Audit::default(),
            poisoned: BTreeSet::new(),
            faulty: 0,
            started: 2,
            traced: std::env::var_os("BEAT_SIM_TRACE").is_some(),
        }
    }

    /// One step: perhaps something goes wrong, then an instance acts.
    pub fn step(&mut self) {
        self.audit.totals.steps += 1;
        self.disturb();
        let leader = self.instances.iter().position(|one| one.term.is_some());
        // A standby, or one that does not know that it was deposed, has its turn now and then.
        let place = match leader {
            Some(place) if !self.rng.once_in(10) => place,
            _ => usize::from(self.rng.once_in(2)),
        };
        self.act(place);
    }

    /// After the last step everything gets well, and what is due is settled.
    pub fn finish(mut self) -> Totals {
        self.heal();
        for instance in &mut self.instances {
            instance.ahead = 0;
            instance.leave();
        }
        self.store.depose();
        let settled = (0..20_000).any(|_| {
            let now = self.now;
            let rests = self.act(0);
            if rests {
                self.now = now;
            }
            rests
        });
        assert!(
            settled,
            "everything is well, and yet it does not come to rest"
        );
        let one = &self.instances[0];
        for (entry, standing) in one.plan.as_ref().expect("everything is well").entries() {
            let recorded = progress(&self.store.recorded(&entry.name));
            assert_eq!(standing.progress.base(), recorded.base(), "{}", entry.name);
            assert_eq!(standing.progress.count, recorded.count, "{}", entry.name);
            let spent = entry
                .policy
                .max_runs
                .is_some_and(|max| recorded.count >= max);
            if let Some(next) = standing.next.filter(|_| !spent) {
                assert!(
                    entry.send_instant(next) > self.now,
                    "{}: {next} is due at {}",
                    entry.name,
                    self.now
                );
            }
        }
        self.audit.totals.hours = self.now.since(self.start).as_secs() / 3_600;
        self.audit.totals
    }

    fn heal(&mut self) {
        self.store.set_fault(None);
        self.poisoned.clear();
        for name in ["*", "a", "b", "c", "d", "e", "f"] {
            self.store.set_paused(name, None);
        }
    }

    fn disturb(&mut self) {
        if self.faulty > 0 {
            self.faulty -= 1;
            if self.faulty == 0 {
                self.store.set_fault(None);
            }
        }
        match self.rng.below(2_000) {
            0..10 => self.store.depose(),
            10..16 => self.restart(),
            16..40 => {
                let fault = if self.rng.once_in(2) {
                    StoreError::Unavailable("not there".into())
                } else {
                    StoreError::Ambiguous("no answer".into())
                };
                self.store.set_fault(Some(fault));
                self.faulty = 1 + self.rng.below(6);
            }
            40..80 => self.store.lose_next_answer(),
            80..90 => {
                let name: EntryName = (*self.rng.pick(&["a", "b", "c", "d"])).into();
                if !self.poisoned.remove(&name) {
                    self.poisoned.insert(name);
                }
            }
            90..100 => {
                let name = *self.rng.pick(&["a", "b", "c", "d", "*"]);
                let reason = self.rng.once_in(2).then_some("because");
                self.store.set_paused(name, reason);
            }
            100..106 => {
                // Clocks that differ by more than a minute are put to the vote of `plan::clocks`.
                let step = i64::try_from(self.rng.below(60)).unwrap() * 1_000_000 - MINUTE / 2;
                let place = usize::from(self.rng.once_in(2));
                let ahead = if self.rng.once_in(2) { 0 } else { step };
                let instance = &mut self.instances[place];
                instance.ahead = ahead;
                let wall = instance.wall(self.now);
                if let Some(plan) = &mut instance.plan {
                    plan.set_able_since(wall);
                }
            }
            106..118 => self.edit(),
            118..120 => self.lose_data(),
            120..126 => {
                let minutes = *self.rng.pick(&[1, 5, 60, 600]);
                self.now = self.now.plus_micros(
                    i64::try_from(self.rng.below(60)).unwrap() * MINUTE * minutes / 60,
                );
            }
            _ => {}
        }
    }

    fn restart(&mut self) {
        let place = usize::from(self.rng.once_in(2));
        self.started += 1;
        let ahead = self.instances[place].ahead;
        let loaded = Arc::new(self.draft.load(self.now.plus_micros(ahead)));
        self.instances[place] =
            Instance::new(&self.store, &format!("{}", self.started), loaded, ahead);
        self.store.depose();
    }

    fn edit(&mut self) {
        self.draft.edit(&mut self.rng, self.now);
        for place in 0..2 {
            // Now and then only one of them reads it, until the next edit.
            if !self.rng.once_in(5) {
                let wall = self.instances[place].wall(self.now);
                self.instances[place].loaded = Arc::new(self.draft.load(wall));
            }
        }
    }

    /// A leader that knows where everything stands seeds the store; otherwise all count from now.
    fn lose_data(&mut self) {
        let leader = self.instances.iter().position(|one| {
            one.plan.is_some() && one.chunk.is_none() && Arc::ptr_eq(&one.running, &one.loaded)
        });
        let Some(place) = leader.filter(|_| self.faulty == 0 && self.rng.once_in(2)) else {
            self.store.lose_data();
            self.audit.forget();
            for instance in &mut self.instances {
                instance.leave();
                // Clocks that differ would show fire times again: that is not promised.
                instance.ahead = 0;
            }
            return;
        };
        let names: Vec<EntryName> = self.instances[place]
            .running
            .timetable
            .entries
            .keys()
            .cloned()
            .collect();
        let standing = |world: &Self| {
            names
                .iter()
                .map(|name| progress(&world.store.recorded(name)))
                .collect::<Vec<_>>()
        };
        // An elected one that was not told yet holds an old plan.
        if self.instances[place].take_is_refused() {
            return;
        }
        let before = standing(self);
        self.store.lose_data();
        let wall = self.instances[place].wall(self.now);
        let leader = &mut self.instances[place];
        let plan = leader.plan.take().unwrap();
        leader.leave();
        leader.memory.plan = Some((plan, std::time::Duration::MAX));
        if leader.campaign() && leader.take(wall) {
            assert_eq!(standing(self), before, "seeded otherwise than it was");
            self.audit.totals.seeded += 1;
        } else {
            self.instances[place].memory.plan = None;
            self.audit.forget();
        }
    }

    /// `daemon::metronome`, as far as the next await; whether it only naps.
    fn act(&mut self, place: usize) -> bool {
        let wall = self.instances[place].wall(self.now);
        let instance = &mut self.instances[place];
        if instance.term.is_none() && !instance.campaign() {
            return false;
        }
        if instance.chunk.is_some() {
            self.commit(place);
            return false;
        }
        if instance.plan.is_none() {
            if instance.take(wall) {
                self.audit.totals.terms += 1;
                if self.traced {
                    eprintln!("{} {place} takes office", self.now);
                }
            }
            return false;
        }
        let reloading = !Arc::ptr_eq(&instance.running, &instance.loaded);
        let at = if reloading {
            instance.loaded.timetable.loaded_at
        } else {
            wall
        };
        let room = 1 + usize::try_from(self.rng.below(40)).unwrap();
        let plan = instance.plan.as_mut().unwrap();
        let dues = plan.due(at, room);
        if !dues.is_empty() {
            assert!(dues.len() <= room + 1, "{} items in {room}", dues.len());
            let before = Before::of(&self.store, &dues);
            instance.chunk = Some(Chunk {
                dues,
                before,
                clean: true,
            });
            self.commit(place);
            return false;
        }
        if reloading {
            if instance.change(wall) {
                self.audit.totals.reloads += 1;
                if self.traced {
                    eprintln!("{} {place} reloads", self.now);
                }
            }
            return false;
        }
        // Nothing is due: the nap must not be empty.
        let wake = plan.next_wake().unwrap_or(wall.plus_micros(60 * MINUTE));
        assert!(
            wake > wall,
            "nothing is due at {wall}, and yet it wants to be looked at at {wake}"
        );
        let nap = wake.micros_since(wall).min(60 * MINUTE);
        // Never quite on time.
        self.now = self
            .now
            .plus_micros(nap + i64::try_from(self.rng.below(3_000)).unwrap());
        true
    }

    fn commit(&mut self, place: usize) {
        let wall = self.instances[place].wall(self.now);
        let instance = &mut self.instances[place];
        let term = instance.term.unwrap();
        let mut chunk = instance.chunk.take().unwrap();
        let answer = fire(
            &mut instance.ledger,
            &self.scribe,
            &chunk.dues,
            term,
            wall,
            &self.poisoned,
            &mut self.audit,
        );
        let plan = instance.plan.as_mut().unwrap();
        if self.traced {
            let item = |due: &Due| format!("{} {:?} {}", due.entry.name, due.action, due.fire_time);
            let items: Vec<String> = chunk.dues.iter().map(item).collect();
            eprintln!("{} {place} in term {term}: {items:?}: {answer:?}", self.now);
        }
        match answer {
            Ok(outcomes) => {
                for (due, outcome) in chunk.dues.iter().zip(&outcomes) {
                    let settled = plan.settle(due, outcome, wall);
                    self.audit.settled(
                        &mut chunk.before,
                        due,
                        outcome,
                        &settled.skipped,
                        chunk.clean,
                    );
                }
            }
            Err(StoreError::Deposed) => return instance.leave(),
            Err(StoreError::Ambiguous(_)) => {
                chunk.clean = false;
                self.audit.totals.repeats += 1;
                instance.chunk = Some(chunk);
                // A pause.
                self.now = self.now.plus_micros(50_000);
                return;
            }
            Err(_) => {
                self.now = self.now.plus_micros(50_000);
                if !chunk.clean {
                    instance.chunk = Some(chunk);
                    return;
                }
            }
        }
        for due in &chunk.dues {
            plan.rearm(due.slot);
        }
    }
}

impl Instance {
    /// Whether the store would refuse what it writes.
    fn take_is_refused(&mut self) -> bool {
        let term = self.term.unwrap();
        now(self.ledger.enrol(term, None, &[])).is_err()
    }
}

/// `commit.lua`: all of it at one instant.
fn fire(
    ledger: &mut beat::store::AnyLedger,
    scribe: &Scribe,
    dues: &[Due],
    term: beat::store::Term,
    wall: Timestamp,
    poisoned: &BTreeSet<EntryName>,
    audit: &mut Audit,
) -> Result<Vec<Outcome>, StoreError> {
    let items: Vec<_> = dues
        .iter()
        .map(|due| scribe.settlement(due, wall))
        .collect();
    let claims = now(ledger.claim(term, &items))?;
    let mut held = BTreeSet::new();
    let mut outcomes: Vec<Option<Outcome>> = Vec::new();
    let mut records = Vec::new();
    for ((due, item), claim) in dues.iter().zip(&items).zip(claims) {
        let name = &due.entry.name;
        let mut item = item.clone();
        outcomes.push(if held.contains(name) {
            Some(Outcome::Held)
        } else {
            match claim {
                Claim::Settled(Outcome::Paused) => {
                    item.action = Action::Skip;
                    records.push((outcomes.len(), item));
                    Some(Outcome::Paused)
                }
                _ if due.action == Action::Skip => {
                    records.push((outcomes.len(), item));
                    None
                }
                Claim::Settled(outcome) => Some(outcome),
                Claim::Publish if poisoned.contains(name) => {
                    held.insert(name.clone());
                    Some(Outcome::Rejected(Rejection("poisoned".into())))
                }
                Claim::Publish => {
                    audit.published(&due.entry, due.fire_time);
                    records.push((outcomes.len(), item));
                    None
                }
                Claim::Unmarked(text) => panic!("nothing is reserved here: {text}"),
            }
        });
    }
    let settlements: Vec<_> = records.iter().map(|(_, item)| item.clone()).collect();
    // An answer that is lost is lost after all of this was done.
    let recorded = now(ledger.commit(term, &settlements))?;
    for ((place, _), outcome) in records.iter().zip(recorded) {
        outcomes[*place].get_or_insert(outcome);
    }
    Ok(outcomes.into_iter().flatten().collect())
}
