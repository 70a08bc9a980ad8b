//! The wheel: built, installed into a fresh environment, and used from there.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::process::Command;

use support::{repository, venv};

#[test]
fn a_fresh_environment_runs_beat_and_imports_with_it() {
    // Where this binary was built: most of it is there already.
    let target = Path::new(env!("CARGO_BIN_EXE_beat"))
        .ancestors()
        .nth(2)
        .unwrap();
    let done = Command::new(repository("scripts/wheel"))
        .arg("--dev")
        .env("CARGO_TARGET_DIR", target)
        .env("BEAT_TEST_VENV", venv())
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr)
    );
}
