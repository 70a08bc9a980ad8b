//! Pauses between attempts.

use std::time::Duration;

use uuid::Uuid;

/// Pauses that double from 50 ms to 1 s, each cut by up to half at random, so that instances that
/// fail together do not return together.
#[derive(Debug, Default)]
pub struct Pauses {
    failures: u32,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(50);
    const LONGEST: Duration = Duration::from_secs(1);

    /// The next pause.
    pub fn longer(&mut self) -> Duration {
        let full = (Self::FIRST * 2_u32.pow(self.failures.min(5))).min(Self::LONGEST);
        self.failures += 1;
        full.mul_f64(1.0 - random() / 2.0)
    }

    /// A pause of 50 to 100 ms, however often it failed.
    pub fn short(&mut self) -> Duration {
        self.failures += 1;
        Self::FIRST.mul_f64(1.0 + random())
    }

    /// The last attempt succeeded.
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// A short random delay, 5 to 55 ms.
    #[must_use]
    pub fn spread(&self) -> Duration {
        Duration::from_millis(5) + Duration::from_millis(50).mul_f64(random())
    }
}

/// A random number in [0, 1).
fn random() -> f64 {
    let (high, _) = Uuid::new_v4().as_u64_pair();
    f64::from(u32::try_from(high >> 32).unwrap_or(0)) / (f64::from(u32::MAX) + 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_second_and_start_again() {
        let mut pauses = Pauses::default();
        let first = pauses.longer();
        assert!(
            (Duration::from_millis(25)..=Duration::from_millis(50)).contains(&first),
            "{first:?}"
        );
        let last = (0..20).map(|_| pauses.longer()).last().unwrap();
        assert!(
            (Duration::from_millis(500)..=Duration::from_secs(1)).contains(&last),
            "{last:?}"
        );
        pauses.reset();
        assert!(pauses.longer() <= Duration::from_millis(50));
    }
}
