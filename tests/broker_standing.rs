//! Passwords that are rotated while the daemon runs, and a broker that goes while the store stays.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::beat::{Beat, Launch};
use support::rabbit::Rabbit;
use support::servers::Redis;

const SOON: Duration = Duration::from_secs(10);
const ENTRY: &str =
    "lease_ttl = '1s'\n[beat_schedule.e]\ntask = 't'\nschedule = { crontab = '* * * * * *' }\n";

/// What a secret mount does: the new file takes the place of the old one.
fn rotate(file: &Path, url: &str) {
    let new = file.with_extension("new");
    std::fs::write(&new, url).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn fires_on(beat: &mut Beat) {
    let mark = beat.mark();
    beat.wait_for_events_since(mark, "fired", 2, SOON);
}

#[test]
fn a_rotated_password_is_read_at_the_next_connection() {
    let redis = Redis::options().password("old").start();
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/0", redis.port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    rotate(&file, &url("old"));
    let toml = format!("broker_url_file = '{}'\n{ENTRY}", file.display());
    let mut beat = Launch::schedule(&toml).start();
    fires_on(&mut beat);

    // The server's password changes first: down until the file has it as well.
    let mut admin = redis.connect();
    let run = |admin: &mut redis::Connection, words: &str| {
        let words: Vec<&str> = words.split(' ').collect();
        redis::cmd(words[0]).arg(&words[1..]).exec(admin).unwrap();
    };
    run(&mut admin, "CONFIG SET requirepass new");
    run(&mut admin, "CLIENT KILL SKIPME yes");
    beat.wait_for_event("store_down", SOON);
    rotate(&file, &url("new"));
    beat.wait_for_event("store_up", SOON);
    fires_on(&mut beat);

    // A file that names another server gives no password to it.
    rotate(&file, "redis://:new@127.0.0.1:1/0");
    run(&mut admin, "CLIENT KILL SKIPME yes");
    fires_on(&mut beat);
    let said = beat.lines().join("\n");
    assert!(!said.contains(":new@") && !said.contains(":old@"), "{said}");
}

#[test]
fn a_rotated_password_of_rabbitmq_is_read_at_the_next_connection() {
    let (redis, rabbit) = (Redis::start(), Rabbit::start());
    let url = |password: &str| format!("amqp://guest:{password}@127.0.0.1:{}//", rabbit.port());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("url");
    rotate(&file, &url("guest"));
    let (file_name, state) = (file.display(), redis.url());
    let toml = format!("broker_url_file = '{file_name}'\nstate_url = '{state}'\n{ENTRY}");
    let mut beat = Launch::schedule(&toml).start();
    fires_on(&mut beat);

    rabbit.ctl(&["change_password", "guest", "new"]);
    rabbit.ctl(&["close_all_connections", "rotated"]);
    beat.wait_for_event("broker_down", SOON);
    rotate(&file, &url("new"));
    fires_on(&mut beat);
}

#[test]
fn a_redis_broker_that_goes_is_not_taken_for_the_store() {
    let (mut broker, store) = (Redis::start(), Redis::start());
    let (url, state) = (broker.url(), store.url());
    let toml = format!("broker_url = '{url}'\nstate_url = '{state}'\n{ENTRY}");
    let mut beat = Launch::schedule(&toml).start();
    fires_on(&mut beat);
    for round in 1..=2 {
        let mark = beat.mark();
        broker.stop();
        let down = beat.wait_for_event_since(mark, "broker_down", SOON);
        assert!(down["error"].is_string(), "{down}");
        broker.start_again();
        beat.wait_for_event_since(mark, "broker_up", SOON);
        fires_on(&mut beat);
        assert_eq!(beat.events("broker_down").len(), round, "said once");
    }
    let said = beat.lines().join("\n");
    assert!(!said.contains("store is unavailable"), "{said}");
    assert_eq!(beat.events("store_down").len(), 0);

    // Nor while it was never seen.
    broker.stop();
    let mut late = Launch::schedule(&toml).env("BEAT_NAME", "late").start();
    late.wait_for_event("broker_down", SOON);
    assert_eq!(late.events("store_down").len(), 0);
}
