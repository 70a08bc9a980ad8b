//! The built `beat`, as a process.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::probe::wait_for;
use super::support::beat::binary;
use super::support::process::{Process, Signal};
use super::support::wait::wall_micros;

/// A schedule and the logs of its instances, each in a folder of their own.
#[derive(Debug)]
pub struct Schedule {
    dir: TempDir,
    /// The logs are elsewhere: who watches a folder is woken by whatever is written there.
    logs: TempDir,
}

impl Schedule {
    /// Messages to `broker`, state in `store`, then `entries`.
    pub fn new(broker: &str, store: &str, entries: &str) -> Self {
        let dir = TempDir::new().expect("a temporary folder");
        let logs = TempDir::new().expect("a temporary folder");
        let schedule = Self { dir, logs };
        let head =
            format!("name = \"bench\"\nbroker_url = \"{broker}\"\nstate_url = \"{store}\"\n");
        std::fs::write(schedule.path(), head + entries).expect("the schedule can be written");
        schedule
    }

    /// The file.
    pub fn path(&self) -> PathBuf {
        self.dir.path().join("bench.toml")
    }

    /// Replaces `old`, which must be in it, by `new`; returns when that was, in µs.
    pub fn edit(&self, old: &str, new: &str) -> i64 {
        let text = std::fs::read_to_string(self.path()).expect("the schedule can be read");
        let edited = text.replacen(old, new, 1);
        assert_ne!(edited, text, "{old} is not in the schedule");
        let beside = self.path().with_extension("new");
        std::fs::write(&beside, edited).expect("the schedule can be written");
        std::fs::rename(&beside, self.path()).expect("the schedule can be replaced");
        wall_micros()
    }

    /// Starts an instance; `log` names its log.
    pub fn start(&self, log: &str) -> Beat {
        let log = self.logs.path().join(log);
        let mut command = Command::new(binary());
        command.arg("--schedule").arg(self.path());
        let started = wall_micros();
        Beat {
            process: Process::start("beat", &command, &log),
            log,
            started,
        }
    }
}

/// `count` entries, each with `schedule`, a TOML value made of its number.
pub fn entries(count: usize, schedule: impl Fn(usize) -> String) -> String {
    let mut text = String::with_capacity(count * 180);
    for i in 0..count {
        let _ = writeln!(
            text,
            "[beat_schedule.entry-{i:06}]\ntask = \"proj.tasks.task_{}\"\nargs = [{i}, \"customer\"]\n\
             kwargs = {{ dry_run = false }}\n{}",
            i % 50,
            schedule(i)
        );
    }
    text
}

/// `every` seconds, first at `start` (µs since the epoch).
pub fn interval(every: f64, start: i64) -> String {
    let start = chrono::DateTime::from_timestamp_micros(start)
        .expect("a time of this century")
        .to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
    format!("schedule = {every:?}\nstart_at = {start}")
}

/// A running instance.
#[derive(Debug)]
pub struct Beat {
    process: Process,
    log: PathBuf,
    /// When it was started, µs since the epoch.
    pub started: i64,
}

impl Beat {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Waits for the first record of `event`; returns when that was logged, in µs.
    pub fn wait_for(&mut self, event: &str) -> i64 {
        let needle = format!("\"event\":\"{event}\"");
        let what = format!("{event} in {}", self.log.display());
        let log = self.log.clone();
        wait_for(&what, Duration::from_secs(60), || {
            let text = std::fs::read_to_string(&log).ok()?;
            let line = text.lines().find(|line| line.contains(&needle))?;
            time_of(line)
        })
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> i64 {
        let at = wall_micros();
        self.process.kill9();
        at
    }

    /// SIGTERM; returns when it was sent.
    pub fn terminate(&mut self) -> i64 {
        let at = wall_micros();
        self.process.signal(Signal::TERM);
        self.process.wait_exit(Duration::from_secs(10));
        at
    }

    /// `lag_ms` of every fire in its log.
    pub fn lags(&self) -> Vec<f64> {
        lags(&self.log)
    }
}

fn lags(log: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let records = text
        .lines()
        .filter(|line| line.contains("\"event\":\"fired\""));
    records
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["lag_ms"].as_f64())
        .collect()
}

fn time_of(line: &str) -> Option<i64> {
    let record: Value = serde_json::from_str(line).ok()?;
    let at = chrono::DateTime::parse_from_rfc3339(record["timestamp"].as_str()?).ok()?;
    Some(at.timestamp_micros())
}
