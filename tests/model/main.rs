//! Model check of the lease and of the scripts: every interleaving within small bounds.
//!
//! What is modelled, step by step as `src/store/redis/lua/*.lua`, `daemon::elector`,
//! `daemon::metronome` and `daemon::office` are written:
//! - campaign, renewal, step-down, the trust window; a lease that ends at any moment at which its
//!   holder does not trust it; an instance that is killed and comes back under another id;
//! - taking office (load, enrol by compare-and-set), chunks of one entry, settling;
//! - requests that are lost, executed without an answer, or executed arbitrarily late (a paused
//!   instance, a paused server, a connection that was given up); the same chunk sent again;
//! - instances whose clocks differ, all three misfire policies, a schedule that one instance
//!   reloads and another does not, and a store that loses its data once;
//! - a trigger, whose request is repeated by the same leader or by the next one.
//!
//! A pause needs no step of its own: an instance that does not act is paused.
//!
//! What is not: several entries (nothing is shared between entries but the lease, and the items of
//! a chunk are caught one by one), pauses, state of the wrong type, brokers elsewhere
//! (there the promise is another one), and the vote of clocks. `tests/simulation` drives the real
//! code through some of these.
//!
//! Two states that differ only in what can no longer matter are one (`World::forget`).
//!
//! The broken variants show that the check can fail: each leaves out one rule and is found out.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::unused_self,
    clippy::trivially_copy_pass_by_ref,
    clippy::enum_variant_names,
    clippy::single_match_else,
    reason = "a test program: it mirrors the shape of what it models and prints how much it explored"
)]

mod instance;
mod office;
mod properties;
mod scripts;
mod world;

use std::time::Duration;

use stateright::{Checker, HasDiscoveries, Model};

use world::{Bounds, Misfire, Rule, World};

/// Explores everything; panics with the shortest path to a state that breaks a property.
fn holds(world: World) {
    let name = format!("{world:?}");
    let checker = world.checker().threads(2).spawn_bfs().join();
    checker.assert_properties();
    assert!(checker.is_done());
    println!(
        "{} states, depth {}: {name}",
        checker.unique_state_count(),
        checker.max_depth()
    );
}

/// Without `rule` some state breaks the property called `property`.
fn is_caught(world: World, rule: Rule, property: &'static str) {
    let world = World {
        without: Some(rule),
        ..world
    };
    let properties = HasDiscoveries::AnyOf([property].into());
    let checker = world
        .checker()
        .threads(2)
        .finish_when(properties)
        .timeout(Duration::from_secs(120))
        .spawn_bfs()
        .join();
    let found = checker.discoveries();
    assert!(
        found.contains_key(property),
        "without {rule:?} nothing breaks \"{property}\" in {} states; found: {:?}",
        checker.unique_state_count(),
        found.keys()
    );
    println!(
        "without {rule:?}: {} steps break \"{property}\"",
        found[property].clone().into_actions().len()
    );
}

const NONE: Bounds = Bounds {
    times: 2,
    misses: 0,
    crashes: 0,
    expiries: 0,
    losses: 0,
    reloads: 0,
    triggers: 0,
};

fn two(misfire: Misfire, bounds: Bounds) -> World {
    World {
        instances: 2,
        misfire,
        skew: [0; 3],
        bounds,
        without: None,
    }
}

#[test]
fn every_fire_time_is_pushed_once_by_two_instances() {
    let bounds = Bounds {
        misses: 1,
        crashes: 1,
        expiries: 2,
        ..NONE
    };
    for misfire in [Misfire::All, Misfire::Latest, Misfire::Skip] {
        holds(two(misfire, bounds));
    }
}

#[test]
fn every_fire_time_is_pushed_once_by_three_instances() {
    let bounds = Bounds {
        misses: 1,
        crashes: 1,
        expiries: 2,
        ..NONE
    };
    holds(World {
        instances: 3,
        ..two(Misfire::All, bounds)
    });
}

#[test]
fn clocks_that_differ_do_not_matter() {
    let bounds = Bounds {
        misses: 1,
        crashes: 1,
        expiries: 2,
        ..NONE
    };
    for misfire in [Misfire::All, Misfire::Latest, Misfire::Skip] {
        holds(World {
            skew: [1, 0, 0],
            ..two(misfire, bounds)
        });
    }
}

#[test]
fn a_trigger_is_carried_out_once() {
    let bounds = Bounds {
        times: 1,
        misses: 2,
        crashes: 1,
        expiries: 2,
        triggers: 1,
        ..NONE
    };
    holds(two(Misfire::All, bounds));
    is_caught(
        two(Misfire::All, bounds),
        Rule::CompareCursor,
        properties::TRIGGER,
    );
}

#[test]
fn a_reload_on_one_side_drops_nothing_in_silence() {
    let bounds = Bounds {
        misses: 1,
        expiries: 2,
        reloads: 1,
        ..NONE
    };
    holds(two(Misfire::All, bounds));
    holds(two(Misfire::Latest, bounds));
}

#[test]
fn a_store_that_lost_its_data_is_seeded_or_counts_from_now() {
    let bounds = Bounds {
        misses: 1,
        expiries: 1,
        losses: 1,
        ..NONE
    };
    holds(two(Misfire::All, bounds));
}

#[test]
fn without_a_rule_the_check_finds_out() {
    let faults = Bounds {
        misses: 1,
        crashes: 1,
        expiries: 2,
        ..NONE
    };
    let loss = Bounds {
        expiries: 2,
        losses: 1,
        ..NONE
    };
    let all = two(Misfire::All, faults);
    is_caught(all, Rule::PublishAndRecordAtOnce, properties::ONCE);
    is_caught(all, Rule::CompareLast, properties::ONCE);
    is_caught(all, Rule::LeaseOnCommit, properties::DEPOSED);
    is_caught(all, Rule::LeaseOnEnrol, properties::DEPOSED);
    // The same rules, by what a user would see.
    is_caught(
        two(Misfire::Skip, faults),
        Rule::LeaseOnCommit,
        properties::EITHER,
    );
    is_caught(
        two(Misfire::Latest, faults),
        Rule::TermIsLedOnce,
        properties::EITHER,
    );
    is_caught(
        two(Misfire::Latest, faults),
        Rule::TermIsLedOnce,
        properties::LED_ONCE,
    );
    is_caught(
        two(Misfire::All, loss),
        Rule::MemoryOnlyWhileTrusted,
        properties::ONCE,
    );
    is_caught(
        two(Misfire::All, loss),
        Rule::NowOfThisTerm,
        properties::ONCE,
    );
    is_caught(
        two(Misfire::All, loss),
        Rule::MemoryOnlyWhileTrusted,
        properties::SEEDED,
    );
}

/// Minutes and gigabytes, so only when asked for:
/// `BEAT_MODEL_WIDE=1 cargo test --release --test model -- --nocapture --test-threads 1`.
#[test]
fn wider_bounds() {
    if std::env::var_os("BEAT_MODEL_WIDE").is_none() {
        return;
    }
    let misses = Bounds {
        misses: 2,
        expiries: 2,
        ..NONE
    };
    for misfire in [Misfire::All, Misfire::Latest, Misfire::Skip] {
        holds(two(misfire, misses));
    }
    holds(two(
        Misfire::All,
        Bounds {
            times: 3,
            misses: 1,
            crashes: 1,
            expiries: 2,
            ..NONE
        },
    ));
    holds(two(
        Misfire::Latest,
        Bounds {
            misses: 1,
            crashes: 1,
            expiries: 2,
            reloads: 1,
            ..NONE
        },
    ));
    holds(two(
        Misfire::All,
        Bounds {
            misses: 1,
            expiries: 2,
            losses: 1,
            ..NONE
        },
    ));
    holds(World {
        instances: 3,
        ..two(
            Misfire::All,
            Bounds {
                misses: 1,
                crashes: 1,
                expiries: 3,
                ..NONE
            },
        )
    });
    holds(World {
        instances: 3,
        ..two(
            Misfire::Latest,
            Bounds {
                misses: 1,
                expiries: 2,
                reloads: 1,
                ..NONE
            },
        )
    });
    holds(World {
        skew: [1, 0, 0],
        ..two(
            Misfire::All,
            Bounds {
                times: 3,
                misses: 2,
                crashes: 1,
                expiries: 2,
                ..NONE
            },
        )
    });
}
