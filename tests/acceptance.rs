//! A real worker of Celery executes what was asked for: every option, every encoding, on every broker.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod support;

#[path = "acceptance/entries.rs"]
mod entries;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use entries::{Asked, SETTINGS};
use regex::Regex;
use serde_json::{Value, json};
use support::beat::{Beat, Launch};
use support::rabbit::Rabbit;
use support::servers::Redis;
use support::worker::{Options, Worker};

fn schedule(name: &str, settings: &str, asked: &[Asked]) -> String {
    let entries = asked.iter().map(|Asked { name, keys, .. }| {
        format!("[beat_schedule.{name}]\ntask = 'acc.{name}'\nschedule = 3600\nrun_on_start = true\n{keys}\n")
    });
    format!(
        "name = '{name}'\n{settings}\n{SETTINGS}\n{}",
        entries.collect::<String>()
    )
}

/// Fires everything at `worker`; what differs from what was asked.
fn accept(connections: &str, worker: Options) -> Vec<String> {
    // Chords are counted in a result backend.
    let results = Redis::start();
    results.run("SET celery-taskset-meta-acc-chord.s 1");
    let all: Vec<Asked> = entries::all();
    let old: Vec<Asked> = entries::protocol1();
    let tasks: BTreeSet<String> = all
        .iter()
        .chain(&old)
        .flat_map(|asked| {
            let follow = asked.then.iter().map(|(task, _)| (*task).to_owned());
            follow.chain([format!("acc.{}", asked.name)])
        })
        .collect();
    let names: Vec<&str> = tasks.iter().map(String::as_str).collect();
    let mut worker = worker
        .tasks(&names)
        .queue_definitions(entries::queues())
        .conf("result_backend", json!(results.url()))
        .conf("task_ignore_result", json!(false))
        .conf("worker_detect_quorum_queues", json!(false))
        .start();
    let mut differences = Vec::new();
    let mut expected = 0;
    let mut fired = BTreeMap::new();
    for (name, settings, asked) in [("new", "", &all), ("old", "task_protocol = 1", &old)] {
        let toml = schedule(name, &format!("{connections}\n{settings}"), asked);
        let mut beat = Launch::schedule(&toml.replace("/STATE'", &format!("/{name}'"))).start();
        let count = asked.len();
        beat.wait_for_events_since(0, "fired", count, Duration::from_secs(20));
        fired.extend(fires(&beat));
        for asked in asked {
            expected += usize::from(asked.done.is_some()) + asked.then.len();
        }
    }
    let rows = worker.wait_for(expected, Duration::from_secs(60));
    for (asked, protocol1) in all
        .iter()
        .map(|a| (a, false))
        .chain(old.iter().map(|a| (a, true)))
    {
        let task = format!("acc.{}", asked.name);
        let found = rows_of(&rows, &task);
        let Some(done) = &asked.done else {
            // RabbitMQ throws it away itself.
            if !connections.contains("amqp://") {
                let thrown = format!("Discarding revoked task: {task}");
                worker.wait_for_log(&thrown, Duration::from_secs(10));
            }
            if !found.is_empty() {
                differences.push(format!("{task} was executed"));
            }
            continue;
        };
        let mut done = done.clone();
        envelope(&mut done, asked, &fired[asked.name], protocol1);
        differences.extend(compare(&task, &found, &done));
        if asked.name == "countdown" {
            let waited = found[0]["executed_at"].as_f64().unwrap()
                - seconds(&fired[asked.name]["fire_time"]);
            if waited < 1.5 {
                differences.push(format!("{task} was executed after {waited} s"));
            }
        }
        for (task, done) in &asked.then {
            differences.extend(compare(task, &rows_of(&rows, task), done));
        }
    }
    if rows.len() != expected {
        differences.push(format!(
            "{} executions, {expected} were expected",
            rows.len()
        ));
    }
    differences
}

fn fires(beat: &Beat) -> BTreeMap<String, Value> {
    let records = beat.events("fired").into_iter();
    let name = |record: &Value| record["entry"].as_str().unwrap().to_owned();
    records.map(|record| (name(&record), record)).collect()
}

fn rows_of<'a>(rows: &'a [Value], task: &str) -> Vec<&'a Value> {
    rows.iter().filter(|row| row["task"] == task).collect()
}

/// What every execution says besides what its entry asks for.
fn envelope(done: &mut Value, asked: &Asked, fired: &Value, protocol1: bool) {
    let mut all = json!({"id": fired["task_id"], "headers": {"periodic_task_name": asked.name}});
    let time = fired["fire_time"].as_str().unwrap();
    all["headers"]["scheduled_time"] = json!(time);
    let at = instant(&fired["fire_time"]);
    match asked.name {
        "placeholders" => {
            let there = at.with_timezone(&chrono::FixedOffset::east_opt(9 * 3600).unwrap());
            done["args"][0] = json!(there.to_rfc3339_opts(chrono::SecondsFormat::Micros, false));
            done["args"][1] = json!(there.format("on %Y-%m-%d").to_string());
        }
        // The next fire time.
        "auto" => {
            let next = at + chrono::TimeDelta::hours(1);
            done["expires"] = json!(next.format("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string());
        }
        _ => {}
    }
    if !protocol1 {
        all["root_id"] = fired["task_id"].clone();
        all["correlation_id"] = fired["task_id"].clone();
        all["origin"] = json!("re:^beat[0-9]+@");
    }
    merge(&mut all, done);
    *done = all;
}

/// Seconds since the epoch.
#[expect(
    clippy::cast_precision_loss,
    reason = "whole microseconds until the year 2255"
)]
fn seconds(time: &Value) -> f64 {
    instant(time).timestamp_micros() as f64 / 1e6
}

fn instant(time: &Value) -> chrono::DateTime<chrono::FixedOffset> {
    chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).unwrap()
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key.clone()).or_insert(json!({})), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

fn compare(task: &str, rows: &[&Value], expected: &Value) -> Vec<String> {
    let [row] = rows else {
        return vec![format!("{task} was executed {} times", rows.len())];
    };
    let mut found = Vec::new();
    differ(task, row, expected, &mut found);
    found
}

fn differ(place: &str, row: &Value, expected: &Value, found: &mut Vec<String>) {
    match (row, expected) {
        (Value::Object(row), Value::Object(expected)) => {
            for (key, expected) in expected {
                let place = format!("{place}.{key}");
                differ(
                    &place,
                    row.get(key).unwrap_or(&Value::Null),
                    expected,
                    found,
                );
            }
        }
        (Value::Array(row), Value::Array(expected)) if row.len() == expected.len() => {
            for (place_in, (row, expected)) in row.iter().zip(expected).enumerate() {
                differ(&format!("{place}.{place_in}"), row, expected, found);
            }
        }
        (Value::String(row), Value::String(pattern))
            if pattern.starts_with("re:") && Regex::new(&pattern[3..]).unwrap().is_match(row) => {}
        _ if row != expected => found.push(format!("{place}: {row}, asked for {expected}")),
        _ => {}
    }
}

fn assert_none(differences: &[String]) {
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

#[test]
fn every_option_is_asked_for() {
    let keys: String = entries::all().into_iter().map(|asked| asked.keys).collect();
    for option in beat::message::OPTION_NAMES {
        assert!(keys.contains(&format!(" {option} = ")), "{option}");
    }
}

#[test]
fn a_worker_on_redis_executes_what_was_asked_for() {
    let redis = Redis::start();
    let connections = format!("broker_url = '{}'", redis.url());
    assert_none(&accept(&connections, Worker::on(&redis.url())));
}

#[test]
fn a_worker_on_rabbitmq_executes_what_was_asked_for() {
    let vhost = Rabbit::shared().vhost();
    let state = Redis::start();
    let connections = format!(
        "broker_url = '{}'\nstate_url = '{}'",
        vhost.url(),
        state.url()
    );
    assert_none(&accept(&connections, Worker::on(&vhost.url())));
}

#[test]
fn a_worker_on_folders_executes_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().display();
    let (queue, control) = (folder.path().join("queue"), folder.path().join("control"));
    for folder in [&queue, &control] {
        std::fs::create_dir(folder).unwrap();
    }
    let connections = format!(
        "broker_url = 'filesystem://'\nstate_url = 'file://{root}/STATE'\n\
         broker_transport_options = {{ data_folder_in = '{root}/queue', data_folder_out = '{root}/queue', \
         control_folder = '{root}/control' }}"
    );
    assert_none(&accept(&connections, Worker::on_folder(&queue, &control)));
}
