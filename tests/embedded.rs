//! No server at all: messages in a folder, state in a file, and real workers that notice nothing.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use support::beat::Launch;
use support::cluster::Cluster;
use support::queue::{duplicates, fire_times, missing, read_folder};
use support::servers::Redis;
use support::wait::wait_for;
use support::worker::Worker;

const SECOND: i64 = 1_000_000;

fn schedule(folder: &Path) -> Launch {
    let folder = folder.display();
    Launch::schedule(&format!(
        "broker_url = 'filesystem://'\n\
         broker_transport_options = {{ data_folder_in = '{folder}/queue', data_folder_out = '{folder}/queue', \
         control_folder = '{folder}/control' }}\n\
         [beat_schedule.add]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\nmisfire = 'all'\n\
         args = [16, 16]\nkwargs = {{ verbose = true }}\n"
    ))
}

#[test]
fn a_second_instance_stands_by_and_takes_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut cluster = Cluster::of(2, &schedule(folder.path()));
    let leader = cluster.wait_for_leader(Duration::from_secs(5));
    cluster.0[leader].wait_for_event("fired", Duration::from_secs(5));
    cluster.0[1 - leader].wait_for_event("standby", Duration::from_secs(5));
    for _ in 0..3 {
        let old = cluster.kill_leader();
        let new = cluster.wait_for_leader(Duration::from_secs(2));
        cluster.0[new].wait_for_event("fired", Duration::from_secs(3));
        assert!(cluster.0[old].is_alive());
    }
    drop(cluster);
    let rows = read_folder(&folder.path().join("queue"), "celery");
    assert_eq!(duplicates(&rows), []);
    let times = fire_times(&rows, "add");
    let (from, until) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
    assert_eq!(missing(&rows, "add", from, until, SECOND), [0; 0]);
}

#[test]
fn a_real_worker_executes_what_is_in_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let mut beat = schedule(folder.path()).start();
    beat.wait_for_event("fired", Duration::from_secs(5));
    let (queue, control) = (folder.path().join("queue"), folder.path().join("control"));
    let mut worker = Worker::on_folder(&queue, &control)
        .tasks(&["tasks.add"])
        .start();
    let done = worker.wait_for(3, Duration::from_secs(60));
    assert_eq!(done[0]["args"], serde_json::json!([16, 16]));
    assert_eq!(done[0]["kwargs"], serde_json::json!({"verbose": true}));
}

#[test]
fn a_real_worker_executes_what_is_in_redis() {
    let redis = Redis::start();
    let toml = format!(
        "broker_url = '{}'\n[beat_schedule.add]\ntask = 'tasks.add'\nschedule = 0.5\nargs = [1, 2]\n\
         options = {{ queue = 'reports', priority = 3, expires = 60, headers = {{ who = 'beat' }} }}\n",
        redis.url()
    );
    let mut beat = Launch::schedule(&toml).start();
    let mut worker = Worker::on(&redis.url())
        .tasks(&["tasks.add"])
        .queues(&["reports"])
        .start();
    let fired = beat.wait_for_event("fired", Duration::from_secs(10));
    let done = worker.wait_for(3, Duration::from_secs(60));
    assert_eq!(done[0]["id"], fired["task_id"]);
    assert_eq!(done[0]["args"], serde_json::json!([1, 2]));
    assert_eq!(done[0]["headers"]["who"], "beat");
    assert_eq!(done[0]["headers"]["periodic_task_name"], "add");
}

#[test]
fn the_demo_fires_within_seconds() {
    let demo = std::fs::read_to_string(support::repository("schedules/demo.toml")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let demo = demo.replace("\"demo/", &format!("\"{}/", folder.path().display()));
    let mut beat = Launch::schedule(&demo).start();
    beat.wait_for_event("fired", Duration::from_secs(7));
    wait_for("a message file", Duration::from_secs(1), || {
        (!read_folder(&folder.path().join("queue"), "celery").is_empty()).then_some(())
    });
}
