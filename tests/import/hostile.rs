//! What no export looks like: an error that says so, never a panic or a wrong schedule.

use serde_json::{Value, json};

use crate::support::command::run;

/// An export with one entry, to be bent.
pub fn export() -> Value {
    json!({
        "beat_export": 1, "exported_at": "2026-11-20T12:00:00.000000Z", "celery": "5.7.0", "app": "proj",
        "scheduler": "celery", "broker": {"scheme": "redis"}, "settings": {"timezone": "UTC", "task_protocol": 2},
        "task_queues": {}, "task_routes": [], "warnings": [], "entries": [entry("one", 3600.0)],
    })
}

pub fn entry(name: &str, seconds: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "some hours")]
    let micros = (seconds * 1e6) as i64;
    json!({
        "name": name, "source": "beat_schedule", "task": "proj.task", "args": [], "kwargs": {}, "options": {},
        "schedule": {"type": "interval", "micros": micros, "relative": false, "timezone": null},
        "total_run_count": 0,
    })
}

/// Runs `import` on `text`; exit code, file, report.
fn import(text: &str) -> (i32, String, String) {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    let done = run(&["import", file.path().to_str().unwrap(), "--verify"]);
    (done.code.unwrap(), done.stdout, done.stderr)
}

#[test]
fn what_is_no_export_is_refused() {
    for (text, said) in [
        ("", "no export"),
        ("{", "no export"),
        ("null", "no export"),
        ("{\"beat_export\": 2}", "version 2"),
        ("{\"beat_export\": 1}", "missing field"),
    ] {
        let (code, out, err) = import(text);
        assert_eq!((code, out.as_str()), (2, ""), "{text}: {err}");
        assert!(
            err.contains(said) && err.contains("--print-script"),
            "{text}: {err}"
        );
    }
}

#[test]
fn bent_exports_are_refused_in_part_or_whole() {
    // A pointer into the export, what is put there, the exit code, what is said.
    let cases = [
        ("/entries/0/name", json!(""), 1, "blank"),
        (
            "/entries/0/name",
            json!("a\nb\u{1b}[31m"),
            1,
            "\\u{a}b\\u{1b}",
        ),
        ("/entries/0/name", json!("x".repeat(300)), 1, "255"),
        ("/entries/0/task", json!(" "), 1, "task"),
        ("/entries/0/schedule", json!(null), 1, "lacks its schedule"),
        (
            "/entries/0/schedule",
            json!({"type": "moon"}),
            2,
            "\"moon\"",
        ),
        (
            "/entries/0/schedule/micros",
            json!(0),
            1,
            "shortest is 1 ms",
        ),
        (
            "/entries/0/schedule/micros",
            json!(i64::MAX),
            1,
            "the duration",
        ),
        (
            "/entries/0/schedule/micros",
            json!(1e300),
            2,
            "cannot be read",
        ),
        (
            "/entries/0/schedule",
            json!({"type": "crontab", "fields": {}, "sets": {}}),
            1,
            "without any value",
        ),
        (
            "/entries/0/schedule",
            json!({"type": "solar", "event": "moonrise", "lat": 1, "lon": 1}),
            1,
            "moonrise",
        ),
        (
            "/entries/0/schedule",
            json!({"type": "rrule", "rrule": "FREQ=NEVER", "dtstart": "2026-01-01T00:00:00",
            "timezone": "UTC"}),
            1,
            "not a valid frequency",
        ),
        (
            "/entries/0/schedule",
            json!({"type": "rrule", "rrule": "FREQ=DAILY", "dtstart": "\"", "timezone": "UTC"}),
            1,
            "no datetime",
        ),
        (
            "/entries/0/schedule/timezone",
            json!("../../etc/passwd"),
            1,
            "zone",
        ),
        (
            "/entries/0/options",
            json!({"expires": "soon"}),
            1,
            "expires",
        ),
        (
            "/entries/0/options",
            json!({"priority": -1, "queue": ""}),
            1,
            "priority",
        ),
        (
            "/entries/0/options",
            json!({"link": [{"task": "a"}]}),
            1,
            "form of Celery",
        ),
        (
            "/entries/0/options",
            json!({"headers": {"x": null}}),
            1,
            "None",
        ),
        (
            "/entries/0/args",
            json!([null, {"__type__": "float", "__value__": "nan"}]),
            1,
            "beside NaN",
        ),
        (
            "/settings/timezone",
            json!("Mars/Olympus"),
            1,
            "Mars/Olympus",
        ),
        ("/settings/task_protocol", json!(3), 1, "task_protocol"),
        ("/broker/scheme", json!("sqs"), 1, "sqs"),
        ("/task_routes", json!([{"a": {"queu": "b"}}]), 1, "queu"),
        (
            "/task_queues",
            json!({"": {"exchange": {"name": "", "type": "direct"}}}),
            1,
            "task_queues",
        ),
        ("/exported_at", json!("yesterday"), 2, "no instant"),
        (
            "/app",
            json!("x\n[beat_schedule.evil]\ntask = \"t\"\nschedule = 1"),
            0,
            "1 exact",
        ),
    ];
    for (place, value, expected, said) in cases {
        let mut export = export();
        *export.pointer_mut(place).unwrap() = value.clone();
        let (code, out, err) = import(&export.to_string());
        assert_eq!(code, expected, "{place} {value}: {err}");
        assert!(err.contains(said), "{place} {value}: {err}");
        assert!(!out.contains("\n[beat_schedule.evil]"), "{out}");
        assert!(!err.contains('\u{1b}'), "{err:?}");
    }
}

/// Strings that would be filled in or end a string or a comment stay what they are.
#[test]
fn text_stays_text() {
    let odd = "{entry} {{x}} ''' \"\"\" \\ # \u{7f} ${HOME} é";
    let mut export = export();
    let entry = &mut export["entries"][0];
    entry["args"] = json!([odd, {"k": odd}]);
    entry["name"] = json!("it's \"quoted\" # [x]");
    entry["description"] = json!("two\nlines");
    entry["options"] = json!({"headers": {"x": odd}, "shadow": odd});
    let (code, out, err) = import(&export.to_string());
    assert_eq!(code, 0, "{err}");
    let read: toml::Table = out.parse().unwrap();
    let entry = &read["beat_schedule"]["it's \"quoted\" # [x]"];
    let filled = odd.replace('{', "{{").replace('}', "}}");
    assert_eq!(entry["args"][0].as_str(), Some(filled.as_str()));
    assert_eq!(entry["args"][1]["k"].as_str(), Some(filled.as_str()));
    assert_eq!(
        entry["options"]["headers"]["x"].as_str(),
        Some(filled.as_str())
    );
    assert_eq!(entry["options"]["shadow"].as_str(), Some(odd));
}

/// Each kind of broker has a file that is accepted without any variable.
#[test]
fn every_broker_has_its_settings() {
    for (scheme, options) in [
        (
            "redis",
            json!({"global_keyprefix": "p", "visibility_timeout": 3}),
        ),
        ("rediss", json!({})),
        ("sentinel", json!({"master_name": "mymaster"})),
        ("amqp", json!({})),
        ("amqps", json!({})),
        ("pyamqp", json!({})),
        (
            "filesystem",
            json!({"data_folder_in": "/srv/in", "data_folder_out": "/srv/out"}),
        ),
    ] {
        let mut export = export();
        export["broker"]["scheme"] = json!(scheme);
        export["settings"]["broker_transport_options"] = options;
        export["settings"]["sentinel_credentials"] = json!(["password"]);
        export["settings"]["broker_use_ssl"] =
            json!({"ssl_cert_reqs": 0, "ssl_ca_certs": "/etc/ca.pem"});
        let (code, out, err) = import(&export.to_string());
        assert_eq!(code, 0, "{scheme}: {err}");
        assert!(
            err.contains("does not verify the broker's certificate"),
            "{err}"
        );
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &out).unwrap();
        let checked = run(&["check", "--schedule", file.path().to_str().unwrap()]);
        assert_eq!(checked.code, Some(0), "{scheme}: {}\n{out}", checked.stderr);
    }
}

/// Names that occur twice, and one that is refused: the others stay.
#[test]
fn the_same_name_twice() {
    let mut export = export();
    export["entries"] = json!([
        entry("a", 10.0),
        entry("a", 20.0),
        entry("b", 1e-9),
        entry("c", 30.0)
    ]);
    export["entries"][0]["options"] = json!({"expires": "soon"});
    let (code, out, err) = import(&export.to_string());
    assert_eq!(code, 1, "{err}");
    assert!(err.contains("another entry has the same name"), "{err}");
    assert!(
        out.ends_with("[beat_schedule.c]\ntask = \"proj.task\"\nschedule = \"30s\"\n"),
        "{out}"
    );
}
