//! Zone data of a known release. Included by path where nothing else of `support` is needed.
#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs the test `name` of this binary again with `TZDIR` pinned; true when that was done and
/// passed, false in the run that is pinned. Zone data is chosen once per process, from the
/// environment, so a test cannot pin it for itself.
#[allow(dead_code, reason = "each test binary uses its part")]
pub fn pinned(name: &str) -> bool {
    const MARK: &str = "BEAT_TEST_PINNED";
    if std::env::var_os(MARK).is_some() {
        return false;
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(MARK, "1")
        .env("TZDIR", zoneinfo())
        .status()
        .unwrap();
    assert!(status.success(), "{name} failed with pinned zone data");
    true
}

/// The zoneinfo directory of the pinned tzdata: `BEAT_TEST_TZDIR`, else the one in the virtual
/// environment that the test command makes. Missing data fails the test.
pub fn zoneinfo() -> PathBuf {
    if let Some(directory) = std::env::var_os("BEAT_TEST_TZDIR") {
        return directory.into();
    }
    let venv = std::env::var_os("BEAT_TEST_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"),
        PathBuf::from,
    );
    let lib = venv.join("lib");
    let found = std::fs::read_dir(&lib)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/tzdata/zoneinfo")))
        .find(|path| path.is_dir());
    found.unwrap_or_else(|| panic!("no tzdata under {}: run the test command", lib.display()))
}

/// All names of the pinned release: Europe/Berlin, not its aliases' directories.
#[allow(dead_code, reason = "not every test binary walks over all zones")]
pub fn zone_names() -> Vec<String> {
    let table = std::fs::read_to_string(zoneinfo().join("tzdata.zi")).unwrap();
    let mut names: Vec<String> = table
        .lines()
        .filter_map(|line| {
            let mut words = line.split(' ');
            match words.next()? {
                "Z" => words.next(),
                "L" => words.nth(1),
                _ => None,
            }
        })
        .filter(|name| *name != "Factory")
        .map(str::to_owned)
        .collect();
    names.sort();
    names
}
