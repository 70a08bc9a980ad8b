//! No schedule, environment or mistake makes `beat check` show a secret; secret files and variables
//! reach connection settings and nothing else.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test code")]

#[path = "support/schedule.rs"]
mod schedule;

use schedule::{BROKER, MARKER, Schedule, beat, messages};
use serde_json::Value;

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
