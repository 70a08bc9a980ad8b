use super::super::field::{
    Bits, DAY_OF_MONTH, DAY_OF_WEEK, Field, HOUR, MINUTE, MONTH_OF_YEAR, members,
};
use super::super::{Crontab, FieldValue, Fields, Zone, parse_duration};

fn numbers(set: Bits) -> Vec<u32> {
    members(set).collect()
}

#[test]
fn fields_mean_what_celery_says() {
    let cases: &[(&Field, &str, &[u32])] = &[
        (&MINUTE, "*/20", &[0, 20, 40]),
        (&MINUTE, "*/100", &[0]),
        (&MINUTE, "5-20/7", &[5, 12, 19]),
        (&MINUTE, " 1 , 2 ", &[1, 2]),
        (&MINUTE, "007", &[7]),
        (&HOUR, "22-2", &[0, 1, 2, 22, 23]),
        (&HOUR, "22-4/2", &[0, 2, 4, 22]),
        (&DAY_OF_MONTH, "*/10", &[1, 11, 21, 31]),
        (&DAY_OF_MONTH, "28-3", &[1, 2, 3, 28, 29, 30, 31]),
        (&MONTH_OF_YEAR, "*/3", &[1, 4, 7, 10]),
        (&MONTH_OF_YEAR, "sept,DEC-jan", &[1, 9, 12]),
        (&DAY_OF_WEEK, "fri-mon", &[0, 1, 5, 6]),
        (&DAY_OF_WEEK, "Wedne", &[3]),
        (&DAY_OF_WEEK, "*/2", &[0, 2, 4, 6]),
        (&DAY_OF_WEEK, "1-0", &[0, 1, 2, 3, 4, 5, 6]),
    ];
    for (field, text, expected) in cases {
        assert_eq!(
            numbers(field.text(text, false).unwrap()),
            *expected,
            "{text}"
        );
    }
}

#[test]
fn seven_is_sunday_in_strings_only() {
    let cases: &[(&str, &[u32])] = &[
        ("7", &[0]),
        ("0-7", &[0, 1, 2, 3, 4, 5, 6]),
        ("5-7", &[0, 5, 6]),
        ("7-2", &[0, 1, 2]),
        ("7-7", &[0]),
        ("1-7/2", &[0, 1, 3, 5]),
    ];
    for (text, expected) in cases {
        assert_eq!(
            numbers(DAY_OF_WEEK.text(text, true).unwrap()),
            *expected,
            "{text}"
        );
        assert!(DAY_OF_WEEK.text(text, false).is_err(), "{text}");
    }
    assert!(MINUTE.text("60", true).is_err());
}

#[test]
fn refusals_name_field_value_and_limit() {
    let parse = |text: &str| Crontab::parse(text, Zone::utc(), None).unwrap_err();
    let cases = [
        (
            "* 25 * * *",
            "hour",
            "`25` is out of range",
            "hours are 0 to 23",
        ),
        (
            "*/0 * * * *",
            "minute",
            "the step of `*/0` is not a number above 0",
            "write `*/15`",
        ),
        (
            "5/2 * * * *",
            "minute",
            "`5/2` puts a step on a single value",
            "`5-59/n`",
        ),
        (
            "1,,2 * * * *",
            "minute",
            "a part is empty",
            "minutes are 0 to 59",
        ),
        (
            "1- * * * *",
            "minute",
            "nothing is not one of the minutes in `1-`",
            "0 to 59",
        ),
        (
            "* * * * monkey",
            "day_of_week",
            "`monkey` is not one of the weekdays",
            "`sun` to `sat`",
        ),
        (
            "* * jan * *",
            "day_of_month",
            "`jan` is not one of the days of the month",
            "1 to 31",
        ),
        (
            "0 0 30-31 2 *",
            "day_of_month",
            "day 30 never occurs in February",
            "choose a day",
        ),
    ];
    for (text, field, message, help) in cases {
        let error = parse(text);
        assert_eq!(error.field, Some(field), "{text}");
        assert_eq!(error.message, message, "{text}");
        assert!(
            error.help.as_ref().is_some_and(|h| h.contains(help)),
            "{error:?}"
        );
    }
    for (text, message) in [
        ("* * * *", "`* * * *` has 4 fields"),
        ("* * * * * * *", "`* * * * * * *` has 7 fields"),
        ("", "`` has 0 fields"),
        ("@reboot", "`@reboot` is not a known macro"),
        ("\u{1b}[31m", "`\\u{1b}[31m` has 1 fields"),
    ] {
        assert_eq!(parse(text).message, message);
    }
}

#[test]
fn keyword_fields_take_numbers_text_and_lists() {
    let hour = |value: FieldValue| {
        let fields = Fields {
            hour: Some(value),
            ..Fields::default()
        };
        Crontab::from_fields(&fields, Zone::utc(), None).map(|c| c.canonical())
    };
    let expected = Ok("crontab 0 * 9,17 * * * once UTC".to_owned());
    let list = FieldValue::List(vec![FieldValue::Int(9), FieldValue::Int(17)]);
    assert_eq!(hour(list), expected);
    assert_eq!(hour(FieldValue::Text("17,9".to_owned())), expected);
    for wrong in [
        FieldValue::Int(-1),
        FieldValue::List(vec![]),
        FieldValue::List(vec![FieldValue::Text("9".to_owned())]),
        FieldValue::List(vec![FieldValue::List(vec![])]),
        FieldValue::Text(String::new()),
    ] {
        assert_eq!(hour(wrong).unwrap_err().field, Some("hour"));
    }
}

#[test]
fn blanks_and_macros() {
    let canonical = |text: &str| Crontab::parse(text, Zone::utc(), None).map(|c| c.canonical());
    assert_eq!(canonical("0  0\t1 , 15 * *"), canonical("0 0 1,15 * *"));
    assert_eq!(canonical(" @daily "), canonical("0 0 * * *"));
    assert_eq!(canonical("@yearly"), canonical("0 0 0 1 1 *"));
    assert_eq!(canonical("@weekly"), canonical("0 0 * * 7"));
}

#[test]
fn durations() {
    for (text, micros) in [
        ("30s", 30_000_000),
        ("1h30m", 5_400_000_000),
        ("250ms", 250_000),
        ("1w2d3h4m5s6ms", 788_645_006_000),
        ("1.5h", 5_400_000_000),
        ("0.000001s", 1),
        ("0s", 0),
    ] {
        assert_eq!(parse_duration(text), Ok(micros), "{text}");
    }
    for text in [
        "",
        "90",
        "s",
        "1",
        "1x",
        "-5s",
        "+5s",
        "1m1h",
        "1m1m",
        "1h 30m",
        " 1h",
        "1.s",
        ".5s",
        "1..5s",
        "0.0000001s",
        "1_0s",
        "1S",
        "99999999999999w",
        "1h30",
        "٣s",
        "NaN",
        "inf",
    ] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}
