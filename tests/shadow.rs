//! `beat --shadow`: a scheduler beside the real one, which does everything but publish.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use support::beat::{Beat, Launch};
use support::command::{run, run_on};
use support::queue::read_redis;
use support::servers::Redis;
use support::wait::wait_for;

const SOON: Duration = Duration::from_secs(10);

/// Fires at each whole second, so that two schedulers have the same fire times.
const EACH_SECOND: &str = "[beat_schedule.tick]\ntask = 'tasks.add'\nschedule = { second = '*', minute = '*', hour = '*' }\n";

fn keys(redis: &Redis) -> Vec<String> {
    let mut link = redis.connect();
    redis::cmd("KEYS").arg("*").query(&mut link).unwrap()
}

/// Task ids by fire time.
fn ids(beat: &Beat) -> BTreeMap<String, Value> {
    let fired = beat.events("fired").into_iter();
    fired
        .map(|one| {
            let at = one["fire_time"].as_str().unwrap().to_owned();
            (at, one["task_id"].clone())
        })
        .collect()
}

fn ask(beat: &Beat, words: &[&str]) -> (i32, String) {
    let done = run_on(beat.launch(), words);
    (done.code.unwrap(), done.stdout + &done.stderr)
}

#[test]
fn it_logs_what_the_real_one_publishes_and_touches_only_its_own_keys() {
    let redis = Redis::start();
    let toml = format!(
        "broker_url = '{}'\ntask_send_sent_event = true\n{EACH_SECOND}",
        redis.url()
    );
    let mut shadow = Launch::schedule(&toml).args(&["--shadow"]).start();
    shadow.wait_for_events_since(0, "fired", 2, SOON);
    let strays: Vec<_> = keys(&redis)
        .into_iter()
        .filter(|key| !key.starts_with("beat:{beat.shadow}:"))
        .collect();
    assert_eq!(
        strays,
        Vec::<String>::new(),
        "queues, or keys of the real scheduler"
    );
    assert!(
        shadow
            .events("fired")
            .iter()
            .all(|one| one["outcome"] == "shadow"),
        "{:?}",
        shadow.events("fired")
    );

    let mut real = shadow.launch().clone().without_args().start();
    real.wait_for_events_since(0, "fired", 2, SOON);
    let seen = real.events("fired").len();
    shadow.wait_for_events_since(shadow.mark(), "fired", 2, SOON);
    let (real, shadow) = (ids(&real), ids(&shadow));
    let both: Vec<_> = real.keys().filter(|at| shadow.contains_key(*at)).collect();
    assert!(both.len() >= seen.min(2), "{real:?}\n{shadow:?}");
    for at in both {
        assert_eq!(real[at], shadow[at], "the id that would be published");
    }
    let queued = read_redis(&mut redis.connect(), "celery");
    for row in queued {
        assert!(
            real.values().any(|id| *id == row.id.as_str()),
            "published by the real one"
        );
    }
}

#[test]
fn it_never_dials_the_broker_and_is_steered_and_reloaded_as_any() {
    let store = Redis::start();
    let broker = TcpListener::bind("127.0.0.1:0").unwrap();
    broker.set_nonblocking(true).unwrap();
    let port = broker.local_addr().unwrap().port();
    let head = format!(
        "broker_url = 'amqp://127.0.0.1:{port}'\nstate_url = '{}'\n",
        store.url()
    );
    let toml = format!("{head}{EACH_SECOND}");
    let mut shadow = Launch::schedule(&toml).args(&["run", "--shadow"]).start();
    shadow.wait_for_event("fired", SOON);

    let (code, said) = ask(&shadow, &["trigger", "tick", "--shadow"]);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("publishes nothing"), "{said}");
    assert_eq!(ask(&shadow, &["pause", "tick", "--shadow"]).0, 0);
    let mark = shadow.mark();
    shadow.wait_for_event_since(mark, "skipped", SOON);
    assert_eq!(ask(&shadow, &["resume", "tick", "--shadow"]).0, 0);
    shadow.wait_for_event_since(mark, "fired", SOON);

    let status = wait_for("the mode, which is announced now and then", SOON, || {
        let (_, said) = ask(&shadow, &["status", "--shadow", "--format", "json"]);
        let status: Value = serde_json::from_str(&said).unwrap();
        (status["broker"]["mode"] == "shadow").then_some(status)
    });
    assert_eq!(status["name"], "beat.shadow");
    assert!(status["leader"].is_string());
    let (_, said) = ask(&shadow, &["status", "--format", "json"]);
    let real: Value = serde_json::from_str(&said).unwrap();
    assert!(real["leader"].is_null(), "the real one does not run");

    let mark = shadow.mark();
    shadow.launch().rewrite(&toml.replace("tick", "tock"));
    shadow.wait_for_event_since(mark, "reloaded", SOON);
    let fired = shadow.wait_for_event_since(mark, "fired", SOON);
    assert_eq!(fired["outcome"], "shadow");
    assert!(broker.accept().is_err(), "somebody dialled the broker");
}

#[test]
fn a_store_that_is_a_file_is_another_file() {
    let folder = tempfile::tempdir().unwrap();
    let toml = format!(
        "broker_url = 'filesystem://'\nbroker_transport_options = {{ data_folder_in = '{0}/in', data_folder_out = '{0}/out', control_folder = '{0}/control' }}\n{EACH_SECOND}",
        folder.path().display()
    );
    let mut real = Launch::schedule(&toml).start();
    real.wait_for_event("elected", SOON);
    let mut shadow = real.launch().clone().args(&["--shadow"]).start();
    shadow.wait_for_event("fired", SOON);
    real.wait_for_event("fired", SOON);
    let fired = real.events("fired").len();
    let letters = std::fs::read_dir(folder.path().join("out"))
        .unwrap()
        .filter(|file| {
            let name = file.as_ref().unwrap().file_name();
            name.to_string_lossy().ends_with(".celery.msg")
        })
        .count();
    assert!(letters <= fired + 1, "{letters} messages of {fired} fires");
}

#[test]
fn last_runs_can_be_written_for_it_alone() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (toml, export) = (path("beat.toml"), path("celery.json"));
    let text = format!(
        "broker_url = '{}'\n[beat_schedule.slow]\ntask = 'tasks.add'\nschedule = '1h'\n",
        redis.url()
    );
    std::fs::write(&toml, text).unwrap();
    let last = "2026-11-20T12:00:00.250000Z";
    let exported = json!({
        "beat_export": 1, "exported_at": "2026-11-20T12:30:00Z", "celery": "5.7.0", "app": "proj",
        "scheduler": "celery", "broker": {"scheme": "redis"}, "settings": {}, "task_queues": {},
        "task_routes": [], "warnings": [], "entries": [{
            "name": "slow", "source": "beat_schedule", "task": "tasks.add", "args": [], "kwargs": {},
            "options": {}, "last_run_at": last, "counts_from": last, "total_run_count": 7,
            "schedule": {"type": "interval", "micros": 3_600_000_000_u64, "relative": false, "timezone": null},
        }],
    });
    std::fs::write(&export, exported.to_string()).unwrap();
    let words = [
        "import",
        &export,
        "--last-runs",
        "--shadow",
        "--schedule",
        &toml,
    ];
    let done = run(&words);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    assert!(
        keys(&redis)
            .iter()
            .all(|key| key.starts_with("beat:{beat.shadow}:"))
    );

    let done = run(&[
        "status",
        "--shadow",
        "--schedule",
        &toml,
        "--format",
        "json",
    ]);
    let status: Value = serde_json::from_str(&done.stdout).unwrap();
    let entry = &status["entries"][0];
    assert_eq!(
        (&entry["last_fire_time"], &entry["count"]),
        (&last.into(), &7.into())
    );
    let done = run(&["import", &export, "--shadow"]);
    assert_eq!(done.code, Some(2), "only with --last-runs");
}

#[test]
fn it_is_refused_where_it_means_nothing() {
    for words in [
        &["--shadow", "--dry-run"][..],
        &["run", "--shadow", "--dry-run"],
        &["--shadow", "run", "--dry-run"],
        &["--shadow", "check"],
        &["--shadow", "preview"],
        &["check", "--shadow"],
        &["diff", "--shadow", "a.toml", "b.toml"],
    ] {
        let done = run(&[words, &["--schedule", "schedules/demo.toml"]].concat());
        assert_eq!(done.code, Some(2), "{words:?}: {}", done.stderr);
        assert!(
            done.stderr.contains("--shadow"),
            "{words:?}: {}",
            done.stderr
        );
    }
}
