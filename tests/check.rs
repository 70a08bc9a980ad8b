//! `beat check`: every kind of bad schedule is refused at its line and column, in full, drawn,
//! bounded, and without a secret; what is allowed and doubtful warns.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

const BROKER: &str = "broker_url = \"redis://localhost:6379/0\"\n";
const MARKER: &str = "s3cr3t-marker";

struct Answer {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

fn beat(args: &[&str], env: &[(&str, &str)]) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_beat"))
        .env_clear()
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

/// A folder with one schedule file in it.
struct Schedule(TempDir);

impl Schedule {
    fn of(text: &str) -> Self {
        let folder = TempDir::new().unwrap();
        std::fs::write(folder.path().join("schedule.toml"), text).unwrap();
        Self(folder)
    }

    fn path(&self) -> String {
        self.0.path().join("schedule.toml").display().to_string()
    }

    fn check(&self, env: &[(&str, &str)]) -> (Answer, Value) {
        let answer = beat(
            &["check", "--format", "json", "--schedule", &self.path()],
            env,
        );
        let report = serde_json::from_str(&answer.stdout).unwrap();
        (answer, report)
    }
}

fn entry(body: &str) -> String {
    format!("{BROKER}[beat_schedule.job]\ntask = \"proj.add\"\nschedule = \"1h\"\n{body}\n")
}

fn lints(report: &Value) -> Vec<&str> {
    let warnings = report["warnings"].as_array().unwrap();
    warnings
        .iter()
        .map(|w| w["lint"].as_str().unwrap_or("-"))
        .collect()
}

fn messages(report: &Value) -> Vec<&str> {
    let errors = report["errors"].as_array().unwrap();
    errors
        .iter()
        .map(|e| e["message"].as_str().unwrap())
        .collect()
}

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
fn no_secret_is_echoed_whatever_is_wrong() {
    let urls = [
        "ftp://u:{}@h",
        "redis://:{}@host:99999/0",
        "redis://:{}@host:0/0",
        "redis://:{}@host/zero",
        "redis://:{}@host/0?nonsense=1",
        "redis://host/0?password={}&nonsense=1",
        "redis://host/0?{}=1",
        "redis://:{}",
        "redis://:{}#x@host/0",
        "redis://:{}/x@host/0",
        "redis://:{}?x@host/0",
        "redis://:a@{}@host/0",
        "redis://:{}%zz@host/0",
        "redis://:{} blank@host/0",
        "redis://[{}/0",
        "rediss://:{}@host/0?ssl_cert_reqs=none",
        "rediss://:{}@host/0?ssl_cert_reqs=perhaps",
        "redis://:{}@host/0?ssl_cert_reqs=none",
        "sentinel://:{}@host:26379",
        "redis+sentinel://:{}@host/",
        "redis+socket://:{}@/",
        "redis+cluster://:{}@host",
        "amqp://guest:{}@host:x//",
        "amqp://guest:{}@host//?heartbeat=soon",
        "amqp://guest:{}@host//;redis://:{}@host",
        "filesystem://u:{}@folder",
        "sqs://key:{}@",
        "redis://user:{}@:x",
        "{}",
        "{}://host",
        "host:{}",
    ];
    for form in urls {
        let url = form.replace("{}", MARKER);
        let rest = "[beat_schedule.job]\ntask = \"t\"\nschedule = \"1h\"\n";
        let texts = [
            format!("broker_url = \"{url}\"\n{rest}"),
            format!("broker_url = \"\"\"\n{url}\"\"\"\n{rest}"),
            format!("broker_url = \"{url}\n{rest}"),
            format!("broker_url = {url}\n{rest}"),
            format!("broker_url = [\"{url}\", 5]\n{rest}"),
            format!("broker_ulr = \"{url}\"\n{rest}"),
            format!("{BROKER}state_url = \"{url}\"\n{rest}"),
            format!(
                "{BROKER}broker_transport_options = {{ sentinel_kwargs = {{ password = \"{MARKER}\" }}, nonsense = \"{url}\" }}\n{rest}"
            ),
            format!("{BROKER}result_backend = \"{url}\"\nnonsense = 1\n{rest}"),
        ];
        for text in texts {
            for format in ["text", "json"] {
                let schedule = Schedule::of(&text);
                let path = schedule.path();
                let answer = beat(
                    &["check", "--strict", "--schedule", &path, "--format", format],
                    &[],
                );
                assert!(
                    matches!(answer.code, Some(1 | 2)),
                    "{form}\n{text}\n{}",
                    answer.stdout
                );
                let all = answer.stdout + &answer.stderr;
                assert!(!all.contains(MARKER), "{form}\n{all}");
            }
        }
        let schedule = Schedule::of(rest);
        let answer = beat(
            &["check", "--schedule", &schedule.path()],
            &[("BEAT_BROKER_URL", &url)],
        );
        let all = answer.stdout + &answer.stderr;
        assert!(!all.contains(MARKER), "{form} in the environment\n{all}");
    }
}

#[test]
fn secret_files_are_read_and_never_shown() {
    let schedule = Schedule::of(
        "broker_url_file = \"url\"\n[beat_schedule.job]\ntask = \"t\"\nschedule = \"1h\"\n",
    );
    let folder = schedule.0.path();
    let env = [("CREDENTIALS_DIRECTORY", folder.to_str().unwrap())];
    let file = folder.join("url");

    let (answer, report) = schedule.check(&env);
    assert_eq!(answer.code, Some(2));
    assert!(messages(&report)[0].contains("cannot be read"), "{report}");

    std::fs::write(&file, format!("redis://:{MARKER}@localhost:6379/0\n")).unwrap();
    assert_eq!(schedule.check(&env).0.code, Some(0));

    for content in [
        format!("redis://:{MARKER}@localhost:0/0"),
        format!("{MARKER}{}", "x".repeat(5_000)),
        " \n".to_owned(),
    ] {
        std::fs::write(&file, content).unwrap();
        let (answer, _) = schedule.check(&env);
        assert_eq!(answer.code, Some(2));
        assert!(!(answer.stdout + &answer.stderr).contains(MARKER));
    }
}

#[test]
fn variables_fill_connection_settings_only() {
    let schedule = Schedule::of(
        "name = \"${WHO:-nobody}\"\nbroker_url = \"${MY_URL}\"\n[beat_schedule.job]\ntask = \"$(id) ${HOME} {0}\"\nschedule = \"1h\"\n",
    );
    let (answer, report) = schedule.check(&[]);
    assert_eq!(answer.code, Some(2));
    assert_eq!(
        messages(&report),
        ["the environment variable MY_URL is not set"]
    );
    assert_eq!(
        schedule.check(&[("MY_URL", "redis://localhost/1")]).0.code,
        Some(0)
    );
    let path = schedule.path();
    let preview = beat(
        &[
            "preview",
            "--count",
            "1",
            "--format",
            "json",
            "--schedule",
            &path,
        ],
        &[("MY_URL", "redis://localhost/1"), ("HOME", MARKER)],
    );
    let rows: Value = serde_json::from_str(&preview.stdout).unwrap();
    assert_eq!(rows[0]["task"], "$(id) ${HOME} {0}");
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
