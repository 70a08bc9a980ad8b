//! Instants and the only code that reads a clock.
//!
//! Everything else is handed its "now", so that arithmetic can be tested and a wrong
//! clock can be reasoned about in one place. Depends on nothing of this crate.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Mutex;
use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// An instant: whole microseconds since the Unix epoch, UTC.
///
/// Held so that an `Option` of it takes no more room: with the sign turned over, which keeps the
/// order, and never zero. The plan holds several of them for each entry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub struct Timestamp(NonZeroU64);

const SIGN: u64 = 1 << 63;

/// The nominal instant at which an entry is due; the unit of exactly-once.
pub type FireTime = Timestamp;

impl Timestamp {
    /// The Unix epoch.
    pub const EPOCH: Self = Self::from_micros(0);
    /// Latest instant that is handled: 9999-12-31T23:59:59.999999Z, sixteen digits at most.
    pub const MAX: Self = Self::from_micros(253_402_300_799_999_999);

    /// From microseconds since the Unix epoch. The least number becomes the one above it.
    #[must_use]
    pub const fn from_micros(micros: i64) -> Self {
        match NonZeroU64::new(micros.cast_unsigned() ^ SIGN) {
            Some(held) => Self(held),
            None => Self(NonZeroU64::MIN),
        }
    }

    /// Microseconds since the Unix epoch.
    #[must_use]
    pub const fn as_micros(self) -> i64 {
        (self.0.get() ^ SIGN).cast_signed()
    }

    /// From a chrono instant; what is finer than a microsecond is cut off.
    #[must_use]
    pub fn from_datetime(at: DateTime<Utc>) -> Self {
        Self::from_micros(at.timestamp_micros())
    }

    /// As a chrono instant. Instants outside chrono's range (some 262 000 years) become the epoch.
    #[must_use]
    pub fn to_datetime(self) -> DateTime<Utc> {
        DateTime::from_timestamp_micros(self.as_micros()).unwrap_or_default()
    }

    /// This instant moved by `micros`, saturating.
    #[must_use]
    pub const fn plus_micros(self, micros: i64) -> Self {
        Self::from_micros(self.as_micros().saturating_add(micros))
    }

    /// This instant moved later by `by`, saturating.
    #[must_use]
    pub fn plus(self, by: Duration) -> Self {
        self.plus_micros(i64::try_from(by.as_micros()).unwrap_or(i64::MAX))
    }

    /// This instant moved earlier by `by`, saturating.
    #[must_use]
    pub fn minus(self, by: Duration) -> Self {
        let by = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
        Self::from_micros(self.as_micros().saturating_sub(by))
    }

    /// Microseconds from `earlier` to this instant; negative when `earlier` is later.
    #[must_use]
    pub const fn micros_since(self, earlier: Self) -> i64 {
        self.as_micros().saturating_sub(earlier.as_micros())
    }

    /// Time from `earlier` to this instant, zero when `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.micros_since(earlier)).unwrap_or(0))
    }

    /// RFC 3339 in UTC with a `Z`; the fraction appears only where there is one.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let form = if self.as_micros() % 1_000_000 == 0 {
            SecondsFormat::Secs
        } else {
            SecondsFormat::Micros
        };
        self.to_datetime().to_rfc3339_opts(form, true)
    }
}

impl Default for Timestamp {
    fn default() -> Self {
        Self::EPOCH
    }
}

impl From<i64> for Timestamp {
    fn from(micros: i64) -> Self {
        Self::from_micros(micros)
    }
}

impl From<Timestamp> for i64 {
    fn from(at: Timestamp) -> Self {
        at.as_micros()
    }
}

/// As [`Timestamp::to_rfc3339`]; two to three of them stand in each log line, so the digits are
/// written directly.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.to_datetime();
        let Ok(year @ 0..=9999) = u32::try_from(at.year()) else {
            return f.write_str(&self.to_rfc3339());
        };
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let mut put = |place: std::ops::Range<usize>, mut number: u32| {
            for digit in text[place].iter_mut().rev() {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
        };
        put(0..4, year);
        put(5..7, at.month());
        put(8..10, at.day());
        put(11..13, at.hour());
        put(14..16, at.minute());
        put(17..19, at.second());
        let micros = at.timestamp_subsec_micros();
        put(20..26, micros);
        if micros == 0 {
            text[19] = b'Z';
        }
        let length = if micros == 0 { 20 } else { 27 };
        f.write_str(std::str::from_utf8(&text[..length]).unwrap_or_default())
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_rfc3339())
    }
}

/// Where "now" comes from.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock: may step, may be wrong.
    fn wall(&self) -> Timestamp;

    /// Time since an arbitrary start that never steps and goes on while the machine is
    /// suspended (`CLOCK_BOOTTIME`): a lease runs out during suspend as well.
    fn boot(&self) -> Duration;
}

/// Microseconds on `CLOCK_MONOTONIC`; systemd tells one reload from the other by them.
#[must_use]
pub fn monotonic_micros() -> i64 {
    let t = clock_gettime(ClockId::Monotonic);
    t.tv_sec
        .saturating_mul(1_000_000)
        .saturating_add(t.tv_nsec / 1_000)
}

/// Milliseconds on `CLOCK_MONOTONIC`; Kombu begins the names of message files with them.
#[must_use]
pub fn monotonic_millis() -> i64 {
    monotonic_micros() / 1_000
}

/// The machine's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> Timestamp {
        let t = clock_gettime(ClockId::Realtime);
        Timestamp::from_micros(
            t.tv_sec
                .saturating_mul(1_000_000)
                .saturating_add(t.tv_nsec / 1_000),
        )
    }

    fn boot(&self) -> Duration {
        let t = clock_gettime(ClockId::Boottime);
        Duration::new(
            u64::try_from(t.tv_sec).unwrap_or(0),
            u32::try_from(t.tv_nsec).unwrap_or(0),
        )
    }
}

/// A clock that a test moves by hand.
#[derive(Debug)]
pub struct ManualClock(Mutex<(Timestamp, Duration)>);

impl ManualClock {
    /// A clock that reads `wall`.
    #[must_use]
    pub fn new(wall: Timestamp) -> Self {
        Self(Mutex::new((wall, Duration::ZERO)))
    }

    /// Lets `by` pass on both clocks.
    pub fn advance(&self, by: Duration) {
        let mut now = self.now();
        *now = (now.0.plus(by), now.1 + by);
    }

    fn now(&self) -> std::sync::MutexGuard<'_, (Timestamp, Duration)> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn wall(&self) -> Timestamp {
        self.now().0
    }

    fn boot(&self) -> Duration {
        self.now().1
    }
}
