//! Celery's own beat and `celery-redbeat`, both from `pip`.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{ChildStdout, Command};

use super::support::process::Process;
use super::support::servers::Redis;

/// Which one.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// `celery beat` with its `PersistentScheduler`.
    Celery,
    /// `celery beat -S redbeat.RedBeatScheduler`.
    Redbeat,
}

impl Kind {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Celery, Self::Redbeat];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Celery => "celery beat",
            Self::Redbeat => "redbeat",
        }
    }
}

/// A running one.
#[derive(Debug)]
pub struct Peer {
    process: Process,
    /// When its entries are due, µs since the epoch.
    pub due: i64,
    _out: BufReader<ChildStdout>,
}

impl Peer {
    /// Starts it with `count` entries of `every` seconds, and waits until it has loaded them.
    pub fn start(kind: Kind, redis: &Redis, count: usize, every: f64) -> Self {
        let script = super::support::repository("benches/compare/peers.py");
        let mut command = Command::new(python());
        command.arg(script).args([
            match kind {
                Kind::Celery => "celery",
                Kind::Redbeat => "redbeat",
            },
            &count.to_string(),
            &every.to_string(),
            &redis.url(),
        ]);
        let mut process = Process::start_piped(kind.name(), &command);
        let child = process.child();
        // Its complaints, should it have any, matter only when it says nothing else.
        let errors = BufReader::new(child.stderr.take().expect("piped"));
        let said = std::thread::spawn(move || errors.lines().map_while(Result::ok).last());
        let mut out = BufReader::new(child.stdout.take().expect("piped"));
        let mut line = String::new();
        out.read_line(&mut line).expect("its output can be read");
        let due = line
            .strip_prefix("due ")
            .and_then(|due| due.trim().parse().ok());
        let due: f64 = due.unwrap_or_else(|| panic!("{}: {:?}", kind.name(), said.join()));
        #[expect(clippy::cast_possible_truncation, reason = "a time of this century")]
        let due = (due * 1e6) as i64;
        Self {
            process,
            due,
            _out: out,
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// The Python that `scripts/bench` prepares.
fn python() -> PathBuf {
    let venv = std::env::var_os("BEAT_BENCH_VENV").map_or_else(
        || super::support::repository("target/bench-venv"),
        PathBuf::from,
    );
    let python = venv.join("bin/python");
    assert!(
        python.exists(),
        "no {}: run scripts/bench",
        python.display()
    );
    python
}
