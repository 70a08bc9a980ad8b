//! A set of times of day as three sets: every combination of hour, minute and second.

use super::field::Bits;

/// Times of day, whole seconds. No set is empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TimeOfDay {
    pub seconds: Bits,
    pub minutes: Bits,
    pub hours: u32,
}

impl TimeOfDay {
    /// The first second of the day in the set, `from` included.
    pub fn first_from(&self, from: u32) -> Option<u32> {
        let (hour, minute, second) = (from / 3_600, from / 60 % 60, from % 60);
        let hours = u64::from(self.hours);
        if lowest_from(hours, hour) == Some(hour) {
            if lowest_from(self.minutes, minute) == Some(minute)
                && let Some(second) = lowest_from(self.seconds, second)
            {
                return Some(hour * 3_600 + minute * 60 + second);
            }
            if let Some(minute) = lowest_from(self.minutes, minute + 1) {
                return Some(hour * 3_600 + minute * 60 + self.seconds.trailing_zeros());
            }
        }
        let hour = lowest_from(hours, hour + 1)?;
        Some(hour * 3_600 + self.minutes.trailing_zeros() * 60 + self.seconds.trailing_zeros())
    }

    /// How many times of day.
    pub fn len(&self) -> u32 {
        self.hours.count_ones() * self.minutes.count_ones() * self.seconds.count_ones()
    }
}

/// The lowest member of `set` that is `from` or above.
fn lowest_from(set: Bits, from: u32) -> Option<u32> {
    let rest = set.checked_shr(from)?;
    (rest != 0).then(|| from + rest.trailing_zeros())
}
