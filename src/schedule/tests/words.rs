use super::super::{DstNoteKind, Solar, SolarEvent};
use super::*;

#[test]
fn descriptions() {
    let seoul = "Asia/Seoul";
    let cases = [
        (
            crontab("30 7 * * mon", seoul),
            "at 07:30 on Monday, Asia/Seoul",
        ),
        (
            crontab("*/15 9-17 * * mon-fri", seoul),
            "every 15 min in hours 9 to 17 on Monday to Friday, Asia/Seoul",
        ),
        (crontab("* * * * *", "UTC"), "every minute, UTC"),
        (
            crontab("5 * * * *", "UTC"),
            "at minute 5 of every hour, UTC",
        ),
        (
            crontab("0 9,18 1,15 jan *", "UTC"),
            "at 09:00 and 18:00 on days 1 and 15 of the month in January, UTC",
        ),
        (crontab("*/10 * * * * *", "UTC"), "every 10 s, UTC"),
        (crontab("5 0 0 * * *", "UTC"), "at 00:00:05, UTC"),
        (Schedule::Every(every(5_400_000_000)), "every 1 h 30 min"),
        (Schedule::Every(every(1_500)), "every 1 ms 500 µs"),
        (
            once(&["2026-12-24T18:00:00"], seoul),
            "once at 2026-12-24 18:00:00, Asia/Seoul",
        ),
        (
            rrule("freq=weekly", "2026-01-01T09:00:00", "UTC"),
            "by FREQ=WEEKLY from 2026-01-01T09:00:00, UTC",
        ),
        (
            Schedule::Solar(Solar::new(SolarEvent::SolarNoon, 37.57, 126.98).unwrap()),
            "solar noon at 37.57, 126.98",
        ),
    ];
    for (schedule, words) in cases {
        assert_eq!(schedule.describe(), words);
    }
}

#[test]
fn canonical_text_follows_the_grid_not_the_spelling() {
    let same = |a: &Schedule, b: &Schedule| a.canonical() == b.canonical();
    assert!(same(
        &crontab("*/30 * * * *", "UTC"),
        &crontab("30,0 0-23 * * 0-7", "UTC")
    ));
    assert!(!same(
        &crontab("0 9 * * *", "UTC"),
        &crontab("0 9 * * *", "Asia/Seoul")
    ));
    let (a, b) = (crontab("0 9 * * *", "UTC"), Schedule::Every(every(1_000)));
    let union = |parts: &[&Schedule]| {
        Schedule::any_of(parts.iter().map(|s| (*s).clone()).collect()).unwrap()
    };
    assert!(same(&union(&[&a, &b]), &union(&[&b, &a, &a])));
    assert!(!same(&b, &b.clone().including_anchor()));
    assert_eq!(a.canonical(), "crontab 0 0 9 * * * once UTC");
}

#[test]
fn notes_say_what_dst_did() {
    let berlin = "Europe/Berlin";
    let spring = "2026-03-29T01:00:00Z";
    let cases = [
        (
            crontab("30 2 * * *", berlin),
            spring,
            DstNoteKind::Moved,
            "moved: 02:30 does not exist this day",
        ),
        (
            crontab("15,45 2 * * *", berlin),
            spring,
            DstNoteKind::Merged,
            "merged: stands for 02:15 and 02:45",
        ),
        (
            crontab("0 2-3 * * *", berlin),
            spring,
            DstNoteKind::Merged,
            "merged: stands for 02:00 and 03:00",
        ),
        (
            crontab("*/5 2 * * *", berlin),
            spring,
            DstNoteKind::Merged,
            "merged: stands for 12 slots from 02:00 to 02:55",
        ),
        (
            crontab("30 * * * *", berlin),
            "2026-10-25T01:30:00Z",
            DstNoteKind::Doubled,
            "doubled: 02:30 is shown twice this day, this is the second pass",
        ),
        (
            once(&["2026-03-29T02:30:00"], berlin),
            spring,
            DstNoteKind::Moved,
            "moved: 02:30 does not exist this day",
        ),
        (
            rrule("FREQ=DAILY", "2026-03-01T02:30:00", berlin),
            "2026-03-29T01:30:00Z",
            DstNoteKind::Moved,
            "moved: 02:30 does not exist this day",
        ),
    ];
    for (schedule, fire, kind, words) in cases {
        let note = schedule
            .note(at(fire))
            .unwrap_or_else(|| panic!("{schedule:?}: no note"));
        assert_eq!((note.kind, note.to_string()), (kind, words.to_owned()));
        let union = Schedule::any_of(vec![crontab("0 12 * * *", "UTC"), schedule]).unwrap();
        assert_eq!(union.note(at(fire)), Some(note));
    }
    for (schedule, fire) in [
        (crontab("0 3 * * *", berlin), spring),
        (crontab("* * * * *", berlin), spring),
        (crontab("30 * * * *", berlin), "2026-10-25T00:30:00Z"),
        (crontab("30 2 * * *", berlin), "2026-10-25T00:30:00Z"),
        (crontab("30 2 * * *", "Asia/Seoul"), "2026-03-28T17:30:00Z"),
    ] {
        assert_eq!(schedule.note(at(fire)), None, "{schedule:?}");
    }
}
