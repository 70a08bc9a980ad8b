//! The keys of an entry keep their meaning across restarts, fail-overs and reloads of the real thing.
//!
//! Every combination is played in virtual time by `tests/policies.rs`; here a few run against Redis.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use support::beat::Launch;
use support::cluster::Cluster;
use support::queue::{Row, drain_redis, duplicates, fire_times, missing, read_redis};
use support::servers::Redis;
use support::wait::{wait_for, wall_micros};

const SECOND: i64 = 1_000_000;
const SOON: Duration = Duration::from_secs(5);

fn rfc3339(micros: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    at.to_rfc3339()
}

fn file(redis: &Redis, entries: &[(&str, &str)]) -> String {
    let entries = entries
        .iter()
        .map(|(name, keys)| format!("[beat_schedule.{name}]\ntask = 'tasks.add'\n{keys}\n"));
    let settings = format!("broker_url = '{}'\nlease_ttl = '1s'\n", redis.url());
    settings + &entries.collect::<String>()
}

/// Waits until the messages in the queue are as `enough` wants them.
fn wait_until(redis: &Redis, what: &str, enough: impl Fn(&[Row]) -> bool) {
    let mut link = redis.connect();
    wait_for(what, Duration::from_secs(20), || {
        enough(&read_redis(&mut link, "celery")).then_some(())
    });
}

fn fires_of(rows: &[Row], entry: &str) -> usize {
    fire_times(rows, entry).len()
}

#[test]
fn what_an_entry_says_holds_across_fail_overs_and_restarts() {
    let redis = Redis::start();
    let soon = wall_micros() + 4 * SECOND;
    let once = format!("schedule = {{ at = '{}' }}", rfc3339(soon));
    let launch = Launch::schedule(&file(
        &redis,
        &[
            ("each", "schedule = 0.5\nmisfire = 'all'"),
            ("runs", "schedule = 0.5\nmisfire = 'all'\nmax_runs = 9"),
            ("jittered", "schedule = 0.5\nmisfire = 'all'\njitter = 1"),
            ("skips", "schedule = 0.5\nmisfire = 'skip'"),
            ("start", "schedule = '1h'\nrun_on_start = true"),
            ("once", &once),
            (
                "off",
                "schedule = 0.5\nenabled = false\nrun_on_start = true",
            ),
            (
                "never",
                "schedule = 0.5\nexclude = ['2000-01-01..2100-01-01']",
            ),
        ],
    ));
    let mut cluster = Cluster::of(2, &launch);
    wait_until(&redis, "fires", |rows| fires_of(rows, "each") >= 3);

    cluster.kill_leader();
    let new = cluster.wait_for_leader(Duration::from_secs(3));
    let elected = cluster.0[new].wait_for_event("elected", SOON);
    let elected = elected["timestamp"].as_str().unwrap().to_owned();
    let elected = chrono::DateTime::parse_from_rfc3339(&elected).unwrap();
    let before = fires_of(&read_redis(&mut redis.connect(), "celery"), "each");
    wait_until(&redis, "fires", |rows| fires_of(rows, "each") >= before + 3);

    for beat in &mut cluster.0 {
        beat.terminate(SOON);
    }
    let stopped = wall_micros();
    std::thread::sleep(Duration::from_millis(1_500));
    let started = wall_micros();
    let beat = launch.start();
    let count = fires_of(&read_redis(&mut redis.connect(), "celery"), "each");
    wait_until(&redis, "fires", |rows| {
        fires_of(rows, "each") >= count + 7 && fires_of(rows, "once") > 0
    });
    drop(beat);

    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    for entry in ["each", "jittered"] {
        let times = fire_times(&rows, entry);
        assert!(times.is_sorted(), "{entry}: {times:?}");
        let (from, until) = (times[0], times[times.len() - 1]);
        assert_eq!(missing(&rows, entry, from, until, SECOND / 2), [0; 0]);
    }
    let expected = [
        ("runs", 9),
        ("start", 1),
        ("once", 1),
        ("off", 0),
        ("never", 0),
    ];
    for (entry, count) in expected {
        assert_eq!(fires_of(&rows, entry), count, "{entry}");
    }
    assert_eq!(fire_times(&rows, "once"), [soon]);
    let skips = fire_times(&rows, "skips");
    let made_up =
        |from: i64, until: i64| skips.iter().filter(|at| (from..until).contains(at)).count();
    assert_eq!(made_up(stopped, started), 0, "while nothing ran: {skips:?}");
    let outage = elected.timestamp_micros() - SECOND / 2..elected.timestamp_micros();
    assert!(
        skips.iter().filter(|at| outage.contains(at)).count() <= 1,
        "before {elected}: {skips:?}"
    );
    assert!(skips.iter().any(|at| *at >= started), "{skips:?}");
}

#[test]
fn edits_count_from_the_edit_and_leave_the_rest_alone() {
    let redis = Redis::start();
    let steady = ("steady", "schedule = 0.5\nmisfire = 'all'");
    let with = |runs: &str, switched: &str| {
        file(&redis, &[steady, ("runs", runs), ("switched", switched)])
    };
    let on = "schedule = 0.5\nmisfire = 'all'";
    let off = "schedule = 0.5\nmisfire = 'all'\nenabled = false";
    let two = "schedule = 0.5\nmisfire = 'all'\nmax_runs = 2";
    let four = "schedule = 0.5\nmisfire = 'all'\nmax_runs = 4";
    let mut beat = Launch::schedule(&with(two, off)).start();
    wait_until(&redis, "fires", |rows| fires_of(rows, "steady") >= 6);

    let edited = wall_micros();
    beat.launch().rewrite(&with(four, on));
    let reloaded = beat.wait_for_event("reloaded", SOON);
    assert_eq!(reloaded["changed"], "runs, switched");
    wait_until(&redis, "fires", |rows| {
        fires_of(rows, "switched") >= 3 && fires_of(rows, "runs") >= 4
    });
    beat.terminate(SOON);

    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    let times = fire_times(&rows, "steady");
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] == SECOND / 2),
        "{times:?}"
    );
    let runs = fire_times(&rows, "runs");
    assert_eq!(runs.len(), 4, "{runs:?}");
    assert!(runs[2] > edited, "nothing of the time in between: {runs:?}");
    for entry in ["runs", "switched"] {
        let times = fire_times(&rows, entry);
        assert!(
            times.iter().all(|at| (at - runs[0]) % (SECOND / 2) == 0),
            "{entry}: {times:?}"
        );
    }
    assert!(fire_times(&rows, "switched").iter().all(|at| *at > edited));
}

#[test]
fn a_leader_that_dies_before_it_recorded_anything_has_lost_nothing() {
    let redis = Redis::start();
    // What a leader does of which nothing more is heard.
    let key = |name: &str| format!("beat:{{beat}}:{name}");
    let won: redis::Value = redis::cmd("EVAL")
        .arg(include_str!("../src/store/redis/lua/campaign.lua"))
        .arg(3)
        .arg(&[key("leader"), key("term"), key("birth")])
        .arg(&["gone", "500", "0", "new"])
        .query(&mut redis.connect())
        .unwrap();
    assert!(matches!(won, redis::Value::Array(_)), "{won:?}");

    let entries = [("start", "schedule = '1h'\nrun_on_start = true")];
    let mut second = Launch::schedule(&file(&redis, &entries)).start();
    second.wait_for_event("fired", SOON);
    assert_eq!(second.events("state_lost").len(), 0);
    assert_eq!(second.events("elected")[0]["term"], 2);
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(fires_of(&rows, "start"), 1);
}
