//! A Celery project becomes a schedule file, and the messages stay what they were.
//!
//! Real projects (`tests/python/imported`), exported by the script that the binary prints: a plain application with
//! routes, queues, signals and task attributes, one on redbeat with its keys in a real Redis, one on Django with
//! django-celery-beat's rows. Celery's own beat publishes every entry once, `beat` publishes what was imported, and
//! both are compared byte for byte.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod support;

#[path = "parity/amqp_wire.rs"]
mod amqp_wire;
#[path = "import/hostile.rs"]
mod hostile;
#[path = "import/last_runs.rs"]
mod last_runs;
#[path = "import/messages.rs"]
mod messages;
#[path = "import/project.rs"]
mod project;
#[path = "import/rabbit.rs"]
mod rabbit;
#[path = "parity/sent.rs"]
mod sent;
#[path = "import/verify.rs"]
mod verify;

use messages::compare;
use project::Project;

/// What the report says about each entry, by the heading it stands under.
fn under<'a>(report: &'a str, heading: &str) -> Vec<&'a str> {
    let lines = report.lines().skip_while(|line| *line != heading).skip(1);
    let lines = lines.take_while(|line| line.starts_with("  "));
    lines
        .filter(|line| !line.starts_with("    "))
        .map(str::trim)
        .collect()
}

#[test]
fn a_plain_application() {
    let project = Project::new("plain", &[]);
    let imported = project.import();
    assert_eq!(
        under(&imported.report, "approximated:"),
        ["tuples", "zone", "nowfun", "own", "unknown option"]
    );
    assert_eq!(
        under(&imported.report, "refused:"),
        [
            "lazy (plain.add)",
            "odd (plain.add)",
            "odd nowfun (plain.add)",
            "too few (plain.add)",
            "set (plain.add)",
            "object (plain.add)",
            "pickle (plain.pickle)",
            "no schedule (plain.add)",
            "wrong key (plain.add)",
            "chain as task (celery.chain)",
        ]
    );
    for said in [
        "args[0] is a BeatLazyFunc",
        "its schedule is a plain.Odd",
        "each of the 60 minutes",
        "both must match",
        "add_periodic_task was called twice for 'plain.add(1, 2)'",
        "own has an apply_async of its own",
        "nowfun gives the time of Asia/Seoul",
    ] {
        assert!(
            imported.report.contains(said),
            "{said}\n{}",
            imported.report
        );
    }
    let last = imported.report.lines().last().unwrap();
    assert!(
        last.starts_with("1 entry differs only by nowfun:"),
        "{last}"
    );
    // Python's types and unknown properties are not in our messages; Celery's beat cannot send `own`, and sends two
    // that are refused.
    let expected = [
        "celery.chain",
        "plain.own",
        "plain.pickle",
        "plain.shown",
        "plain.unknown",
    ];
    compare(&project, &imported, &expected);
}

#[test]
fn redbeat() {
    let project = Project::new("redbeat_project", &[]);
    project.python(&["redbeat_project.py", &project::ago(600)]);
    let imported = project.import();
    assert_eq!(under(&imported.report, "approximated:"), [""; 0]);
    assert_eq!(under(&imported.report, "refused:"), ["broken (rb.broken)"]);
    for said in [
        "'app1vanished' is in redbeat's schedule and has no definition",
        "'gone' is in redbeat's statics and in the code no more",
        "redbeat would run them at once: hand",
        "celery.backend_cleanup, which Celery's beat adds by itself",
    ] {
        assert!(
            imported.report.contains(said),
            "{said}\n{}",
            imported.report
        );
    }
    let last = imported.report.lines().last().unwrap();
    assert!(
        last.starts_with("1 entry differs only by an overdue last run:"),
        "{last}"
    );
    compare(&project, &imported, &["rb.gone", "rb.new", "rb.off"]);
    last_runs::of_redbeat(&project, &imported);
}

fn django(settings: &[(&str, &str)], zone: &str) {
    let project = Project::new("djproj", settings);
    project.python(&["-m", "djproj.seed", &project::ago(60)]);
    let imported = project.import();
    assert_eq!(under(&imported.report, "approximated:"), [""; 0]);
    assert!(imported.report.contains("one_off, and it has run"));
    assert_eq!(
        under(&imported.report, "refused:"),
        ["broken kwargs (dj.known)", "broken (dj.known)"]
    );
    for said in [
        "schedule = { at = 2035-01-01T00:00:00Z }",
        "end_at = 2040-01-01T00:00:00Z",
        "start_at = 2036-01-01T00:00:00Z",
        "[beat_schedule.\"one off\"]\ntask = \"dj.known\"\nschedule = { minute = \"0\", hour = \"*/4\" }\nmax_runs = 1",
        "# [beat_schedule.\"celery.backend_cleanup\"]",
        "[beat_schedule.\"from code\"]",
        "description = \"not now\"\ntask = \"dj.known\"\nschedule = \"10m\"\nenabled = false",
        "options = { queue = \"celery\", expires = 25, time_limit = 10, ignore_result = true }",
    ] {
        assert!(imported.toml.contains(said), "{said}\n{}", imported.toml);
    }
    let seoul = "schedule = { minute = \"30\", hour = \"7\", day_of_week = \"mon-fri\" }\n";
    let seoul = format!("{seoul}{zone}");
    assert!(imported.toml.contains(&seoul), "{}", imported.toml);
    let last = imported.report.lines().last().unwrap();
    assert!(
        last.starts_with("1 entry differs only by an overdue last run:"),
        "{}",
        imported.report
    );
    // A row that became a comment.
    compare(&project, &imported, &["celery.backend_cleanup"]);
}

#[test]
fn django_celery_beat() {
    django(&[], "timezone = \"Asia/Seoul\"");
}

#[test]
fn django_celery_beat_without_time_zones() {
    // DJANGO_CELERY_BEAT_TZ_AWARE goes with it, and then the column is ignored.
    django(&[("USE_TZ", "0")], "options");
}
