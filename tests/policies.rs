//! How the keys of an entry combine: every row of the tables in `docs/POLICIES.md` is played.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a test helper that fails is a test that fails"
)]

#[path = "policies/stage.rs"]
mod stage;
#[path = "policies/story.rs"]
mod story;

use story::{Story, stories};

#[test]
fn the_tables_of_the_document_are_true() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/POLICIES.md");
    let stories = stories(&std::fs::read_to_string(path).unwrap());
    assert!(stories.len() >= 120, "{} rows were found", stories.len());
    // The loop wakes every second: an hour of each takes a while.
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let play = |part: &[Story]| part.iter().filter_map(|s| s.play().err()).collect();
        let parts = stories.chunks(stories.len().div_ceil(threads));
        let parts: Vec<_> = parts.map(|part| scope.spawn(move || play(part))).collect();
        let wrong = parts.into_iter().map(|part| part.join().unwrap());
        wrong.flat_map(|wrong: Vec<String>| wrong).collect()
    });
    assert!(
        wrong.is_empty(),
        "{} of {} rows:\n{}",
        wrong.len(),
        stories.len(),
        wrong.join("\n")
    );
}
