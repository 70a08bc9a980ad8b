//! Intervals: every so often on elapsed time.

use super::invalid::Invalid;
use super::relative;
use super::zone::Zone;
use crate::clock::{FireTime, Timestamp};

const DAY: i64 = 86_400_000_000;
const SHORTEST: i64 = 1_000;
/// 100 years of 365.25 days.
const LONGEST: i64 = 36_525 * DAY;

/// An interval of whole microseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Every {
    micros: i64,
    grid: Grid,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Grid {
    /// anchor + k·every from k = 1.
    AfterAnchor,
    /// anchor + k·every from k = 0.
    FromAnchor,
    /// Local midnight + k·every on elapsed time, beginning anew each local day.
    Aligned(Zone),
    /// Celery's `relative=True`, counted from the anchor.
    Relative(Zone),
}

impl Every {
    /// Every `micros` microseconds.
    ///
    /// # Errors
    /// Outside 1 ms to 100 years.
    pub fn new(micros: i64) -> Result<Self, Invalid> {
        let refused = |message: &str| {
            Err(Invalid::new(message)
                .at("every")
                .help("an interval is 1 ms to 100 years, such as 30.0, \"30s\" or \"1h30m\""))
        };
        match micros {
            ..SHORTEST => refused("the interval is shorter than 1 ms"),
            SHORTEST..=LONGEST => Ok(Self {
                micros,
                grid: Grid::AfterAnchor,
            }),
            _ => refused("the interval is longer than 100 years"),
        }
    }

    /// On the grid that begins anew at each local midnight.
    ///
    /// # Errors
    /// When the interval is longer than a day.
    pub fn aligned(self, zone: Zone) -> Result<Self, Invalid> {
        if self.micros > DAY {
            return Err(
                Invalid::new("an interval above one day cannot be aligned to midnight")
                    .at("align")
                    .help("use crontab fields for days, or leave out `align`"),
            );
        }
        Ok(Self {
            grid: Grid::Aligned(zone),
            ..self
        })
    }

    /// By Celery's rule for `relative=True`: rounded down to the largest unit in the interval.
    ///
    /// # Errors
    /// Below one second, where Celery's rule has no next time.
    pub fn relative(self, zone: Zone) -> Result<Self, Invalid> {
        if self.micros < 1_000_000 {
            return Err(Invalid::new("a relative interval is shorter than 1 s")
                .at("relative")
                .help("Celery's rule rounds down to whole seconds; leave out `relative`"));
        }
        Ok(Self {
            grid: Grid::Relative(zone),
            ..self
        })
    }

    /// The length in microseconds.
    #[must_use]
    pub fn micros(&self) -> i64 {
        self.micros
    }

    /// True when `anchor` matters: neither aligned nor relative to anything else.
    #[must_use]
    pub fn counts_from_anchor(&self) -> bool {
        !matches!(self.grid, Grid::Aligned(_))
    }

    pub(super) fn including_anchor(self) -> Self {
        match self.grid {
            Grid::AfterAnchor => Self {
                grid: Grid::FromAnchor,
                ..self
            },
            _ => self,
        }
    }

    pub(super) fn zone(&self) -> Option<&Zone> {
        match &self.grid {
            Grid::Aligned(zone) | Grid::Relative(zone) => Some(zone),
            Grid::AfterAnchor | Grid::FromAnchor => None,
        }
    }

    pub(super) fn is_aligned(&self) -> bool {
        matches!(self.grid, Grid::Aligned(_))
    }

    pub(super) fn is_relative(&self) -> bool {
        matches!(self.grid, Grid::Relative(_))
    }

    pub(super) fn next_after(&self, anchor: Timestamp, after: Timestamp) -> Option<FireTime> {
        match &self.grid {
            Grid::AfterAnchor => self.counted(anchor, after, 1),
            Grid::FromAnchor => self.counted(anchor, after, 0),
            Grid::Aligned(zone) => self.in_day(zone, after),
            Grid::Relative(zone) => relative::next_after(zone, self.micros, anchor, after),
        }
    }

    fn counted(&self, anchor: Timestamp, after: Timestamp, first: i128) -> Option<FireTime> {
        let (anchor, after) = (
            i128::from(anchor.as_micros()),
            i128::from(after.as_micros()),
        );
        let every = i128::from(self.micros);
        let k = ((after - anchor).div_euclid(every) + 1).max(first);
        i64::try_from(anchor + k * every)
            .ok()
            .map(Timestamp::from_micros)
    }

    fn in_day(&self, zone: &Zone, after: Timestamp) -> Option<FireTime> {
        let today = zone.local(after).date();
        // The day of `after` may be one whose midnight comes later, where midnight is repeated.
        for back in [0, 1] {
            let date = today.checked_sub_days(chrono::Days::new(back))?;
            let begin = day_begin(zone, date);
            if begin > after {
                continue;
            }
            let end = (1..4)
                .filter_map(|days| date.checked_add_days(chrono::Days::new(days)))
                .map(|date| day_begin(zone, date))
                .find(|begin| *begin > after)?;
            if self.micros == DAY {
                // Midnight only: 24 h into a day of 25 h is no midnight.
                return Some(end);
            }
            let k = after.micros_since(begin) / self.micros + 1;
            return Some(begin.plus_micros(k * self.micros).min(end));
        }
        None
    }

    pub(super) fn canonical(&self) -> String {
        let micros = self.micros;
        match &self.grid {
            Grid::AfterAnchor => format!("every {micros}"),
            Grid::FromAnchor => format!("every {micros} from start"),
            Grid::Aligned(zone) => format!("every {micros} aligned {zone}"),
            Grid::Relative(zone) => format!("every {micros} relative {zone}"),
        }
    }
}

/// The first instant of a local date, or of the next one that exists.
fn day_begin(zone: &Zone, date: chrono::NaiveDate) -> Timestamp {
    zone.resolve(date.and_time(chrono::NaiveTime::MIN)).once()
}
