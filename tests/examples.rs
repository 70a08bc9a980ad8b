//! The example worker runs what the schedules of the repository publish, on both of their brokers.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::json;
use support::process::Process;
use support::servers::Redis;
use support::{repository, venv};

const SOON: Duration = Duration::from_secs(30);

#[test]
fn the_worker_knows_every_task_of_the_schedules() {
    let dir = tempfile::tempdir().unwrap();
    let script = "from examples.worker import app; print('\\n'.join(app.tasks))";
    let known = python(dir.path(), &["-c", script]).output().unwrap();
    let known = String::from_utf8(known.stdout).unwrap();
    for file in ["schedules/demo.toml", "schedules/prod.toml"] {
        let schedule = std::fs::read_to_string(repository(file)).unwrap();
        let schedule: toml::Table = schedule.parse().unwrap();
        for (entry, keys) in schedule["beat_schedule"].as_table().unwrap() {
            let task = keys["task"].as_str().unwrap();
            assert!(
                known.lines().any(|t| t == task),
                "{file}: {entry} runs {task}"
            );
        }
    }
}

#[test]
fn the_worker_reads_the_folder_of_the_demo() {
    let dir = tempfile::tempdir().unwrap();
    let (mut worker, log) = start_worker(dir.path(), None);
    std::fs::write(dir.path().join("demo/queue/1_a.celery.msg"), message()).unwrap();
    worker.wait_ready(SOON, || succeeded(&log, 1));
}

#[test]
fn the_worker_reads_redis() {
    let dir = tempfile::tempdir().unwrap();
    let redis = Redis::start();
    let (mut worker, log) = start_worker(dir.path(), Some(&redis.url()));
    for queue in ["celery", "reports"] {
        let push = redis::cmd("LPUSH").arg(queue).arg(message()).clone();
        push.exec(&mut redis.connect()).unwrap();
    }
    worker.wait_ready(SOON, || succeeded(&log, 2));
}

fn python(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(venv().join("bin/python"));
    command
        .args(args)
        .current_dir(dir)
        .env("PYTHONPATH", repository("."))
        .env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// Starts the command of the example's head, on `broker` with the queues that schedules/prod.toml names.
fn start_worker(dir: &Path, broker: Option<&str>) -> (Process, impl Fn() -> String + use<>) {
    let mut args = vec![
        "-m",
        "celery",
        "-A",
        "examples.worker",
        "worker",
        "--loglevel",
        "INFO",
        "--pool",
        "solo",
    ];
    if broker.is_some() {
        args.extend(["--queues", "celery,reports"]);
    }
    let mut command = python(dir, &args);
    if let Some(url) = broker {
        command.env("CELERY_BROKER_URL", url);
    }
    let log = dir.join("worker.log");
    let mut worker = Process::start("celery worker", &command, &log);
    let read = move || std::fs::read_to_string(&log).unwrap_or_default();
    worker.wait_ready(SOON, || read().contains(" ready.").then_some(()));
    (worker, read)
}

fn succeeded(log: &impl Fn() -> String, times: usize) -> Option<()> {
    (log().matches(": 'Hello, world!'").count() >= times).then_some(())
}

/// What the entry `greet-twice-a-minute` publishes, as far as a worker needs it.
fn message() -> String {
    let envelope = json!({
        "body": BASE64_STANDARD.encode(r#"[["world"], {}, {}]"#),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": "tasks.greet", "id": "1"},
        "properties": {
            "body_encoding": "base64",
            "delivery_tag": "1",
            "delivery_info": {"exchange": "", "routing_key": "celery"},
        },
    });
    envelope.to_string()
}
