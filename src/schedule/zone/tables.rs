//! Zone data as spans of one UTC offset each.

use chrono::{DateTime, Offset, TimeZone, Utc};
use jiff::Timestamp as JiffTimestamp;
use jiff::tz::TimeZone as JiffZone;

/// 2102-01-01T00:00:00Z: where tables end. Schedules end with 2100, in any zone.
const END: i64 = 4_165_516_800;
/// 1900-01-01T00:00:00Z: before this, probing the compiled-in copy is not worth its time.
const PROBE_FROM: i64 = -2_208_988_800;
const DAY: i64 = 86_400;
/// Far more than any zone has; a hostile table must not eat memory.
const MAX_SPANS: usize = 4_096;

/// A stretch of time with one UTC offset. It ends where the next one starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::schedule) struct Span {
    /// First second, since the epoch.
    pub start: i64,
    /// Local minus UTC, seconds.
    pub offset: i32,
    /// The first local second that no earlier span has shown. Later than this span's first local
    /// second after clocks went back (the local times between are a second pass), earlier after
    /// they went forward (those between do not exist).
    pub fresh: i64,
}

impl Span {
    /// Far in the past, yet with room for arithmetic in microseconds.
    const BEGINNING: i64 = -8_000_000_000_000;
    /// UTC for all time.
    pub const FIRST: Self = Self {
        start: Self::BEGINNING,
        offset: 0,
        fresh: Self::BEGINNING,
    };

    /// Its first local second.
    pub fn local_start(&self) -> i64 {
        self.start + i64::from(self.offset)
    }

    pub fn start_micros(&self) -> i64 {
        self.start * 1_000_000
    }
}

/// Spans of a `TZif` file, its POSIX rule expanded; `None` when the file is malformed.
pub fn from_tzif(name: &str, bytes: &[u8]) -> Option<Box<[Span]>> {
    let zone = JiffZone::tzif(name, bytes).ok()?;
    let changes = zone
        .following(JiffTimestamp::MIN)
        .map(|t| (t.timestamp().as_second(), t.offset().seconds()))
        .take_while(|(at, _)| *at < END);
    build(zone.to_offset(JiffTimestamp::MIN).seconds(), changes)
}

/// Spans of the compiled-in copy, found by probing each day: chrono-tz lists no transitions.
pub fn from_compiled_in(zone: chrono_tz::Tz) -> Option<Box<[Span]>> {
    let offset_at = |second: i64| {
        let at = DateTime::<Utc>::from_timestamp(second, 0).unwrap_or_default();
        zone.offset_from_utc_datetime(&at.naive_utc())
            .fix()
            .local_minus_utc()
    };
    let days = (PROBE_FROM..END).step_by(86_400);
    let changes = days.filter_map(|day| {
        let (old, new) = (offset_at(day), offset_at(day + DAY));
        if old == new {
            return None;
        }
        let (mut before, mut after) = (day, day + DAY);
        while after - before > 1 {
            let middle = i64::midpoint(before, after);
            if offset_at(middle) == old {
                before = middle;
            } else {
                after = middle;
            }
        }
        Some((after, new))
    });
    build(offset_at(PROBE_FROM), changes)
}

fn build(initial: i32, changes: impl Iterator<Item = (i64, i32)>) -> Option<Box<[Span]>> {
    let mut spans = vec![Span {
        offset: initial,
        ..Span::FIRST
    }];
    for (start, offset) in changes {
        let last = spans.last().copied()?;
        if offset == last.offset || start <= last.start {
            continue;
        }
        if spans.len() == MAX_SPANS || offset.abs() > 26 * 3_600 {
            return None;
        }
        spans.push(Span {
            start,
            offset,
            fresh: last.fresh.max(start + i64::from(last.offset)),
        });
    }
    Some(spans.into_boxed_slice())
}
