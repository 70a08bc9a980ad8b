//! What the ledger holds of an entry.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock::{FireTime, Timestamp};
use crate::timetable::Timing;

/// The JSON record of an entry in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The instant from which intervals count, µs.
    pub anchor: Timestamp,
    /// What decided its fire times when it was recorded.
    pub timing: Timing,
    /// Whether it was enabled when it was recorded.
    #[serde(default = "yes", skip_serializing_if = "is_true")]
    pub enabled: bool,
    /// `max_runs` when it was recorded: an entry that had reached it missed nothing since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_runs: Option<u64>,
    /// Task id of the last message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task_id: Option<Uuid>,
    /// When that message was published, µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When the entry left the schedule, µs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed_at: Option<Timestamp>,
}

fn yes() -> bool {
    true
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature serde asks for"
)]
fn is_true(value: &bool) -> bool {
    *value
}

impl Record {
    /// How long the record of an entry that left the schedule is kept.
    pub const RETENTION: Duration = Duration::from_secs(30 * 86_400);

    /// Longest record that is read; a longer one is somebody else's and counts as absent.
    const MAX_BYTES: usize = 4096;

    /// Reads a stored record; what is not one counts as absent.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if text.len() > Self::MAX_BYTES {
            return None;
        }
        serde_json::from_str(text).ok()
    }

    /// Whether the entry left the schedule so long ago that at `now` it counts as forgotten.
    #[must_use]
    pub fn is_forgotten(&self, now: Timestamp) -> bool {
        self.removed_at
            .is_some_and(|at| now.since(at) >= Self::RETENTION)
    }

    /// The stored form.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }
}

/// All that the store holds of one entry.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Last published fire time.
    pub last: Option<FireTime>,
    /// The instant fire times count from.
    pub from: Option<Timestamp>,
    /// Published fire times.
    pub count: u64,
    /// The record as stored, for compare-and-set; empty when there is none.
    pub text: String,
}

impl Recorded {
    /// The record, where there is a readable one.
    #[must_use]
    pub fn record(&self) -> Option<Record> {
        Record::parse(&self.text)
    }

    /// Whether part of it was lost: what is written together is not all there, or is unreadable.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        match self.record() {
            Some(record) => {
                let fired = record.sent_at.is_some();
                self.from.is_none() || (fired && (self.last.is_none() || self.count == 0))
            }
            None => !self.text.is_empty() || self.from.is_some(),
        }
    }
}

/// Where an entry stands on its grid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The instant from which intervals count.
    pub anchor: Timestamp,
    /// Fire times up to this instant are not looked for.
    pub from: Timestamp,
    /// Last published fire time.
    pub last: Option<FireTime>,
    /// Published fire times.
    pub count: u64,
}

impl Progress {
    /// The instant after which the next fire time is looked for.
    #[must_use]
    pub fn base(&self) -> Timestamp {
        self.last.map_or(self.from, |last| last.max(self.from))
    }
}

/// Reads a stored instant: 1 to 16 decimal digits, anything else counts as absent.
#[must_use]
pub fn parse_micros(text: &str) -> Option<Timestamp> {
    if !(1..=16).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Timestamp::from_micros)
}
