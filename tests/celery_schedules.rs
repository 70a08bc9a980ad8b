//! Celery's own schedule tests pass when `beat` does the arithmetic.
//!
//! The tests come from Celery's source distribution, which `scripts/test` downloads;
//! `tests/python/celery_schedules.py` puts `beat preview` in the place of Celery's arithmetic and lists, with reasons,
//! the tests to which that cannot apply.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "test code"
)]

mod support;

use std::path::PathBuf;
use std::process::Command;

/// Fewer passed tests mean that others were run than those that were meant.
const AT_LEAST: u32 = 230;

fn sdist() -> PathBuf {
    let folder = support::venv().join("sdist");
    std::fs::read_dir(&folder)
        .ok()
        .and_then(|mut files| files.find_map(|file| Some(file.ok()?.path())))
        .unwrap_or_else(|| panic!("no file in {}: run scripts/test --setup", folder.display()))
}

#[test]
fn celerys_own_schedule_tests_pass() {
    let folder = tempfile::tempdir().unwrap();
    let unpacked = Command::new("tar")
        .args(["--strip-components=1", "-xzf"])
        .arg(sdist())
        .arg("-C")
        .arg(folder.path())
        .args(["--wildcards", "*/t", "*/pyproject.toml"])
        .status()
        .unwrap();
    assert!(unpacked.success());

    let run = Command::new(support::venv().join("bin/python"))
        .args("-m pytest -q -rfEX --tb=short -p no:cacheprovider -p celery_schedules".split(' '))
        .arg("t/unit/app/test_schedules.py")
        .current_dir(&folder)
        .env("PYTHONPATH", support::repository("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("PYTHONTZPATH", support::tzdir())
        .env("TZDIR", support::tzdir())
        .env("BEAT_BINARY", env!("CARGO_BIN_EXE_beat"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&run.stdout);
    let summary = said.lines().last().unwrap_or_default();
    let passed = summary
        .split(", ")
        .find_map(|part| part.split_once(" passed")?.0.parse::<u32>().ok());
    assert!(
        run.status.success() && passed.is_some_and(|passed| passed >= AT_LEAST),
        "{said}\n{}",
        String::from_utf8_lossy(&run.stderr)
    );
}
