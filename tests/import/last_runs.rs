//! The cut-over: nothing fires twice, nothing is lost.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::hostile::{entry, export};
use crate::project::{Imported, Project, beat, texts};
use crate::support::beat::Launch;
use crate::support::command::run;
use crate::support::process::{Process, Signal};
use crate::support::queue::{Row, drain_redis};
use crate::support::servers::Redis;
use crate::support::wait::{wait_for, wall_micros};

/// `import --last-runs`; exit code, stdout, stderr.
fn write(export: &Path, schedule: &Path, broker: &str) -> (Option<i32>, String, String) {
    let [export, schedule] = [export, schedule].map(|path| path.to_str().unwrap());
    let args = ["import", export, "--last-runs", "--schedule", schedule];
    let done = beat(&args, broker);
    let [out, err] = texts(&done);
    (done.status.code(), out, err)
}

/// Redbeat's last runs, ten minutes old: only what became due since is fired.
pub fn of_redbeat(project: &Project, _: &Imported) {
    let [export, schedule] = ["export.json", "beat.toml"].map(|name| project.file(name));
    let redis = Redis::start();
    let (code, out, err) = write(&export, &schedule, &redis.url());
    assert_eq!(code, Some(0), "{err}");
    // static, every, rule, dynamic; `off` counts from when it is enabled.
    assert!(out.starts_with("4 last runs written; 0 known"), "{out}");
    let mut beat = Launch::file(&schedule).broker(&redis.url()).start();
    let fired = beat.wait_for_event("fired", Duration::from_secs(20));
    assert_eq!(fired["entry"], "every");
    // All that was due when it began to lead was sent in one go.
    let (code, _, err) = write(&export, &schedule, &redis.url());
    assert_eq!(code, Some(1));
    assert!(err.contains("leads: stop every instance first"), "{err}");
    beat.terminate(Duration::from_secs(5));
    let mut rows = drain_redis(&mut redis.connect(), "celery");
    // Without a last run: at the first minute 0 and 5 that comes.
    rows.retain(|row| row.entry != "hand" && row.entry != "new");
    assert_eq!(rows.len(), 1, "{rows:?}");
    let last = instant(&read(&export), "every", "last_run_at");
    let after = (rows[0].fire_time - last) % 90_500_000;
    assert_eq!(after, 0, "not on the grid of the last run");
    let (code, out, err) = write(&export, &schedule, &redis.url());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("0 last runs written; 4 known"), "{out}");
}

fn read(file: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

fn instant(export: &Value, name: &str, key: &str) -> i64 {
    let mut entries = export["entries"].as_array().unwrap().iter();
    let entry = entries.find(|entry| entry["name"] == name).unwrap();
    let at = chrono::DateTime::parse_from_rfc3339(entry[key].as_str().unwrap());
    at.unwrap().timestamp_micros()
}

fn text(micros: i64) -> String {
    let at = chrono::DateTime::from_timestamp_micros(micros).unwrap();
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

fn ran(mut entry: Value, micros: i64, count: u64) -> Value {
    entry["last_run_at"] = json!(text(micros));
    entry["counts_from"] = json!(text(micros));
    entry["total_run_count"] = json!(count);
    entry
}

/// An export whose entries ran at known instants before `now`.
fn made(now: i64) -> Value {
    const HOUR: i64 = 3_600_000_000;
    let minutely = json!({"type": "crontab", "timezone": null,
        "fields": {"minute": "*", "hour": "*", "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"},
        "sets": {"minute": (0..60).collect::<Vec<_>>(), "hour": (0..24).collect::<Vec<_>>(),
            "day_of_month": (1..32).collect::<Vec<_>>(), "month_of_year": (1..13).collect::<Vec<_>>(),
            "day_of_week": (0..7).collect::<Vec<_>>()}});
    let mut missed = ran(entry("missed", 1.0), now - 3 * 60_000_000, 9);
    missed["schedule"] = minutely;
    let mut done = ran(entry("done", 1.0), now - 5_000_000, 1);
    done["one_off"] = json!(true);
    let mut clocked = entry("clocked", 1.0);
    clocked["schedule"] = json!({"type": "clocked", "at": text(now - 1_000_000)});
    clocked["counts_from"] = json!(text(now - HOUR));
    let mut export = export();
    export["exported_at"] = json!(text(now - 2_000_000));
    export["entries"] = json!([
        // Due in three seconds, an hour after its last run.
        ran(entry("soon", 3600.0), now - HOUR + 3_000_000, 4),
        // Ran a moment ago.
        ran(entry("just now", 3600.0), now - 1_000_000, 4),
        // Missed three minutes: fired once, for the latest of them.
        missed,
        // Has run as often as it may.
        done,
        // Passed between the export and the start.
        clocked,
        // Never ran: counts from the start.
        entry("fresh", 3600.0),
    ]);
    export
}

fn cut_over(state: impl Fn(&Redis, &Path) -> String) {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let now = wall_micros();
    let export = dir.path().join("export.json");
    std::fs::write(&export, made(now).to_string()).unwrap();
    let done = run(&["import", export.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    let schedule = dir.path().join("beat.toml");
    let state = state(&redis, dir.path());
    std::fs::write(
        &schedule,
        format!("state_url = \"{state}\"\n{}", done.stdout),
    )
    .unwrap();
    let (code, out, err) = write(&export, &schedule, &redis.url());
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.starts_with("5 last runs written; 0 known to the store already, 1 without one"),
        "{out}"
    );
    let mut beat = Launch::file(&schedule).broker(&redis.url()).start();
    wait_for("the last of them", Duration::from_secs(20), || {
        let fired = beat.events("fired");
        fired
            .iter()
            .any(|event| event["entry"] == "soon")
            .then_some(())
    });
    // Started again, it does not begin anew.
    beat.terminate(Duration::from_secs(5));
    beat.start_again();
    beat.wait_for_event_since(beat.mark(), "elected", Duration::from_secs(20));
    beat.terminate(Duration::from_secs(5));
    let rows: Vec<Row> = drain_redis(&mut redis.connect(), "celery");
    let mut fired: Vec<(&str, i64)> = rows
        .iter()
        .map(|row| (row.entry.as_str(), row.fire_time))
        .collect();
    fired.retain(|(name, at)| *name != "missed" || *at <= now);
    fired.sort_unstable();
    let minute = 60_000_000;
    assert_eq!(
        fired,
        [
            ("clocked", now - 1_000_000),
            ("missed", now - now % minute),
            ("soon", now + 3_000_000)
        ]
    );
}

#[test]
fn in_redis() {
    cut_over(|redis, _| redis.url());
}

#[test]
fn in_a_file() {
    cut_over(|_, dir| format!("file://{}/state", dir.display()));
}

#[test]
fn a_run_ahead_of_the_clock_is_refused() {
    let redis = Redis::start();
    let dir = tempfile::tempdir().unwrap();
    let now = wall_micros();
    let mut made = made(now);
    made["entries"][0]["last_run_at"] = json!(text(now + 600_000_000));
    made["entries"][0]["counts_from"] = json!(text(now + 600_000_000));
    let [export, schedule] = ["export.json", "beat.toml"].map(|name| dir.path().join(name));
    std::fs::write(&export, made.to_string()).unwrap();
    let done = run(&["import", export.to_str().unwrap()]);
    std::fs::write(&schedule, done.stdout).unwrap();
    let (code, _, err) = write(&export, &schedule, &redis.url());
    assert_eq!(code, Some(1));
    assert!(err.contains("ahead of this clock"), "{err}");
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg("*")
        .query(&mut redis.connect())
        .unwrap();
    assert!(keys.is_empty(), "{keys:?}");
}

/// Celery's own beat runs and is stopped; `beat` goes on where it was.
#[test]
fn from_a_beat_that_ran() {
    const EVERY: i64 = 3_000_000;
    let project = Project::new("cutover", &[]);
    let shelf = project.file("celerybeat-schedule");
    let shelf = shelf.to_str().unwrap();
    let args = [
        "-m",
        "celery",
        "-A",
        "cutover",
        "beat",
        "--loglevel",
        "INFO",
        "--pidfile=",
        "-s",
        shelf,
    ];
    let mut celery = Process::start("celery beat", &project.command(&args), &project.file("log"));
    let mut link = project.redis.connect();
    let mut sent = || {
        redis::cmd("LLEN")
            .arg("celery")
            .query::<i64>(&mut link)
            .unwrap()
    };
    celery.wait_ready(Duration::from_secs(60), || (sent() > 0).then_some(()));
    celery.signal(Signal::TERM);
    celery.wait_exit(Duration::from_secs(20));
    let theirs = sent();

    let json: Value = serde_json::from_str(&project.export(&["--schedule-file", shelf])).unwrap();
    assert_eq!(json["entries"][0]["total_run_count"], theirs);
    let last = instant(&json, "often", "last_run_at");
    let [export, schedule] = ["export.json", "beat.toml"].map(|name| project.file(name));
    let done = run(&["import", export.to_str().unwrap()]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    std::fs::write(&schedule, done.stdout).unwrap();
    let (code, out, err) = write(&export, &schedule, &project.redis.url());
    assert_eq!(code, Some(0), "{err}");
    assert!(out.starts_with("1 last run written"), "{out}");
    let mut beat = Launch::file(&schedule).broker(&project.redis.url()).start();
    beat.wait_for_events_since(0, "fired", 2, Duration::from_secs(20));
    beat.terminate(Duration::from_secs(5));

    let rows = drain_redis(&mut link, "celery");
    let ours: Vec<i64> = rows
        .iter()
        .map(|row| row.fire_time)
        .filter(|at| *at > 0)
        .collect();
    assert_eq!(rows.len() - ours.len(), usize::try_from(theirs).unwrap());
    // The first is the next one, or the latest of those that the change-over took.
    assert!(
        ours[0] > last && (ours[0] - last) % EVERY == 0,
        "{last} {ours:?}"
    );
    assert!(
        ours.windows(2).all(|pair| pair[1] - pair[0] == EVERY),
        "{ours:?}"
    );
}
