//! Operators ask through the store, the leader carries out and answers.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::beat::{Beat, Launch};
use support::cluster::Cluster;
use support::command::run_on;
use support::queue::{drain_redis, duplicates, fire_times};
use support::servers::Redis;
use support::wait::wait_for;

const SOON: Duration = Duration::from_secs(10);

fn start(redis: &Redis) -> Beat {
    let toml = format!(
        "broker_url = '{}'\nlease_ttl = '2s'\n\
         [beat_schedule.fast]\ntask = 'tasks.add'\nschedule = 0.5\nmisfire = 'all'\n\
         [beat_schedule.rare]\ntask = 'tasks.rare'\nschedule = {{ crontab = '0 0 1 1 *' }}\nargs = [1]\n",
        redis.url()
    );
    let mut beat = Launch::schedule(&toml).start();
    beat.wait_for_event("fired", SOON);
    beat
}

/// Runs a command on the schedule of `beat`.
fn ask(beat: &Beat, words: &[&str]) -> (i32, String, String) {
    let done = run_on(beat.launch(), words);
    (done.code.unwrap(), done.stdout, done.stderr)
}

fn status(beat: &Beat) -> Value {
    let (code, out, err) = ask(beat, &["status", "--format", "json"]);
    assert_eq!(code, 0, "{err}");
    serde_json::from_str(&out).unwrap()
}

fn row<'a>(status: &'a Value, entry: &str) -> &'a Value {
    status["entries"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["entry"] == entry)
        .unwrap()
}

#[test]
fn a_trigger_publishes_once_beside_the_grid() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    let before = status(&beat);
    let (code, out, err) = ask(&beat, &["trigger", "rare"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    let logged = beat.wait_for_event("control", SOON);
    assert_eq!(
        (&logged["request"], &logged["entry"]),
        (&"trigger".into(), &"rare".into())
    );
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(
        rows.iter().filter(|row| row.task == "tasks.rare").count(),
        1
    );
    let after = status(&beat);
    for key in ["last_fire_time", "next_fire_time", "count"] {
        assert_eq!(row(&before, "rare")[key], row(&after, "rare")[key], "{key}");
    }

    let (code, _, err) = ask(&beat, &["trigger", "rera"]);
    assert_eq!(code, 1);
    assert!(err.contains("did you mean rare?"), "{err}");
}

#[test]
fn a_pause_skips_and_a_resume_counts_from_now() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    assert_eq!(ask(&beat, &["pause", "fast", "--reason", "too many"]).0, 0);
    assert_eq!(row(&status(&beat), "fast")["paused"]["reason"], "too many");
    let mark = beat.mark();
    std::thread::sleep(Duration::from_millis(1_700));
    assert!(beat.events_since(mark, "fired").is_empty());
    let skipped = beat.events_since(mark, "skipped");
    assert!(
        skipped.len() >= 2 && skipped.iter().all(|skip| skip["reason"] == "paused"),
        "{skipped:?}"
    );

    let before = fire_times(&drain_redis(&mut redis.connect(), "celery"), "fast");
    assert_eq!(ask(&beat, &["resume", "fast"]).0, 0);
    let mark = beat.mark();
    beat.wait_for_event_since(mark, "fired", SOON);
    let after = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&after), []);
    let first = fire_times(&after, "fast")[0];
    assert!(
        first - before.last().unwrap() > 1_500_000,
        "what was paused is not made up for"
    );
    assert_eq!((first - before[0]) % 500_000, 0, "the grid stays");
}

#[test]
fn one_entry_is_not_resumed_while_all_are_paused() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    assert_eq!(
        ask(&beat, &["pause", "--all", "--reason", "maintenance"]).0,
        0
    );
    let (code, _, err) = ask(&beat, &["resume", "fast"]);
    assert_eq!(code, 1);
    assert!(err.contains("--all"), "{err}");
    assert_eq!(
        ask(&beat, &["trigger", "rare"]).0,
        0,
        "a trigger works on what is paused"
    );
    assert_eq!(ask(&beat, &["resume", "--all"]).0, 0);
    let mark = beat.mark();
    beat.wait_for_event_since(mark, "fired", SOON);
}

#[test]
fn a_pause_survives_a_take_over_and_status_shows_who_runs_what() {
    let redis = Redis::start();
    let first = start(&redis);
    let launch = first.launch().clone();
    let mut cluster = Cluster(vec![first, launch.start()]);
    cluster.0[1].wait_for_event("standby", SOON);
    assert_eq!(ask(&cluster.0[0], &["pause", "fast"]).0, 0);
    let shown = wait_for("both instances", SOON, || {
        let shown = status(&cluster.0[0]);
        (shown["instances"].as_array()?.len() == 2).then_some(shown)
    });
    let digests: Vec<_> = shown["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["digest"])
        .collect();
    assert_eq!(digests[0], digests[1]);
    assert_eq!(shown["broker"]["mode"], "atomic");

    cluster.0[0].kill9();
    cluster.0[1].wait_for_event("elected", SOON);
    let mark = cluster.0[1].mark();
    std::thread::sleep(Duration::from_millis(1_200));
    assert!(cluster.0[1].events_since(mark, "fired").is_empty());
    assert_eq!(ask(&cluster.0[1], &["resume", "fast"]).0, 0);
    cluster.0[1].wait_for_event_since(mark, "fired", SOON);
}

#[test]
fn without_a_leader_a_request_is_withdrawn() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    beat.terminate(SOON);
    let (code, _, err) = ask(&beat, &["trigger", "rare"]);
    assert_eq!(code, 1);
    assert!(err.contains("withdrawn"), "{err}");
    let mut link = redis.connect();
    let waiting: i64 = redis::cmd("XLEN")
        .arg("beat:{beat}:control")
        .query(&mut link)
        .unwrap();
    assert_eq!(waiting, 0);
}

#[test]
fn a_request_that_is_stale_or_of_another_version_is_refused() {
    let redis = Redis::start();
    let mut beat = start(&redis);
    redis.run("XADD beat:{beat}:control 1-1 version 1 op trigger entry rare");
    redis.run("XADD beat:{beat}:control * version 2 op obliterate entry rare");
    redis.run("XADD beat:{beat}:control * nonsense x");
    beat.wait_for_events_since(0, "control", 3, SOON);
    let answers: Vec<_> = beat
        .events("control")
        .iter()
        .map(|e| e["ok"].clone())
        .collect();
    assert_eq!(answers, [false, false, false]);
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert!(rows.iter().all(|row| row.task != "tasks.rare"));
}
