//! Hashes that are the same in every process and every build.

use std::fmt;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

/// Hash of something compiled.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fingerprint(pub u64);

impl Fingerprint {
    /// Of a canonical text.
    #[must_use]
    pub fn of(text: &str) -> Self {
        Self(xxh3_64(text.as_bytes()))
    }

    /// Of a sequence of fingerprints, in this order.
    #[must_use]
    pub fn of_all(parts: impl IntoIterator<Item = Self>) -> Self {
        let mut hash = Xxh3::new();
        for part in parts {
            hash.update(&part.0.to_le_bytes());
        }
        Self(hash.digest())
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Fingerprints of what decides when an entry is due.
///
/// `grid` covers the schedule itself, `window` what leaves the phase of an interval alone: an edit of
/// `schedule` anchors it anew, one of `end_at` or `timezone` must not.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Timing {
    /// Of `schedule`, `relative` and `start_at`, with the zone if they are read in one.
    pub grid: Fingerprint,
    /// Of `end_at`, `exclude` and the zone.
    pub window: Fingerprint,
}

impl Timing {
    /// Appends its 32 hexadecimal digits, without the detour through `fmt`: each fire writes them.
    pub fn write(self, out: &mut String) {
        let halves = (u128::from(self.grid.0) << 64) | u128::from(self.window.0);
        for place in (0..32).rev() {
            let digit = u32::try_from(halves >> (4 * place) & 15).unwrap_or(0);
            out.push(char::from_digit(digit, 16).unwrap_or('0'));
        }
    }
}

impl From<Timing> for String {
    fn from(timing: Timing) -> Self {
        let mut text = Self::with_capacity(32);
        timing.write(&mut text);
        text
    }
}

impl TryFrom<String> for Timing {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let half = |range| {
            text.get(range)
                .and_then(|hex| u64::from_str_radix(hex, 16).ok())
        };
        match (text.len(), half(0..16), half(16..32)) {
            (32, Some(grid), Some(window)) => Ok(Self {
                grid: Fingerprint(grid),
                window: Fingerprint(window),
            }),
            _ => Err("a timing fingerprint is 32 hexadecimal digits".into()),
        }
    }
}
