//! Time zones: where their data comes from, and local time in them.
//!
//! [`source`] chooses the data (the host's zoneinfo, else the compiled-in copy), [`tables`] turns
//! either into [`Span`]s: stretches of time with one UTC offset, from the first record to 2101.
//! Everything else of the crate sees only [`Zone`].

mod local_time;
mod source;
mod tables;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use chrono::{DateTime, FixedOffset, NaiveDateTime, Offset, Utc};

use crate::clock::Timestamp;
pub use local_time::LocalTime;
pub use source::{UnknownZone, ZoneSource, zone_source};
pub(super) use tables::Span;

/// An IANA time zone with its transitions in memory; cheap to clone.
#[derive(Clone)]
pub struct Zone(Arc<Data>);

struct Data {
    name: Box<str>,
    /// Ascending by `start`, never empty; the first one has no beginning.
    spans: Box<[Span]>,
}

/// Zones that were loaded, by name: entries share them. Only valid names get in, some 600 at most.
static LOADED: LazyLock<Mutex<HashMap<Box<str>, Zone>>> = LazyLock::new(Mutex::default);
static UTC: LazyLock<Zone> = LazyLock::new(|| Zone::fixed_utc("UTC"));

impl Zone {
    /// The zone with this exact IANA name.
    ///
    /// Its data is read once per process; a newer tzdata takes effect at the next start.
    ///
    /// # Errors
    /// [`UnknownZone`], with similar names, when neither the host's zoneinfo nor the compiled-in
    /// copy has a zone of this name. A name is never taken as a path.
    pub fn load(name: &str) -> Result<Self, UnknownZone> {
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(zone) = loaded.get(name) {
            return Ok(zone.clone());
        }
        let spans = source::spans_of(name)?;
        let zone = Self(Arc::new(Data {
            name: name.into(),
            spans,
        }));
        loaded.insert(name.into(), zone.clone());
        Ok(zone)
    }

    /// UTC, which needs no data.
    #[must_use]
    pub fn utc() -> Self {
        UTC.clone()
    }

    fn fixed_utc(name: &str) -> Self {
        Self(Arc::new(Data {
            name: name.into(),
            spans: Box::new([Span::FIRST]),
        }))
    }

    /// The name it was loaded by.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Local wall time at `at`.
    #[must_use]
    pub fn local(&self, at: Timestamp) -> NaiveDateTime {
        let shift = i64::from(self.seconds_east(at)) * 1_000_000;
        at.plus_micros(shift).to_datetime().naive_utc()
    }

    /// UTC offset at `at`.
    #[must_use]
    pub fn offset_at(&self, at: Timestamp) -> FixedOffset {
        FixedOffset::east_opt(self.seconds_east(at)).unwrap_or_else(|| Utc.fix())
    }

    /// `at` with its offset, for display.
    #[must_use]
    pub fn datetime(&self, at: Timestamp) -> DateTime<FixedOffset> {
        at.to_datetime().with_timezone(&self.offset_at(at))
    }

    /// The instant or instants at which clocks in this zone show `local`.
    #[must_use]
    pub fn resolve(&self, local: NaiveDateTime) -> LocalTime {
        local_time::resolve(self.spans(), local.and_utc().timestamp_micros())
    }

    /// Instants of `from <= t < until` at which the UTC offset changes.
    pub fn transitions(
        &self,
        from: Timestamp,
        until: Timestamp,
    ) -> impl Iterator<Item = Timestamp> + '_ {
        let first = self
            .spans()
            .partition_point(|s| s.start_micros() < from.as_micros());
        self.spans()
            .get(first.max(1)..)
            .unwrap_or_default()
            .iter()
            .map(|s| Timestamp::from_micros(s.start_micros()))
            .take_while(move |t| *t < until)
    }

    /// All stretches of one offset.
    pub(super) fn spans(&self) -> &[Span] {
        &self.0.spans
    }

    /// Index of the span that holds `second` (whole seconds since the epoch).
    pub(super) fn span_at(&self, second: i64) -> usize {
        self.0
            .spans
            .partition_point(|s| s.start <= second)
            .saturating_sub(1)
    }

    fn seconds_east(&self, at: Timestamp) -> i32 {
        let index = self.span_at(at.as_micros().div_euclid(1_000_000));
        self.0.spans.get(index).map_or(0, |s| s.offset)
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
