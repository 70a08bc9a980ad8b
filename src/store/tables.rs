//! The ledger's rules on plain maps, for the stores that are no Redis.
//!
//! Each function does what the script of the same name does in `redis/lua`; the conformance suite
//! holds them to that.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::control::{Carried, Decision, Order, place};
use super::{Claim, FRESH, Loaded, Paused, Reservation, Settlement, Term, Unmarked, Write};
use crate::clock::{FireTime, Timestamp};
use crate::plan::record::parse_micros;
use crate::plan::{Action, Outcome, Recorded};
use crate::timetable::EntryName;

/// A map of the ledger, under the name of its Redis key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Single values: `birth`, `term`.
    Meta,
    /// Entry → last published fire time.
    Last,
    /// Entry → instant from which fire times count.
    From,
    /// Entry → published fire times.
    Count,
    /// Entry → record.
    Entries,
    /// Entry or `*` → why it is paused.
    Paused,
    /// Entry → fire time and term that reserved it and did not mark it done.
    Reserved,
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 7] = [
        Self::Meta,
        Self::Last,
        Self::From,
        Self::Count,
        Self::Entries,
        Self::Paused,
        Self::Reserved,
    ];

    /// The table's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Last => "last",
            Self::From => "from",
            Self::Count => "count",
            Self::Entries => "entries",
            Self::Paused => "paused",
            Self::Reserved => "reserved",
        }
    }
}

/// All maps, and what changed in them since it was last written down.
#[derive(Debug, Default)]
pub struct Tables {
    maps: BTreeMap<Table, BTreeMap<String, String>>,
    changed: BTreeSet<(Table, String)>,
}

impl Tables {
    /// A value.
    #[must_use]
    pub fn get(&self, table: Table, key: &str) -> Option<&str> {
        self.maps.get(&table)?.get(key).map(String::as_str)
    }

    /// Sets a value.
    pub fn set(&mut self, table: Table, key: &str, value: String) {
        self.maps
            .entry(table)
            .or_default()
            .insert(key.to_owned(), value);
        self.changed.insert((table, key.to_owned()));
    }

    /// Removes a value.
    pub fn remove(&mut self, table: Table, key: &str) {
        if self
            .maps
            .get_mut(&table)
            .is_some_and(|map| map.remove(key).is_some())
        {
            self.changed.insert((table, key.to_owned()));
        }
    }

    /// Takes over a value as it was read, without counting it as changed.
    pub fn read(&mut self, table: Table, key: String, value: String) {
        self.maps.entry(table).or_default().insert(key, value);
    }

    /// What changed since [`Tables::written`], with the present values.
    pub fn changes(&self) -> impl Iterator<Item = (Table, &str, Option<&str>)> {
        self.changed
            .iter()
            .map(|(table, key)| (*table, key.as_str(), self.get(*table, key)))
    }

    /// All changes are written down.
    pub fn written(&mut self) {
        self.changed.clear();
    }

    fn micros(&self, table: Table, key: &str) -> Option<Timestamp> {
        self.get(table, key).and_then(parse_micros)
    }

    fn count(&self, entry: &str) -> u64 {
        self.get(Table::Count, entry)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0)
    }

    /// Marks a store without any term, by a candidate that has `seen` none: nothing can have been
    /// lost.
    pub fn mark_if_new(&mut self, seen: Term) {
        let known = self
            .get(Table::Meta, "term")
            .or(self.get(Table::Meta, "birth"));
        if seen == Term(0) && known.is_none() {
            self.set(Table::Meta, "birth", FRESH.to_owned());
        }
    }

    /// What is recorded of `names`.
    #[must_use]
    pub fn load(&self, names: &[EntryName]) -> Loaded {
        Loaded {
            birth: self.get(Table::Meta, "birth").map(str::to_owned),
            recorded: names
                .iter()
                .map(|name| Recorded {
                    last: self.micros(Table::Last, name),
                    from: self.micros(Table::From, name),
                    count: self.count(name),
                    text: self
                        .get(Table::Entries, name)
                        .unwrap_or_default()
                        .to_owned(),
                })
                .collect(),
            paused: self.maps.get(&Table::Paused).cloned().unwrap_or_default(),
        }
    }

    /// Marks entries as paused again; see [`super::Ledger::pause`].
    pub fn pause(&mut self, marks: &Paused) {
        for (entry, mark) in marks {
            self.set(Table::Paused, entry, mark.clone());
        }
    }

    /// Stored entries that are not among `names`, with their records.
    #[must_use]
    pub fn others(&self, names: &[EntryName]) -> Vec<(EntryName, String)> {
        let known: HashSet<&str> = names.iter().map(|name| &**name).collect();
        self.maps
            .get(&Table::Entries)
            .into_iter()
            .flatten()
            .filter(|(name, _)| !known.contains(name.as_str()))
            .map(|(name, record)| (name.as_str().into(), record.clone()))
            .collect()
    }

    /// Records entries; see [`super::Ledger::enrol`].
    pub fn enrol(&mut self, birth: Option<&str>, writes: &[Write]) -> Vec<usize> {
        let mut conflicts = Vec::new();
        for (place, write) in writes.iter().enumerate() {
            let stored = self.get(Table::Entries, &write.entry).unwrap_or_default();
            if stored != write.expected && Some(stored) != write.record.as_deref() {
                conflicts.push(place);
                continue;
            }
            let Some(record) = &write.record else {
                for table in [Table::Last, Table::From, Table::Count, Table::Entries] {
                    self.remove(table, &write.entry);
                }
                continue;
            };
            self.set(Table::Entries, &write.entry, record.clone());
            for (table, instant) in [(Table::From, write.from), (Table::Last, write.last)] {
                if let Some(instant) = instant {
                    self.set(table, &write.entry, instant.as_micros().to_string());
                }
            }
            if let Some(count) = write.count {
                self.set(Table::Count, &write.entry, count.to_string());
            }
        }
        if let Some(birth) = birth {
            self.set(Table::Meta, "birth", birth.to_owned());
        }
        conflicts
    }

    fn is_paused(&self, entry: &str) -> bool {
        self.get(Table::Paused, "*")
            .or(self.get(Table::Paused, entry))
            .is_some()
    }

    /// Looks whether fire times may be published; see [`super::Ledger::claim`].
    #[must_use]
    pub fn claim(&self, items: &[Settlement]) -> Vec<Claim> {
        let claim = |item: &Settlement| {
            // Before the pause: what was fired stays fired when its chunk is sent again after one.
            match self.settled(item, items) {
                Some(outcome) => Claim::Settled(outcome),
                None if self.is_paused(&item.entry) => Claim::Settled(Outcome::Paused),
                None => Claim::Publish,
            }
        };
        items.iter().map(claim).collect()
    }

    /// Reserves fire times; see [`super::Ledger::reserve`].
    pub fn reserve(&mut self, term: Term, items: &[Reservation]) -> Vec<Claim> {
        items
            .iter()
            .map(|item| self.reserve_one(term, item))
            .collect()
    }

    fn reserve_one(&mut self, term: Term, item: &Reservation) -> Claim {
        let entry = &*item.entry;
        let mine = reservation(item.fire_time, term);
        let held = self.get(Table::Reserved, entry);
        if held == Some(&mine) {
            // Before the pause: it counts as published since it was reserved.
            return Claim::Publish;
        }
        if let Some(settled) = self.done(entry, item.fire_time) {
            return Claim::Settled(settled);
        }
        if self.is_paused(entry) {
            return Claim::Settled(Outcome::Paused);
        }
        let other = held.filter(|held| !held.ends_with(&format!(" {term}")));
        if let Some(other) = other.filter(|other| *other != item.overwrite) {
            return Claim::Unmarked(other.to_owned());
        }
        self.set(Table::Reserved, entry, mine);
        self.count_one(entry, item.fire_time);
        Claim::Publish
    }

    /// Reservations of earlier terms; see [`super::Ledger::unmarked`].
    #[must_use]
    pub fn unmarked(&self, term: Term) -> Vec<Unmarked> {
        let own = format!(" {term}");
        let reserved = self.maps.get(&Table::Reserved).into_iter().flatten();
        reserved
            .filter(|(_, text)| !text.ends_with(&own))
            .map(|(entry, text)| (entry.as_str().into(), text.clone()))
            .collect()
    }

    /// Gives reservations up; see [`super::Ledger::abandon`].
    pub fn abandon(&mut self, reservations: &[Unmarked]) {
        for (entry, text) in reservations {
            if self.get(Table::Reserved, entry) == Some(text) {
                self.remove(Table::Reserved, entry);
            }
        }
    }

    /// Records what was published or skipped; see [`super::Ledger::commit`].
    pub fn commit(&mut self, term: Term, items: &[Settlement]) -> Vec<Outcome> {
        items
            .iter()
            .map(|item| self.commit_one(term, item, items))
            .collect()
    }

    fn commit_one(&mut self, term: Term, item: &Settlement, chunk: &[Settlement]) -> Outcome {
        let entry = &*item.entry;
        if item.action == Action::Skip {
            let from = self.micros(Table::From, entry);
            if from.is_none_or(|from| from < item.fire_time) {
                self.set(Table::From, entry, item.fire_time.as_micros().to_string());
            }
            return Outcome::Skipped;
        }
        if self.get(Table::Reserved, entry) == Some(&reservation(item.fire_time, term)) {
            // Counted when it was reserved; this marks it done.
            self.remove(Table::Reserved, entry);
        } else if let Some(settled) = self.settled(item, chunk) {
            return settled;
        } else {
            self.count_one(entry, item.fire_time);
        }
        if !item.record.is_empty() {
            self.set(Table::Entries, entry, item.record.clone());
        }
        Outcome::Fired(self.count(entry))
    }

    /// How `item` is settled already, if it is.
    fn settled(&self, item: &Settlement, chunk: &[Settlement]) -> Option<Outcome> {
        match self.done(&item.entry, item.fire_time)? {
            // Later than this one, but an item of this very chunk: the chunk was sent again.
            Outcome::Superseded(last)
                if chunk
                    .iter()
                    .any(|other| other.entry == item.entry && other.fire_time == last) =>
            {
                Some(Outcome::AlreadyDone(self.count(&item.entry)))
            }
            outcome => Some(outcome),
        }
    }

    /// Carries out a request of an operator, once; see [`super::AnyLedger::obey`].
    pub fn obey(&mut self, order: &Order) -> Carried {
        let cursor = self.get(Table::Meta, "control_cursor").unwrap_or_default();
        if place(cursor) >= place(&order.id) {
            return Carried::Before;
        }
        let mut carried = Carried::Now;
        match &order.decision {
            Decision::Pause(mark) => self.set(Table::Paused, &order.entry, mark.clone()),
            Decision::Resume if order.entry != "*" && self.get(Table::Paused, "*").is_some() => {
                carried = Carried::AllPaused;
            }
            Decision::Resume => self.remove(Table::Paused, &order.entry),
            // What a trigger publishes is published before.
            Decision::Publish | Decision::Answer => {}
        }
        self.set(Table::Meta, "control_cursor", order.id.clone());
        carried
    }

    /// Whether `fire_time` or a later one is recorded.
    fn done(&self, entry: &str, fire_time: FireTime) -> Option<Outcome> {
        let last = self.micros(Table::Last, entry)?;
        match last.cmp(&fire_time) {
            Ordering::Less => None,
            Ordering::Equal => Some(Outcome::AlreadyDone(self.count(entry))),
            Ordering::Greater => Some(Outcome::Superseded(last)),
        }
    }

    fn count_one(&mut self, entry: &str, fire_time: FireTime) {
        let count = self.count(entry) + 1;
        self.set(Table::Last, entry, fire_time.as_micros().to_string());
        self.set(Table::Count, entry, count.to_string());
    }
}

/// Terms are never used twice, so a term names its holder.
fn reservation(fire_time: FireTime, term: Term) -> String {
    format!("{} {term}", fire_time.as_micros())
}
