//! Lints: what is allowed and still probably not meant.

use serde::{Serialize, Serializer};

macro_rules! lints {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A lint; silenced by its name in `allow`, of an entry or of the file.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Lint {
            $($(#[$doc])* $variant,)*
        }

        impl Lint {
            /// The names of all lints.
            pub const NAMES: &'static [&'static str] = &[$($name,)*];

            /// Its name in `allow` and in output.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// By its name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }
    };
}

lints! {
    /// An hour without a minute: 60 fires in that hour.
    EveryMinute = "every-minute",
    /// Day of month and day of week are both restricted: both must match.
    DayAndWeekday = "day-and-weekday",
    /// No fire time is left.
    NeverFires = "never-fires",
    /// A clock change moves, merges or doubles a fire time within a year.
    Dst = "dst",
    /// More than 100 entries at one instant.
    Crowded = "crowded",
    /// More often than each five minutes, and nothing expires.
    NoExpiry = "no-expiry",
    /// Jitter reaches the shortest gap between fire times.
    JitterGap = "jitter-gap",
    /// Messages expire before they can be expected to run.
    ExpiresShort = "expires-short",
    /// The queue is neither configured nor the default one.
    UnknownQueue = "unknown-queue",
    /// A message of 512 KiB or more.
    LargeMessage = "large-message",
    /// Anybody on the host may edit the file.
    WorldWritable = "world-writable",
    /// Credentials travel to another host without TLS.
    Plaintext = "plaintext",
    /// `relative` rounds down to the unit of the interval.
    Relative = "relative",
}

impl Serialize for Lint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}
