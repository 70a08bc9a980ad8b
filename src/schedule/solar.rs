//! Celery's solar events, by Meeus' low-precision sun (*Astronomical Algorithms*, ch. 25).
//!
//! The search is ephem's, which Celery uses: from a solar midnight, turn the earth to the hour angle
//! at which the sun has the wanted altitude, look where the sun is then, and correct, seven times.
//! Midnights are numbered, so an event does not depend on where the search began. Events agree with
//! ephem's within seconds, within a minute or so where the sun crosses the horizon at a flat angle,
//! and like ephem's they leave out a crossing that the season makes and not the turning of the
//! earth (within half a degree of a pole).

use super::invalid::{Invalid, shown};
use crate::clock::{FireTime, Timestamp};

const DAY: f64 = 86_400.0;
/// Days searched, as by Celery before it gives up.
const SEARCH: i64 = 366;
/// Corrections, and how small one must be to be the last (in days), as in ephem.
const TURNS: usize = 7;
const NEAR: f64 = 0.1 / DAY;
/// TT − UT. The sun moves 0.001° in the 20 s it may be off within this century.
const DELTA_T_DAYS: f64 = 70.0 / DAY;

/// An event by Celery's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "Celery's names")]
pub enum SolarEvent {
    DawnAstronomical,
    DawnNautical,
    DawnCivil,
    Sunrise,
    SolarNoon,
    Sunset,
    DuskCivil,
    DuskNautical,
    DuskAstronomical,
}

use SolarEvent::{
    DawnAstronomical, DawnCivil, DawnNautical, DuskAstronomical, DuskCivil, DuskNautical,
    SolarNoon, Sunrise, Sunset,
};

/// Celery's name, and the altitude of the sun in degrees with true for rising.
type Row = (SolarEvent, &'static str, Option<(f64, bool)>);

const EVENTS: [Row; 9] = [
    (DawnAstronomical, "dawn_astronomical", Some((-18.0, true))),
    (DawnNautical, "dawn_nautical", Some((-12.0, true))),
    (DawnCivil, "dawn_civil", Some((-6.0, true))),
    (Sunrise, "sunrise", Some((HORIZON, true))),
    (SolarNoon, "solar_noon", None),
    (Sunset, "sunset", Some((HORIZON, false))),
    (DuskCivil, "dusk_civil", Some((-6.0, false))),
    (DuskNautical, "dusk_nautical", Some((-12.0, false))),
    (DuskAstronomical, "dusk_astronomical", Some((-18.0, false))),
];
/// Refraction at the horizon, 34′; the upper limb counts there.
const HORIZON: f64 = -34.0 / 60.0;
/// The sun's at one astronomical unit, degrees.
const RADIUS: f64 = 959.63 / 3600.0;
const PARALLAX: f64 = 8.794 / 3600.0;

impl SolarEvent {
    fn row(self) -> &'static Row {
        // Every event has its row, in the order of the enum.
        &EVENTS[self as usize]
    }

    /// Celery's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// By Celery's name.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(name: &str) -> Result<Self, Invalid> {
        let row = EVENTS.iter().find(|(_, known, _)| *known == name);
        row.map(|(event, ..)| *event).ok_or_else(|| {
            let names: Vec<_> = EVENTS.iter().map(|(_, name, _)| *name).collect();
            Invalid::new(format!("`{}` is not a solar event", shown(name)))
                .at("event")
                .help(format!("there are {}", names.join(", ")))
        })
    }
}

/// An event at a place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Solar {
    event: SolarEvent,
    lat: f64,
    lon: f64,
}

impl Solar {
    /// `lat` and `lon` in degrees, north and east positive.
    ///
    /// # Errors
    /// Coordinates out of range or not numbers.
    pub fn new(event: SolarEvent, lat: f64, lon: f64) -> Result<Self, Invalid> {
        let check = |field, value: f64, limit: f64| {
            if value.abs() <= limit {
                return Ok(());
            }
            Err(Invalid::new(format!("`{value}` is out of range"))
                .at(field)
                .help(format!("degrees from -{limit} to {limit}")))
        };
        check("lat", lat, 90.0)?;
        check("lon", lon, 180.0)?;
        Ok(Self { event, lat, lon })
    }

    /// Strictly after `after`, in whole seconds (so that no machine's rounding shows); `None` when
    /// the sun does not do it within the next 366 days.
    pub(super) fn next_after(&self, after: Timestamp) -> Option<FireTime> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "below 2^53 for any year to 9999"
        )]
        let days = after.as_micros() as f64 / 1e6 / DAY;
        #[expect(clippy::cast_possible_truncation, reason = "some 3e6 at most")]
        let first = (days + self.lon / 360.0).floor() as i64 - 1;
        let mut events = (first..=first + 1 + SEARCH)
            .filter_map(|night| self.event_after(night))
            .map(at_second)
            .skip_while(|at| *at <= after);
        let next = events.next()?;
        // Where the sun hardly crosses, a later night may lead to an earlier crossing.
        Some(
            events
                .next()
                .filter(|at| *at > after)
                .map_or(next, |other| next.min(other)),
        )
    }

    /// The event after solar midnight number `night`, in days since the epoch.
    fn event_after(&self, night: i64) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "some 3e6 at most")]
        let midnight = night as f64 - self.lon / 360.0;
        let Some((altitude, rising)) = self.event.row().2 else {
            return Some(self.meridian(midnight + 0.5, 0.0));
        };
        let (sin_lat, cos_lat) = self.lat.to_radians().sin_cos();
        let mut day = self.meridian(midnight, 180.0);
        let mut crosses = false;
        for turn in 0..TURNS {
            let sun = sun(day);
            let limb = if altitude == HORIZON {
                RADIUS / sun.distance
            } else {
                0.0
            };
            let height = (altitude - limb).to_radians();
            let height = height + (PARALLAX / sun.distance).to_radians() * height.cos();
            let (sin_dec, cos_dec) = sun.declination.to_radians().sin_cos();
            let cosine = (height.sin() - sin_lat * sin_dec) / (cos_lat * cos_dec);
            crosses = (-1.0..=1.0).contains(&cosine);
            let target = cosine.clamp(-1.0, 1.0).acos().to_degrees();
            let target = if rising { -target } else { target };
            let off = target - sun.hour_angle - self.lon;
            let off = if turn > 0 {
                half_turn(off)
            } else if off.rem_euclid(360.0) / 360.0 < NEAR {
                // At the target already: on to the next time.
                360.0
            } else {
                off.rem_euclid(360.0)
            };
            if (off / 360.0).abs() < NEAR {
                break;
            }
            day += off / 360.0;
        }
        crosses.then_some(day)
    }

    /// The moment near `day` at which the sun has this local hour angle.
    fn meridian(&self, mut day: f64, hour_angle: f64) -> f64 {
        for _ in 0..3 {
            day -= half_turn(sun(day).hour_angle + self.lon - hour_angle) / 360.985_647;
        }
        day
    }

    pub(super) fn describe(&self) -> String {
        format!(
            "{} at {}, {}",
            self.event.name().replace('_', " "),
            self.lat,
            self.lon
        )
    }

    pub(super) fn canonical(&self) -> String {
        format!("solar {} {:?} {:?}", self.event.name(), self.lat, self.lon)
    }
}

/// An angle between -180 and 180 degrees.
fn half_turn(degrees: f64) -> f64 {
    (degrees + 180.0).rem_euclid(360.0) - 180.0
}

struct Sun {
    /// Degrees, apparent.
    declination: f64,
    /// At Greenwich, degrees.
    hour_angle: f64,
    /// Astronomical units.
    distance: f64,
}

/// The apparent sun `day` days (UT) after 1970-01-01.
fn sun(day: f64) -> Sun {
    // J2000.0 is 10 957.5 days after the epoch.
    let ut = day - 10_957.5;
    let t = (ut + DELTA_T_DAYS) / 36_525.0;
    let mean_longitude = 280.466_46 + t * (36_000.769_83 + t * 0.000_303_2);
    let anomaly = (357.529_11 + t * (35_999.050_29 - t * 0.000_153_7)).to_radians();
    let eccentricity = 0.016_708_634 - t * 0.000_042_037;
    let centre = (1.914_602 - t * (0.004_817 + t * 0.000_014)) * anomaly.sin()
        + (0.019_993 - t * 0.000_101) * (2.0 * anomaly).sin()
        + 0.000_289 * (3.0 * anomaly).sin();
    let node = (125.04 - 1_934.136 * t).to_radians();
    let nutation = -0.004_78 * node.sin();
    let longitude = (mean_longitude + centre - 0.005_69 + nutation).to_radians();
    let obliquity = (23.439_291 - t * 0.013_004_2 + 0.002_56 * node.cos()).to_radians();
    let right_ascension = (obliquity.cos() * longitude.sin())
        .atan2(longitude.cos())
        .to_degrees();
    let sidereal = 280.460_618_37 + 360.985_647_366_29 * ut + nutation * obliquity.cos();
    Sun {
        declination: (obliquity.sin() * longitude.sin()).asin().to_degrees(),
        hour_angle: (sidereal - right_ascension).rem_euclid(360.0),
        distance: 1.000_001_018 * (1.0 - eccentricity * eccentricity)
            / (1.0 + eccentricity * (anomaly + centre.to_radians()).cos()),
    }
}

fn at_second(day: f64) -> Timestamp {
    #[expect(clippy::cast_possible_truncation, reason = "some 1e11 at most")]
    let second = (day * DAY).round() as i64;
    Timestamp::from_micros(second * 1_000_000)
}
