//! Celery's own fires against ours: every difference has its reason, or is said to have none.

use serde_json::{Value, json};

use crate::hostile::{entry, export};
use crate::support::command::run;

fn crontab(minute: &Value, hours: &[i64]) -> Value {
    let all = |from: i64, to: i64| (from..to).collect::<Vec<_>>();
    let hour = if hours.len() == 24 {
        json!("*")
    } else {
        json!(hours)
    };
    let minutes = match minute.as_i64() {
        Some(minute) => vec![minute],
        None => (0..60).step_by(15).collect(),
    };
    json!({"type": "crontab", "timezone": null,
        "fields": {"minute": minute, "hour": hour, "day_of_month": "*", "month_of_year": "*", "day_of_week": "*"},
        "sets": {"minute": minutes, "hour": hours, "day_of_month": all(1, 32), "month_of_year": all(1, 13),
            "day_of_week": all(0, 7)}})
}

/// `import --verify` of one entry with these fires, from `after` on: exit code and report.
fn verify(
    schedule: Value,
    after: &str,
    times: &[&str],
    change: impl FnOnce(&mut Value),
) -> (Option<i32>, String) {
    let mut export = export();
    export["settings"]["timezone"] = json!("Europe/Berlin");
    export["exported_at"] = json!(after);
    let mut entry = entry("one", 3600.0);
    entry["schedule"] = schedule;
    entry["fires"] =
        json!({"after": after, "base": after, "times": times, "overdue": false, "error": null});
    change(&mut entry);
    export["entries"] = json!([entry]);
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), export.to_string()).unwrap();
    let done = run(&["import", file.path().to_str().unwrap(), "--verify"]);
    (done.code, done.stderr)
}

#[test]
fn differences_have_reasons() {
    let all: Vec<i64> = (0..24).collect();
    let interval = |relative: bool| json!({"type": "interval", "micros": 3_600_000_000_i64, "relative": relative});
    let nothing = |_: &mut Value| {};
    // Spring: 02:30 does not exist; Celery fires at 03:30 summer time, we at 03:00.
    let (code, report) = verify(
        crontab(&json!(30), &[2]),
        "2027-03-27T12:00:00Z",
        &["2027-03-28T01:30:00Z", "2027-03-29T00:30:00Z"],
        nothing,
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("one: daylight saving:"), "{report}");
    assert!(
        report.contains("only Celery: 2027-03-28T03:30:00+02:00"),
        "{report}"
    );
    assert!(
        report.contains("only beat: 2027-03-28T03:00:00+02:00"),
        "{report}"
    );
    assert!(report.ends_with(
        "1 entry differs only by daylight saving: if that is right for you, stop Celery's beat, write the last runs, start beat.\n"
    ), "{report}");
    // Autumn: Celery is silent for the repeated hour.
    let quarters = ["2027-10-31T00:45:00Z", "2027-10-31T02:00:00Z"];
    let (code, report) = verify(
        crontab(&json!("*/15"), &all),
        "2027-10-31T00:30:00Z",
        &quarters,
        nothing,
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.contains("only beat: 2027-10-31T02:00:00+01:00"),
        "{report}"
    );
    // The same times.
    let hours = ["2026-11-20T13:00:00Z", "2026-11-20T14:00:00Z"];
    let (code, report) = verify(interval(false), "2026-11-20T12:00:00Z", &hours, nothing);
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.ends_with(
            "1 entry will fire as with Celery's beat: stop it, write the last runs, start beat.\n"
        ),
        "{report}"
    );
    // An interval whose last run is overdue.
    let (code, report) = verify(
        interval(false),
        "2026-11-20T12:00:00Z",
        &["2026-11-20T12:00:00Z", "2026-11-20T13:00:00Z"],
        |entry| {
            entry["fires"]["base"] = json!("2026-11-20T10:30:00Z");
            entry["fires"]["overdue"] = json!(true);
        },
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(report.contains("its last run is overdue"), "{report}");
    assert!(
        report.contains("only beat: 2026-11-20T13:30:00+01:00"),
        "{report}"
    );
    // Another rounding than that of Celery 5.7.
    let (code, report) = verify(
        interval(true),
        "2026-11-20T12:10:00Z",
        &["2026-11-20T13:10:00Z"],
        nothing,
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.contains("relative: rounded as Celery 5.7 does"),
        "{report}"
    );
    // Older Celery, half a year later: with the offset of its last run.
    let (code, report) = verify(
        crontab(&json!(0), &[3]),
        "2027-03-20T12:00:00Z",
        &["2027-03-21T02:00:00Z", "2027-03-22T02:00:00Z"],
        |entry| {
            entry["schedule"]["fields"]["day_of_month"] = json!(1);
            entry["schedule"]["sets"]["day_of_month"] = json!([1]);
            entry["fires"]["times"] = json!(["2027-04-01T02:00:00Z", "2027-05-01T01:00:00Z"]);
        },
    );
    assert_eq!(code, Some(0), "{report}");
    assert!(
        report.contains("Celery before 5.7 is off by that hour"),
        "{report}"
    );
    // No reason known.
    let (code, report) = verify(
        crontab(&json!(0), &[3]),
        "2026-11-20T12:00:00Z",
        &["2026-11-21T04:00:00Z"],
        nothing,
    );
    assert_eq!(code, Some(1), "{report}");
    assert!(report.contains("one: not explained"), "{report}");
    assert!(
        report
            .lines()
            .last()
            .unwrap()
            .starts_with("Do not cut over yet: 1 entry differs"),
        "{report}"
    );
}
