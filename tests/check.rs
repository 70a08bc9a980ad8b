//! `beat check`: every kind of bad schedule is refused at its line and column, in full, drawn and
//! bounded.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "support/schedule.rs"]
mod schedule;

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use schedule::{BROKER, MARKER, Schedule, beat, entry, messages};
use serde_json::Value;
use tempfile::TempDir;

/// Each file of `tests/data/bad` ends in lines `#! LINE:COLUMN KEY | words`, one an error.
#[test]
fn bad_schedules_are_refused_at_their_place() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/bad");
    let mut files = 0;
    let mut wrong = String::new();
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let expected: Vec<&str> = text
            .lines()
            .filter_map(|line| line.strip_prefix("#! "))
            .collect();
        let path = path.to_str().unwrap();
        let answer = beat(&["check", "--format", "json", "--schedule", path], &[]);
        assert_eq!(answer.code, Some(2), "{path}");
        let report: Value = serde_json::from_str(&answer.stdout).unwrap();
        assert_eq!(report["ok"], false);
        let errors = report["errors"].as_array().unwrap();
        let shown = |value: &Value| value.as_str().map_or("-".to_owned(), str::to_owned);
        for (n, expected) in expected.iter().enumerate() {
            let (place, words) = expected.split_once(" | ").unwrap();
            let found = errors.get(n).map(|error| {
                let number = |key: &str| {
                    error[key]
                        .as_u64()
                        .map_or("-".to_owned(), |n| n.to_string())
                };
                let found = format!(
                    "{}:{} {}",
                    number("line"),
                    number("column"),
                    shown(&error["key"])
                );
                (found, shown(&error["message"]))
            });
            match found {
                Some((found, message)) if found == place && message.contains(words) => {}
                other => writeln!(wrong, "{path}: expected {expected}, found {other:?}").unwrap(),
            }
        }
        if errors.len() != expected.len() {
            writeln!(
                wrong,
                "{path}: {} errors, expected {}",
                errors.len(),
                expected.len()
            )
            .unwrap();
        }
        files += 1;
    }
    assert!(wrong.is_empty(), "{wrong}");
    assert!(files > 15);
}

#[test]
fn errors_are_drawn_on_their_lines() {
    let schedule = Schedule::of(&format!(
        "{BROKER}brokr_url = \"redis://:{MARKER}@host/0\"\n\n[beat_schedule.job]\ntaks = \"proj.add\"\nschedule = {{ hour = 25, minute = 0 }}\nargs = [\"tab\\there\", {}5, true false]\n",
        "\"padding\", ".repeat(40),
    ));
    let answer = beat(&["check", "--schedule", &schedule.path()], &[]);
    assert_eq!((answer.code, answer.stdout.as_str()), (Some(2), ""));
    let drawn = answer
        .stderr
        .replace(schedule.0.path().to_str().unwrap(), "");
    insta::assert_snapshot!(drawn);
}

#[test]
fn the_environment_comes_before_the_file() {
    let schedule = Schedule::of(&entry("").replace("redis://localhost", "nonsense://localhost"));
    for (env, code) in [
        (vec![], 2),
        (vec![("CELERY_BROKER_URL", "redis://localhost/0")], 0),
        (
            vec![
                ("CELERY_BROKER_URL", "nonsense://"),
                ("BEAT_BROKER_URL", "redis://localhost/0"),
            ],
            0,
        ),
        (
            vec![
                ("CELERY_BROKER_URL", "redis://localhost/0"),
                ("BEAT_BROKER_URL", "nonsense://"),
            ],
            2,
        ),
        (vec![("BEAT_BROKER_URL", "amqp://localhost")], 2),
        (
            vec![
                ("BEAT_BROKER_URL", "amqp://localhost"),
                ("BEAT_STATE_URL", "file:///tmp/state"),
            ],
            0,
        ),
        (
            vec![
                ("BEAT_BROKER_URL", "redis://localhost"),
                ("BEAT_NAME", "no spaces"),
            ],
            2,
        ),
        (
            vec![
                ("BEAT_BROKER_URL", "redis://localhost"),
                ("BEAT_ENABLED", "perhaps"),
            ],
            2,
        ),
        (
            vec![
                ("BEAT_BROKER_URL", "redis://localhost"),
                ("BEAT_HTTP_LISTEN", "9400"),
            ],
            2,
        ),
        (
            vec![
                ("BEAT_BROKER_URL", "redis://localhost"),
                ("BEAT_WHATEVER", "1"),
            ],
            0,
        ),
    ] {
        assert_eq!(schedule.check(&env).0.code, Some(code), "{env:?}");
    }
}

#[test]
fn several_files_are_one_schedule() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let path = folder.path().to_str().unwrap();
    let check = || {
        let answer = beat(
            &["check", "--format", "json", "--schedule", path],
            &[("BEAT_NAME", "x")],
        );
        (
            answer.code,
            serde_json::from_str::<Value>(&answer.stdout).unwrap(),
        )
    };
    let (code, report) = check();
    assert_eq!(code, Some(2));
    assert!(messages(&report)[0].contains("no *.toml"), "{report}");

    write("a.toml", &entry(""));
    write(
        "b.toml",
        "[beat_schedule.other]\ntask = \"t\"\nschedule = \"1h\"\n",
    );
    write(".hidden.toml", "not toml");
    write("notes.txt", "not toml");
    std::fs::create_dir(folder.path().join("sub")).unwrap();
    assert_eq!(check().0, Some(0));

    write("c.toml", &entry("lease_ttl = 5\n"));
    let (code, report) = check();
    assert_eq!(code, Some(2));
    let found = messages(&report).join("\n");
    assert!(
        found.contains("`broker_url` is set twice; first at") && found.contains("a.toml:1"),
        "{found}"
    );
    assert!(
        found.contains("the entry \"job\" is defined twice; first at")
            && found.contains("a.toml:2"),
        "{found}"
    );
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("schedule.toml");
    let path = file.to_str().unwrap();
    let refused = |words: &str| {
        let answer = beat(&["check", "--schedule", path], &[]);
        assert_eq!(answer.code, Some(2), "{words}");
        assert!(answer.stderr.contains(words), "{words}: {}", answer.stderr);
        std::fs::remove_file(&file).ok();
    };
    refused("no such file");
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    refused("is not a regular file");
    std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
    refused("is not a regular file");
    std::fs::File::create(&file)
        .unwrap()
        .set_len((64 << 20) + 1)
        .unwrap();
    refused("is larger than 67108864 bytes");
    std::fs::write(&file, b"a = 1\nb = \"\xff\"\n").unwrap();
    refused("is not UTF-8 (line 2)");
    std::fs::write(&file, entry("")).unwrap();
    std::os::unix::fs::symlink(&file, folder.path().join("link")).unwrap();
    let link = folder.path().join("link");
    assert_eq!(
        beat(&["check", "-s", link.to_str().unwrap()], &[]).code,
        Some(0)
    );
}

#[test]
fn output_is_bounded_and_safe_to_print() {
    let mut text = String::from(BROKER);
    for n in 0..300 {
        writeln!(
            text,
            "[beat_schedule.e{n}]\ntask = \"t\"\nschedule = 0\nx{n} = \"{}\u{9b}\u{202e}\"",
            "y".repeat(3_000)
        )
        .unwrap();
    }
    let schedule = Schedule::of(&text);
    let answer = beat(&["check", "--schedule", &schedule.path()], &[]);
    assert_eq!(answer.code, Some(2));
    assert!(answer.stderr.len() <= 64 << 10, "{}", answer.stderr.len());
    assert_eq!(answer.stderr.matches("error: ").count(), 50);
    assert!(
        answer.stderr.contains("and 550 more errors"),
        "{}",
        answer.stderr
    );
    assert!(answer.stderr.contains("600 errors"));
    assert!(answer.stderr.chars().all(|c| c == '\n' || !c.is_control()));
}

#[test]
fn what_is_large_or_deep_is_refused_soon() {
    let size = 1 << 20;
    let texts = [
        format!("x = {}", "[".repeat(size)),
        format!("x = [{}]", "1,".repeat(3 * size)),
        "\"".repeat(size),
        "[a]\n".repeat(size / 4),
        format!("x = \"{}\"", "a".repeat(size)),
        format!("{}b = 1", "a.".repeat(size)),
        "=".repeat(size),
        "\n".repeat(size),
        (0..size / 10).fold(String::new(), |mut text, n| {
            writeln!(text, "[b{n}]").unwrap();
            text
        }),
    ];
    for text in texts {
        let schedule = Schedule::of(&text);
        let answer = beat(&["check", "--schedule", &schedule.path()], &[]);
        assert_eq!(answer.code, Some(2), "{}", &text[..20]);
        assert!(answer.stderr.len() <= 64 << 10);
    }
}

#[test]
fn wrong_usage_is_told_from_wrong_schedules() {
    assert_eq!(beat(&["check"], &[]).code, Some(2));
    assert!(beat(&["check"], &[]).stderr.contains("BEAT_SCHEDULE"));
    assert_eq!(beat(&["nonsense"], &[]).code, Some(2));
    assert_eq!(beat(&["--version"], &[]).code, Some(0));
    let help = beat(&["--help"], &[]);
    assert_eq!(help.code, Some(0));
    assert!(help.stdout.contains("Exit codes") && help.stderr.is_empty());
    let (a, b) = (
        Schedule::of(&entry("")),
        Schedule::of("[beat_schedule.b]\ntask = \"t\"\nschedule = \"1h\"\n"),
    );
    let list = format!("{}:{}", a.path(), b.path());
    let answer = beat(&["check"], &[("BEAT_SCHEDULE", &list)]);
    assert!(
        answer.stdout.starts_with("ok: 2 entries"),
        "{}{}",
        answer.stdout,
        answer.stderr
    );
}
