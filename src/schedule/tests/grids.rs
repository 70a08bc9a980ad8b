use super::super::{Dst, Schedule, Zone};
use super::*;

#[test]
fn intervals_count_from_the_anchor() {
    let ten = Schedule::Every(every(10_000_000));
    let anchor = at("2026-01-01T00:00:03Z");
    let next = |s: &Schedule, after: &str| s.next_after(anchor, at(after)).unwrap().to_string();
    assert_eq!(next(&ten, "2026-01-01T00:00:03Z"), "2026-01-01T00:00:13Z");
    assert_eq!(
        next(&ten, "2026-01-01T00:00:12.999999Z"),
        "2026-01-01T00:00:13Z"
    );
    assert_eq!(next(&ten, "2026-01-01T00:00:13Z"), "2026-01-01T00:00:23Z");
    // Before the anchor there is nothing; k = 0 only where asked for.
    assert_eq!(next(&ten, "2020-01-01T00:00:00Z"), "2026-01-01T00:00:13Z");
    let from = ten.including_anchor();
    assert_eq!(next(&from, "2020-01-01T00:00:00Z"), "2026-01-01T00:00:03Z");
    assert_eq!(next(&from, "2026-01-01T00:00:03Z"), "2026-01-01T00:00:13Z");
    assert_eq!(from.next_after(anchor, at("2101-06-01T00:00:00Z")), None);
}

#[test]
fn intervals_keep_to_their_limits() {
    assert!(Every::new(999).is_err() && Every::new(1_000).is_ok());
    assert!(
        Every::new(3_155_760_000_000_000).is_ok() && Every::new(3_155_760_000_000_001).is_err()
    );
    assert!(every(86_400_000_001).aligned(Zone::utc()).is_err());
    assert!(every(999_999).relative(Zone::utc()).is_err());
}

#[test]
fn aligned_grids_begin_at_each_local_midnight() {
    let aligned = |minutes: i64, name: &str| {
        Schedule::Every(every(minutes * 60_000_000).aligned(zone(name)).unwrap())
    };
    let seven = aligned(420, "Asia/Kathmandu");
    assert_eq!(
        fires(&seven, "2026-01-01T13:00:00Z", 4),
        "2026-01-01T15:15:00Z 2026-01-01T18:15:00Z 2026-01-02T01:15:00Z 2026-01-02T08:15:00Z"
    );
    // 23 and 25 hours: elapsed time from midnight.
    let six = aligned(360, "Europe/Berlin");
    assert_eq!(
        fires(&six, "2026-03-28T22:00:00Z", 5),
        "2026-03-28T23:00:00Z 2026-03-29T05:00:00Z 2026-03-29T11:00:00Z 2026-03-29T17:00:00Z 2026-03-29T22:00:00Z"
    );
    let day = aligned(1_440, "Europe/Berlin");
    assert_eq!(
        fires(&day, "2026-10-24T00:00:00Z", 3),
        "2026-10-24T22:00:00Z 2026-10-25T23:00:00Z 2026-10-26T23:00:00Z"
    );
    // No midnight on 2026-04-24 in Cairo; no 2011-12-30 in Apia.
    assert_eq!(
        fires(&aligned(1_440, "Africa/Cairo"), "2026-04-23T12:00:00Z", 2),
        "2026-04-23T22:00:00Z 2026-04-24T21:00:00Z"
    );
    assert_eq!(
        fires(&aligned(1_440, "Pacific/Apia"), "2011-12-29T12:00:00Z", 2),
        "2011-12-30T10:00:00Z 2011-12-31T10:00:00Z"
    );
}

#[test]
fn relative_leaps_and_steps_agree() {
    let ninety = Schedule::Every(every(90_000_000).relative(zone("Europe/Berlin")).unwrap());
    let anchor = at("2020-05-05T05:05:05.5Z");
    let far = at("2037-11-01T12:34:56Z");
    assert_eq!(
        ninety.next_after(anchor, far),
        Some(at("2037-11-01T12:35:00Z"))
    );
}

#[test]
fn one_offs_fire_once_and_not_when_past_at_the_anchor() {
    let two = once(
        &[
            "2026-06-01T12:00:00Z",
            "2026-03-29T02:30:00",
            "2026-06-01T14:00:00+02:00",
        ],
        "Europe/Berlin",
    );
    assert_eq!(
        fires(&two, "2026-01-01T00:00:00Z", 9),
        "2026-03-29T01:00:00Z 2026-06-01T12:00:00Z"
    );
    let next = |s: &Schedule, anchor: &str, after: &str| s.next_after(at(anchor), at(after));
    assert_eq!(
        next(&two, "2026-06-01T12:00:00Z", "2020-01-01T00:00:00Z"),
        None
    );
    let started = two.including_anchor();
    assert!(next(&started, "2026-06-01T12:00:00Z", "2020-01-01T00:00:00Z").is_some());
    // The first pass of a repeated time.
    let fold = once(&["2026-10-25T02:30:00"], "Europe/Berlin");
    assert_eq!(
        fires(&fold, "2026-01-01T00:00:00Z", 9),
        "2026-10-25T00:30:00Z"
    );
}

#[test]
fn unions_fire_once_per_instant() {
    let union = Schedule::any_of(vec![
        crontab("0 * * * *", "UTC"),
        crontab("*/30 * * * *", "UTC"),
        once(&["2026-01-01T00:10:00Z"], "UTC"),
    ]);
    assert_eq!(
        fires(&union.unwrap(), "2026-01-01T00:00:00Z", 4),
        "2026-01-01T00:10:00Z 2026-01-01T00:30:00Z 2026-01-01T01:00:00Z 2026-01-01T01:30:00Z"
    );
    assert!(Schedule::any_of(Vec::new()).is_err());
}

#[test]
fn rules_shift_over_gaps_and_fire_in_the_first_pass() {
    let daily = rrule("FREQ=DAILY", "2026-03-28T02:30:00", "Europe/Berlin");
    assert_eq!(
        fires(&daily, "2026-03-01T00:00:00Z", 3),
        "2026-03-28T01:30:00Z 2026-03-29T01:30:00Z 2026-03-30T00:30:00Z"
    );
    assert_eq!(
        fires(&daily, "2026-10-24T12:00:00Z", 2),
        "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"
    );
    // Shifted ones and those that exist fall together: one fire per instant, increasing.
    let often = rrule(
        "FREQ=MINUTELY;INTERVAL=20",
        "2026-03-29T00:00:00",
        "Europe/Berlin",
    );
    assert_eq!(
        fires(&often, "2026-03-29T00:30:00Z", 5),
        "2026-03-29T00:40:00Z 2026-03-29T01:00:00Z 2026-03-29T01:20:00Z 2026-03-29T01:40:00Z 2026-03-29T02:00:00Z"
    );
}

#[test]
fn rules_end() {
    let three = rrule("FREQ=DAILY;COUNT=3", "2026-01-01T09:00:00", "Asia/Seoul");
    assert_eq!(
        fires(&three, "2026-01-01T05:00:00Z", 9),
        "2026-01-02T00:00:00Z 2026-01-03T00:00:00Z"
    );
    for until in ["20260102T090000", "20260102T000000Z", "20260103"] {
        let rule = rrule(
            &format!("FREQ=DAILY;UNTIL={until}"),
            "2026-01-01T09:00:00",
            "Asia/Seoul",
        );
        assert_eq!(
            fires(&rule, "2025-01-01T05:00:00Z", 9),
            "2026-01-01T00:00:00Z 2026-01-02T00:00:00Z"
        );
    }
    let yearly = rrule("FREQ=YEARLY", "2098-01-01T09:00:00", "UTC");
    assert_eq!(
        fires(&yearly, "2099-02-01T00:00:00Z", 9),
        "2100-01-01T09:00:00Z"
    );
}

#[test]
fn crontabs_end_with_2100() {
    assert_eq!(
        fires(&crontab("0 0 31 12 *", "UTC"), "2099-12-31T00:00:00Z", 9),
        "2100-12-31T00:00:00Z"
    );
    assert_eq!(
        fires(&crontab("59 23 * * *", "UTC"), "2100-12-31T00:00:00Z", 9),
        "2100-12-31T23:59:00Z"
    );
    assert_eq!(
        fires(&crontab("0 0 29 2 *", "UTC"), "2096-03-01T00:00:00Z", 9),
        ""
    );
}

#[test]
fn dst_can_be_overridden() {
    let with = |dst| {
        Schedule::Crontab(Crontab::parse("30 2 * * *", zone("Europe/Berlin"), Some(dst)).unwrap())
    };
    assert_eq!(
        fires(&with(Dst::Once), "2026-03-28T12:00:00Z", 1),
        "2026-03-29T01:00:00Z"
    );
    assert_eq!(
        fires(&with(Dst::Elapsed), "2026-03-28T12:00:00Z", 1),
        "2026-03-30T00:30:00Z"
    );
    assert_eq!(
        fires(&with(Dst::Elapsed), "2026-10-24T12:00:00Z", 2),
        "2026-10-25T00:30:00Z 2026-10-25T01:30:00Z"
    );
}
