//! Celery's own beat and this one read the same schedule and publish it; nobody can tell the messages apart.
//!
//! The golden files hold what Celery published once. Here Celery publishes now, so that what it is told is free:
//! `parity/cases.rs` has what is subtle, `parity/random.rs` makes schedules up from a seed. What must differ (ids, the
//! moment, the process, our two headers) is taken out in `parity/sent.rs`; all else is compared byte for byte.
//!
//! `BEAT_PARITY_SEEDS=1000..1050` tries other seeds than the ones that are always run.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

mod support;

#[path = "parity/amqp_wire.rs"]
mod amqp_wire;
#[path = "parity/cases.rs"]
mod cases;
#[path = "parity/random.rs"]
mod random;
#[path = "parity/sent.rs"]
mod sent;

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;
use std::time::Duration;

use amqp_wire::Recorder;
use sent::{Sent, amqp_envelope};
use serde_json::Value;
use support::beat::Launch;
use support::rabbit::Rabbit;
use support::servers::Redis;

/// Where a schedule is published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum To {
    Redis,
    Amqp,
    Folder,
}

/// Settings and entries by name, both as TOML. An entry is its body: `task` and when it fires are added.
struct Case {
    settings: String,
    entries: Vec<(String, String)>,
}

impl Case {
    fn toml(&self) -> String {
        let entries = self.entries.iter().map(|(name, body)| {
            let body = body.replace("NAME", name);
            format!("[beat_schedule.{name}]\ntask = 'parity.{name}'\nschedule = 3600\nrun_on_start = true\n{body}\n")
        });
        format!("{}\n{}", self.settings, entries.collect::<String>())
    }
}

/// Both publish `case`; what differs.
fn compare(to: To, case: &Case) -> Vec<String> {
    let [theirs, ours] = [Publisher::Celery, Publisher::Beat].map(|publisher| match to {
        To::Redis => to_redis(publisher, case),
        To::Amqp => to_amqp(publisher, case),
        To::Folder => to_folder(publisher, case),
    });
    ours.differences(&theirs)
}

#[derive(Clone, Copy)]
enum Publisher {
    Celery,
    Beat,
}

impl Publisher {
    /// Publishes every entry once.
    fn publish(self, case: &Case, broker: &str, state: &str) {
        let launch = Launch::schedule(&case.toml()).broker(broker).state(state);
        match self {
            Self::Celery => celery(launch.path(), broker),
            Self::Beat => {
                let mut beat = launch.start();
                let (count, patience) = (case.entries.len(), Duration::from_secs(20));
                beat.wait_for_events_since(0, "fired", count, patience);
                beat.terminate(Duration::from_secs(5));
            }
        }
    }
}

fn celery(schedule: &Path, broker: &str) {
    let done = Command::new(support::venv().join("bin/python"))
        .arg(support::repository("tests/python/celery_beat.py"))
        .arg(schedule)
        .arg(broker)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let [out, err] = [done.stdout, done.stderr].map(|o| String::from_utf8_lossy(&o).into_owned());
    assert!(
        done.status.success() && out.is_empty(),
        "Celery did not send:\n{out}{err}"
    );
}

fn to_redis(publisher: Publisher, case: &Case) -> Sent {
    let redis = Redis::start();
    let (published, messages) = channel();
    let mut listener = redis.connect();
    let (subscribed, ready) = channel();
    std::thread::spawn(move || {
        let mut subscription = listener.as_pubsub();
        subscription.psubscribe("*").unwrap();
        subscribed.send(()).unwrap();
        while let Ok(message) = subscription.get_message() {
            let channel = message.get_channel_name().to_owned();
            let payload = message.get_payload_bytes().to_vec();
            if channel == "the end" || published.send((channel, payload)).is_err() {
                return;
            }
        }
    });
    ready.recv().unwrap();
    publisher.publish(case, &redis.url(), &redis.url());
    let mut link = redis.connect();
    let mut ask = |words: &[&str]| {
        let mut command = redis::cmd(words[0]);
        command
            .arg(&words[1..])
            .query::<redis::Value>(&mut link)
            .unwrap()
    };
    ask(&["PUBLISH", "the end", ""]);
    let mut sent = Sent::default();
    for (channel, payload) in messages {
        if !channel.starts_with("beat:") {
            sent.envelope(&format!("PUBLISH {channel:?}"), &payload);
        }
    }
    let keys: Vec<String> = redis::from_redis_value(ask(&["KEYS", "*"])).unwrap();
    for key in keys.iter().filter(|key| !key.starts_with("beat:")) {
        let kind: String = redis::from_redis_value(ask(&["TYPE", key])).unwrap();
        let expires: i64 = redis::from_redis_value(ask(&["PTTL", key])).unwrap();
        let minutes = expires / 60_000;
        match kind.as_str() {
            "list" => {
                let items = redis::from_redis_value(ask(&["LRANGE", key, "0", "-1"]));
                let items: Vec<Vec<u8>> = items.unwrap();
                for item in items {
                    sent.envelope(&format!("LPUSH {key:?}, expires {minutes}"), &item);
                }
            }
            "set" => {
                let members = redis::from_redis_value(ask(&["SMEMBERS", key]));
                let members: Vec<String> = members.unwrap();
                let lines = members.iter().map(|m| format!("SADD {key:?} {m:?}"));
                sent.declared.extend(lines);
            }
            other => {
                sent.declared.insert(format!("{other} {key:?}"));
            }
        }
    }
    sent
}

fn to_amqp(publisher: Publisher, case: &Case) -> Sent {
    let rabbit = Rabbit::shared();
    let vhost = rabbit.vhost();
    let recorder = Recorder::start(rabbit.port());
    let folder = tempfile::tempdir().unwrap();
    let state = format!("file://{}/state", folder.path().display());
    publisher.publish(case, &vhost.url_at(recorder.port()), &state);
    let told = recorder.told();
    let mut sent = Sent::default();
    for message in told.messages {
        let (envelope, headers) = amqp_envelope(message.envelope);
        sent.add("publish", &envelope, &headers, &message.body);
    }
    sent.declared
        .extend(told.declarations.iter().map(Value::to_string));
    sent
}

fn to_folder(publisher: Publisher, case: &Case) -> Sent {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    for name in ["queue", "control"] {
        std::fs::create_dir(at(name)).unwrap();
    }
    let root = folder.path().display();
    let with_folders = Case {
        settings: format!(
            "broker_transport_options = {{ data_folder_in = '{root}/queue', data_folder_out = '{root}/queue', \
             control_folder = '{root}/control' }}\n{}",
            case.settings
        ),
        entries: case.entries.clone(),
    };
    let state = format!("file://{root}/state");
    publisher.publish(&with_folders, "filesystem://", &state);
    let mut sent = Sent::default();
    for file in std::fs::read_dir(at("queue")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let queue = name.split_once('.').unwrap().1;
        sent.envelope(queue, &std::fs::read(file.path()).unwrap());
    }
    for file in std::fs::read_dir(at("control")).unwrap() {
        let file = file.unwrap();
        let name = file.file_name().into_string().unwrap();
        let table = std::fs::read(file.path()).unwrap();
        let table: Value = serde_json::from_slice(&table).unwrap();
        sent.declared.insert(format!("{name} {table}"));
    }
    sent
}

fn check(to: To, cases: impl IntoIterator<Item = (String, Case)>) {
    let failures: Vec<String> = cases
        .into_iter()
        .flat_map(|(name, case)| {
            let found = compare(to, &case);
            found.into_iter().map(move |line| format!("{name}: {line}"))
        })
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

fn seeds() -> std::ops::Range<u64> {
    let Ok(range) = std::env::var("BEAT_PARITY_SEEDS") else {
        return 1..6;
    };
    let (from, until) = range.split_once("..").unwrap();
    from.parse().unwrap()..until.parse().unwrap()
}

fn random(to: To) {
    let made = seeds().map(|seed| (format!("seed {seed}"), random::case(seed, to)));
    check(to, made);
}

#[test]
fn redis_cases() {
    check(To::Redis, cases::all(To::Redis));
}

#[test]
fn redis_random() {
    random(To::Redis);
}

#[test]
fn amqp_cases() {
    check(To::Amqp, cases::all(To::Amqp));
}

#[test]
fn amqp_random() {
    random(To::Amqp);
}

#[test]
fn folder_cases() {
    check(To::Folder, cases::all(To::Folder));
}

#[test]
fn folder_random() {
    random(To::Folder);
}
