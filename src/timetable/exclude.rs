//! Dates and crontab tables on which an entry does not fire.

use chrono::{NaiveDate, NaiveDateTime};

use crate::schedule::Crontab;

/// `exclude` of an entry, read in the entry's zone.
#[derive(Clone, Debug, Default)]
pub struct Exclude {
    /// First and last day, both excluded.
    pub days: Vec<(NaiveDate, NaiveDate)>,
    /// A fire time is excluded when all fields of one of these match its local time.
    pub tables: Vec<Crontab>,
}

impl Exclude {
    /// Whether nothing is excluded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.days.is_empty() && self.tables.is_empty()
    }

    /// Whether the local time `at` is excluded.
    #[must_use]
    pub fn covers(&self, at: NaiveDateTime) -> bool {
        self.days
            .iter()
            .any(|(first, last)| (*first..=*last).contains(&at.date()))
            || self.tables.iter().any(|table| table.covers(at))
    }
}
