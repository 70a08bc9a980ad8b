//! Every store keeps the same promises: one suite, run on memory, on a file and on a real Redis.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper that fails is a test that fails"
)]

#[path = "store_conformance/orders.rs"]
mod orders;
mod support;

use std::path::Path;
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::{Env, Purpose, Sources, StoreLocation};
use beat::message::Identity;
use beat::plan::{Action, Outcome};
use beat::store::file::FileStore;
use beat::store::memory::MemoryStore;
use beat::store::redis::server::Dialer;
use beat::store::redis::{Item, Keys, RedisLease, RedisLedger};
use beat::store::{
    AnyLease, AnyLedger, Campaign, Claim, FRESH, Lease, Ledger, Renewal, Settlement, StoreError,
    Term, Write,
};
use uuid::Uuid;

const TTL: Duration = Duration::from_secs(3);

/// A lease and a ledger of one instance.
type Instance = (AnyLease, AnyLedger);

fn dialer(url: &str) -> Dialer {
    let toml = format!("broker_url = '{url}'\n[beat_schedule.e]\ntask = 't'\nschedule = 1\n");
    let sources = Sources::from_text("t.toml", toml);
    let identity = Identity {
        pid: 1,
        hostname: "h".into(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let loaded = beat::config::load(
        &sources,
        &Env::default(),
        &identity,
        Timestamp::EPOCH,
        Purpose::Run,
    )
    .unwrap();
    match &loaded.settings.store {
        StoreLocation::Redis(servers) => Dialer::new(servers),
        StoreLocation::File(_) => panic!("not a Redis"),
    }
}

fn on_redis(url: &str, name: &str) -> Instance {
    let keys = Keys::new("beat:", "conformance");
    let lease = RedisLease::new(dialer(url), keys.clone(), name.into(), TTL / 3);
    let ledger = RedisLedger::new(dialer(url), keys, name.into(), TTL / 3);
    (
        AnyLease::Redis(Box::new(lease)),
        AnyLedger::Redis(Box::new(ledger)),
    )
}

fn on_file(path: &Path) -> Instance {
    let (lease, ledger) = FileStore::new(path.to_owned()).split();
    (AnyLease::File(lease), AnyLedger::File(ledger))
}

fn on_memory(store: &MemoryStore, name: &str) -> Instance {
    let (lease, ledger) = store.open(name);
    (AnyLease::Memory(lease), AnyLedger::Memory(ledger))
}

/// Runs `suite` on two fresh instances of every store.
async fn on_all(suite: impl AsyncFn(Instance, Instance)) {
    let memory = MemoryStore::default();
    suite(on_memory(&memory, "a"), on_memory(&memory, "b")).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("deep/state");
    suite(on_file(&path), on_file(&path)).await;
    let redis = support::servers::Redis::start();
    suite(on_redis(&redis.url(), "a"), on_redis(&redis.url(), "b")).await;
}

fn time(seconds: i64) -> Timestamp {
    Timestamp::from_micros(1_795_000_000_000_000 + seconds * 1_000_000)
}

fn fire(entry: &str, at: i64) -> Settlement {
    Settlement {
        entry: entry.into(),
        fire_time: time(at),
        action: Action::Fire,
        record: format!("r{at}"),
    }
}

fn skip(entry: &str, until: i64) -> Settlement {
    Settlement {
        action: Action::Skip,
        record: String::new(),
        ..fire(entry, until)
    }
}

/// Wins an election that nobody else stands for. A server that another test starts at this moment
/// holds a copy of the file's lock between fork and exec: asked again until that is over.
async fn won(lease: &mut AnyLease) -> Term {
    for _ in 0..200 {
        match lease.campaign(TTL, Term(0)).await.unwrap() {
            Campaign::Won(term) => return term,
            Campaign::Held { .. } => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
    panic!("somebody else holds the lease")
}

#[tokio::test]
async fn one_leads_and_terms_grow() {
    on_all(async |(mut a, _), (mut b, _)| {
        let first = won(&mut a).await;
        assert!(matches!(
            b.campaign(TTL, Term(0)).await.unwrap(),
            Campaign::Held { .. }
        ));
        assert_eq!(
            won(&mut a).await,
            first,
            "a lost reply: the held term is given back"
        );
        assert!(matches!(
            a.renew(first, TTL).await.unwrap(),
            Renewal::Held(_)
        ));
        assert_eq!(b.renew(first, TTL).await.unwrap(), Renewal::Lost);
        a.resign(first).await.unwrap();
        let second = won(&mut b).await;
        assert!(second > first);
        assert_eq!(a.renew(first, TTL).await.unwrap(), Renewal::Lost);
        b.resign(first).await.ok();
    })
    .await;
}

#[tokio::test]
async fn a_term_is_above_every_term_seen() {
    on_all(async |(mut a, mut ledger), _| {
        assert_eq!(
            a.campaign(TTL, Term(41)).await.unwrap(),
            Campaign::Won(Term(42))
        );
        let birth = ledger.load(&[]).await.unwrap().birth;
        assert_eq!(
            birth, None,
            "a store that was known is not new when it is empty"
        );
        a.resign(Term(42)).await.unwrap();
        assert_eq!(
            a.campaign(TTL, Term(0)).await.unwrap(),
            Campaign::Won(Term(43))
        );
    })
    .await;
}

#[tokio::test]
async fn each_fire_time_is_committed_once() {
    on_all(async |(mut lease, mut ledger), _| {
        let term = won(&mut lease).await;
        assert_eq!(
            ledger.claim(term, &[fire("e", 1)]).await.unwrap(),
            [Claim::Publish]
        );
        assert_eq!(
            ledger.commit(term, &[fire("e", 1)]).await.unwrap(),
            [Outcome::Fired(1)]
        );
        assert_eq!(
            ledger.commit(term, &[fire("e", 1)]).await.unwrap(),
            [Outcome::AlreadyDone(1)]
        );
        assert_eq!(
            ledger.claim(term, &[fire("e", 1)]).await.unwrap(),
            [Claim::Settled(Outcome::AlreadyDone(1))]
        );
        assert_eq!(
            ledger.commit(term, &[fire("e", 0)]).await.unwrap(),
            [Outcome::Superseded(time(1))]
        );
        let other = ledger
            .commit(term, &[fire("e", 2), fire("f", 1)])
            .await
            .unwrap();
        assert_eq!(other, [Outcome::Fired(2), Outcome::Fired(1)]);
    })
    .await;
}

#[tokio::test]
async fn a_chunk_that_is_sent_again_is_done_already() {
    on_all(async |(mut lease, mut ledger), _| {
        let term = won(&mut lease).await;
        let chunk = [fire("e", 1), fire("e", 2), fire("f", 1), skip("g", 3)];
        let first = ledger.commit(term, &chunk).await.unwrap();
        assert_eq!(
            first,
            [
                Outcome::Fired(1),
                Outcome::Fired(2),
                Outcome::Fired(1),
                Outcome::Skipped
            ]
        );
        let again = ledger.commit(term, &chunk).await.unwrap();
        let done = Outcome::AlreadyDone;
        assert_eq!(again, [done(2), done(2), done(1), Outcome::Skipped]);
    })
    .await;
}

#[tokio::test]
async fn only_the_leader_writes() {
    on_all(async |(mut a, mut ledger_a), (mut b, mut ledger_b)| {
        let old = won(&mut a).await;
        ledger_a.commit(old, &[fire("e", 1)]).await.unwrap();
        a.resign(old).await.unwrap();
        let new = won(&mut b).await;
        assert_eq!(
            ledger_a.commit(old, &[fire("e", 2)]).await,
            Err(StoreError::Deposed)
        );
        assert_eq!(
            ledger_a.claim(old, &[fire("e", 2)]).await,
            Err(StoreError::Deposed)
        );
        assert_eq!(
            ledger_a.enrol(old, None, &[write("e", "r1", "r9")]).await,
            Err(StoreError::Deposed)
        );
        assert_eq!(
            ledger_b.commit(old, &[fire("e", 2)]).await,
            Err(StoreError::Deposed)
        );
        assert_eq!(
            ledger_b.commit(new, &[fire("e", 2)]).await.unwrap(),
            [Outcome::Fired(2)]
        );
    })
    .await;
}

fn write(entry: &str, expected: &str, record: &str) -> Write {
    Write {
        entry: entry.into(),
        expected: expected.into(),
        record: Some(record.into()),
        from: Some(time(5)),
        last: None,
        count: None,
    }
}

#[tokio::test]
async fn records_are_compared_and_set() {
    on_all(async |(mut lease, mut ledger), _| {
        let term = won(&mut lease).await;
        let names = ["e".into(), "f".into()];
        let birth = ledger.load(&names).await.unwrap().birth;
        assert_eq!(birth.as_deref(), Some(FRESH));
        assert!(
            ledger
                .enrol(term, Some("b"), &[write("e", "", "one")])
                .await
                .unwrap()
                .is_empty()
        );
        // The same again is no conflict (the reply was lost), another one is.
        assert!(
            ledger
                .enrol(term, None, &[write("e", "", "one")])
                .await
                .unwrap()
                .is_empty()
        );
        let both = [write("f", "", "new"), write("e", "", "two")];
        assert_eq!(ledger.enrol(term, None, &both).await.unwrap(), [1]);

        let loaded = ledger.load(&names).await.unwrap();
        assert_eq!(loaded.birth.as_deref(), Some("b"));
        assert_eq!(loaded.recorded[0].text, "one");
        assert_eq!(loaded.recorded[0].from, Some(time(5)));
        assert_eq!(loaded.recorded[1].text, "new");

        let others = ledger.others(&names[..1]).await.unwrap();
        assert_eq!(others, [("f".into(), "new".to_owned())]);
        let forget = Write {
            record: None,
            from: None,
            ..write("f", "new", "")
        };
        assert!(
            ledger
                .enrol(term, None, &[forget])
                .await
                .unwrap()
                .is_empty()
        );
        assert!(ledger.others(&names[..1]).await.unwrap().is_empty());
    })
    .await;
}

#[tokio::test]
async fn a_skip_moves_only_forward() {
    on_all(async |(mut lease, mut ledger), _| {
        let term = won(&mut lease).await;
        for until in [7, 3] {
            assert_eq!(
                ledger.commit(term, &[skip("e", until)]).await.unwrap(),
                [Outcome::Skipped]
            );
        }
        assert_eq!(
            ledger.load(&["e".into()]).await.unwrap().recorded[0].from,
            Some(time(7))
        );
    })
    .await;
}

#[tokio::test]
async fn a_file_remembers_across_processes_and_is_set_aside_when_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state");
    let (mut lease, mut ledger) = on_file(&path);
    let term = won(&mut lease).await;
    ledger.commit(term, &[fire("e", 1)]).await.unwrap();
    drop((lease, ledger));

    let (mut lease, mut ledger) = on_file(&path);
    assert!(won(&mut lease).await > term);
    assert_eq!(
        ledger.load(&["e".into()]).await.unwrap().recorded[0].last,
        Some(time(1))
    );
    drop((lease, ledger));

    std::fs::write(&path, "garbage".repeat(10_000)).unwrap();
    let (mut lease, mut ledger) = on_file(&path);
    let term = won(&mut lease).await;
    assert_eq!(
        ledger.commit(term, &[fire("e", 2)]).await.unwrap(),
        [Outcome::Fired(1)]
    );
    assert!(folder.path().join("state.damaged").exists());
}

#[tokio::test]
async fn garbage_and_wrong_types_in_redis_heal() {
    let redis = support::servers::Redis::start();
    let (mut lease, mut ledger) = on_redis(&redis.url(), "a");
    let key = |name: &str| format!("beat:{{conformance}}:{name}");

    redis.run(&format!("SET {} nonsense", key("leader")));
    redis.run(&format!("RPUSH {} x", key("term")));
    let term = won(&mut lease).await;

    redis.run(&format!(
        "HSET {} e -12 f 99999999999999999999",
        key("last")
    ));
    redis.run(&format!("HSET {} e many", key("count")));
    let outcomes = ledger
        .commit(term, &[fire("e", 1), fire("f", 1)])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Fired(1), Outcome::Fired(1)]);

    for name in ["last", "from", "count", "entries", "paused", "reserved"] {
        redis.run(&format!("DEL {}", key(name)));
        redis.run(&format!("SET {} text", key(name)));
        assert_eq!(
            ledger.commit(term, &[fire("e", 9)]).await,
            Err(StoreError::Corrupt),
            "{name}"
        );
        assert_eq!(ledger.repair(term).await.unwrap(), [key(name)]);
    }
    assert_eq!(
        ledger.commit(term, &[fire("e", 9)]).await.unwrap(),
        [Outcome::Fired(1)]
    );
}

#[tokio::test]
async fn what_was_fired_stays_fired_when_it_is_sent_again_after_a_pause() {
    let redis = support::servers::Redis::start();
    let (mut lease, mut ledger) = on_redis(&redis.url(), "a");
    let term = won(&mut lease).await;
    let keys = Keys::new("beat:", "conformance");
    let mut atomic = RedisLedger::new(dialer(&redis.url()), keys, "a".into(), TTL / 3);
    let (done, due) = (fire("e", 1), fire("e", 2));
    let item = |settlement| Item {
        settlement,
        effects: &[],
    };
    let fired = atomic.fire(term, 0, &[item(&done)]).await.unwrap();
    assert_eq!(fired, [Outcome::Fired(1)]);
    redis.run("HSET beat:{conformance}:paused e {}");
    let again = atomic
        .fire(term, 0, &[item(&done), item(&due)])
        .await
        .unwrap();
    assert_eq!(again, [Outcome::AlreadyDone(1), Outcome::Paused]);
    let claims = ledger.claim(term, &[done, due]).await.unwrap();
    let settled = [Outcome::AlreadyDone(1), Outcome::Paused].map(Claim::Settled);
    assert_eq!(claims, settled);
}
