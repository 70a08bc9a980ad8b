//! `beat shadow compare`: what logs of all kinds are found to say, and a real Celery beat beside a real shadow.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use support::beat::Launch;
use support::command::run;
use support::process::{Process, Signal};
use support::servers::Redis;
use support::wait::wait_for;
use support::{repository, venv};

const SCHEDULE: &str = r#"
timezone = "Asia/Seoul"
[beat_schedule.often]
task = "tasks.often"
schedule = 30.0
[beat_schedule."each hour (at :05)"]
task = "tasks.hourly"
schedule = { crontab = "5 * * * *" }
[beat_schedule.morning]
task = "tasks.daily"
schedule = { crontab = "30 7 * * *" }
[beat_schedule.off]
task = "tasks.off"
schedule = { crontab = "0 * * * *" }
enabled = false
"#;

/// Celery's lines at these local times, in its own format.
fn celery(lines: &[(&str, &str)]) -> String {
    let line =
        |(time, rest): &(&str, &str)| format!("[2026-11-20 {time}: INFO/MainProcess] {rest}\n");
    lines.iter().map(line).collect()
}

fn sending(entry: &str) -> String {
    format!("Scheduler: Sending due task {entry}")
}

struct Compared {
    code: i32,
    json: Value,
    stderr: String,
}

fn compare(schedule: &str, log: &str, args: &[&str]) -> Compared {
    let folder = tempfile::tempdir().unwrap();
    let (toml, file) = (
        folder.path().join("s.toml"),
        folder.path().join("celery.log"),
    );
    std::fs::write(&toml, schedule).unwrap();
    std::fs::write(&file, log).unwrap();
    compare_files(&toml, &[&[file.to_str().unwrap()], args].concat())
}

fn compare_files(schedule: &Path, args: &[&str]) -> Compared {
    let head = [
        "shadow",
        "compare",
        "--format",
        "json",
        "--schedule",
        schedule.to_str().unwrap(),
    ];
    let done = run(&[&head, args].concat());
    Compared {
        code: done.code.unwrap(),
        json: serde_json::from_str(&done.stdout).unwrap_or_default(),
        stderr: done.stderr,
    }
}

/// `[matched, missing, extra]`.
fn counts(of: &Value) -> [u64; 3] {
    ["matched", "missing", "extra"].map(|key| of[key].as_u64().unwrap())
}

/// `(kind, entry, why)` of each difference.
fn differences(of: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = of["differences"].as_array().unwrap().iter();
    list.map(|one| (text(&one["kind"]), text(&one["entry"]), text(&one["why"])))
        .collect()
}

#[test]
fn everything_matches_in_the_zone_that_fits() {
    // From 07:00 to 08:10 in Seoul, as a process with TZ=Asia/Seoul writes it.
    let mut lines = vec![("07:00:00,500".to_owned(), "beat: Starting...".to_owned())];
    for half_minute in 1..=139 {
        let seconds = half_minute * 30;
        // 3 ms of drift a run.
        let time = format!(
            "{:02}:{:02}:{:02},{:03}",
            7 + seconds / 3_600,
            seconds / 60 % 60,
            seconds % 60,
            503 + 3 * half_minute
        );
        lines.push((time, sending("often (tasks.often)")));
        if half_minute == 10 || half_minute == 130 {
            lines.push((
                format!("{:02}:05:00,020", 7 + seconds / 3_600),
                sending("each hour (at :05) (tasks.hourly)"),
            ));
        }
        if half_minute == 60 {
            lines.push((
                "07:30:00,900".to_owned(),
                sending("morning (tasks.daily) \u{1b}[0m"),
            ));
        }
    }
    lines.push((
        "08:10:00,000".to_owned(),
        "beat: Shutting down...".to_owned(),
    ));
    let borrowed: Vec<(&str, &str)> = lines
        .iter()
        .map(|(a, b)| (a.as_str(), b.as_str()))
        .collect();
    let found = compare(SCHEDULE, &celery(&borrowed), &[]);
    assert_eq!(found.code, 0, "{}\n{:#}", found.stderr, found.json);
    assert_eq!(counts(&found.json), [142, 0, 0], "{:#}", found.json);
    assert_eq!(found.json["timezone"], "Asia/Seoul");
    assert_eq!(found.json["from"], "2026-11-19T22:00:00.500Z");
    let row = |name: &str| {
        let rows = found.json["entries"].as_array().unwrap();
        rows.iter()
            .find(|row| row["entry"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(row("morning")["largest_difference_s"], 0.9);
    assert_eq!(row("often")["drift_s"], 0.414);

    let found = compare(SCHEDULE, &celery(&borrowed), &["--timezone", "UTC"]);
    assert_eq!(found.code, 1, "the hourly entry alone fits any zone");
    assert_eq!(counts(&found.json), [141, 0, 1]);
}

#[test]
fn differences_are_explained() {
    let hourly = sending("each hour (at :05) (tasks.hourly)");
    let late = sending("morning (tasks.daily)");
    let (stranger, cleanup, off) = (
        sending("tasks.x('a') (tasks.x)"),
        sending("celery.backend_cleanup (celery.backend_cleanup)"),
        sending("off (tasks.off)"),
    );
    let log = celery(&[
        ("05:00:00,000", "beat: Starting..."),
        ("05:05:00,010", &hourly),
        ("05:05:00,900", &hourly),
        ("06:00:00,000", &off),
        ("06:20:00,000", "beat: Starting..."),
        ("07:05:00,010", &hourly),
        ("07:40:00,000", &late),
        ("08:00:00,000", &cleanup),
        ("08:00:00,000", &stranger),
        ("08:30:00,000", &hourly),
        ("08:40:00,000", "beat: Shutting down..."),
    ]);
    let found = compare(SCHEDULE, &log, &["--timezone", "Asia/Seoul"]);
    assert_eq!(found.code, 1, "{}", found.stderr);
    let all = differences(&found.json);
    for (kind, entry, why) in [
        ("extra", "each hour (at :05)", "sent twice"),
        (
            "missing",
            "each hour (at :05)",
            "not running: it started again at 2026-11-19T21:20:00Z",
        ),
        ("missing", "morning", "sent 10 min 0 s late"),
        (
            "extra",
            "morning",
            "10 min 0 s late for 2026-11-19T22:30:00Z",
        ),
        ("missing", "each hour (at :05)", "sent 25 min 0 s late"),
        ("extra", "off", "disabled"),
        (
            "extra",
            "celery.backend_cleanup",
            "Celery adds this entry by itself",
        ),
        ("extra", "tasks.x('a')", "not in the schedule"),
    ] {
        assert!(
            all.iter()
                .any(|one| one.0 == kind && one.1 == entry && one.2.contains(why)),
            "{kind} {entry} {why}\n{all:#?}"
        );
    }
    let verdict = found.json["verdict"].as_str().unwrap();
    assert!(verdict.contains("do not change over"), "{verdict}");
}

#[test]
fn a_night_of_daylight_saving_time_is_named() {
    let toml = "timezone = 'Europe/Berlin'\n[beat_schedule.night]\ntask = 't'\nschedule = { crontab = '30 2 * * *' }\n";
    // Celery 5.7 sends it at 03:30, this program at 03:00.
    let log = "2026-03-29 01:00:00 start\n2026-03-29 03:30:00 Scheduler: Sending due task night (t)\n2026-03-29 12:00:00 end\n";
    let found = compare(toml, log, &["--timezone", "Europe/Berlin"]);
    let all = differences(&found.json);
    assert_eq!(counts(&found.json), [0, 1, 1]);
    assert!(
        all.iter().all(|one| one.2.contains("30 min 0 s late")),
        "{all:?}"
    );
    let never = compare(
        toml,
        "2026-03-28 01:00:00 x\n2026-03-28 02:30:00 Scheduler: Sending due task night (t)\n2026-03-29 12:00:00 end\n",
        &["--timezone", "Europe/Berlin"],
    );
    let all = differences(&never.json);
    assert!(
        all.len() == 1 && all[0].2.contains("daylight saving"),
        "{all:?}"
    );
}

#[test]
fn logs_of_many_forms_are_read() {
    let docker = json!({"log": "[2026-11-20 07:05:00,010: INFO/MainProcess] Scheduler: Sending due task each hour (at :05) (tasks.hourly)\n", "stream": "stderr", "time": "2026-11-19T22:05:00.0101Z"});
    let structured = json!({"level": "info", "message": sending("each hour (at :05) (tasks.hourly)"), "asctime": "2026-11-20T07:05:00+0900"});
    for (form, line) in [
        ("docker", docker.to_string()),
        ("json", structured.to_string()),
        (
            "last",
            format!(
                "{} at 2026-11-19 22:05:00Z",
                sending("each hour (at :05) (tasks.hourly)")
            ),
        ),
        (
            "journal",
            format!(
                "Nov 20 07:05:00 host celery[1]: [2026-11-19T22:05:00Z] {}",
                sending("each hour (at :05) (tasks.hourly)")
            ),
        ),
    ] {
        let log = format!("2026-11-19T22:04:00Z x\n{line}\n2026-11-19T22:06:00Z y\n");
        let found = compare(SCHEDULE, &log, &[]);
        let hourly = &found.json["entries"][0];
        assert_eq!(
            counts(hourly),
            [1, 0, 0],
            "{form}: {:#} {}",
            found.json,
            found.stderr
        );
    }
}

#[test]
fn nothing_to_compare_is_said_and_hostile_lines_do_no_harm() {
    let hourly = sending("each hour (at :05) (tasks.hourly)");
    let undated = format!("2026-11-20T05:04:00Z x\n{hourly}\n2026-11-20T05:04:30Z y\n");
    let garbage = format!(
        "\u{0}\u{1b}[31m{{\"a\": [[[[\n{{}}\n{}\n{}\n2026-11-20T05:00:00Z {}\n2026-11-20T05:00:02Z\n",
        "x".repeat(1_000_000),
        "[".repeat(70_000),
        sending(&format!("{} ((((", "(".repeat(5_000))),
    );
    for (log, args, code, said) in [
        ("", &[][..], 2, "no line of the log has a time"),
        (
            "2026-11-20T05:00:00Z a\n2026-11-20T05:00:01Z b\n",
            &[],
            1,
            "at level INFO",
        ),
        (
            undated.as_str(),
            &[],
            1,
            "no time that can be read, the first in line 2",
        ),
        (garbage.as_str(), &[], 1, "not in the schedule"),
        (
            "{\"event\":\"fired\",\"entry\":\"a\",\"outcome\":\"shadow\",\"fire_time\":\"2026-11-20T05:00:00Z\"}\n",
            &[],
            2,
            "--shadow-log",
        ),
        (
            "2026-11-20T05:00:00Z a\n2026-11-20T05:00:01Z b\n",
            &["--from", "2027-01-01"],
            2,
            "no time in common",
        ),
        ("", &["--timezone", "Mars/Olympus"], 2, "Mars/Olympus"),
        ("", &["--tolerance", "soon"], 2, "--tolerance"),
        ("", &["--from", "soon"], 2, "--from"),
        ("", &["/nonexistent/log"], 2, "/nonexistent/log"),
    ] {
        let found = compare(SCHEDULE, log, args);
        let all = format!("{}{}", found.json, found.stderr);
        assert_eq!(found.code, code, "{args:?} {all}");
        assert!(all.contains(said), "{said}: {all}");
    }
}

#[test]
fn a_shadow_beside_celerys_beat_sends_what_celery_sends() {
    let redis = Redis::start();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let python = |args: &[&str]| {
        let mut command = Command::new(venv().join("bin/python"));
        command
            .args(args)
            .current_dir(folder.path())
            .env("PYTHONPATH", repository("tests/python"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("TZ", "Asia/Seoul")
            .env("BROKER_URL", redis.url())
            .env(
                "SCHEDULE",
                r#"{"one": ["tasks.one", 1.0], "two": ["tasks.two", 1.7]}"#,
            );
        command
    };
    std::fs::write(path("recorder.py"), run(&["shadow", "recorder"]).stdout).unwrap();
    let mut recorder = Process::start(
        "recorder",
        &python(&["recorder.py", "beat_app:app"]),
        &path("sent.jsonl"),
    );
    recorder.wait_ready(Duration::from_secs(30), || {
        let text = std::fs::read_to_string(path("sent.jsonl")).ok()?;
        text.contains("recorder-started").then_some(())
    });
    let beat = [
        "-m",
        "celery",
        "-A",
        "beat_app",
        "beat",
        "-l",
        "INFO",
        "-s",
        "celerybeat",
    ];
    let mut celery = Process::start("celery beat", &python(&beat), &path("celery.log"));
    let toml = format!(
        "timezone = 'Asia/Seoul'\nbroker_url = '{}'\n[beat_schedule.one]\ntask = 'tasks.one'\nschedule = 1.0\n[beat_schedule.two]\ntask = 'tasks.two'\nschedule = 1.7\n",
        redis.url()
    );
    let mut shadow = Launch::schedule(&toml).args(&["--shadow"]).start();
    let sends = || {
        std::fs::read_to_string(path("celery.log"))
            .unwrap()
            .matches("Sending due task")
            .count()
    };
    wait_for("sends of Celery", Duration::from_secs(60), || {
        (sends() >= 9).then_some(())
    });
    assert!(shadow.events("fired").len() >= 5);
    let last = sends();
    wait_for("one more", Duration::from_secs(10), || {
        (sends() > last).then_some(())
    });
    // In this order: what records must not outlive what sends, or the rest would be missing.
    recorder.signal(Signal::TERM);
    recorder.wait_exit(Duration::from_secs(20));
    celery.signal(Signal::TERM);
    celery.wait_exit(Duration::from_secs(20));
    shadow.terminate(Duration::from_secs(10));
    std::fs::write(path("shadow.log"), shadow.lines().join("\n")).unwrap();

    let schedule = shadow.launch().path();
    let (log, own, events) = (path("celery.log"), path("shadow.log"), path("sent.jsonl"));
    let [log, own, events] = [&log, &own, &events].map(|path| path.to_str().unwrap());
    for args in [
        &[log][..],
        &[log, "--timezone", "Asia/Seoul"],
        &[log, "--shadow-log", own],
        &[events],
        &[events, "--shadow-log", own],
    ] {
        let found = compare_files(schedule, args);
        assert_eq!(
            found.code, 0,
            "{args:?}\n{}\n{:#}",
            found.stderr, found.json
        );
        assert!(counts(&found.json)[0] >= 6, "{args:?}\n{:#}", found.json);
    }

    // One send of Celery's is lost from the log, and one is there twice.
    let text = std::fs::read_to_string(log).unwrap();
    let of_one: Vec<&str> = text
        .lines()
        .filter(|line| line.contains("task one"))
        .collect();
    let lost = text.replace(&format!("{}\n", of_one[2]), "");
    std::fs::write(log, lost).unwrap();
    let found = compare_files(schedule, &[log]);
    assert_eq!(
        (found.code, counts(&found.json)[1]),
        (1, 1),
        "{:#}",
        found.json
    );
}
