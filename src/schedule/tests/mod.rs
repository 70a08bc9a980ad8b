//! Tables by reason. The corpora, the walk over real time and the references are in `tests/`.

mod grammar;
mod grids;
mod hostile;
mod words;

use super::{At, Crontab, Every, Once, Rrule, Schedule, Zone};
use crate::clock::Timestamp;

fn at(text: &str) -> Timestamp {
    At::parse(text).unwrap().instant(&Zone::utc())
}

fn zone(name: &str) -> Zone {
    Zone::load(name).unwrap()
}

fn crontab(text: &str, name: &str) -> Schedule {
    Schedule::Crontab(Crontab::parse(text, zone(name), None).unwrap())
}

fn every(micros: i64) -> Every {
    Every::new(micros).unwrap()
}

fn rrule(text: &str, dtstart: &str, name: &str) -> Schedule {
    let At::Local(start) = At::parse(dtstart).unwrap() else {
        panic!("{dtstart} has an offset");
    };
    Schedule::Rrule(Rrule::new(text, start, zone(name)).unwrap())
}

fn once(times: &[&str], name: &str) -> Schedule {
    let times = times.iter().map(|text| At::parse(text).unwrap());
    Schedule::Once(Once::new(times, zone(name)).unwrap())
}

/// The fire times after `after`, which is the anchor too, joined for comparison.
fn fires(schedule: &Schedule, after: &str, count: usize) -> String {
    let anchor = at(after);
    let next = |after| schedule.next_after(anchor, after);
    let times: Vec<_> = std::iter::successors(next(anchor), |at| next(*at))
        .take(count)
        .map(|at| at.to_string())
        .collect();
    times.join(" ")
}
