//! A seeded simulation of what decides: the plan, what office-takers and reloads record, settling.
//!
//! Real: `config` (schedules are compiled from TOML), `plan`, `daemon::office`, `store::tables` and
//! the memory store over them. Simulated: time, the loop around them (in the order of
//! `daemon::metronome`), the one script that publishes and records, and everything that goes wrong:
//! answers that are lost, a store that does not answer, leaders deposed and killed at any moment,
//! messages that are refused, pauses, outages, clocks that are set, reloads that reach one instance
//! before the other, a store that loses its data.
//!
//! `elsewhere` does the same to `dispatch::Confirmed`, where store and broker are two systems.
//!
//! A run is a seed and a number of steps. One that fails prints both:
//!
//! ```sh
//! BEAT_SIM_SEED=17 BEAT_SIM_STEPS=3000 cargo test --test simulation
//! BEAT_SIM_STEPS=20000000 cargo test --release --test simulation -- --nocapture   # a long one
//! ```
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a simulation that fails is a test that fails, and its trace is for whoever replays it"
)]

mod audit;
mod elsewhere;
mod instance;
mod rng;
mod schedules;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use world::{Totals, World};

/// Steps of one seed.
const RUN: u64 = 3_000;

fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().expect("a number"))
}

/// Says how to repeat a run that panics.
struct Replay(u64, u64);

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self(seed, steps) = self;
            eprintln!(
                "replay: BEAT_SIM_SEED={seed} BEAT_SIM_STEPS={steps} cargo test --test simulation"
            );
        }
    }
}

fn run(seed: u64, steps: u64) -> Totals {
    let _replay = Replay(seed, steps);
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step();
    }
    world.finish()
}

#[test]
fn every_fire_time_is_settled_once_whatever_happens() {
    let steps = number("BEAT_SIM_STEPS").unwrap_or(45_000);
    if let Some(seed) = number("BEAT_SIM_SEED") {
        println!("{:?}", run(seed, steps));
        return;
    }
    let next = AtomicU64::new(0);
    let work = || {
        let mut totals = Totals::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed * RUN >= steps {
                return totals;
            }
            totals.add(&run(seed, RUN));
        }
    };
    let totals = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2).map(|_| scope.spawn(work)).collect();
        let mut totals = Totals::default();
        for worker in workers {
            totals.add(
                &worker
                    .join()
                    .expect("a run failed; how to repeat it is above"),
            );
        }
        totals
    });
    println!("{totals:?}");
    // A simulation in which nothing happens proves nothing.
    assert!(totals.fired > steps / 10, "{totals:?}");
    assert!(
        totals.skipped > 0 && totals.terms > 0 && totals.reloads > 0 && totals.seeded > 0,
        "{totals:?}"
    );
}

#[test]
fn elsewhere_nothing_is_lost_in_silence_and_at_most_once_is_that() {
    let steps = number("BEAT_SIM_STEPS").unwrap_or(30_000);
    if let Some(seed) = number("BEAT_SIM_SEED") {
        println!("{} repeats", elsewhere::run(seed, steps));
        return;
    }
    let mut repeats = 0;
    for seed in 0..steps.div_ceil(RUN) {
        let _replay = Replay(seed, RUN);
        repeats += elsewhere::run(seed, RUN);
    }
    println!("{steps} steps, {repeats} repeats");
    assert!(repeats > 0, "without a repeat nothing went wrong");
}
