//! One-off instants.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, NaiveDateTime};

use super::invalid::{Invalid, shown};
use super::zone::{LocalTime, Zone};
use crate::clock::{FireTime, Timestamp};

/// A point in time as the schedule file gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum At {
    /// With an offset: that instant.
    Instant(Timestamp),
    /// Without: local time of the entry's zone, the first pass of a repeated one, the end of the
    /// gap for one that does not exist.
    Local(NaiveDateTime),
}

impl At {
    /// From ISO 8601 text: `2026-12-24T18:00:00`, with `Z` or an offset if it is an instant.
    /// What is finer than a microsecond is cut off.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Instant(Timestamp::from_datetime(instant.to_utc())));
        }
        [
            "%Y-%m-%dT%H:%M:%S%.f",
            "%Y-%m-%d %H:%M:%S%.f",
            "%Y-%m-%dT%H:%M",
            "%Y-%m-%d %H:%M",
        ]
        .iter()
        .find_map(|form| NaiveDateTime::parse_from_str(text, form).ok())
        .map(Self::Local)
        .ok_or_else(|| {
            Invalid::new(format!("`{}` is not a date and time", shown(text))).help(
                "write 2026-12-24T18:00:00, with Z or an offset such as +09:00 for an instant",
            )
        })
    }

    /// The instant, in `zone`.
    #[must_use]
    pub fn instant(self, zone: &Zone) -> Timestamp {
        match self {
            Self::Instant(at) => at,
            Self::Local(local) => zone.resolve(local).once(),
        }
    }
}

impl fmt::Display for At {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Instant(at) => write!(f, "{at}"),
            Self::Local(local) => write!(f, "{}", local.format("%Y-%m-%dT%H:%M:%S%.f")),
        }
    }
}

/// One-off fire times. One that is past at the anchor never fires.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Once {
    /// Ascending by instant, no two at one instant.
    times: Arc<[(Timestamp, At)]>,
    zone: Zone,
    /// One at the anchor itself counts (`start_at` includes its instant).
    including_anchor: bool,
}

impl Once {
    /// From one or more points in time.
    ///
    /// # Errors
    /// An empty list, and instants after 2100 or before 1900.
    pub fn new(times: impl IntoIterator<Item = At>, zone: Zone) -> Result<Self, Invalid> {
        let mut times: Vec<_> = times
            .into_iter()
            .map(|at| (at.instant(&zone), at))
            .collect();
        if times.is_empty() {
            return Err(Invalid::new("the list is empty").at("at"));
        }
        let known = EARLIEST..=super::LAST_FIRE.as_micros();
        if let Some((_, at)) = times
            .iter()
            .find(|(at, _)| !known.contains(&at.as_micros()))
        {
            return Err(Invalid::new(format!("{at} is out of range"))
                .at("at")
                .help("years are 1900 to 2100"));
        }
        times.sort_unstable();
        times.dedup_by_key(|(instant, _)| *instant);
        Ok(Self {
            times: times.into(),
            zone,
            including_anchor: false,
        })
    }

    pub(super) fn including_anchor(self) -> Self {
        Self {
            including_anchor: true,
            ..self
        }
    }

    pub(super) fn next_after(&self, anchor: Timestamp, after: Timestamp) -> Option<FireTime> {
        let past = |at: &Timestamp| {
            *at <= after || *at < anchor || (*at == anchor && !self.including_anchor)
        };
        let index = self.times.partition_point(|(at, _)| past(at));
        self.times.get(index).map(|(at, _)| *at)
    }

    pub(super) fn zone(&self) -> &Zone {
        &self.zone
    }

    pub(super) fn times(&self) -> &[(Timestamp, At)] {
        &self.times
    }

    /// Local times that do not exist and fire at `fire` instead.
    pub(super) fn moved_to(&self, fire: FireTime) -> Option<NaiveDateTime> {
        let index = self.times.binary_search_by_key(&fire, |(at, _)| *at).ok()?;
        match self.times.get(index)?.1 {
            At::Local(local) if matches!(self.zone.resolve(local), LocalTime::Gap { .. }) => {
                Some(local)
            }
            _ => None,
        }
    }

    pub(super) fn canonical(&self) -> String {
        let times: Vec<_> = self.times.iter().map(|(_, at)| at.to_string()).collect();
        let local = self.times.iter().any(|(_, at)| matches!(at, At::Local(_)));
        let zone = if local { self.zone.name() } else { "UTC" };
        let included = if self.including_anchor {
            " from start"
        } else {
            ""
        };
        format!("at {} {zone}{included}", times.join(","))
    }
}

/// 1900-01-01T00:00:00Z.
const EARLIEST: i64 = -2_208_988_800_000_000;
