use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::*;
use crate::dispatch::memory::{MemoryPublisher, Script};
use crate::store::memory::{MemoryLease, MemoryStore};
use crate::store::{Campaign, Lease};
use crate::testing::{at, entry, load};
use crate::timetable::Entry;

const LEAST: &str = "schedule = 10";
const ONCE: &str = "schedule = 10\ndelivery = 'at_most_once'";
const TTL: Duration = Duration::from_secs(10);

/// One instance with what it publishes to.
struct Instance {
    confirmed: Confirmed,
    publisher: MemoryPublisher,
    lease: MemoryLease,
    term: Term,
}

fn down() -> StoreError {
    StoreError::Unavailable("down".into())
}

async fn leader(store: &MemoryStore, name: &str) -> Instance {
    let (mut lease, ledger) = store.open(name);
    let Ok(Campaign::Won(term)) = lease.campaign(TTL, Term(0)).await else {
        panic!("the lease is held")
    };
    let publisher = MemoryPublisher::default();
    let confirmed = Confirmed::new(
        AnyPublisher::Memory(publisher.clone()),
        AnyLedger::Memory(ledger),
    );
    Instance {
        confirmed,
        publisher,
        lease,
        term,
    }
}

fn due(entry: &Arc<Entry>, time: &str) -> Due {
    Due {
        slot: 0,
        entry: Arc::clone(entry),
        fire_time: at(time),
        action: Action::Fire,
        anchor: at(T0),
        last_fire_time: None,
        skipped: Vec::new(),
        misfire: false,
        task_id: OnceLock::new(),
    }
}

const T0: &str = "2026-11-20T12:00:00Z";
const T1: &str = "2026-11-20T12:00:10Z";
const T2: &str = "2026-11-20T12:00:20Z";

impl Instance {
    async fn fire(&mut self, dues: &[Due]) -> Result<Vec<Outcome>, StoreError> {
        let scribe = Scribe::new("test");
        self.confirmed
            .dispatch(&scribe, self.term, dues, at(T2))
            .await
    }

    fn published(&self) -> usize {
        self.publisher.published().len()
    }
}

#[tokio::test]
async fn a_fire_time_is_published_and_recorded_once() {
    for keys in [LEAST, ONCE] {
        let entry = entry(keys);
        let mut leader = leader(&MemoryStore::default(), "a").await;
        let dues = [due(&entry, T1)];
        assert_eq!(
            leader.fire(&dues).await,
            Ok(vec![Outcome::Fired(1)]),
            "{keys}"
        );
        assert_eq!(
            leader.fire(&dues).await,
            Ok(vec![Outcome::AlreadyDone(1)]),
            "{keys}"
        );
        assert_eq!(leader.published(), 1, "{keys}");
    }
}

#[tokio::test]
async fn a_lost_confirm_is_repeated_or_left_unknown_as_delivery_says() {
    let dues = [due(&entry(LEAST), T1)];
    let mut leader_a = leader(&MemoryStore::default(), "a").await;
    leader_a.publisher.script([Script::LoseConfirm]);
    let lost = leader_a.fire(&dues).await;
    assert!(matches!(lost, Err(StoreError::Ambiguous(_))), "{lost:?}");
    assert_eq!(leader_a.fire(&dues).await, Ok(vec![Outcome::Fired(1)]));
    assert_eq!(leader_a.published(), 2);

    let dues = [due(&entry(ONCE), T1)];
    let mut leader = leader(&MemoryStore::default(), "a").await;
    leader.publisher.script([Script::LoseConfirm]);
    assert_eq!(leader.fire(&dues).await, Ok(vec![Outcome::Unknown(1)]));
    // It is marked: nobody counts it again.
    assert_eq!(
        leader.fire(&[due(&dues[0].entry, T2)]).await,
        Ok(vec![Outcome::Fired(2)])
    );
    assert_eq!(leader.published(), 2);
    assert!(leader.confirmed.take_unknown().is_empty());
}

#[tokio::test]
async fn what_certainly_never_left_is_tried_again() {
    for keys in [LEAST, ONCE] {
        let dues = [due(&entry(keys), T1)];
        let mut leader = leader(&MemoryStore::default(), "a").await;
        leader
            .publisher
            .script([Script::Refuse, Script::Reject("e".into())]);
        let refused = leader.fire(&dues).await;
        assert!(
            matches!(refused, Err(StoreError::Broker(_))),
            "{keys}: {refused:?}"
        );
        let rejected = leader.fire(&dues).await;
        assert!(
            matches!(rejected.as_deref(), Ok([Outcome::Rejected(_)])),
            "{keys}: {rejected:?}"
        );
        assert_eq!(
            leader.fire(&dues).await,
            Ok(vec![Outcome::Fired(1)]),
            "{keys}"
        );
        assert_eq!(leader.published(), 1, "{keys}");
    }
}

#[tokio::test]
async fn what_is_published_is_recorded_when_the_store_returns_and_not_published_again() {
    for (keys, script, outcome) in [
        (LEAST, Script::Publish, Outcome::Fired(1)),
        (ONCE, Script::Publish, Outcome::Fired(1)),
        (ONCE, Script::LoseConfirm, Outcome::Unknown(1)),
    ] {
        let store = MemoryStore::default();
        let dues = [due(&entry(keys), T1)];
        let mut leader = leader(&store, "a").await;
        leader.publisher.script([script]);
        let broken = store.clone();
        leader
            .publisher
            .then(move || broken.set_fault(Some(down())));
        let unrecorded = leader.fire(&dues).await;
        assert!(
            matches!(unrecorded, Err(StoreError::Ambiguous(_))),
            "{keys}: {unrecorded:?}"
        );
        let still = leader.fire(&dues).await;
        assert!(
            matches!(still, Err(StoreError::Ambiguous(_))),
            "{keys}: {still:?}"
        );
        store.set_fault(None);
        assert_eq!(leader.fire(&dues).await, Ok(vec![outcome]), "{keys}");
        assert_eq!(leader.published(), 1, "{keys}");
    }
}

#[tokio::test]
async fn another_holders_unmarked_reservation_is_said_and_not_sent_again() {
    let store = MemoryStore::default();
    let entry = entry(ONCE);
    let mut first = leader(&store, "a").await;
    // It dies between reserving and publishing.
    let reservation = Reservation {
        entry: entry.name.clone(),
        fire_time: at(T1),
        overwrite: String::new(),
    };
    let reserved = first
        .confirmed
        .ledger
        .reserve(first.term, &[reservation])
        .await;
    assert_eq!(reserved, Ok(vec![Claim::Publish]));
    store.depose();

    let mut second = leader(&store, "b").await;
    assert_eq!(
        second.fire(&[due(&entry, T2)]).await,
        Ok(vec![Outcome::Fired(2)])
    );
    assert_eq!(
        second.confirmed.take_unknown(),
        [(entry.name.clone(), at(T1))]
    );
    assert_eq!(second.publisher.published(), [(entry.name.clone(), at(T2))]);
    let late = first.fire(&[due(&entry, T1)]).await;
    assert_eq!(late, Err(StoreError::Deposed));
    assert_eq!(first.published(), 0);
    drop(first.lease);
}

#[tokio::test]
async fn one_bad_item_does_not_harm_its_neighbours() {
    let table = |name: &str| format!("[beat_schedule.{name}]\ntask = 't'\nschedule = 10\n");
    let loaded = load(&(table("a") + &table("b")), at(T0));
    let mut entries = loaded.timetable.entries.values();
    let (a, b) = (entries.next().unwrap(), entries.next().unwrap());
    let mut leader = leader(&MemoryStore::default(), "i").await;
    leader.publisher.script([Script::Reject("a".into())]);
    let outcomes = leader.fire(&[due(a, T1), due(b, T1), due(b, T2)]).await;
    let outcomes = outcomes.unwrap();
    assert!(matches!(outcomes[0], Outcome::Rejected(_)), "{outcomes:?}");
    // One fire of an entry is in flight at a time.
    assert_eq!(outcomes[1..], [Outcome::Fired(1), Outcome::Held]);
}

#[tokio::test]
async fn a_pause_skips_what_was_not_published_and_nothing_else() {
    for keys in [LEAST, ONCE] {
        let store = MemoryStore::default();
        let dues = [due(&entry(keys), T1)];
        let mut leader = leader(&store, "a").await;
        store.set_paused("e", Some("{}"));
        assert_eq!(
            leader.fire(&dues).await,
            Ok(vec![Outcome::Paused]),
            "{keys}"
        );
        store.set_paused("e", None);
        let broken = store.clone();
        leader
            .publisher
            .then(move || broken.set_paused("*", Some("{}")));
        let dues = [due(&dues[0].entry, T2)];
        assert_eq!(
            leader.fire(&dues).await,
            Ok(vec![Outcome::Fired(1)]),
            "{keys}"
        );
    }
}
