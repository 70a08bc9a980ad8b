use chrono::NaiveDate;

use super::super::{Solar, SolarEvent};
use super::*;

fn refused(text: &str) -> String {
    let start = NaiveDate::from_ymd_opt(2026, 1, 1)
        .unwrap()
        .and_hms_opt(9, 0, 0)
        .unwrap();
    match Rrule::new(text, start, Zone::utc()) {
        Ok(rule) => panic!("{text} was accepted: {rule:?}"),
        Err(error) => error.message,
    }
}

#[test]
fn rules_that_never_occur_are_refused_quickly() {
    for text in [
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=MONTHLY;BYMONTH=4;BYMONTHDAY=31",
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=31",
        "FREQ=YEARLY;BYWEEKNO=10;BYMONTH=12",
        "FREQ=SECONDLY;INTERVAL=2;BYSECOND=1",
        "FREQ=MINUTELY;INTERVAL=60;BYMINUTE=30",
        "FREQ=HOURLY;INTERVAL=24;BYHOUR=3",
        "FREQ=DAILY;UNTIL=20200101T000000",
    ] {
        let message = refused(text);
        assert!(message.contains("never occurs"), "{text}: {message}");
    }
}

#[test]
fn wrong_rules_are_refused() {
    for text in [
        "",
        "FREQ",
        "FREQ=NEVER",
        "FREQ=DAILY;FREQ=DAILY",
        "INTERVAL=2",
        "FREQ=DAILY;INTERVAL=0",
        "FREQ=DAILY;INTERVAL=-1",
        "FREQ=DAILY;INTERVAL=99999",
        "FREQ=DAILY;COUNT=0",
        "FREQ=DAILY;COUNT=5;UNTIL=20270101",
        "FREQ=SECONDLY;COUNT=4000000000",
        "FREQ=DAILY;BYHOUR=24",
        "FREQ=DAILY;BYEASTER=1",
        "FREQ=DAILY;X=1",
        "FREQ=DAILY;UNTIL=tomorrow",
        "FREQ=DAILY\nDTSTART:20200101T000000Z",
        "FREQ=HOURLY;BYSETPOS=1;BYMINUTE=1,2",
        "FREQ=DAILY;BYMONTHDAY=0",
        "FREQ=MONTHLY;BYDAY=9999MO",
        "FREQ=YEARLY;BYWEEKNO=99",
    ] {
        refused(text);
    }
    refused(&format!("FREQ=DAILY;BYHOUR={}", "1,".repeat(5_000)));
}

#[test]
fn dense_and_rare_rules_stay_cheap() {
    let every_second = "FREQ=YEARLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23";
    let sixty: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let text = format!("{every_second};BYMINUTE={0};BYSECOND={0}", sixty.join(","));
    let dense = rrule(&text, "1970-01-01T00:00:00", "UTC");
    assert_eq!(
        fires(&dense, "2099-12-30T23:59:59Z", 1),
        "2099-12-31T00:00:00Z"
    );
    let old = rrule("FREQ=SECONDLY", "1970-01-01T00:00:00", "UTC");
    assert_eq!(
        fires(&old, "2099-12-30T23:59:59Z", 1),
        "2099-12-31T00:00:00Z"
    );
    let rare = rrule(
        "FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=29;BYHOUR=3;BYMINUTE=4;BYSECOND=5;BYDAY=SU",
        "2026-01-01T00:00:00",
        "UTC",
    );
    assert_eq!(
        fires(&rare, "2027-01-01T00:00:00Z", 1),
        "2032-02-29T03:04:05Z"
    );
}

#[test]
fn instants_at_the_ends_of_time_do_no_harm() {
    let schedules = [
        Schedule::Every(every(1_000)),
        Schedule::Every(
            every(7_200_000_000)
                .relative(zone("Europe/Berlin"))
                .unwrap(),
        ),
        Schedule::Every(every(7_200_000_000).aligned(zone("Europe/Berlin")).unwrap()),
        crontab("*/5 2 29 2 *", "Europe/Berlin"),
        crontab("* * * * * *", "Europe/Berlin"),
        Schedule::Solar(Solar::new(SolarEvent::Sunset, 89.99, -180.0).unwrap()),
        once(&["2026-01-01T00:00:00"], "Europe/Berlin"),
        rrule("FREQ=HOURLY", "2026-01-01T00:00:00", "Europe/Berlin"),
    ];
    for schedule in &schedules {
        for anchor in [
            i64::MIN,
            -62_135_596_800_000_000,
            0,
            4_134_067_200_000_000,
            i64::MAX,
        ] {
            for after in [
                i64::MIN,
                -62_135_596_800_000_000,
                0,
                4_102_444_800_000_000,
                Timestamp::MAX.as_micros(),
                i64::MAX,
            ] {
                let (anchor, after) = (
                    Timestamp::from_micros(anchor),
                    Timestamp::from_micros(after),
                );
                let next = schedule.next_after(anchor, after);
                assert!(next.is_none_or(|at| at > after), "{schedule:?}");
                let _ = schedule.note(after);
            }
        }
    }
}

#[test]
fn coordinates_must_be_on_earth() {
    for (lat, lon) in [
        (90.1, 0.0),
        (0.0, -180.5),
        (f64::NAN, 0.0),
        (0.0, f64::INFINITY),
    ] {
        assert!(Solar::new(SolarEvent::Sunrise, lat, lon).is_err());
    }
    assert!(SolarEvent::parse("noon").is_err());
}

#[test]
fn one_offs_must_be_dates() {
    for text in [
        "",
        "not a date",
        "2026-13-01T00:00:00",
        "2026-01-01",
        "12:00:00",
        "+999999-01-01T00:00:00Z",
    ] {
        assert!(At::parse(text).is_err(), "{text}");
    }
    for text in [
        "1800-01-01T00:00:00Z",
        "2101-06-01T00:00:00",
        "9999-12-31T23:59:59Z",
    ] {
        assert!(
            Once::new([At::parse(text).unwrap()], Zone::utc()).is_err(),
            "{text}"
        );
    }
    assert!(Once::new([], Zone::utc()).is_err());
}
