use std::path::PathBuf;

use super::source::{choose, is_name, spans_from};
use super::tables::from_tzif;
use super::*;

/// A few zones of 2026f.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/zoneinfo");

fn local(text: &str) -> NaiveDateTime {
    text.parse().unwrap()
}

fn micros(text: &str) -> Timestamp {
    Timestamp::from_datetime(text.parse().unwrap())
}

fn built_in() -> ZoneSource {
    choose(std::iter::empty())
}

#[test]
fn names_are_never_paths() {
    for name in [
        "Europe/Berlin",
        "UTC",
        "Etc/GMT+5",
        "America/Argentina/ComodRivadavia",
        "GMT-0",
        "EST5EDT",
    ] {
        assert!(is_name(name), "{name}");
    }
    for name in [
        "",
        "/etc/passwd",
        "../etc/passwd",
        "Europe/../Europe/Berlin",
        "Europe//Berlin",
        "Europe/Berlin/",
        "./UTC",
        "localtime",
        "posixrules",
        "right/UTC",
        "posix/UTC",
        "Factory",
        "tzdata.zi",
        "Europe\\Berlin",
        "UTC\0",
        "UTC ",
        "Europe/Berlin\n",
        "-UTC",
        "Zürich",
    ] {
        assert!(!is_name(name), "{name}");
        assert!(Zone::load(name).is_err(), "{name}");
    }
    assert!(!is_name(&"a".repeat(65)));
}

#[test]
fn unknown_names_come_with_near_ones() {
    let help = |name: &str| Zone::load(name).unwrap_err().help();
    assert_eq!(help("europe/berlin"), "did you mean \"Europe/Berlin\"?");
    assert!(help("Asia/Soul").contains("\"Asia/Seoul\""));
    assert!(help("Berlin").contains("\"Europe/Berlin\""));
    assert!(help("America/New York").contains("\"America/New_York\""));
    assert!(help("Mars/Olympus_Mons").contains("IANA name"));
    assert!(
        Zone::load("../etc/passwd")
            .unwrap_err()
            .to_string()
            .contains("not an IANA time zone")
    );
}

#[test]
fn both_sources_agree_where_rules_have_not_changed() {
    let host = spans_from(
        &choose([PathBuf::from(DATA)].into_iter()),
        "America/New_York",
    )
    .unwrap();
    let compiled = spans_from(&built_in(), "America/New_York").unwrap();
    let from_2000 = |spans: &[Span]| -> Vec<(i64, i32)> {
        let late = spans.iter().filter(|s| s.start > 946_684_800);
        late.map(|s| (s.start, s.offset))
            .take_while(|(at, _)| *at < 4_070_908_800)
            .collect()
    };
    assert!(from_2000(&compiled).len() > 190);
    assert_eq!(from_2000(&host), from_2000(&compiled));
}

#[test]
fn a_damaged_zone_falls_back_and_never_panics() {
    let directory = tempfile::tempdir().unwrap();
    let good = std::fs::read(format!("{DATA}/Europe/Berlin")).unwrap();
    std::fs::write(
        directory.path().join("UTC"),
        std::fs::read(format!("{DATA}/UTC")).unwrap(),
    )
    .unwrap();
    std::fs::write(directory.path().join("tzdata.zi"), "# version 2031z\n").unwrap();
    std::fs::create_dir(directory.path().join("Europe")).unwrap();
    let source = choose([PathBuf::from("/nonexistent"), directory.path().to_owned()].into_iter());
    assert_eq!(source.version, "2031z");
    assert_eq!(source.directory.as_deref(), Some(directory.path()));
    let berlin = directory.path().join("Europe/Berlin");
    let fallback = spans_from(&built_in(), "Europe/Berlin").unwrap();
    for bytes in [
        Vec::new(),
        b"TZif".to_vec(),
        good[..40].to_vec(),
        vec![0xff; 300_000],
    ] {
        std::fs::write(&berlin, bytes).unwrap();
        assert_eq!(spans_from(&source, "Europe/Berlin").unwrap(), fallback);
    }
    std::fs::write(&berlin, &good).unwrap();
    assert_ne!(spans_from(&source, "Europe/Berlin").unwrap().len(), 0);
    // A directory where a zone is looked for.
    assert!(spans_from(&source, "Europe").is_err());
    for index in (0..good.len()).step_by(3) {
        for flip in [0xff, 0x01] {
            let mut bytes = good.clone();
            bytes[index] ^= flip;
            from_tzif("Europe/Berlin", &bytes);
        }
    }
}

#[test]
fn local_times_resolve_to_gap_and_fold() {
    let berlin = Zone::load("Europe/Berlin").unwrap();
    assert_eq!(
        berlin.resolve(local("2026-03-29T02:30:00")),
        LocalTime::Gap {
            end: micros("2026-03-29T01:00:00Z"),
            shifted: micros("2026-03-29T01:30:00Z"),
        }
    );
    assert_eq!(
        berlin.resolve(local("2026-10-25T02:30:00")),
        LocalTime::Fold {
            first: micros("2026-10-25T00:30:00Z"),
            second: micros("2026-10-25T01:30:00Z"),
        }
    );
    for (name, text, instant) in [
        (
            "Europe/Berlin",
            "2026-10-25T03:00:00",
            "2026-10-25T02:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2026-03-29T03:00:00",
            "2026-03-29T01:00:00Z",
        ),
        (
            "Europe/Berlin",
            "2099-07-01T12:00:00.5",
            "2099-07-01T10:00:00.5Z",
        ),
        (
            "Asia/Kathmandu",
            "2026-01-01T00:00:00",
            "2025-12-31T18:15:00Z",
        ),
    ] {
        let zone = Zone::load(name).unwrap();
        assert_eq!(
            zone.resolve(local(text)),
            LocalTime::Single(micros(instant)),
            "{text}"
        );
        assert_eq!(zone.local(micros(instant)), local(text));
    }
    // A day that was left out.
    let apia = Zone::load("Pacific/Apia").unwrap();
    let gap = apia.resolve(local("2011-12-30T12:00:00"));
    assert_eq!(gap.once(), micros("2011-12-30T10:00:00Z"));
}

#[test]
fn utc_needs_no_data() {
    let utc = Zone::utc();
    assert_eq!(utc.name(), "UTC");
    assert_eq!(utc.offset_at(Timestamp::MAX).local_minus_utc(), 0);
    assert_eq!(utc.transitions(Timestamp::EPOCH, Timestamp::MAX).count(), 0);
    assert_eq!(utc, Zone::load("UTC").unwrap());
}
