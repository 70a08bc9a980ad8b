//! What a crontab's next fire time costs, over the open corpus, beside the bare `cron` crate.
//!
//! `cargo bench --bench schedule` prints the median over the lines (the bar is 1 µs), then divan's
//! table: all lines of one kind, ten fire times each, per fire time.

#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark"
)]

use std::hint::black_box;
use std::str::FromStr;
use std::time::Instant;

use beat::clock::Timestamp;
use beat::schedule::{At, Crontab, FieldValue, Fields, Schedule, Zone};
use chrono::{DateTime, TimeZone};
use divan::Bencher;
use divan::counter::ItemsCount;
use serde_json::Value;

const CORPUS: &str = include_str!("../tests/data/corpus_open.jsonl");
const FIRES: usize = 10;

struct Line {
    tag: String,
    schedule: Schedule,
    cron: cron::Schedule,
    zone: chrono_tz::Tz,
    after: Timestamp,
}

fn main() {
    let lines = corpus();
    let ours = median(&lines, |line| {
        ours(line);
    });
    let bare = median(&lines, |line| {
        bare(line);
    });
    println!(
        "median of {} lines: next_after {ours} ns, bare cron {bare} ns",
        lines.len()
    );
    divan::main();
}

#[divan::bench(args = ["grammar", "calendar", "dst", "real", "ext:seconds", "far"])]
fn next_after(bencher: Bencher, tag: &str) {
    let lines: Vec<Line> = corpus()
        .into_iter()
        .filter(|line| line.tag == tag)
        .collect();
    bencher
        .counter(ItemsCount::new(lines.len() * FIRES))
        .bench(|| lines.iter().for_each(|line| ours(black_box(line))));
}

#[divan::bench(args = ["grammar", "calendar", "dst", "real", "ext:seconds", "far"])]
fn bare_cron(bencher: Bencher, tag: &str) {
    let lines: Vec<Line> = corpus()
        .into_iter()
        .filter(|line| line.tag == tag)
        .collect();
    bencher
        .counter(ItemsCount::new(lines.len() * FIRES))
        .bench(|| lines.iter().for_each(|line| bare(black_box(line))));
}

/// Each fire time from the one before, as the daemon asks.
fn ours(line: &Line) {
    let mut after = line.after;
    for _ in 0..FIRES {
        let Some(next) = line.schedule.next_after(line.after, after) else {
            break;
        };
        after = next;
    }
    black_box(after);
}

fn bare(line: &Line) {
    let mut after = line
        .zone
        .from_utc_datetime(&line.after.to_datetime().naive_utc());
    for _ in 0..FIRES {
        let Some(next) = line.cron.after(&after).next() else {
            break;
        };
        after = next;
    }
    black_box(after);
}

/// Nanoseconds a fire time, median over the lines.
#[expect(clippy::disallowed_methods, reason = "measures time")]
fn median(lines: &[Line], run: impl Fn(&Line)) -> u128 {
    let mut costs: Vec<u128> = lines
        .iter()
        .map(|line| {
            let start = Instant::now();
            for _ in 0..200 {
                run(black_box(line));
            }
            start.elapsed().as_nanos() / (200 * FIRES as u128)
        })
        .collect();
    costs.sort_unstable();
    costs[costs.len() / 2]
}

/// All crontab lines whose zone chrono-tz knows.
fn corpus() -> Vec<Line> {
    CORPUS
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| compile(&line))
        .collect()
}

fn compile(line: &Value) -> Option<Line> {
    let name = line["timezone"].as_str()?;
    let zone = Zone::load(name).ok()?;
    let crontab = match line["schedule"]["crontab"].as_str() {
        Some(text) => Crontab::parse(text, zone, None).ok()?,
        None => Crontab::from_fields(&fields(&line["schedule"])?, zone, None).ok()?,
    };
    let after: DateTime<_> = match At::parse(line["after"].as_str()?).ok()? {
        At::Instant(at) => at.to_datetime(),
        At::Local(_) => return None,
    };
    let schedule = Schedule::Crontab(crontab);
    Some(Line {
        tag: line["tag"].as_str()?.to_owned(),
        cron: cron::Schedule::from_str(&source(&schedule)).ok()?,
        schedule,
        zone: name.parse().ok()?,
        after: Timestamp::from_datetime(after),
    })
}

/// The same sets in the crate's grammar: its weekdays begin with 1.
fn source(schedule: &Schedule) -> String {
    let canonical = schedule.canonical();
    let mut fields: Vec<String> = canonical
        .split(' ')
        .skip(1)
        .take(6)
        .map(str::to_owned)
        .collect();
    if fields[5] != "*" {
        let days = fields[5]
            .split(',')
            .map(|day| (day.parse::<u8>().unwrap() + 1).to_string());
        fields[5] = days.collect::<Vec<_>>().join(",");
    }
    fields.join(" ")
}

fn fields(schedule: &Value) -> Option<Fields> {
    let mut fields = Fields::default();
    for (key, value) in schedule.as_object()? {
        let slot = match key.as_str() {
            "second" => &mut fields.second,
            "minute" => &mut fields.minute,
            "hour" => &mut fields.hour,
            "day_of_month" => &mut fields.day_of_month,
            "month_of_year" => &mut fields.month_of_year,
            "day_of_week" => &mut fields.day_of_week,
            _ => return None,
        };
        *slot = Some(value_of(value)?);
    }
    Some(fields)
}

fn value_of(value: &Value) -> Option<FieldValue> {
    match value {
        Value::String(text) => Some(FieldValue::Text(text.clone())),
        Value::Array(items) => items
            .iter()
            .map(value_of)
            .collect::<Option<_>>()
            .map(FieldValue::List),
        other => other.as_i64().map(FieldValue::Int),
    }
}
