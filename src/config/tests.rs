//! The loader as a library: digests, reloads, sections.

use super::diagnose::Collector;
use super::document::sections;
use super::*;

fn loaded(text: &str) -> Loaded {
    let identity = Identity {
        pid: 1,
        hostname: "h".to_owned(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("s.toml", text);
    let result = load(
        &sources,
        &Env::default(),
        &identity,
        Timestamp::EPOCH,
        Purpose::Run,
    );
    result.unwrap_or_else(|report| panic!("{}", report.draw(false)))
}

const BASE: &str = r#"
broker_url = "redis://:a@localhost/0"
[beat_schedule.job]
task = "t"
schedule = "1h"
args = [1]
"#;

#[test]
fn the_digest_is_of_the_entries() {
    let base = loaded(BASE);
    let same = [
        BASE.replace("redis://:a@localhost/0", "redis://:b@elsewhere/0"),
        BASE.replace("[beat", "http_listen = \"127.0.0.1:9400\"\n[beat"),
        BASE.replace("\"1h\"", "3600.0")
            .replace("args = [1]", "  args = [ 1 ] # same"),
    ];
    for text in same {
        assert_eq!(
            loaded(&text).timetable.digest,
            base.timetable.digest,
            "{text}"
        );
    }
    let other = [
        BASE.replace("[1]", "[2]"),
        BASE.replace("\"t\"", "\"u\""),
        BASE.replace("\"1h\"", "\"2h\""),
        BASE.replace("[beat", "timezone = \"Asia/Seoul\"\n[beat"),
        BASE.replace("[beat", "task_routes = { t = { priority = 3 } }\n[beat"),
        BASE.replace("[beat", "task_default_queue = \"q\"\n[beat"),
        format!("{BASE}misfire = \"all\"\n"),
        format!("{BASE}enabled = false\n"),
    ];
    for text in other {
        assert_ne!(
            loaded(&text).timetable.digest,
            base.timetable.digest,
            "{text}"
        );
    }
}

#[test]
fn only_timing_keys_change_the_timing() {
    let timing = |text: &str| loaded(text).timetable.entries["job"].timing;
    let base = timing(BASE);
    for line in [
        "jitter = \"5s\"",
        "misfire = \"all\"",
        "kwargs = { a = 1 }",
        "max_runs = 3",
        "enabled = false",
    ] {
        assert_eq!(timing(&format!("{BASE}{line}\n")), base, "{line}");
    }
    for line in ["relative = true", "start_at = 2026-01-01T00:00:00Z"] {
        assert_ne!(timing(&format!("{BASE}{line}\n")).grid, base.grid, "{line}");
    }
    for line in [
        "end_at = 2026-01-01T00:00:00Z",
        "exclude = [\"2026-01-01\"]",
        // An interval has no zone.
        "timezone = \"Asia/Seoul\"",
    ] {
        let timing = timing(&format!("{BASE}{line}\n"));
        assert_eq!(timing.grid, base.grid, "{line}");
        assert_ne!(timing.window, base.window, "{line}");
    }
}

#[test]
fn a_reload_refuses_to_move_the_store() {
    let base = loaded(BASE).settings;
    for (from, to, refused) in [
        ("redis://:a@localhost/0", "redis://:b@localhost/0", vec![]),
        (
            "redis://:a@localhost/0",
            "redis://:a@localhost/1",
            vec!["state_url"],
        ),
        ("[beat", "name = \"x\"\n[beat", vec!["name"]),
        (
            "[beat",
            "state_key_prefix = \"x:\"\n[beat",
            vec!["state_key_prefix"],
        ),
        (
            "[beat",
            "http_listen = \"127.0.0.1:1\"\n[beat",
            vec!["http_listen"],
        ),
        ("[beat", "lease_ttl = 5\n[beat", vec![]),
    ] {
        assert_eq!(
            base.refuses_reload_to(&loaded(&BASE.replace(from, to)).settings),
            refused,
            "{to}"
        );
    }
}

#[test]
fn a_file_is_cut_at_its_entries_when_they_stand_apart() {
    let cut = |text: &str| {
        let mut out = Collector::default();
        let cut = sections(text, 0, &mut out);
        assert!(!out.has_errors());
        cut.iter()
            .map(|s| (text[s.range.clone()].trim().to_owned(), s.is_entry))
            .collect::<Vec<_>>()
    };
    let apart = "a = 1\n[beat_schedule.x]\ns = \"[beat_schedule.no]\"\n[beat_schedule.x.options]\nq = [\n[1]\n]\n[task_routes]\n[beat_schedule.\"y\"]";
    let parts = cut(apart);
    assert_eq!(parts.len(), 4, "{parts:?}");
    assert_eq!(parts[1], ("[beat_schedule.x]\ns = \"[beat_schedule.no]\"\n[beat_schedule.x.options]\nq = [\n[1]\n]".to_owned(), true));
    for whole in [
        "[beat_schedule.x]\n[beat_schedule.y]\n[beat_schedule.x.options]\n",
        "[beat_schedule]\nx = {}\n[beat_schedule.y]\n",
        "[\"beat_schedule\".x]\n[beat_schedule.y]\n",
        "beat_schedule.x.task = 1\n[beat_schedule.y]\n",
        "[beat_schedule.\"x\"]\n[beat_schedule.y]\n[beat_schedule.x]\n",
    ] {
        assert_eq!(cut(whole).len(), 1, "{whole}");
    }
}

#[test]
fn entries_mean_the_same_in_every_spelling_of_toml() {
    let forms = [
        BASE.to_owned(),
        "broker_url = \"redis://localhost\"\n[beat_schedule]\njob = { task = \"t\", schedule = \"1h\", args = [1] }\n".to_owned(),
        "broker_url = \"redis://localhost\"\nbeat_schedule.job.task = \"t\"\nbeat_schedule.job.schedule = \"1h\"\nbeat_schedule.job.args = [1]\n".to_owned(),
        BASE.replace("beat_schedule.job", " beat_schedule . \"job\" "),
    ];
    let digests: Vec<_> = forms
        .iter()
        .map(|text| loaded(text).timetable.digest)
        .collect();
    assert!(
        digests.windows(2).all(|pair| pair[0] == pair[1]),
        "{digests:?}"
    );
}
