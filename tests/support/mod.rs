//! What the integration tests share: real servers, the built binary, real workers, faults.
//!
//! `servers` Redis and replicas · `sentinel` · `rabbit` RabbitMQ · `beat` the daemon under test · `cluster` several of it · `command` its other commands · `http` its listener · `worker` a Celery
//! worker · `queue` what arrived at the broker · `proxy` faults between a client and its server · `clock` a wall
//! clock that a test moves. `tzdata` pinned zone data, which needs nothing of the rest · `process` and `wait` are below them all.
//!
//! Each test binary includes this directory (`mod support;`) and starts its own servers; whatever a test starts
//! dies with it. A server that cannot be started fails the test.
#![allow(dead_code, unused_imports, reason = "each test binary uses its part")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    clippy::return_self_not_must_use,
    reason = "a broken fixture must stop the test; its words are for whoever reads the failure"
)]

pub mod beat;
pub mod clock;
pub mod cluster;
pub mod command;
pub mod http;
pub mod process;
pub mod proxy;
pub mod queue;
pub mod rabbit;
pub mod sentinel;
pub mod servers;
pub mod wait;
pub mod worker;

use std::path::{Path, PathBuf};

/// The Python environment that `scripts/test` makes.
pub fn venv() -> PathBuf {
    let venv = std::env::var_os("BEAT_TEST_VENV").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/venv"),
        PathBuf::from,
    );
    assert!(
        venv.join("bin/python").exists(),
        "no Python environment at {}: run scripts/test --setup",
        venv.display()
    );
    venv
}

/// The time zone files that belong to the tests (IANA 2026f), for `TZDIR`.
pub fn tzdir() -> PathBuf {
    if let Some(dir) = std::env::var_os("BEAT_TEST_TZDIR") {
        return PathBuf::from(dir);
    }
    let lib = venv().join("lib");
    let python = std::fs::read_dir(&lib)
        .expect("the venv has a lib folder")
        .filter_map(|e| Some(e.ok()?.path()))
        .find(|p| p.join("site-packages/tzdata/zoneinfo").is_dir())
        .unwrap_or_else(|| panic!("no tzdata below {}", lib.display()));
    python.join("site-packages/tzdata/zoneinfo")
}

/// A file of the repository, for the fixtures beside the tests.
pub fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
