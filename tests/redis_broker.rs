//! Where messages go in a real Redis: what Celery's beat leaves in a database is what we leave.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

#[path = "redis_broker/fixture.rs"]
mod fixture;
#[path = "wire_golden/given.rs"]
mod given;
mod support;

use std::collections::BTreeMap;
use std::fs;

use beat::message::{Conventions, Template, Transport};
use beat::plan::Outcome;
use fixture::{NOW, STATE, dispatch, dispatcher, due, entry, lead, load, server};
use redis::{Commands, Connection, ConnectionLike};
use serde_json::Value as Json;
use support::servers::Redis;

/// What a key holds, as far as it is the same each time.
#[derive(Debug, PartialEq)]
struct Held {
    kind: String,
    expires: bool,
    /// Members of a set, number of messages in a list.
    content: Vec<String>,
}

/// Celery with the task imported: it goes to another priority, and `beat` imports no tasks.
const REGISTERED: &str = "priority_default_setting_registered";

fn cases() -> Vec<Json> {
    let mut paths: Vec<_> = fs::read_dir("tests/data/golden")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    paths
        .iter()
        .map(|path| serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap())
        .collect()
}

fn captured(case: &Json) -> BTreeMap<String, Held> {
    let keys = case["redis"]["keys"].as_object().unwrap();
    keys.iter()
        .map(|(key, held)| {
            let kind = held["type"].as_str().unwrap().to_owned();
            let content = content(
                &kind,
                held["value"].as_array().into_iter().flatten().map(text),
            );
            let expires = held["pttl"].as_i64().unwrap() > 0;
            (
                key.clone(),
                Held {
                    kind,
                    expires,
                    content,
                },
            )
        })
        .collect()
}

fn text(value: &Json) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

fn content(kind: &str, values: impl Iterator<Item = String>) -> Vec<String> {
    let mut values: Vec<String> = values.collect();
    match kind {
        "set" => values.sort(),
        "list" => values = vec![values.len().to_string()],
        _ => values.clear(),
    }
    values
}

fn found(link: &mut Connection) -> BTreeMap<String, Held> {
    let keys: Vec<String> = link.keys("*").unwrap();
    keys.into_iter()
        .map(|key| {
            let kind: String = redis::cmd("TYPE").arg(&key).query(link).unwrap();
            let values: Vec<String> = match kind.as_str() {
                "set" => link.smembers(&key).unwrap(),
                "list" => link.lrange(&key, 0, -1).unwrap(),
                _ => Vec::new(),
            };
            let expires = link.pttl::<_, i64>(&key).unwrap() > 0;
            let content = content(&kind, values.into_iter());
            (
                key,
                Held {
                    kind,
                    expires,
                    content,
                },
            )
        })
        .collect()
}

/// Binds what others had bound before: every captured binding but the one that is declared here.
fn bind(case: &Json, template: &Template, conventions: &Conventions, link: &mut Connection) {
    let declared = template.route().declare.as_deref();
    let own = declared.and_then(|queue| conventions.redis.declaration(queue));
    for (key, held) in captured(case) {
        for member in held.content.iter().filter(|_| held.kind == "set") {
            let own = own.as_ref().is_some_and(|own| own.member == *member);
            if !own {
                link.sadd::<_, _, ()>(&key, member).unwrap();
            }
        }
    }
}

fn database(server: &Redis, number: i64) -> Connection {
    let mut link = server.connect();
    link.req_command(redis::cmd("SELECT").arg(number)).unwrap();
    link
}

/// Every captured case, fired with the store in another database of the same server, or on another
/// server: the keys, what they hold, and what is published are Celery's.
async fn replay(store: &Redis, broker: &Redis, mode: &str) {
    let mut failures = Vec::new();
    let mut ran = 0;
    for case in cases() {
        let name = case["case"].as_str().unwrap();
        if name == REGISTERED {
            continue;
        }
        let Some(database_number) = case["redis"]["db"].as_i64() else {
            continue;
        };
        let Ok((template, mut conventions)) = given::template(&case, Transport::Redis) else {
            continue;
        };
        ran += 1;
        store.run("FLUSHALL");
        broker.run("FLUSHALL");
        let mut link = database(broker, database_number);
        bind(&case, &template, &conventions, &mut link);
        let mut subscriber = broker.connect();
        let mut published = subscriber.as_pubsub();
        published.psubscribe("*").unwrap();
        conventions.redis.db = database_number;
        let mut dispatcher = dispatcher(
            &server(store.port(), i64::from(STATE)),
            &server(broker.port(), database_number),
            &conventions,
        );
        lead(&mut database(store, i64::from(STATE)));
        let dues = [due(&entry("e", template), NOW)];
        let outcomes = dispatch(&mut dispatcher, &dues).await.unwrap();
        assert_eq!(dispatcher.mode(), mode, "{name}");
        let again = dispatch(&mut dispatcher, &dues).await.unwrap();

        let messages = case["redis"]["messages"].as_array().unwrap();
        if messages.is_empty() {
            // Celery drops these.
            let refused = matches!(&outcomes[0], Outcome::Rejected(why) if why.0.contains("no queue is bound"));
            if !refused {
                failures.push(format!("{name}: {outcomes:?}"));
            }
            continue;
        }
        if outcomes != [Outcome::Fired(1)] || again != [Outcome::AlreadyDone(1)] {
            failures.push(format!("{name}: {outcomes:?}, then {again:?}"));
        }
        let (expected, found) = (captured(&case), found(&mut link));
        if expected != found {
            failures.push(format!("{name}: expected {expected:#?}\nfound {found:#?}"));
        }
        for message in messages.iter().filter(|message| message["op"] == "PUBLISH") {
            published
                .set_read_timeout(Some(std::time::Duration::from_secs(2)))
                .unwrap();
            let channel = published
                .get_message()
                .map(|m| m.get_channel_name().to_owned());
            if channel.as_deref().ok() != message["key"].as_str() {
                failures.push(format!("{name}: {channel:?} is not {}", message["key"]));
            }
        }
    }
    assert!(ran > 60, "only {ran} cases ran");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[tokio::test]
async fn one_server_holds_what_celery_leaves() {
    let server = Redis::start();
    replay(&server, &server, "atomic").await;
}

#[tokio::test]
async fn two_servers_hold_what_celery_leaves() {
    let (store, broker) = (Redis::start(), Redis::start());
    replay(&store, &broker, "confirmed").await;
}

/// Kombu's own script, byte for byte: workers find it loaded.
#[tokio::test]
async fn an_expiring_queue_is_declared_by_kombus_script() {
    let redis = Redis::start();
    let (entries, conventions) = load(
        "[task_queues.qe]\nexchange = 'qex'\nexchange_type = 'direct'\nrouting_key = 'qek'\nexpires = 60\n\
         [beat_schedule.e]\ntask = 't'\nschedule = 10\noptions = { queue = 'qe' }\n",
    );
    lead(&mut redis.connect());
    let here = server(redis.port(), 0);
    let mut dispatcher = dispatcher(&here, &here, &conventions);
    dispatch(&mut dispatcher, &[due(&entries[0], NOW)])
        .await
        .unwrap();
    let mut link = redis.connect();
    let known: Vec<bool> = redis::cmd("SCRIPT")
        .arg("EXISTS")
        .arg("ef7a9e205fbaf46bf959e1522ff796622fc676c7")
        .query(&mut link)
        .unwrap();
    assert_eq!(known, [true]);
    let deadline: f64 = link.zscore("_kombu.binding_deadlines", "qex").unwrap();
    let (seconds, _): (f64, f64) = redis::cmd("TIME").query(&mut link).unwrap();
    assert!(
        (deadline / 1000.0 - seconds - 3600.0).abs() < 5.0,
        "{deadline}"
    );
    let life: i64 = link.pttl("qe").unwrap();
    assert!((50_000..=60_000).contains(&life), "{life}");
}

/// Entries named by what is wrong with where they go; only those are refused.
#[tokio::test]
async fn a_bad_destination_harms_only_its_own_entry() {
    let toml = "[task_queues.one]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'a.#'\n\
        [task_queues.two]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'a.b'\n\
        [beat_schedule.a-good]\ntask = 't'\nschedule = 10\noptions = { queue = 'good' }\n\
        [beat_schedule.b-wrongtype]\ntask = 't'\nschedule = 10\noptions = { queue = 'bad' }\n\
        [beat_schedule.c-half]\ntask = 't'\nschedule = 10\noptions = { queue = 'one', routing_key = 'a.b' }\n\
        [beat_schedule.d-unbound]\ntask = 't'\nschedule = 10\noptions = { exchange = 'no', routing_key = 'k' }\n\
        [beat_schedule.e-broken]\ntask = 't'\nschedule = 10\noptions = { exchange = 'broken', routing_key = 'k' }\n\
        [beat_schedule.f-good]\ntask = 't'\nschedule = 10\noptions = { queue = 'good' }\n";
    let (entries, conventions) = load(toml);
    let (one, other) = (Redis::start(), Redis::start());
    for (store, broker) in [(&one, &one), (&one, &other)] {
        store.run("FLUSHALL");
        let mut link = broker.connect();
        link.set::<_, _, ()>("bad", "a string").unwrap();
        link.set::<_, _, ()>("two", "a string").unwrap();
        link.set::<_, _, ()>("_kombu.binding.broken", "a string")
            .unwrap();
        link.sadd::<_, _, ()>(
            "_kombu.binding.media",
            "a.b\u{6}\u{16}^a\\.b$\u{6}\u{16}two",
        )
        .unwrap();
        lead(&mut store.connect());
        let mut dispatcher = dispatcher(
            &server(store.port(), 0),
            &server(broker.port(), 0),
            &conventions,
        );
        let dues: Vec<_> = entries.iter().map(|entry| due(entry, NOW)).collect();
        let outcomes = dispatch(&mut dispatcher, &dues).await.unwrap();
        let why: Vec<String> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Outcome::Rejected(why) => why.0.clone(),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!([&why[0], &why[5]], ["Fired(1)", "Fired(1)"], "{why:?}");
        assert!(why[1].contains("WRONGTYPE"), "{why:?}");
        // Neither queue has it: the next attempt must not double it in the good one.
        assert!(why[2].contains("WRONGTYPE"), "{why:?}");
        assert_eq!(link.llen::<_, usize>("one").unwrap(), 0);
        assert!(
            why[3].contains("no queue is bound to the exchange \"no\""),
            "{why:?}"
        );
        assert!(why[4].contains("WRONGTYPE"), "{why:?}");
        assert_eq!(link.llen::<_, usize>("good").unwrap(), 2);
        // Mended, all of it goes out.
        link.del::<_, ()>(&["bad", "two", "_kombu.binding.broken"])
            .unwrap();
        for exchange in ["no", "broken"] {
            link.sadd::<_, _, ()>(
                format!("_kombu.binding.{exchange}"),
                "k\u{6}\u{16}\u{6}\u{16}good",
            )
            .unwrap();
        }
        // Bindings are believed for a second.
        for _ in 0..60 {
            let outcomes = dispatch(&mut dispatcher, &dues).await.unwrap();
            if !outcomes
                .iter()
                .any(|outcome| matches!(outcome, Outcome::Rejected(_)))
            {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        let lengths =
            ["good", "bad", "one", "two"].map(|queue| link.llen::<_, usize>(queue).unwrap());
        assert_eq!(lengths, [4, 1, 1, 1]);
    }
}
