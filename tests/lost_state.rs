//! State that vanishes, in whole or in part, or is not what it should be: seeded again, repaired, said once.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use redis::Value;
use support::beat::{Beat, Launch};
use support::command::run_on;
use support::queue::{drain_redis, fire_times};
use support::servers::Redis;
use support::wait::wait_for;

const SOON: Duration = Duration::from_secs(10);

fn launch(redis: &Redis) -> Launch {
    Launch::schedule(&format!(
        "broker_url = '{}'\nlease_ttl = '2s'\n\
         [beat_schedule.fast]\ntask = 'tasks.add'\nschedule = 0.5\nmisfire = 'all'\n\
         [beat_schedule.other]\ntask = 'tasks.add'\nschedule = 0.5\n",
        redis.url()
    ))
}

fn start(redis: &Redis) -> Beat {
    let mut beat = launch(redis).start();
    beat.wait_for_events_since(0, "fired", 3, SOON);
    beat
}

fn ask(beat: &Beat, words: &[&str]) -> Result<String, String> {
    run_on(beat.launch(), words).ok()
}

fn key(name: &str) -> String {
    format!("beat:{{beat}}:{name}")
}

#[test]
fn a_pause_outlives_the_data_of_the_store() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    ask(&beat, &["pause", "fast", "--reason", "broken"]).unwrap();
    ask(&beat, &["pause", "other"]).unwrap();
    ask(&beat, &["resume", "other"]).unwrap();
    redis.run("FLUSHALL");
    beat.wait_for_event("state_lost", SOON);
    // Its leader fires the other entry again.
    let mark = beat.mark();
    beat.wait_for_events_since(mark, "fired", 2, SOON);
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(fire_times(&rows, "fast"), [0; 0]);
    let status = ask(&beat, &["status"]).unwrap();
    assert!(status.contains("broken"), "{status}");
    assert_eq!(redis.run(&format!("HLEN {}", key("paused"))), Value::Int(1));
}

#[test]
fn a_record_that_is_missing_is_said() {
    let redis = Redis::start();
    for (lost, entries) in [("entries", 2), ("from", 2), ("count", 2), ("last", 2)] {
        let mut beat = start(&redis);
        beat.terminate(SOON);
        redis.run(&format!("DEL {}", key(lost)));
        let mut beat = beat.launch().clone().start();
        let said = beat.wait_for_event("state_repaired", SOON);
        assert_eq!(said["entries"], entries, "{lost}");
        assert_eq!(beat.events("state_lost").len(), 0);
        beat.wait_for_event("fired", SOON);
        beat.terminate(SOON);
        redis.run("FLUSHALL");
    }
}

#[test]
fn keys_of_another_type_heal() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    beat.terminate(SOON);
    let read = [
        "last", "from", "count", "entries", "paused", "reserved", "birth",
    ];
    for name in read {
        redis.run(&format!("DEL {}", key(name)));
        redis.run(&format!("SADD {} x", key(name)));
    }
    let mut beat = beat.launch().clone().start();
    beat.wait_for_events_since(0, "state_repaired", read.len(), SOON);
    beat.wait_for_event("fired", SOON);
    for name in ["control", "control_cursor", "instances"] {
        let mark = beat.mark();
        redis.run(&format!("DEL {}", key(name)));
        redis.run(&format!("SADD {} x", key(name)));
        wait_for(
            &format!("a request is answered without {name}"),
            SOON,
            || ask(&beat, &["trigger", "other"]).ok(),
        );
        if name != "control_cursor" {
            beat.wait_for_event_since(mark, "state_repaired", SOON);
        }
    }
    let status = ask(&beat, &["status"]).unwrap();
    assert!(status.contains("leader"), "{status}");
}

#[test]
fn a_store_that_may_delete_any_key_is_warned_of() {
    let redis = Redis::options()
        .args(["maxmemory-policy", "allkeys-lru"])
        .start();
    let mut beat = start(&redis);
    let said = beat.wait_for_event("evicting", SOON);
    assert_eq!(said["policy"], "allkeys-lru");
    let mark = beat.mark();
    redis.run("CLIENT KILL TYPE normal");
    beat.wait_for_events_since(mark, "fired", 2, SOON);
    assert_eq!(beat.events("evicting").len(), 1, "said once");

    // Who may not ask says nothing, and is not disturbed.
    redis.run("ACL SETUSER modest on >pw ~* &* +@all -info -config");
    let url = redis.url().replace("redis://", "redis://modest:pw@");
    let mut beat = launch(&redis)
        .env("BEAT_NAME", "modest")
        .broker(&url)
        .start();
    beat.wait_for_events_since(0, "fired", 3, SOON);
    assert_eq!(beat.events("evicting").len(), 0);
}
