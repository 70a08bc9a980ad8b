//! Schedules of a few entries, of every kind, and edits of them.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use beat::clock::Timestamp;
use beat::config::{self, Env, Loaded, Purpose, Sources};
use beat::message::Identity;
use uuid::Uuid;

use crate::rng::Rng;

const NAMES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// The text of a schedule, entry by entry.
#[derive(Debug, Clone, Default)]
pub struct Draft(BTreeMap<&'static str, Vec<String>>);

impl Draft {
    /// A schedule of up to six entries.
    pub fn random(rng: &mut Rng, now: Timestamp) -> Self {
        let mut draft = Self::default();
        for name in NAMES {
            if name == "a" || !rng.once_in(3) {
                draft.0.insert(name, entry(rng, now));
            }
        }
        draft
    }

    /// Adds, removes or edits one entry.
    pub fn edit(&mut self, rng: &mut Rng, now: Timestamp) {
        let name = *rng.pick(&NAMES);
        if let Some(keys) = self.0.get_mut(name) {
            match rng.below(5) {
                0 if name != "a" => drop(self.0.remove(name)),
                1 => keys.push(format!("args = [{}]", rng.below(1_000_000))),
                2 => match keys.iter().position(|key| key == "enabled = false") {
                    Some(place) => drop(keys.remove(place)),
                    None => keys.push("enabled = false".to_owned()),
                },
                _ => *keys = entry(rng, now),
            }
            // A key that was edited before is replaced.
            if let Some(keys) = self.0.get_mut(name) {
                let args = keys.iter().filter(|key| key.starts_with("args")).count();
                if args > 1 {
                    let first = keys.iter().position(|key| key.starts_with("args")).unwrap();
                    keys.remove(first);
                }
            }
        } else {
            self.0.insert(name, entry(rng, now));
        }
    }

    fn toml(&self) -> String {
        let mut toml = String::new();
        for (name, keys) in &self.0 {
            writeln!(
                toml,
                "[beat_schedule.{name}]\ntask = 't'\n{}",
                keys.join("\n")
            )
            .unwrap();
        }
        toml
    }

    /// Compiles it as of `now`.
    pub fn load(&self, now: Timestamp) -> Loaded {
        compile(&self.toml(), now)
    }
}

/// Compiles a schedule file as of `now`.
pub fn compile(toml: &str, now: Timestamp) -> Loaded {
    let identity = Identity {
        pid: 1,
        hostname: "test".into(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("test.toml", toml.to_owned());
    config::load(&sources, &Env::default(), &identity, now, Purpose::Look)
        .unwrap_or_else(|report| panic!("{}", report.draw(false)))
}

fn entry(rng: &mut Rng, now: Timestamp) -> Vec<String> {
    let soon = |rng: &mut Rng| {
        now.plus_micros(i64::try_from(rng.below(7_200_000_000)).unwrap() - 1_800_000_000)
    };
    let schedule = match rng.below(12) {
        0 => "{ crontab = '* * * * *' }".to_owned(),
        1 => "{ crontab = '*/7 1-22 * * *' }".to_owned(),
        2 => "{ crontab = '*/10 * * * * *' }".to_owned(),
        3 => "{ every = '25s', align = true }".to_owned(),
        4 => format!("[{{ at = {} }}, {{ at = {} }}]", soon(rng), soon(rng)),
        5 => "[{ every = '40s' }, { crontab = '*/5 * * * *' }]".to_owned(),
        6 => "{ rrule = 'FREQ=MINUTELY;INTERVAL=3', dtstart = 2026-01-01T00:00:00Z }".to_owned(),
        _ => format!("{}", 1 + rng.below(90)),
    };
    let mut keys = vec![format!("schedule = {schedule}")];
    let mut sometimes = |rng: &mut Rng, n: u64, key: String| {
        if rng.once_in(n) {
            keys.push(key);
        }
    };
    let misfire = *rng.pick(&["all", "all", "latest", "skip"]);
    sometimes(rng, 1, format!("misfire = '{misfire}'"));
    let jitter = 1 + rng.below(60);
    sometimes(rng, 5, format!("jitter = {jitter}"));
    let deadline = 1 + rng.below(600);
    sometimes(rng, 6, format!("starting_deadline = {deadline}"));
    let runs = 1 + rng.below(400);
    sometimes(rng, 6, format!("max_runs = {runs}"));
    sometimes(rng, 6, "exclude = [{ crontab = '*/3 * * * *' }]".to_owned());
    sometimes(rng, 6, "run_on_start = true".to_owned());
    sometimes(rng, 12, "enabled = false".to_owned());
    let (start, end) = (soon(rng), soon(rng));
    sometimes(rng, 12, format!("start_at = {}", start.min(end)));
    sometimes(
        rng,
        12,
        format!("end_at = {}", start.max(end).plus_micros(1)),
    );
    keys
}
