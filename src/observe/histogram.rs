//! A histogram without a lock.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Upper bounds of the buckets, µs: from a script on the same host to a broker that was away.
pub const BOUNDS: [u64; 15] = [
    250,
    500,
    1_000,
    2_500,
    5_000,
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    5_000_000,
    30_000_000,
    300_000_000,
];

/// Durations, counted by their size.
#[derive(Debug, Default)]
pub struct Histogram {
    /// Each bucket by itself; the last is for what is longer than all bounds.
    buckets: [AtomicU64; BOUNDS.len() + 1],
    /// µs.
    sum: AtomicU64,
}

impl Histogram {
    /// Counts one duration.
    pub fn observe(&self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        self.buckets[bucket].fetch_add(1, Relaxed);
        self.sum.fetch_add(micros, Relaxed);
    }

    /// For each bound how many durations were not longer, then how many there are.
    #[must_use]
    pub fn cumulated(&self) -> [u64; BOUNDS.len() + 1] {
        let mut total = 0;
        std::array::from_fn(|bucket| {
            total += self.buckets[bucket].load(Relaxed);
            total
        })
    }

    /// The sum of all durations, µs.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.sum.load(Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_in_the_first_bucket_that_is_not_shorter() {
        let histogram = Histogram::default();
        for micros in [0, 250, 251, 1_000_000, u64::MAX / 2] {
            histogram.observe(Duration::from_micros(micros));
        }
        let counts = histogram.cumulated();
        assert_eq!(counts[..3], [2, 3, 3]);
        assert_eq!(counts[11], 4, "one second");
        assert_eq!(counts[BOUNDS.len()], 5, "all");
    }
}
