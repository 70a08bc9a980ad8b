//! A wall clock that a test moves, for one process: libfaketime, loaded before libc.
//!
//! It catches `clock_gettime` of libc, so the daemon must read its clock through libc and not by a system call of its
//! own. Monotonic clocks are left alone, as a step of the real wall clock leaves them; so are waits (poll, epoll) but for
//! `clock_nanosleep`, which libfaketime breaks.

use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;

/// The wall clock of the processes that were started with [`FakeClock::env`].
#[derive(Debug)]
pub struct FakeClock {
    dir: TempDir,
}

impl FakeClock {
    /// A clock that is right.
    pub fn new() -> Self {
        let clock = Self {
            dir: tempfile::tempdir().expect("a temporary folder"),
        };
        clock.ahead(Duration::ZERO);
        clock
    }

    /// The environment that puts a process under this clock.
    pub fn env(&self) -> Vec<(String, String)> {
        let file = self.file();
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .to_vec()
    }

    /// Steps the clock to `by` ahead of the machine's.
    pub fn ahead(&self, by: Duration) {
        self.write(&format!("+{:.6}", by.as_secs_f64()));
    }

    /// Steps the clock to `by` behind the machine's.
    pub fn behind(&self, by: Duration) {
        self.write(&format!("-{:.6}", by.as_secs_f64()));
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("offset")
    }

    fn write(&self, offset: &str) {
        // Renamed into place: the process reads the file at each look at the clock.
        let new = self.dir.path().join("new");
        std::fs::write(&new, format!("{offset}\n")).expect("the offset can be written");
        std::fs::rename(new, self.file()).expect("the offset can be replaced");
    }
}

impl Default for FakeClock {
    fn default() -> Self {
        Self::new()
    }
}

/// Debian keeps it under the machine's multiarch folder.
fn library() -> PathBuf {
    std::fs::read_dir("/usr/lib")
        .expect("/usr/lib")
        .filter_map(|e| Some(e.ok()?.path().join("faketime/libfaketimeMT.so.1")))
        .find(|path| path.exists())
        .expect("libfaketime is not installed: run scripts/test --setup")
}
