//! `beat preview`: the corpus through the command, the columns, and what selects and orders rows.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "support/tzdata.rs"]
mod tzdata;

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use chrono::DateTime;
use serde_json::{Value, json};
use tempfile::TempDir;

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn beat(args: &[&str], env: &[(&str, &str)]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_beat"))
        .env_clear()
        .env("TZDIR", tzdata::zoneinfo())
        .envs(env.iter().copied())
        .args(args)
        .output()
        .unwrap();
    Answer {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

fn preview(text: &str, args: &[&str]) -> Answer {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("schedule.toml");
    std::fs::write(&path, text).unwrap();
    let mut all = vec!["preview", "--schedule", path.to_str().unwrap()];
    all.extend(args);
    beat(&all, &[])
}

fn rows(text: &str, args: &[&str]) -> Vec<Value> {
    let answer = preview(text, &[args, &["--format", "json"]].concat());
    assert_eq!(answer.code, Some(0), "{}", answer.stderr);
    serde_json::from_str(&answer.stdout).unwrap()
}

/// JSON as the TOML of the same meaning.
fn toml(value: &Value) -> String {
    match value {
        Value::Array(list) => format!("[{}]", list.iter().map(toml).collect::<Vec<_>>().join(", ")),
        Value::Object(map) => {
            let pairs: Vec<String> = map
                .iter()
                .map(|(k, v)| format!("{k} = {}", toml(v)))
                .collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Null => "null".to_owned(),
        other => other.to_string(),
    }
}

#[test]
fn every_line_of_the_corpus() {
    let corpus = include_str!("data/corpus_open.jsonl");
    let seconds = |text: &str| DateTime::parse_from_rfc3339(text).unwrap().timestamp();
    let mut wrong = String::new();
    let mut lines = 0;
    for line in corpus.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        // The calendar ends with the year 2100.
        if case["tag"] == "far:post2100" {
            continue;
        }
        lines += 1;
        let text = format!(
            "timezone = {}\n[beat_schedule.e]\ntask = \"t\"\nschedule = {}\n",
            case["timezone"],
            toml(&case["schedule"])
        );
        let from = case["after"].as_str().unwrap_or("2026-01-01T00:00:00Z");
        let count = case["count"].as_u64().unwrap_or(3).to_string();
        let answer = preview(
            &text,
            &["--from", from, "--count", &count, "--format", "json"],
        );
        if case["error"] == true {
            if answer.code != Some(2) || !answer.stderr.contains("schedule.toml:") {
                writeln!(
                    wrong,
                    "{line}\n  accepted: {}{}",
                    answer.stdout, answer.stderr
                )
                .unwrap();
            }
            continue;
        }
        let Ok(rows) = serde_json::from_str::<Vec<Value>>(&answer.stdout) else {
            writeln!(wrong, "{line}\n  {}", answer.stderr).unwrap();
            continue;
        };
        let found: Vec<&str> = rows
            .iter()
            .map(|row| row["fire_time"].as_str().unwrap())
            .collect();
        let expected: Vec<&str> = case["next"]
            .as_array()
            .unwrap()
            .iter()
            .map(|at| at.as_str().unwrap())
            .collect();
        let right = match case["tolerance_s"].as_i64() {
            Some(tolerance) => {
                let near = |(a, b): (&&str, &&str)| (seconds(a) - seconds(b)).abs() <= tolerance;
                found.len() >= expected.len() && found.iter().zip(&expected).all(near)
            }
            None => found == expected,
        };
        if !right {
            writeln!(wrong, "{line}\n  found {found:?}").unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(lines > 600);
}

const TWO: &str = r#"
timezone = "Asia/Seoul"
[beat_schedule.b]
task = "t.b"
schedule = { crontab = "30 2 * * *" }
jitter = "30s"
[beat_schedule.a]
task = "t.a"
schedule = "1h"
[beat_schedule.off]
task = "t.off"
schedule = "1s"
enabled = false
"#;

#[test]
fn a_row_has_these_columns() {
    let rows = rows(
        TWO,
        &[
            "--from",
            "2026-12-01T17:00:00Z",
            "--until",
            "2026-12-01T18:00:00Z",
        ],
    );
    assert_eq!(
        rows[1],
        json!({
            "entry": "a", "task": "t.a", "fire_time": "2026-12-01T18:00:00Z",
            "local_time": "2026-12-02T03:00:00+09:00", "timezone": "Asia/Seoul",
            "jitter_s": 0.0, "note": "assumed_anchor",
        })
    );
    assert_eq!(
        (&rows[0]["entry"], &rows[0]["note"]),
        (&json!("b"), &Value::Null)
    );
    assert!((0.0..30.0).contains(&rows[0]["jitter_s"].as_f64().unwrap()));
    assert_eq!(rows.len(), 2);
}

#[test]
fn rows_are_selected_and_ordered() {
    let entries = |args: &[&str]| -> Vec<String> {
        let rows = rows(TWO, &[&["--from", "2026-12-02T00:00"], args].concat());
        rows.iter()
            .map(|row| {
                format!(
                    "{} {}",
                    row["entry"].as_str().unwrap(),
                    row["fire_time"].as_str().unwrap()
                )
            })
            .collect()
    };
    // Midnight in Seoul is 15:00 UTC; five each when nothing is asked for.
    let default = entries(&[]);
    assert_eq!(default.len(), 10);
    assert_eq!(default[0], "a 2026-12-01T16:00:00Z");
    // --until is inclusive, takes a duration, and lifts the default count.
    assert_eq!(
        entries(&["--until", "2026-12-01T16:00:00Z"]),
        ["a 2026-12-01T16:00:00Z"]
    );
    assert_eq!(entries(&["--until", "24h"]).len(), 25);
    assert_eq!(entries(&["--until", "24h", "--count", "1"]).len(), 2);
    assert_eq!(
        entries(&["--entry", "b", "--count", "1"]),
        ["b 2026-12-01T17:30:00Z"]
    );
    assert_eq!(entries(&["--entry", "?", "--count", "1"]).len(), 2);
    assert_eq!(entries(&["--entry", "o*"]), [""; 0]);
    assert_eq!(entries(&["--count", "0"]), [""; 0]);

    let same = "[beat_schedule.z]\ntask=\"t\"\nschedule={minute=0}\n[beat_schedule.m]\ntask=\"t\"\nschedule={minute=0}\n";
    let names: Vec<Value> = rows(same, &["--from", "2026-01-01T00:30:00Z", "--count", "2"])
        .into_iter()
        .map(|row| row["entry"].clone())
        .collect();
    assert_eq!(names, ["m", "z", "m", "z"]);
}

#[test]
fn the_policy_of_an_entry_is_honoured() {
    let text = r#"
timezone = "UTC"
[beat_schedule.e]
task = "t"
schedule = "1d"
start_at = 2026-01-01T09:00:00
end_at = 2026-01-08T09:00:00
exclude = ["2026-01-03..2026-01-04", { crontab = "* * 6 * *" }]
"#;
    let rows = rows(text, &["--from", "2025-12-01T00:00:00Z", "--count", "10"]);
    let days: Vec<&str> = rows
        .iter()
        .map(|r| &r["fire_time"].as_str().unwrap()[8..10])
        .collect();
    assert_eq!(days, ["01", "02", "05", "07"]);
    assert_eq!(rows[0]["note"], Value::Null);
}

#[test]
fn the_zone_changes_the_display_only() {
    let rows = rows(
        TWO,
        &[
            "--from",
            "2026-12-02T00:00",
            "--entry",
            "b",
            "--count",
            "1",
            "--timezone",
            "America/New_York",
        ],
    );
    assert_eq!(rows[0]["fire_time"], "2026-12-01T17:30:00Z");
    assert_eq!(rows[0]["local_time"], "2026-12-01T12:30:00-05:00");
    assert_eq!(rows[0]["timezone"], "America/New_York");
}

#[test]
fn clock_changes_are_noted() {
    let text = "timezone = \"Europe/Berlin\"\n[beat_schedule.e]\ntask = \"t\"\nschedule = { crontab = \"30 2 * * *\" }\n";
    let rows = rows(text, &["--from", "2027-03-27T12:00", "--count", "2"]);
    assert_eq!(rows[0]["local_time"], "2027-03-28T03:00:00+02:00");
    assert!(
        rows[0]["note"].as_str().unwrap().contains("moved"),
        "{}",
        rows[0]
    );
    assert_eq!(rows[1]["note"], Value::Null);
}

#[test]
fn all_forms_say_the_same() {
    let args = ["--from", "2026-12-02T00:00", "--count", "2"];
    let csv = preview(TWO, &[&args[..], &["--format", "csv"]].concat()).stdout;
    assert!(csv.starts_with("entry,task,fire_time,local_time,timezone,jitter_s,note\n"));
    assert!(
        csv.contains(
            "a,t.a,2026-12-01T16:00:00Z,2026-12-02T01:00:00+09:00,Asia/Seoul,0.0,assumed_anchor\n"
        ),
        "{csv}"
    );
    let dry = TempDir::new().unwrap();
    let path = dry.path().join("s.toml");
    std::fs::write(&path, TWO).unwrap();
    let dry = beat(
        &[
            &["--schedule", path.to_str().unwrap(), "--dry-run"],
            &args[..],
        ]
        .concat(),
        &[],
    );
    assert_eq!(dry.code, Some(0), "{}", dry.stderr);
    assert_eq!(dry.stdout, preview(TWO, &args).stdout);
    insta::assert_snapshot!(dry.stdout);
}

#[test]
fn a_timeline_shows_rows_load_and_peaks() {
    let text = "[beat_schedule.hourly]\ntask=\"t\"\nschedule={minute=0}\n[beat_schedule.night]\ntask=\"t\"\nschedule={crontab=\"0 3 * * *\"}\n";
    let answer = preview(text, &["--from", "2026-01-01T00:00:00Z", "--timeline"]);
    insta::assert_snapshot!(answer.stdout);
}

#[test]
fn wrong_arguments_are_usage_errors() {
    for args in [
        ["--from", "yesterday"],
        ["--until", "later"],
        ["--timezone", "../etc"],
        ["--count", "-1"],
    ] {
        let answer = preview(TWO, &args);
        assert_eq!(
            (answer.code, answer.stdout.as_str()),
            (Some(2), ""),
            "{args:?}"
        );
        assert!(answer.stderr.starts_with("error: "), "{}", answer.stderr);
    }
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("s.toml");
    std::fs::write(&path, "[beat_schedule.e]\ntask=\"t\"\nschedule=1\n").unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_beat"))
        .args([
            "preview",
            "--until",
            "24h",
            "--schedule",
            path.to_str().unwrap(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}

#[test]
fn ten_thousand_entries_are_no_trouble() {
    let mut text = String::new();
    for n in 0..10_000 {
        writeln!(
            text,
            "[beat_schedule.e{n}]\ntask = \"t\"\nschedule = {{ crontab = \"{} */4 * * *\" }}",
            n % 60
        )
        .unwrap();
    }
    assert_eq!(
        rows(&text, &["--from", "2026-01-01T00:00:00Z", "--until", "24h"]).len(),
        60_000
    );
}
