//! Crontabs against a walk over real time: random grammars, every zone, around its transitions.
//!
//! The walk knows nothing of spans, gaps or calendars: it looks at the wall clock at each minute
//! (or second) and keeps the latest wall time that was shown. A sample runs with the tests;
//! `BEAT_EXHAUSTIVE=1` takes every zone and every transition (minutes, with `--release`).

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    reason = "test code"
)]

#[path = "support/tzdata.rs"]
mod tzdata;

use beat::clock::Timestamp;
use beat::schedule::{Crontab, Dst, Schedule, Zone};
use chrono::{Datelike, NaiveDateTime, TimeDelta, Timelike};
use tzdata::{pinned, zone_names};

const SECOND: i64 = 1_000_000;
const HOUR: i64 = 3_600 * SECOND;

/// splitmix64: small, and the same on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// A random field as text, and the numbers that it means.
fn field(random: &mut Random, min: u64, max: u64, star: u64) -> (String, Vec<u32>) {
    if random.below(100) < star {
        return ("*".to_owned(), (min as u32..=max as u32).collect());
    }
    let mut texts = Vec::new();
    let mut numbers = Vec::new();
    for _ in 0..=random.below(3) {
        let (text, part) = part(random, min, max);
        texts.push(text);
        numbers.extend(part);
    }
    (texts.join(","), numbers)
}

fn part(random: &mut Random, min: u64, max: u64) -> (String, Vec<u32>) {
    let span = max - min + 1;
    let (from, to) = (min + random.below(span), min + random.below(span));
    let largest = if random.below(4) == 0 { span } else { 6 };
    let step = 1 + random.below(largest);
    let range = || {
        let mut numbers = vec![from as u32];
        let mut n = from;
        while n != to {
            n = if n == max { min } else { n + 1 };
            numbers.push(n as u32);
        }
        numbers
    };
    let every = |numbers: Vec<u32>| numbers.into_iter().step_by(step as usize).collect();
    match random.below(4) {
        0 => (from.to_string(), vec![from as u32]),
        1 => (format!("{from}-{to}"), range()),
        2 => (format!("{from}-{to}/{step}"), every(range())),
        _ => (
            format!("*/{step}"),
            every((min as u32..=max as u32).collect()),
        ),
    }
}

struct Case {
    text: String,
    /// Bits of the numbers, by field.
    sets: [u64; 6],
    dst: Option<Dst>,
    by_second: bool,
}

impl Case {
    fn random(random: &mut Random) -> Self {
        let by_second = random.below(6) == 0;
        let second = if by_second {
            field(random, 0, 59, 20)
        } else {
            ("0".to_owned(), vec![0])
        };
        let fields = [
            second,
            field(random, 0, 59, 25),
            field(random, 0, 23, 40),
            field(random, 1, 31, 80),
            field(random, 1, 12, 90),
            field(random, 0, 6, 80),
        ];
        let dst = [None, None, Some(Dst::Elapsed), Some(Dst::Once)][random.below(4) as usize];
        let texts: Vec<&str> = fields.iter().map(|(text, _)| text.as_str()).collect();
        Self {
            text: texts.join(if random.below(9) == 0 { " \t " } else { " " }),
            dst,
            by_second,
            sets: fields.map(|(_, set)| set.iter().fold(0, |bits, n| bits | 1 << n)),
        }
    }

    fn follows_elapsed_time(&self) -> bool {
        let all_hours = self.sets[2] == (1 << 24) - 1;
        self.dst
            .unwrap_or(if all_hours { Dst::Elapsed } else { Dst::Once })
            == Dst::Elapsed
    }

    fn matches(&self, wall: NaiveDateTime) -> bool {
        let parts = [
            wall.second(),
            wall.minute(),
            wall.hour(),
            wall.day(),
            wall.month(),
            wall.weekday().num_days_from_sunday(),
        ];
        self.sets
            .iter()
            .zip(parts)
            .all(|(set, part)| set >> part & 1 == 1)
    }

    /// Fire times in `from <= t < until`, by looking at the clock at every step.
    fn walk(&self, zone: &Zone, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let step = if self.by_second { SECOND } else { 60 * SECOND };
        let tick = TimeDelta::microseconds(step);
        let mut fires = Vec::new();
        // The latest wall time of the day before.
        let before = (1..27 * 60)
            .map(|minutes| zone.local(from.plus_micros(-minutes * 60 * SECOND)))
            .chain([zone.local(from.plus_micros(-step))]);
        let mut shown = before.max().unwrap();
        let mut at = from;
        while at < until {
            let wall = zone.local(at);
            let fire = if self.follows_elapsed_time() {
                self.matches(wall)
            } else {
                // Slots that the clock has passed over since it was last further than ever.
                let mut slot = shown + tick;
                let mut any = false;
                while slot <= wall {
                    any |= self.matches(slot);
                    slot += tick;
                }
                any
            };
            shown = shown.max(wall);
            if fire {
                fires.push(at);
            }
            at = at.plus_micros(step);
        }
        fires
    }

    fn check(&self, random: &mut Random, zone: &Zone, around: Timestamp) {
        let hours = if self.by_second { 2 } else { 30 };
        let (from, until) = (
            around.plus_micros(-hours * HOUR),
            around.plus_micros(hours * HOUR),
        );
        let crontab = match Crontab::parse(&self.text, zone.clone(), self.dst) {
            Ok(crontab) => Schedule::Crontab(crontab),
            Err(error) => {
                assert!(
                    error.message.contains("never occurs"),
                    "{}: {error}",
                    self.text
                );
                return;
            }
        };
        let expected = self.walk(zone, from, until);
        let next = |after: Timestamp| crontab.next_after(after, after).filter(|at| *at < until);
        let chain: Vec<_> =
            std::iter::successors(next(from.plus_micros(-1)), |at| next(*at)).collect();
        assert!(
            chain == expected,
            "`{}` {:?} in {zone} around {around}\n  expected {:?}\n  found    {:?}",
            self.text,
            self.dst,
            differing(&expected, &chain),
            differing(&chain, &expected),
        );
        for _ in 0..20 {
            let after = from.plus_micros(
                random
                    .below((2 * hours * HOUR).cast_unsigned())
                    .cast_signed(),
            );
            let first = expected.iter().copied().find(|at| *at > after);
            assert_eq!(
                next(after),
                first,
                "`{}` {:?} in {zone} after {after}",
                self.text,
                self.dst
            );
        }
    }
}

fn differing<'a>(a: &'a [Timestamp], b: &[Timestamp]) -> Vec<&'a Timestamp> {
    a.iter().filter(|at| !b.contains(at)).take(5).collect()
}

#[test]
fn crontabs_agree_with_a_walk() {
    if pinned("crontabs_agree_with_a_walk") {
        return;
    }
    let exhaustive = std::env::var_os("BEAT_EXHAUSTIVE").is_some();
    let mut random = Random(7);
    let from = Timestamp::from_micros(1_262_304_000 * SECOND); // 2010
    let until = Timestamp::from_micros(2_145_916_800 * SECOND); // 2038
    let mut places = Vec::new();
    for name in zone_names() {
        let zone = Zone::load(&name).unwrap();
        places.extend(zone.transitions(from, until).map(|at| (zone.clone(), at)));
    }
    assert!(places.len() > 10_000, "{} transitions", places.len());
    if exhaustive {
        for (zone, at) in &places {
            for _ in 0..8 {
                Case::random(&mut random).check(&mut random, zone, *at);
            }
        }
    } else {
        for _ in 0..250 {
            let (zone, at) = &places[random.below(places.len() as u64) as usize];
            Case::random(&mut random).check(&mut random, zone, *at);
        }
    }
    // Half an hour, a whole day, negative DST, a change of mind.
    for (name, at) in [
        ("Australia/Lord_Howe", "2026-10-03T15:30:00Z"),
        ("Pacific/Apia", "2011-12-30T10:00:00Z"),
        ("Pacific/Kwajalein", "1993-08-21T12:00:00Z"),
        ("Europe/Dublin", "2026-10-25T01:00:00Z"),
        ("Africa/Casablanca", "2026-09-20T02:00:00Z"),
        ("America/Havana", "2026-03-08T05:00:00Z"),
        ("Africa/Cairo", "2026-04-23T22:00:00Z"),
    ] {
        let zone = Zone::load(name).unwrap();
        let at = Timestamp::from_datetime(at.parse().unwrap());
        for _ in 0..12 {
            Case::random(&mut random).check(&mut random, &zone, at);
        }
    }
}
