//! The built binary, run and observed from outside.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, Signal};
use super::tzdir;
use super::wait::now;

/// The binary under test: the one just built, or another build of it.
pub fn binary() -> PathBuf {
    std::env::var_os("BEAT_TEST_BINARY")
        .map_or_else(|| PathBuf::from(env!("CARGO_BIN_EXE_beat")), PathBuf::from)
}

/// How an instance is to be started. Of the surrounding environment it sees only what finds programs and files.
#[derive(Debug, Clone)]
pub struct Launch {
    schedule: PathBuf,
    args: Vec<OsString>,
    env: BTreeMap<String, OsString>,
    dir: Option<Arc<TempDir>>,
    under: Vec<OsString>,
}

impl Launch {
    /// With this text as schedule. Instances started from clones share the file, and so the scheduler's name `beat`.
    pub fn schedule(toml: &str) -> Self {
        let dir = tempfile::Builder::new()
            .prefix("beat-schedule-")
            .tempdir()
            .expect("a temporary folder");
        let file = dir.path().join("beat.toml");
        std::fs::write(&file, toml).expect("the schedule can be written");
        Self {
            dir: Some(Arc::new(dir)),
            ..Self::file(&file)
        }
    }

    /// With an existing schedule.
    pub fn file(schedule: &Path) -> Self {
        Self {
            schedule: schedule.to_owned(),
            args: Vec::new(),
            env: BTreeMap::new(),
            dir: None,
            under: Vec::new(),
        }
    }

    /// Further arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(OsString::from));
        self
    }

    /// The same schedule and environment without further arguments.
    pub fn without_args(mut self) -> Self {
        self.args.clear();
        self
    }

    /// By a program that replaces itself by its last arguments, such as `unshare`.
    pub fn under(mut self, program: &[&str]) -> Self {
        self.under = program.iter().map(OsString::from).collect();
        self
    }

    /// An environment variable.
    pub fn env(mut self, key: &str, value: impl Into<OsString>) -> Self {
        self.env.insert(key.to_owned(), value.into());
        self
    }

    /// `BEAT_BROKER_URL`: for instances that reach one server through different proxies.
    pub fn broker(self, url: &str) -> Self {
        self.env("BEAT_BROKER_URL", url)
    }

    /// `BEAT_STATE_URL`.
    pub fn state(self, url: &str) -> Self {
        self.env("BEAT_STATE_URL", url)
    }

    /// Under a wall clock that the test moves.
    pub fn clock(mut self, clock: &super::clock::FakeClock) -> Self {
        self.env
            .extend(clock.env().into_iter().map(|(k, v)| (k, v.into())));
        self
    }

    /// The schedule file, to edit it.
    pub fn path(&self) -> &Path {
        &self.schedule
    }

    /// Replaces the schedule as editors do: a new file renamed over it.
    pub fn rewrite(&self, toml: &str) {
        let new = self.schedule.with_extension("toml.new");
        std::fs::write(&new, toml).expect("the schedule can be written");
        std::fs::rename(&new, &self.schedule).expect("the schedule can be replaced");
    }

    /// Starts the daemon; does not wait for anything.
    pub fn start(self) -> Beat {
        let process = self.spawn();
        let mut beat = Beat {
            launch: self,
            process,
            log: Arc::default(),
        };
        beat.read_log();
        beat
    }

    fn spawn(&self) -> Process {
        let mut words = self
            .under
            .iter()
            .cloned()
            .chain([binary().into_os_string()]);
        let mut command = Command::new(words.next().expect("the binary at least"));
        command
            .args(words)
            .arg("--schedule")
            .arg(&self.schedule)
            .args(&self.args)
            .env("TZDIR", tzdir())
            .envs(&self.env);
        Process::start_piped("beat", &command)
    }
}

/// A running instance. Its log survives restarts of the instance.
#[derive(Debug)]
pub struct Beat {
    launch: Launch,
    process: Process,
    log: Arc<Mutex<Vec<String>>>,
}

impl Beat {
    fn read_log(&mut self) {
        let child = self.process.child();
        let stderr = child.stderr.take().expect("piped");
        // Data on stdout is not expected of a daemon; shown, it explains a failure.
        let stdout = child.stdout.take().expect("piped");
        self.collect(BufReader::new(stderr));
        self.collect(BufReader::new(stdout));
    }

    fn collect(&self, pipe: impl BufRead + Send + 'static) {
        let log = self.log.clone();
        std::thread::spawn(move || {
            for line in pipe.split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line).into_owned();
                log.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line);
            }
        });
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// How it was started.
    pub fn launch(&self) -> &Launch {
        &self.launch
    }

    /// Every line it wrote.
    pub fn lines(&self) -> Vec<String> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Number of lines so far: where to look from after something was done to it.
    pub fn mark(&self) -> usize {
        self.lines().len()
    }

    /// Its log records with that `event`, oldest first.
    pub fn events(&self, event: &str) -> Vec<Value> {
        self.events_since(0, event)
    }

    /// The same, of the lines after `mark`.
    pub fn events_since(&self, mark: usize, event: &str) -> Vec<Value> {
        let lines = self.lines();
        let records = lines.iter().skip(mark).filter_map(|l| record(l));
        records.filter(|r| r["event"] == event).collect()
    }

    /// Waits for the first record with that `event`.
    pub fn wait_for_event(&mut self, event: &str, timeout: Duration) -> Value {
        self.wait_for_event_since(0, event, timeout)
    }

    /// Waits for the first record with that `event` after `mark`.
    pub fn wait_for_event_since(&mut self, mark: usize, event: &str, timeout: Duration) -> Value {
        self.wait_for_events_since(mark, event, 1, timeout)
            .swap_remove(0)
    }

    /// Waits for `count` records with that `event` after `mark`.
    pub fn wait_for_events_since(
        &mut self,
        mark: usize,
        event: &str,
        count: usize,
        timeout: Duration,
    ) -> Vec<Value> {
        let until = now() + timeout;
        loop {
            let found = self.events_since(mark, event);
            if found.len() >= count {
                return found;
            }
            // What it wrote last is read before its end is believed.
            let ended =
                self.process.exited().is_some() && self.events_since(mark, event).len() < count;
            assert!(
                now() < until && !ended,
                "{} of {count} events {event:?} in {timeout:?}{}; its log:\n{}",
                found.len(),
                if ended { ", and it has ended" } else { "" },
                self.lines().join("\n")
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Whether it runs.
    pub fn is_alive(&mut self) -> bool {
        self.process.exited().is_none()
    }

    /// Sends a signal.
    pub fn signal(&mut self, signal: Signal) {
        self.process.signal(signal);
    }

    /// SIGKILL.
    pub fn kill9(&mut self) {
        self.process.kill9();
    }

    /// SIGTERM, then its exit status.
    pub fn terminate(&mut self, timeout: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.process.wait_exit(timeout)
    }

    /// Waits until it ends by itself.
    pub fn wait_exit(&mut self, timeout: Duration) -> ExitStatus {
        self.process.wait_exit(timeout)
    }

    /// SIGSTOP.
    pub fn freeze(&mut self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub fn thaw(&mut self) {
        self.signal(Signal::CONT);
    }

    /// Starts it again as it was started before; it must have ended.
    pub fn start_again(&mut self) {
        assert!(!self.is_alive(), "it runs already");
        self.process = self.launch.spawn();
        self.read_log();
    }
}

/// A log line as one flat object; `None` when it is not JSON.
fn record(line: &str) -> Option<Value> {
    let mut record: Value = serde_json::from_str(line).ok()?;
    // Where fields are nested under `fields`, as tracing's formatter does unless told otherwise.
    if let Some(Value::Object(fields)) = record.as_object_mut()?.remove("fields") {
        record.as_object_mut()?.extend(fields);
    }
    Some(record)
}
