//! Sentry's cron monitors, with the real sentry-sdk in a real worker and a transport that writes down what it would send.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::beat::Launch;
use support::command::run;
use support::process::Process;
use support::servers::Redis;
use support::wait::wait_for;
use support::{repository, venv};

const SOON: Duration = Duration::from_secs(60);

/// What sentry-sdk makes of the app's own entries.
const CONFIGS: &str = "
import json
from sentry_app import app
from sentry_sdk.integrations.celery.beat import _get_monitor_config
from celery.beat import Scheduler
scheduler = Scheduler(app=app)
print(json.dumps({name: _get_monitor_config(entry.schedule, app, name) for name, entry in scheduler.schedule.items()}))
";

fn python(folder: &Path, redis: &Redis) -> Command {
    let mut command = Command::new(venv().join("bin/python"));
    command
        .current_dir(folder)
        .env("PYTHONPATH", repository("tests/python"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env("EXAMPLES", repository("examples"))
        .env("BROKER_URL", redis.url())
        .env("RECORD", folder.join("check-ins.jsonl"));
    command
}

fn check_ins(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("check-ins.jsonl")).unwrap_or_default();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn output(command: &mut Command) -> String {
    let done = command.stdin(Stdio::null()).output().unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    String::from_utf8(done.stdout).unwrap()
}

#[test]
fn a_worker_reports_runs_of_an_imported_schedule() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("export.py"), run(&["import", "--print-script"]).stdout).unwrap();
    let export = output(python(folder.path(), &redis).args(["export.py", "sentry_app:app"]));
    std::fs::write(at("export.json"), export).unwrap();
    let configs: Value =
        serde_json::from_str(&output(python(folder.path(), &redis).args(["-c", CONFIGS]))).unwrap();

    let imported = run(&["import", at("export.json").to_str().unwrap(), "--sentry"]);
    assert_eq!(imported.code, Some(0), "{}", imported.stderr);
    assert!(
        imported.stdout.contains("no Sentry monitor"),
        "sentry-sdk has none for 5 s either\n{}",
        imported.stdout
    );
    let mut beat = Launch::schedule(&imported.stdout)
        .env("CELERY_BROKER_URL", redis.url())
        .start();
    beat.wait_for_event("elected", SOON);

    let worker = [
        "-m",
        "celery",
        "-A",
        "sentry_app",
        "worker",
        "--pool",
        "solo",
        "-l",
        "INFO",
    ];
    let log = at("worker.log");
    let mut worker = Process::start(
        "celery worker",
        python(folder.path(), &redis).args(worker),
        &log,
    );
    worker.wait_ready(SOON, || {
        std::fs::read_to_string(&log)
            .unwrap()
            .contains(" ready.")
            .then_some(())
    });
    let schedule = beat.launch().path().display().to_string();
    let url = redis.url();
    for entry in ["each minute", "weekly"] {
        let asked = support::command::run_with(
            &["trigger", entry, "--schedule", &schedule],
            &[("CELERY_BROKER_URL", &url)],
        );
        assert_eq!(asked.code, Some(0), "{}", asked.stderr);
    }
    let all = wait_for("check-ins of both", SOON, || {
        let all = check_ins(folder.path());
        let ended = |one: &&Value| one["status"] != "in_progress";
        (all.iter().filter(ended).count() >= 2).then_some(all)
    });
    for (entry, status) in [("each minute", "ok"), ("weekly", "error")] {
        let of: Vec<&Value> = all
            .iter()
            .filter(|one| one["monitor_slug"] == entry)
            .collect();
        assert_eq!(of[0]["status"], "in_progress", "{all:#?}");
        assert_eq!(of[1]["status"], status, "{all:#?}");
        let id = of[0]["check_in_id"].as_str().unwrap();
        assert!(
            id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit()),
            "{id}"
        );
        assert_eq!(of[1]["check_in_id"], id, "one run, one check-in");
        assert_eq!(
            of[1]["monitor_config"], configs[entry],
            "as sentry-sdk would have it"
        );
        let duration = of[1]["duration"].as_f64().unwrap();
        assert!((0.0..60.0).contains(&duration), "{duration}");
    }
    assert!(all.iter().all(|one| one["monitor_slug"] != "often"));
}
