//! Pure time arithmetic: when an entry is due.
//!
//! [`Schedule::next_after`] is the seam: strictly later than its argument, the same for the same
//! arguments, bounded work, nothing after the year 2100 (where the calendar of the `cron` crate
//! ends). Everything is compiled and checked when a schedule is made; what is refused comes back
//! as [`Invalid`] with the field at fault.
//!
//! | module | kind |
//! |---|---|
//! | [`interval`], [`relative`] | `every`, `align`, Celery's `relative` |
//! | [`crontab`], [`field`], [`days`], [`time_of_day`] | crontabs: Celery's grammar, DST rule |
//! | [`solar`] | sunrise and its kin |
//! | [`once`] | one-off instants |
//! | [`rrule`], `rrule_parse`, `rrule_days` | recurrence rules of RFC 5545 |
//! | [`zone`] | time zones, local time |
//! | [`duration`], [`describe`], [`note`] | durations in text, words for people |
//!
//! Depends on `clock` (for [`Timestamp`], never for the time) and on nothing else of this crate.

mod crontab;
mod days;
mod describe;
mod duration;
mod field;
mod interval;
mod invalid;
mod note;
mod once;
mod relative;
mod rrule;
mod rrule_days;
mod rrule_parse;
mod solar;
#[cfg(test)]
mod tests;
mod time_of_day;
mod zone;

use std::sync::Arc;

pub use self::crontab::{Crontab, Dst, Fields};
pub use self::duration::parse_duration;
pub use self::field::FieldValue;
pub use self::interval::Every;
pub use self::invalid::Invalid;
pub use self::note::{DstNote, DstNoteKind};
pub use self::once::{At, Once};
pub use self::rrule::Rrule;
pub use self::solar::{Solar, SolarEvent};
pub use self::zone::{LocalTime, UnknownZone, Zone, ZoneSource, zone_source};
use crate::clock::{FireTime, Timestamp};

/// 2101-01-01T23:59:59Z: the last instant of 2100 in any zone. Nothing fires later.
const LAST_FIRE: Timestamp = Timestamp::from_micros(4_134_067_199_000_000);
/// 0001-01-01T00:00:00Z: what is earlier counts as this, so that arithmetic has room.
const EARLIEST: Timestamp = Timestamp::from_micros(-62_135_596_800_000_000);

/// When an entry is due.
#[derive(Debug, Clone)]
pub enum Schedule {
    /// An interval.
    Every(Every),
    /// A crontab.
    Crontab(Crontab),
    /// A solar event.
    Solar(Solar),
    /// One-off instants.
    Once(Once),
    /// A recurrence rule.
    Rrule(Rrule),
    /// A union: one fire per instant.
    AnyOf(Arc<[Schedule]>),
}

impl Schedule {
    /// The union of `schedules`.
    ///
    /// # Errors
    /// An empty list.
    pub fn any_of(schedules: Vec<Self>) -> Result<Self, Invalid> {
        match schedules.len() {
            0 => Err(Invalid::new("the list is empty").help("write at least one schedule")),
            _ => Ok(Self::AnyOf(schedules.into())),
        }
    }

    /// The same with the anchor itself as a fire time of intervals (`start_at` includes its instant).
    #[must_use]
    pub fn including_anchor(self) -> Self {
        match self {
            Self::Every(every) => Self::Every(every.including_anchor()),
            Self::Once(once) => Self::Once(once.including_anchor()),
            Self::AnyOf(parts) => {
                Self::AnyOf(parts.iter().cloned().map(Self::including_anchor).collect())
            }
            other => other,
        }
    }

    /// The first fire time strictly later than `after`; `None`: never again.
    ///
    /// `anchor` is the instant that intervals count from: when the entry was first recorded, or
    /// its `start_at`. One-off instants that are past at the anchor never fire. Crontabs, solar
    /// events, recurrence rules and aligned intervals do not look at it.
    #[must_use]
    pub fn next_after(&self, anchor: Timestamp, after: Timestamp) -> Option<FireTime> {
        if after >= LAST_FIRE {
            return None;
        }
        let (anchor, after) = (anchor.max(EARLIEST), after.max(EARLIEST));
        let next = match self {
            Self::Every(every) => every.next_after(anchor, after),
            Self::Crontab(crontab) => crontab.next_after(after),
            Self::Solar(solar) => solar.next_after(after),
            Self::Once(once) => once.next_after(anchor, after),
            Self::Rrule(rrule) => rrule.next_after(after),
            Self::AnyOf(parts) => parts
                .iter()
                .filter_map(|s| s.next_after(anchor, after))
                .min(),
        };
        next.filter(|at| *at <= LAST_FIRE)
    }

    /// True when the grid depends on the anchor: an interval that counts from it.
    #[must_use]
    pub fn needs_anchor(&self) -> bool {
        match self {
            Self::Every(every) => every.counts_from_anchor(),
            Self::AnyOf(parts) => parts.iter().any(Self::needs_anchor),
            _ => false,
        }
    }

    /// The interval that counts from the anchor, µs; of several the first.
    #[must_use]
    pub fn period(&self) -> Option<i64> {
        match self {
            Self::Every(every) => every.counts_from_anchor().then(|| every.micros()),
            Self::AnyOf(parts) => parts.iter().find_map(Self::period),
            _ => None,
        }
    }

    /// Stable text of all that determines the grid: equal texts, equal fire times. For fingerprints
    /// across processes and versions; sets and numbers, not the spelling in the file.
    #[must_use]
    pub fn canonical(&self) -> String {
        match self {
            Self::Every(every) => every.canonical(),
            Self::Crontab(crontab) => crontab.canonical(),
            Self::Solar(solar) => solar.canonical(),
            Self::Once(once) => once.canonical(),
            Self::Rrule(rrule) => rrule.canonical(),
            Self::AnyOf(parts) => {
                let mut parts: Vec<_> = parts.iter().map(Self::canonical).collect();
                parts.sort_unstable();
                parts.dedup();
                format!("any [{}]", parts.join("] ["))
            }
        }
    }

    /// In words for people: `every 30 s`, `at 07:30 on Monday, Asia/Seoul`.
    #[must_use]
    pub fn describe(&self) -> String {
        describe::describe(self)
    }

    /// What DST did to `fire`, a fire time of this schedule; `None` on ordinary days.
    #[must_use]
    pub fn note(&self, fire: FireTime) -> Option<DstNote> {
        note::note(self, fire)
    }
}
