//! What was compiled: the entries of a schedule, ready to plan and to publish.
//!
//! - [`entry`]: one entry, its policy and its grid;
//! - [`exclude`]: dates and tables on which an entry does not fire;
//! - [`fingerprint`]: stable hashes that tell whether an entry changed;
//! - [`tally`]: what was seen of an entry, for those who watch.
//!
//! Pure data, but for the tally. May depend on `message`, `schedule` and `clock`.

pub mod entry;
pub mod exclude;
pub mod fingerprint;
pub mod tally;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

pub use entry::{Backoff, Delivery, Entry, EntryName, Misfire, Occurrence, Policy};
pub use exclude::Exclude;
pub use fingerprint::{Fingerprint, Timing};
pub use tally::{Fate, Tally};

use crate::clock::Timestamp;

/// All entries of one loaded schedule.
#[derive(Debug)]
pub struct Timetable {
    /// The entries by name.
    pub entries: BTreeMap<EntryName, Arc<Entry>>,
    /// Hash of the compiled entries; equal on instances that read equal schedules.
    pub digest: Fingerprint,
    /// When this instance loaded it: the moment from which changed entries count.
    pub loaded_at: Timestamp,
    /// Digest of the timetable it was made to follow, and what differs.
    follows: Option<(Fingerprint, Difference)>,
}

/// How one timetable differs from another, by entry name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Only in the new one.
    pub added: Vec<EntryName>,
    /// Only in the old one.
    pub removed: Vec<EntryName>,
    /// In both, compiled differently.
    pub changed: Vec<EntryName>,
}

impl Difference {
    /// Whether nothing differs.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }
}

impl Timetable {
    /// A timetable of `entries`, loaded at `loaded_at`.
    #[must_use]
    pub fn new(entries: BTreeMap<EntryName, Arc<Entry>>, loaded_at: Timestamp) -> Self {
        let digest = Fingerprint::of_all(entries.values().map(|entry| entry.fingerprint));
        Self {
            entries,
            digest,
            loaded_at,
            follows: None,
        }
    }

    /// Notes what differs from `old`, which this timetable is to replace, where that may take its
    /// time. Its entries were made by [`Entry::follow`].
    pub fn follow(&mut self, old: &Self) {
        self.follows = Some((old.digest, self.difference(old)));
    }

    /// What changed from `old`: as noted by [`Timetable::follow`], else found now.
    #[must_use]
    pub fn news_since(&self, old: &Self) -> Cow<'_, Difference> {
        match &self.follows {
            Some((digest, difference)) if *digest == old.digest => Cow::Borrowed(difference),
            _ => Cow::Owned(self.difference(old)),
        }
    }

    /// What changed from `old` to this timetable.
    #[must_use]
    pub fn difference(&self, old: &Self) -> Difference {
        let mut difference = Difference::default();
        for (name, entry) in &self.entries {
            match old.entries.get(name) {
                None => difference.added.push(Arc::clone(name)),
                Some(before) if before.fingerprint != entry.fingerprint => {
                    difference.changed.push(Arc::clone(name));
                }
                Some(_) => {}
            }
        }
        difference.removed = old
            .entries
            .keys()
            .filter(|name| !self.entries.contains_key(*name))
            .cloned()
            .collect();
        difference
    }
}
