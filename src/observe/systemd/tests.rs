use super::*;
use crate::clock::{ManualClock, Timestamp};

#[test]
fn a_ping_stands_for_progress_of_the_loop() {
    let clock = ManualClock::new(Timestamp::EPOCH);
    let facts = Facts::new(clock.boot(), clock.wall());
    let mut pings = Pings {
        each: Some(PERIOD),
        last: clock.boot(),
    };
    let mut pass = |seconds, marked| {
        clock.advance(Duration::from_secs(seconds));
        if marked {
            facts.pulse.mark(&clock);
        }
        pings.are_due(clock.boot(), &facts.pulse)
    };
    assert!(!pass(4, true), "not yet due");
    assert!(pass(1, false), "marked a second ago");
    for _ in 0..3 {
        assert!(!pass(60, false), "it hangs");
    }
    assert!(pass(1, true), "it goes on");
}

#[test]
fn the_status_is_one_line() {
    let at = Some(Timestamp::from_micros(1_798_615_800_250_000));
    let leader = Standing {
        term: Some(3),
        entries: 42,
        silent: None,
        refused: None,
    };
    let standby = Standing {
        term: None,
        entries: 1,
        ..leader.clone()
    };
    let silent = Standing {
        silent: Some("broker"),
        ..leader.clone()
    };
    let refused = |why: &str| Standing {
        refused: Some(why.to_owned()),
        ..standby.clone()
    };
    for (standing, expected) in [
        (
            &leader,
            "leader of term 3, 42 entries, next at 2026-12-30T07:30:00Z",
        ),
        (
            &silent,
            "leader of term 3, 42 entries, next at 2026-12-30T07:30:00Z; the broker does not answer",
        ),
        (&standby, "standby, 1 entry"),
        (
            &refused("a.toml:3:1: no\nREADY=1"),
            "standby, 1 entry; reload refused: a.toml:3:1: no READY=1",
        ),
    ] {
        assert_eq!(describe(standing, at), expected);
    }
    let long = describe(&refused(&"ä".repeat(9_000)), at);
    assert!(long.len() < 1_000, "{long}");
}
