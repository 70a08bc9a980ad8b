//! What a local wall time means in a zone.

use super::Span;
use crate::clock::Timestamp;

/// The instants at which a zone's clocks show a local time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LocalTime {
    /// Exactly one.
    Single(Timestamp),
    /// None: clocks jumped over it.
    Gap {
        /// The first instant after the gap.
        end: Timestamp,
        /// The local time read with the offset from before the gap, as RFC 5545 §3.3.5 does:
        /// as far behind `end` as the local time is into the gap.
        shifted: Timestamp,
    },
    /// Two: clocks were set back over it.
    Fold {
        /// The first pass.
        first: Timestamp,
        /// The second pass.
        second: Timestamp,
    },
}

impl LocalTime {
    /// The one instant of a job that runs once: the first pass, or the end of the gap.
    #[must_use]
    pub fn once(self) -> Timestamp {
        match self {
            Self::Single(at) | Self::Gap { end: at, .. } | Self::Fold { first: at, .. } => at,
        }
    }

    /// The instant by RFC 5545: the first pass, or read with the offset before the gap.
    #[must_use]
    pub fn rfc5545(self) -> Timestamp {
        match self {
            Self::Single(at) | Self::Gap { shifted: at, .. } | Self::Fold { first: at, .. } => at,
        }
    }
}

/// Offsets are less than 26 h, so the spans that can show a local time are within this of it.
const REACH: i64 = 26 * 3_600;

/// `local` in microseconds, read as if it were UTC.
pub(super) fn resolve(spans: &[Span], local: i64) -> LocalTime {
    let second = local.div_euclid(1_000_000);
    let at = |span: &Span| local - i64::from(span.offset) * 1_000_000;
    let first = spans
        .partition_point(|s| s.start <= second - REACH)
        .saturating_sub(1);
    let mut found = [None; 2];
    let mut gap = None;
    for (index, span) in spans.iter().enumerate().skip(first) {
        if span.start > second + REACH {
            break;
        }
        let end = spans.get(index + 1).map_or(i64::MAX, Span::start_micros);
        let instant = at(span);
        if instant >= span.start_micros() && instant < end {
            let free = found.iter_mut().find(|f| f.is_none());
            free.map(|f| f.replace(Timestamp::from_micros(instant)));
        } else if instant >= end && spans.get(index + 1).is_some_and(|next| at(next) < end) {
            gap = Some(LocalTime::Gap {
                end: Timestamp::from_micros(end),
                shifted: Timestamp::from_micros(instant),
            });
        }
    }
    match (found, gap) {
        ([Some(first), Some(second)], _) => LocalTime::Fold { first, second },
        ([Some(at), None], _) => LocalTime::Single(at),
        (_, Some(gap)) => gap,
        // Unreachable: spans cover all of time, so a local time is shown or jumped over.
        (_, None) => LocalTime::Single(Timestamp::from_micros(local)),
    }
}
