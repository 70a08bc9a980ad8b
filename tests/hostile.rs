//! Bytes that others wrote: no parser panics or takes long, whatever it is given.
//!
//! The entry points are those of the fuzz targets (`fuzz/`); every input that ever failed is in
//! `fuzz/seeds`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails is a test that fails"
)]

#[path = "../fuzz/entries.rs"]
mod entries;

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

fn files(folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let Ok(found) = fs::read_dir(&folder) else {
        return Vec::new();
    };
    let mut files: Vec<PathBuf> = found.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The seeds of a target, as they are.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let mut found = files(&format!("fuzz/seeds/{target}"));
    if target == "schedule" {
        found.extend(files("schedules"));
        found.extend(files("tests/data/bad"));
    }
    assert!(!found.is_empty(), "no seeds of {target}");
    found.into_iter().map(|(_, content)| content).collect()
}

/// Seeds, pieces of them put together, and noise within them.
fn damaged(target: &str) -> impl Strategy<Value = Vec<u8>> {
    let seeds = seeds(target);
    let seed = proptest::sample::select(seeds);
    let cut = (
        seed.clone(),
        any::<prop::sample::Index>(),
        seed,
        any::<prop::sample::Index>(),
    );
    let spliced = cut.prop_map(|(a, i, b, j)| {
        let mut spliced = a[..i.index(a.len() + 1)].to_vec();
        spliced.extend(&b[j.index(b.len() + 1)..]);
        spliced.truncate(16 << 10);
        spliced
    });
    let noise = proptest::collection::vec(
        (
            any::<prop::sample::Index>(),
            "[ -~\\n]|[é\u{0}\u{7f}\u{202e}]",
        ),
        0..6,
    );
    (spliced, noise).prop_map(|(mut bytes, noise)| {
        for (place, text) in noise {
            let place = place.index(bytes.len() + 1);
            bytes.splice(place..place, text.bytes());
        }
        bytes
    })
}

fn check(target: &str, entry: fn(&[u8])) {
    for seed in seeds(target) {
        entry(&seed);
    }
    let config = ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(bytes in prop_oneof![4 => damaged(target), 1 => proptest::collection::vec(any::<u8>(), 0..200)])| {
        entry(&bytes);
    });
}

#[test]
fn schedule_files() {
    check("schedule", entries::schedule);
}

#[test]
fn crontabs_durations_and_recurrence_rules() {
    check("grammars", entries::grammars);
}

#[test]
fn urls() {
    check("urls", entries::urls);
}

#[test]
fn what_stands_in_the_store() {
    check("stored", entries::stored);
}
