//! A transaction leaves what the script leaves, or nothing at all.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper that fails is a test that fails"
)]

#[path = "redis_broker/fixture.rs"]
mod fixture;
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::Secret;
use beat::plan::{Action, Outcome};
use beat::store::redis::server::Dialer;
use beat::store::redis::{Effect, Item, Keys, Pushes, RedisLedger, Verb};
use beat::store::{Settlement, StoreError, Term};
use fixture::{lead, server};
use redis::{Commands, Connection};
use support::servers::Redis;
use uuid::Uuid;

const T1: i64 = 1_795_163_884_000_000;
const T2: i64 = T1 + 1;

fn ledger_of(redis: &Redis, user: Option<&str>) -> RedisLedger {
    let mut server = server(redis.port(), 0);
    server.username = user.map(str::to_owned);
    server.password = user.map(|_| Secret::new("pw".to_owned()));
    let dialer = Dialer::new(&[server]);
    let keys = Keys::new("beat:", "test");
    RedisLedger::new(dialer, keys, "me".into(), Duration::from_secs(3))
}

/// Entry, fire time, queue.
type Fire = (&'static str, i64, &'static str);

const CHUNK: [Fire; 4] = [
    ("a", T2, "celery"),
    ("b", T2, "mail"),
    ("c", T2, "celery"),
    ("d", T1, "celery"),
];

fn settlement((entry, at, _): &Fire) -> Settlement {
    Settlement {
        entry: (*entry).into(),
        fire_time: Timestamp::from_micros(*at),
        action: Action::Fire,
        record: format!("{{\"anchor\":{at}}}"),
    }
}

fn message((entry, at, _): &Fire) -> (String, Uuid) {
    let tag = Uuid::from_u128(u128::from(at.unsigned_abs()) << 8 | u128::from(entry.as_bytes()[0]));
    (format!("{entry} {tag} {}", "x".repeat(900)), tag)
}

async fn transact(
    ledger: &mut RedisLedger,
    chunk: &[Fire],
) -> Result<Option<Vec<Outcome>>, StoreError> {
    let mut pushes = Pushes::of(chunk.len());
    for fire in chunk {
        let (text, tag) = message(fire);
        pushes.add(fire.2, text.as_bytes(), tag);
    }
    let settlements: Vec<Settlement> = chunk.iter().map(settlement).collect();
    let flight = ledger.launch(Term(1), pushes, &settlements).await?;
    ledger.land(flight).await
}

async fn fire(ledger: &mut RedisLedger, chunk: &[Fire]) -> Result<Vec<Outcome>, StoreError> {
    let messages: Vec<String> = chunk.iter().map(|fire| message(fire).0).collect();
    let effects: Vec<Effect<'_>> = chunk
        .iter()
        .zip(&messages)
        .map(|(fire, text)| Effect {
            verb: Verb::Push,
            key: fire.2,
            argument: text.as_bytes(),
        })
        .collect();
    let settlements: Vec<Settlement> = chunk.iter().map(settlement).collect();
    let items: Vec<Item<'_>> = settlements
        .iter()
        .zip(effects.chunks(1))
        .map(|(settlement, effects)| Item {
            settlement,
            effects,
        })
        .collect();
    ledger.fire(Term(1), 0, &items).await
}

/// Every key and what it holds, in whatever encoding.
fn everything(link: &mut Connection) -> BTreeMap<String, Vec<(String, String)>> {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(link).unwrap();
    let content = |key: String| {
        let kind: String = redis::cmd("TYPE").arg(&key).query(link).unwrap();
        let value = match kind.as_str() {
            "hash" => {
                let fields: BTreeMap<String, String> = link.hgetall(&key).unwrap();
                fields.into_iter().collect()
            }
            "list" => {
                let items: Vec<String> = link.lrange(&key, 0, -1).unwrap();
                items
                    .into_iter()
                    .map(|item| (item, String::new()))
                    .collect()
            }
            _ => vec![(link.get(&key).unwrap(), kind)],
        };
        (key, value)
    };
    keys.into_iter().map(content).collect()
}

/// The entries `a` to `d` fired before, `d` never.
fn history(redis: &Redis) {
    lead(&mut redis.connect());
    for (entry, count) in [("a", 9), ("b", 99), ("c", 123_456)] {
        redis.run(&format!("HSET beat:{{test}}:last {entry} {}", T1 - 5));
        redis.run(&format!("HSET beat:{{test}}:count {entry} {count}"));
        redis.run(&format!("HSET beat:{{test}}:entries {entry} old"));
    }
    redis.run("LPUSH celery waiting");
}

#[tokio::test]
async fn a_transaction_leaves_what_the_script_leaves() {
    let (one, other) = (Redis::start(), Redis::start());
    history(&one);
    history(&other);
    let fired = [10, 100, 123_457, 1].map(Outcome::Fired);
    let (mut ledger, mut its_twin) = (ledger_of(&one, None), ledger_of(&other, None));
    assert!(ledger.rehearse().await.unwrap());
    assert_eq!(transact(&mut ledger, &CHUNK).await.unwrap().unwrap(), fired);
    assert_eq!(fire(&mut its_twin, &CHUNK).await.unwrap(), fired);
    let left = everything(&mut one.connect());
    assert_eq!(left, everything(&mut other.connect()));

    // The reply was lost: sent again, in either way.
    assert_eq!(transact(&mut ledger, &CHUNK).await.unwrap(), None);
    assert_eq!(everything(&mut one.connect()), left);
    let done = [10, 100, 123_457, 1].map(Outcome::AlreadyDone);
    assert_eq!(fire(&mut ledger, &CHUNK).await.unwrap(), done);
}

#[tokio::test]
async fn what_is_not_plainly_in_order_is_taken_back_unseen() {
    let state = "beat:{test}:";
    for (why, words) in [
        ("another leads", format!("SET {state}leader me/2")),
        ("nobody leads", format!("DEL {state}leader")),
        ("one was fired", format!("HSET {state}last d {T1}")),
        (
            "a later one was fired",
            format!("HSET {state}last b {}", T2 + 9),
        ),
        (
            "a much later one was fired",
            format!("HSET {state}last b 1{T2}"),
        ),
        ("a count is none", format!("HSET {state}count c many")),
        ("one is paused", format!("HSET {state}paused c {{}}")),
        ("all are paused", format!("HSET {state}paused * {{}}")),
        ("a queue is none", "SET mail text".to_owned()),
        ("the leader is a list", format!("LPUSH {state}leader me/1")),
        ("last is a list", format!("LPUSH {state}last a")),
        ("count is a list", format!("LPUSH {state}count a")),
        ("entries is a list", format!("LPUSH {state}entries a")),
        ("paused is a list", format!("LPUSH {state}paused a")),
    ] {
        let redis = Redis::start();
        history(&redis);
        if words.starts_with("LPUSH") {
            redis.run(&words.replace("LPUSH", "DEL"));
        }
        redis.run(&words);
        // A worker that waits for messages when there are none.
        let queues: &[&str] = if why == "one is paused" {
            redis.run("DEL celery");
            &["celery", "mail"]
        } else {
            &[]
        };
        let mut worker = redis.connect();
        let waits = (!queues.is_empty()).then(|| {
            std::thread::spawn(move || {
                redis::cmd("BRPOP")
                    .arg(&["celery", "mail"])
                    .arg(1)
                    .query::<redis::Value>(&mut worker)
                    .unwrap()
            })
        });
        let mut ledger = ledger_of(&redis, None);
        assert!(ledger.rehearse().await.unwrap(), "{why}");
        let before = everything(&mut redis.connect());
        assert_eq!(transact(&mut ledger, &CHUNK).await, Ok(None), "{why}");
        assert_eq!(everything(&mut redis.connect()), before, "{why}");
        if let Some(waits) = waits {
            assert_eq!(waits.join().unwrap(), redis::Value::Nil, "{why}");
        }
        assert!(ledger.transacts(), "{why}");
    }
}

#[tokio::test]
async fn a_small_ledger_is_a_table_and_no_list() {
    let encoding = |redis: &Redis, hash: &str| {
        let key = format!("beat:{{test}}:{hash}");
        redis::cmd("OBJECT")
            .arg("ENCODING")
            .arg(key)
            .query::<String>(&mut redis.connect())
            .unwrap()
    };
    let redis = Redis::start();
    lead(&mut redis.connect());
    let mut ledger = ledger_of(&redis, None);
    assert!(ledger.rehearse().await.unwrap());
    assert!(transact(&mut ledger, &CHUNK).await.unwrap().is_some());
    for hash in ["last", "count"] {
        assert_eq!(encoding(&redis, hash), "hashtable", "what is new: {hash}");
        let fields: usize = redis
            .connect()
            .hlen(format!("beat:{{test}}:{hash}"))
            .unwrap();
        assert_eq!(fields, CHUNK.len());
    }
    let redis = Redis::start();
    history(&redis);
    for hash in ["last", "count"] {
        assert_ne!(encoding(&redis, hash), "hashtable", "{hash}");
    }
    let mut ledger = ledger_of(&redis, None);
    assert!(ledger.rehearse().await.unwrap());
    for hash in ["last", "count"] {
        assert_eq!(
            encoding(&redis, hash),
            "hashtable",
            "what was there: {hash}"
        );
        let fields: usize = redis
            .connect()
            .hlen(format!("beat:{{test}}:{hash}"))
            .unwrap();
        assert_eq!(fields, 3);
    }
}

/// What the user of a store needs for transactions beside the rest.
const MORE: [&str; 6] = ["multi", "exec", "eval", "ltrim", "lindex", "lpush"];

fn with_user(denied: &str) -> Redis {
    let redis = Redis::start();
    history(&redis);
    redis.run("ACL SETUSER store on >pw ~* &* -@all +role +select +get +type +exists +hexists +hmget +hset +del +evalsha +script|load");
    for command in MORE.iter().filter(|command| **command != denied) {
        redis.run(&format!("ACL SETUSER store +{command}"));
    }
    redis
}

#[tokio::test]
async fn a_user_who_may_not_is_found_out_before_anything_is_pushed() {
    for denied in MORE {
        let redis = with_user(denied);
        let before = everything(&mut redis.connect());
        let mut ledger = ledger_of(&redis, Some("store"));
        assert!(!ledger.rehearse().await.unwrap(), "{denied}");
        assert!(!ledger.transacts(), "{denied}");
        assert_eq!(everything(&mut redis.connect()), before, "{denied}");
        still_fires(&mut ledger, denied).await;
    }
}

/// On whatever connection it has now.
async fn still_fires(ledger: &mut RedisLedger, denied: &str) {
    let outcomes = fire(ledger, &CHUNK).await.unwrap();
    let fired = |outcome: &Outcome| matches!(outcome, Outcome::Fired(_));
    assert_eq!(
        outcomes.iter().all(fired),
        denied != "lpush",
        "{denied}: {outcomes:?}"
    );
}

#[tokio::test]
async fn a_user_who_may_no_longer_leaves_nothing_behind() {
    for denied in ["exec", "eval", "ltrim", "lindex", "lpush"] {
        let redis = with_user("");
        let mut ledger = ledger_of(&redis, Some("store"));
        assert!(ledger.rehearse().await.unwrap(), "{denied}");
        redis.run(&format!("ACL SETUSER store -{denied}"));
        let before = everything(&mut redis.connect());
        assert_eq!(transact(&mut ledger, &CHUNK).await, Ok(None), "{denied}");
        assert_eq!(everything(&mut redis.connect()), before, "{denied}");
        assert!(!ledger.transacts(), "{denied}");
        still_fires(&mut ledger, denied).await;
    }
    // Without its beginning the rest is carried out one by one; that happens once.
    let redis = with_user("");
    let mut ledger = ledger_of(&redis, Some("store"));
    assert!(ledger.rehearse().await.unwrap());
    redis.run("ACL SETUSER store -multi");
    let fired = [10, 100, 123_457, 1].map(Outcome::Fired);
    assert_eq!(transact(&mut ledger, &CHUNK).await.unwrap().unwrap(), fired);
    assert!(!ledger.transacts());
    // Keys that it may push to and not read.
    let redis = with_user("");
    redis.run("ACL SETUSER store resetkeys ~beat:* %W~celery %W~mail");
    let mut ledger = ledger_of(&redis, Some("store"));
    assert!(ledger.rehearse().await.unwrap());
    let before = everything(&mut redis.connect());
    assert_eq!(transact(&mut ledger, &CHUNK).await, Ok(None));
    assert_eq!(everything(&mut redis.connect()), before);
}

#[tokio::test]
async fn what_the_server_refuses_to_everybody_is_its_trouble() {
    for (words, mended) in [
        ("CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        (
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        ("REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
    ] {
        let redis = Redis::start();
        history(&redis);
        let mut ledger = ledger_of(&redis, None);
        assert!(ledger.rehearse().await.unwrap(), "{words}");
        let before = everything(&mut redis.connect());
        redis.run(words);
        let refused = transact(&mut ledger, &CHUNK).await;
        assert!(
            matches!(refused, Err(StoreError::Unavailable(_))),
            "{words}: {refused:?}"
        );
        redis.run(mended);
        assert_eq!(everything(&mut redis.connect()), before, "{words}");
        assert!(
            matches!(transact(&mut ledger, &CHUNK).await, Ok(Some(_))),
            "{words}"
        );
    }
}
