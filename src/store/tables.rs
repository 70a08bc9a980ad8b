//! The ledger's rules on plain maps, for the stores that are no Redis.
//!
//! Each function does what the script of the same name does in `redis/lua`; the conformance suite
//! holds them to that.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::{Claim, Loaded, Settlement, Write};
use crate::clock::Timestamp;
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
}

impl Table {
    /// All tables.
    pub const ALL: [Self; 6] = [
        Self::Meta,
        Self::Last,
        Self::From,
        Self::Count,
        Self::Entries,
        Self::Paused,
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

    /// What is recorded of `names`.
    #[must_use]
    pub fn load(&self, names: &[EntryName]) -> Loaded {
        let known: HashSet<&str> = names.iter().map(|name| &**name).collect();
        let entries = self.maps.get(&Table::Entries);
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
            others: entries
                .into_iter()
                .flatten()
                .filter(|(name, _)| !known.contains(name.as_str()))
                .map(|(name, record)| (name.as_str().into(), record.clone()))
                .collect(),
        }
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

    /// How `item` is settled already, if it is.
    fn settled(&self, item: &Settlement, chunk: &[Settlement]) -> Option<Outcome> {
        if self
            .get(Table::Paused, "*")
            .or(self.get(Table::Paused, &item.entry))
            .is_some()
        {
            return Some(Outcome::Paused);
        }
        if item.action == Action::Skip {
            return None;
        }
        let stored = self
            .micros(Table::Last, &item.entry)
            .filter(|last| *last >= item.fire_time)?;
        let sent_again = chunk
            .iter()
            .any(|other| other.entry == item.entry && other.fire_time == stored);
        Some(if sent_again {
            Outcome::AlreadyDone(self.count(&item.entry))
        } else {
            Outcome::Superseded(stored)
        })
    }

    /// Looks whether fire times may be published; see [`super::Ledger::claim`].
    #[must_use]
    pub fn claim(&self, items: &[Settlement]) -> Vec<Claim> {
        items
            .iter()
            .map(|item| {
                self.settled(item, items)
                    .map_or(Claim::Publish, Claim::Settled)
            })
            .collect()
    }

    /// Records what was published or skipped; see [`super::Ledger::commit`].
    pub fn commit(&mut self, items: &[Settlement]) -> Vec<Outcome> {
        items
            .iter()
            .map(|item| {
                let settled = self.settled(item, items);
                if settled == Some(Outcome::Paused) || item.action == Action::Skip {
                    if self
                        .micros(Table::From, &item.entry)
                        .is_none_or(|from| from < item.fire_time)
                    {
                        self.set(
                            Table::From,
                            &item.entry,
                            item.fire_time.as_micros().to_string(),
                        );
                    }
                    return settled.unwrap_or(Outcome::Skipped);
                }
                if let Some(settled) = settled {
                    return settled;
                }
                let count = self.count(&item.entry) + 1;
                self.set(
                    Table::Last,
                    &item.entry,
                    item.fire_time.as_micros().to_string(),
                );
                self.set(Table::Count, &item.entry, count.to_string());
                if !item.record.is_empty() {
                    self.set(Table::Entries, &item.entry, item.record.clone());
                }
                Outcome::Fired(count)
            })
            .collect()
    }
}
