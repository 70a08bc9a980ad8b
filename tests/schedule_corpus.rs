//! Every line of the corpora through the library: fire times exact, solar ones within tolerance,
//! what is invalid refused. Zone data is pinned to the tzdata release that the corpora name.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "test code"
)]

#[path = "support/tzdata.rs"]
mod tzdata;

use beat::clock::Timestamp;
use beat::schedule::{
    At, Crontab, Every, FieldValue, Fields, Invalid, Once, Rrule, Schedule, Solar, SolarEvent,
    Zone, zone_source,
};
use serde_json::{Map, Value};
use tzdata::pinned;

const CORPUS: &str = include_str!("data/corpus_open.jsonl");
const SOLAR: &str = include_str!("data/solar_ref.jsonl");

fn lines(text: &str) -> impl Iterator<Item = Value> + '_ {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn instant(text: &str) -> Timestamp {
    match At::parse(text).unwrap() {
        At::Instant(at) => at,
        At::Local(_) => panic!("{text} has no offset"),
    }
}

fn instants(value: &Value) -> Vec<Timestamp> {
    let list = value.as_array().unwrap();
    list.iter()
        .map(|at| instant(at.as_str().unwrap()))
        .collect()
}

/// What the schedule file's reader will do; kept to what the corpus needs.
fn compile(schedule: &Map<String, Value>, zone: &str) -> Result<Schedule, Invalid> {
    let zone = Zone::load(zone).map_err(|unknown| Invalid::new(unknown.to_string()))?;
    let wrong = || Invalid::new("wrong shape");
    let text = |key: &str| schedule.get(key).and_then(Value::as_str).ok_or_else(wrong);
    let keys: Vec<&str> = schedule.keys().map(String::as_str).collect();
    match keys[..] {
        ["every"] => {
            let seconds = schedule["every"].as_f64().ok_or_else(wrong)?;
            Every::new((seconds * 1e6) as i64).map(Schedule::Every)
        }
        ["crontab"] => Crontab::parse(text("crontab")?, zone, None).map(Schedule::Crontab),
        ["at"] => Once::new([At::parse(text("at")?)?], zone).map(Schedule::Once),
        ["rrule", "dtstart"] => {
            let At::Local(dtstart) = At::parse(text("dtstart")?)? else {
                return Err(wrong());
            };
            Rrule::new(text("rrule")?, dtstart, zone).map(Schedule::Rrule)
        }
        ["solar"] => {
            let number = |key: &str| schedule["solar"][key].as_f64().ok_or_else(wrong);
            let event = schedule["solar"]["event"].as_str().ok_or_else(wrong)?;
            Solar::new(SolarEvent::parse(event)?, number("lat")?, number("lon")?)
                .map(Schedule::Solar)
        }
        _ => {
            let mut fields = Fields::default();
            for (key, value) in schedule {
                let slot = match key.as_str() {
                    "second" => &mut fields.second,
                    "minute" => &mut fields.minute,
                    "hour" => &mut fields.hour,
                    "day_of_month" => &mut fields.day_of_month,
                    "month_of_year" => &mut fields.month_of_year,
                    "day_of_week" => &mut fields.day_of_week,
                    _ => return Err(wrong()),
                };
                *slot = Some(field(value)?);
            }
            Crontab::from_fields(&fields, zone, None).map(Schedule::Crontab)
        }
    }
}

fn field(value: &Value) -> Result<FieldValue, Invalid> {
    match value {
        Value::String(text) => Ok(FieldValue::Text(text.clone())),
        Value::Array(items) => items
            .iter()
            .map(field)
            .collect::<Result<_, _>>()
            .map(FieldValue::List),
        Value::Number(n) => n
            .as_i64()
            .map(FieldValue::Int)
            .ok_or_else(|| Invalid::new("not whole")),
        _ => Err(Invalid::new("wrong type")),
    }
}

fn fires(schedule: &Schedule, after: Timestamp, count: usize) -> Vec<Timestamp> {
    std::iter::successors(schedule.next_after(after, after), |at| {
        schedule.next_after(after, *at)
    })
    .take(count)
    .collect()
}

fn check(line: &Value) -> Result<(), String> {
    let made = compile(
        line["schedule"].as_object().unwrap(),
        line["timezone"].as_str().unwrap(),
    );
    if line["error"] == true {
        return made
            .err()
            .map(|_| ())
            .ok_or_else(|| "was accepted".to_owned());
    }
    let schedule = made.map_err(|error| format!("was refused: {error}"))?;
    let expected = instants(&line["next"]);
    let count = usize::try_from(line["count"].as_u64().unwrap()).unwrap();
    let found = fires(&schedule, instant(line["after"].as_str().unwrap()), count);
    let tolerance = line["tolerance_s"].as_i64().unwrap_or(0) * 1_000_000;
    let near = |(a, b): (&Timestamp, &Timestamp)| a.micros_since(*b).abs() <= tolerance;
    if found.len() != expected.len() || !found.iter().zip(&expected).all(near) {
        return Err(format!("\n  expected {expected:?}\n  found    {found:?}"));
    }
    if !found.is_sorted_by(|a, b| a < b) {
        return Err(format!("not increasing: {found:?}"));
    }
    Ok(())
}

#[test]
fn open_corpus() {
    if pinned("open_corpus") {
        return;
    }
    assert!(
        zone_source().version.as_str() >= "2026f",
        "{}",
        zone_source()
    );
    let mut checked = 0;
    let mut wrong = Vec::new();
    for line in lines(CORPUS).filter(|line| line["tag"] != "far:post2100") {
        checked += 1;
        if let Err(why) = check(&line) {
            wrong.push(format!(
                "{} {} {}: {why}",
                line["id"], line["schedule"], line["timezone"]
            ));
        }
    }
    assert!(
        wrong.is_empty(),
        "{} of {checked} lines:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!(checked, 631);
}

#[test]
fn solar_reference() {
    let mut wrong = Vec::new();
    for line in lines(SOLAR) {
        let event = SolarEvent::parse(line["event"].as_str().unwrap()).unwrap();
        let number = |key: &str| line[key].as_f64().unwrap();
        let solar = Schedule::Solar(Solar::new(event, number("lat"), number("lon")).unwrap());
        let after = instant(line["after"].as_str().unwrap());
        let expected = instant(line["next"].as_str().unwrap());
        let found = solar.next_after(after, after);
        let off = found.map(|found| found.micros_since(expected).abs() as f64 / 1e6);
        let right = if line["celery_fallback"] == true {
            // Celery wakes up at the end of its search, which is no event.
            found.is_none()
        } else {
            off.is_some_and(|off| off <= number("tolerance_s"))
        };
        if !right {
            wrong.push(format!("{line}: found {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
