//! The messages of both, byte for byte.

use std::collections::BTreeSet;
use std::sync::LazyLock;
use std::time::Duration;

use regex::Regex;

use crate::project::{Imported, Project};
use crate::sent::Sent;
use crate::support::beat::Launch;
use crate::support::servers::Redis;

/// Celery's beat and ours publish every entry once; only `different` tasks may differ, and all of them do.
pub fn compare(project: &Project, imported: &Imported, different: &[&str]) {
    project.publish();
    let theirs = sent(&project.redis);
    let redis = Redis::start();
    let (toml, count) = once(&imported.toml);
    let mut beat = Launch::schedule(&toml).broker(&redis.url()).start();
    beat.wait_for_events_since(0, "fired", count, Duration::from_secs(20));
    beat.terminate(Duration::from_secs(5));
    let ours = sent(&redis);
    let found = ours.differences(&theirs);
    let tasks: BTreeSet<&str> = found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    let expected: BTreeSet<&str> = different.iter().copied().collect();
    assert_eq!(tasks, expected, "{}", found.join("\n\n"));
}

/// The schedule with each enabled entry fired at the start, whenever it is due; and how many there are.
pub fn once(toml: &str) -> (String, usize) {
    let mut made = String::new();
    for block in toml.split_inclusive("\n\n") {
        let block = block.replacen("\nstart_at = 2036", "\n# start_at = 2036", 1);
        let enabled = !block.contains("\nenabled = false");
        match block.find("\ntask = ") {
            Some(at) if enabled && block.contains("\n[beat_schedule.") | block.starts_with('[') => {
                made.push_str(&block[..at]);
                made.push_str("\nrun_on_start = true");
                made.push_str(&block[at..]);
            }
            _ => made.push_str(&block),
        }
    }
    let count = made.matches("\nrun_on_start = true").count();
    (made, count)
}

/// What lies in the queues of a Redis.
fn sent(redis: &Redis) -> Sent {
    static OF_DJANGO: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""periodic_task_name": "[^"]*", "#).unwrap());
    let mut link = redis.connect();
    let mut sent = Sent::default();
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut link).unwrap();
    for key in keys
        .iter()
        .filter(|key| !key.starts_with("beat:") && !key.starts_with("app1"))
    {
        let kind: String = redis::cmd("TYPE").arg(key).query(&mut link).unwrap();
        match kind.as_str() {
            "list" => {
                let range = redis::cmd("LRANGE").arg(key).arg(0).arg(-1).clone();
                let items: Vec<Vec<u8>> = range.query(&mut link).unwrap();
                for item in items {
                    sent.envelope(&format!("LPUSH {key:?}"), &item);
                }
            }
            "set" => {
                let members: Vec<String> =
                    redis::cmd("SMEMBERS").arg(key).query(&mut link).unwrap();
                let lines = members
                    .iter()
                    .map(|member| format!("declares {key:?} {member:?}"));
                sent.declared.extend(lines);
            }
            other => panic!("{key} is a {other}"),
        }
    }
    for messages in sent.messages.values_mut() {
        let plain = messages
            .iter()
            .map(|text| OF_DJANGO.replace_all(text, "").into_owned());
        *messages = plain.collect();
    }
    sent
}
