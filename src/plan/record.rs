//! What the ledger holds of an entry.

use std::fmt::Write as _;
use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use crate::clock::{FireTime, Timestamp};
use crate::timetable::Timing;

/// The JSON record of an entry in the store.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Record {
    /// The instant from which intervals count, µs.
    pub anchor: Timestamp,
    /// What decided its fire times when it was recorded.
    pub timing: Timing,
    /// Whether it was enabled when it was recorded.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// `max_runs` when it was recorded: an entry that had reached it missed nothing since.
    #[serde(default)]
    pub max_runs: Option<u64>,
    /// Task id of the last message.
    #[serde(default)]
    pub task_id: Option<Uuid>,
    /// When that message was published, µs.
    #[serde(default)]
    pub sent_at: Option<Timestamp>,
    /// When the entry left the schedule, µs.
    #[serde(default)]
    pub removed_at: Option<Timestamp>,
}

fn yes() -> bool {
    true
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

    /// The stored form: what serde reads, written by hand because each fire writes one.
    #[must_use]
    pub fn to_json(&self) -> String {
        let fired = self.task_id.is_some() || self.sent_at.is_some();
        let mut text = String::with_capacity(if fired { 168 } else { 80 });
        let _ = write!(text, "{{\"anchor\":{}", self.anchor.as_micros());
        text.push_str(",\"timing\":\"");
        self.timing.write(&mut text);
        text.push('"');
        if !self.enabled {
            text.push_str(",\"enabled\":false");
        }
        if let Some(max_runs) = self.max_runs {
            let _ = write!(text, ",\"max_runs\":{max_runs}");
        }
        if let Some(task_id) = &self.task_id {
            let mut buffer = Uuid::encode_buffer();
            text.push_str(",\"task_id\":\"");
            text.push_str(task_id.as_hyphenated().encode_lower(&mut buffer));
            text.push('"');
        }
        if let Some(sent_at) = self.sent_at {
            let _ = write!(text, ",\"sent_at\":{}", sent_at.as_micros());
        }
        if let Some(removed_at) = self.removed_at {
            let _ = write!(text, ",\"removed_at\":{}", removed_at.as_micros());
        }
        text.push('}');
        text
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timetable::Fingerprint;

    #[test]
    fn what_is_written_is_read_back() {
        let timing = Timing {
            grid: Fingerprint(0xfedc_ba98_7654_3210),
            window: Fingerprint(7),
        };
        let bare = Record {
            anchor: Timestamp::from_micros(1_790_000_000_000_001),
            timing,
            enabled: true,
            max_runs: None,
            task_id: None,
            sent_at: None,
            removed_at: None,
        };
        assert_eq!(
            bare.to_json(),
            r#"{"anchor":1790000000000001,"timing":"fedcba98765432100000000000000007"}"#
        );
        let full = Record {
            enabled: false,
            max_runs: Some(3),
            task_id: Some(Uuid::NAMESPACE_URL),
            sent_at: Some(Timestamp::from_micros(-5)),
            removed_at: Some(Timestamp::MAX),
            ..bare.clone()
        };
        for record in [bare, full] {
            assert_eq!(Record::parse(&record.to_json()).as_ref(), Some(&record));
        }
    }
}
