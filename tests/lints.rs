//! What `beat check` warns of, and that its name in `allow` silences it.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "support/schedule.rs"]
mod schedule;

use std::fmt::Write as _;

use schedule::{BROKER, Schedule, beat, entry, lints};

#[test]
fn lints_warn_and_are_silenced_by_name() {
    let cases = [
        (
            "every-minute",
            "schedule = { hour = 7 }\noptions = { expires = \"auto\" }",
        ),
        (
            "day-and-weekday",
            "schedule = { crontab = \"0 9 13 * fri\" }",
        ),
        ("never-fires", "schedule = { at = 2001-01-01T00:00:00Z }"),
        (
            "never-fires",
            "schedule = \"1h\"\nend_at = 2001-01-01T00:00:00Z",
        ),
        (
            "dst",
            "schedule = { crontab = \"30 2 * * *\" }\ntimezone = \"Europe/Berlin\"",
        ),
        (
            "dst",
            "schedule = { crontab = \"15,45 2 * * *\" }\ntimezone = \"America/New_York\"",
        ),
        ("no-expiry", "schedule = 60"),
        ("jitter-gap", "schedule = \"10m\"\njitter = \"10m\""),
        (
            "expires-short",
            "schedule = \"1h\"\noptions = { expires = 2 }",
        ),
        (
            "expires-short",
            "schedule = \"1h\"\noptions = { expires = 60, countdown = 60 }",
        ),
        (
            "unknown-queue",
            "schedule = \"1h\"\noptions = { queue = \"reprots\" }",
        ),
        ("relative", "schedule = 5400\nrelative = true"),
    ];
    for (lint, body) in cases {
        let queues = "[task_queues.reports]\n";
        let file = |allow: &str| {
            format!("{BROKER}{queues}[beat_schedule.job]\ntask = \"t\"\n{body}\n{allow}\n")
        };
        let schedule = Schedule::of(&file(""));
        let (answer, report) = schedule.check(&[]);
        assert_eq!(
            (answer.code, lints(&report)),
            (Some(0), vec![lint]),
            "{body}\n{report}"
        );
        let strict = beat(&["check", "--strict", "--schedule", &schedule.path()], &[]);
        assert_eq!(strict.code, Some(1));
        assert!(
            strict.stderr.contains(&format!("warning[{lint}]")),
            "{}",
            strict.stderr
        );
        let allowed = Schedule::of(&file(&format!("allow = [\"{lint}\"]")));
        assert_eq!(lints(&allowed.check(&[]).1), [""; 0], "{body}");
        let for_all = Schedule::of(&format!("allow = [\"{lint}\"]\n{}", file("")));
        assert_eq!(lints(&for_all.check(&[]).1), [""; 0], "{body}");
    }
}

#[test]
fn nothing_is_said_against_a_plain_schedule() {
    let plain = [
        "schedule = \"1h\"",
        "schedule = { crontab = \"0 9 * * mon-fri\" }\ntimezone = \"Europe/Berlin\"",
        "schedule = { crontab = \"0 * * * *\" }\ntimezone = \"Europe/Berlin\"",
        "schedule = 60\noptions = { expires = \"auto\" }",
        "schedule = 3600\nrelative = true",
        "schedule = { minute = 0, hour = \"*/6\" }\noptions = { queue = \"reports\" }",
    ];
    for body in plain {
        let schedule = Schedule::of(&format!(
            "{BROKER}[beat_schedule.job]\ntask = \"t\"\n{body}\n"
        ));
        let answer = beat(&["check", "--strict", "--schedule", &schedule.path()], &[]);
        assert_eq!(answer.code, Some(0), "{body}\n{}", answer.stderr);
        assert!(
            answer.stdout.starts_with("ok: 1 entry"),
            "{}",
            answer.stdout
        );
    }
}

#[test]
fn lints_of_the_whole_schedule() {
    use std::os::unix::fs::PermissionsExt;
    let mut crowd = String::from(BROKER);
    for n in 0..101 {
        writeln!(
            crowd,
            "[beat_schedule.e{n}]\ntask = \"t\"\nschedule = {{ crontab = \"0 0 * * *\" }}"
        )
        .unwrap();
    }
    let schedule = Schedule::of(&crowd);
    let (_, report) = schedule.check(&[]);
    assert_eq!(lints(&report), ["crowded"]);
    assert!(
        report["warnings"][0]["message"]
            .as_str()
            .unwrap()
            .contains("101 entries"),
        "{report}"
    );

    let plain = Schedule::of(&entry(""));
    let file = plain.0.path().join("schedule.toml");
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o646)).unwrap();
    assert_eq!(lints(&plain.check(&[]).1), ["world-writable"]);

    for (url, leaks) in [
        ("redis://:pw@redis.example.com/0", true),
        ("amqp://u:pw@rabbit.example.com//", true),
        ("rediss://:pw@redis.example.com/0", false),
        ("redis://:pw@127.0.0.1/0", false),
        ("redis://redis.example.com/0", false),
    ] {
        let env = [
            ("BEAT_BROKER_URL", url),
            ("BEAT_STATE_URL", "redis://localhost/0"),
        ];
        let expected: &[&str] = if leaks { &["plaintext"] } else { &[] };
        assert_eq!(
            lints(&Schedule::of(&entry("")).check(&env).1),
            expected,
            "{url}"
        );
    }
}
