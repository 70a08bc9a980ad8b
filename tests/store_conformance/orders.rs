//! Reservations of `at_most_once`, and requests of operators.

use beat::plan::Outcome;
use beat::store::control::{Carried, Decision, Order};
use beat::store::{Claim, Lease, Ledger, Reservation, StoreError};

use super::{fire, on_all, time, won};

#[tokio::test]
async fn a_reservation_counts_once_and_is_its_holders_until_it_is_marked() {
    on_all(
        async |(mut lease_a, mut ledger_a), (mut lease_b, mut ledger_b)| {
            let reserve = |second: i64, overwrite: &str| {
                [Reservation {
                    entry: "e".into(),
                    fire_time: time(second),
                    overwrite: overwrite.to_owned(),
                }]
            };
            let old = won(&mut lease_a).await;
            let first = ledger_a.reserve(old, &reserve(1, "")).await.unwrap();
            assert_eq!(first, [Claim::Publish]);
            let given_back = ledger_a.reserve(old, &reserve(1, "")).await.unwrap();
            assert_eq!(given_back, [Claim::Publish]);
            let recorded = ledger_a.load(&["e".into()]).await.unwrap().recorded;
            assert_eq!((recorded[0].last, recorded[0].count), (Some(time(1)), 1));
            // One that never left gives way to the next fire time.
            let next = ledger_a.reserve(old, &reserve(2, "")).await.unwrap();
            assert_eq!(next, [Claim::Publish]);
            let marked = ledger_a.commit(old, &[fire("e", 2)]).await.unwrap();
            assert_eq!(marked, [Outcome::Fired(2)]);
            let done = ledger_a.reserve(old, &reserve(2, "")).await.unwrap();
            assert_eq!(done, [Claim::Settled(Outcome::AlreadyDone(2))]);

            ledger_a.reserve(old, &reserve(3, "")).await.unwrap();
            lease_a.resign(old).await.unwrap();
            let new = won(&mut lease_b).await;
            let theirs = ledger_b.reserve(new, &reserve(4, "")).await.unwrap();
            let [Claim::Unmarked(text)] = &theirs[..] else {
                panic!("{theirs:?}")
            };
            assert!(
                text.starts_with(&format!("{} ", time(3).as_micros())),
                "{text}"
            );
            let recorded = ledger_b.load(&["e".into()]).await.unwrap().recorded;
            assert_eq!(recorded[0].last, Some(time(3)));
            let left = ledger_b.unmarked(new).await.unwrap();
            assert_eq!(left, [("e".into(), text.clone())]);
            let overwritten = ledger_b.reserve(new, &reserve(4, text)).await.unwrap();
            assert_eq!(overwritten, [Claim::Publish]);
            let marked = ledger_b.commit(new, &[fire("e", 4)]).await.unwrap();
            assert_eq!(marked, [Outcome::Fired(4)]);
            assert_eq!(ledger_b.unmarked(new).await.unwrap(), []);
            // What was given up is not met again; one's own reservation is nobody else's.
            ledger_b.reserve(new, &reserve(5, "")).await.unwrap();
            assert_eq!(ledger_b.unmarked(new).await.unwrap(), []);
            lease_b.resign(new).await.unwrap();
            let third = won(&mut lease_a).await;
            let left = ledger_a.unmarked(third).await.unwrap();
            assert_eq!(left.len(), 1);
            ledger_a.abandon(third, &left).await.unwrap();
            let free = ledger_a.reserve(third, &reserve(6, "")).await.unwrap();
            assert_eq!(free, [Claim::Publish]);
            let late = ledger_a.reserve(old, &reserve(5, "")).await;
            assert_eq!(late, Err(StoreError::Deposed));
        },
    )
    .await;
}

/// A request that the leader decided about.
fn order(n: u64, decision: Decision, entry: &str) -> Order {
    Order {
        id: format!("1795000000000-{n}"),
        decision,
        entry: entry.to_owned(),
        answer: "done".to_owned(),
        answer_if_all_paused: "all are paused".to_owned(),
    }
}

fn pause(n: u64, entry: &str) -> Order {
    let mark = r#"{"reason":"r","by":"b","at":"2026-11-20T12:00:00Z"}"#;
    order(n, Decision::Pause(mark.to_owned()), entry)
}

#[tokio::test]
async fn what_is_reserved_is_published_though_it_was_paused_meanwhile() {
    on_all(
        async |(mut lease, mut ledger), (mut next_lease, mut next)| {
            let reserve = |second: i64| {
                [Reservation {
                    entry: "e".into(),
                    fire_time: time(second),
                    overwrite: String::new(),
                }]
            };
            let term = won(&mut lease).await;
            ledger.reserve(term, &reserve(1)).await.unwrap();
            ledger.obey(term, &pause(1, "e")).await.unwrap();
            let own = ledger.reserve(term, &reserve(1)).await.unwrap();
            assert_eq!(own, [Claim::Publish], "it is counted: nobody else will");
            let marked = ledger.commit(term, &[fire("e", 1)]).await.unwrap();
            assert_eq!(marked, [Outcome::Fired(1)]);
            let again = ledger.reserve(term, &reserve(1)).await.unwrap();
            assert_eq!(again, [Claim::Settled(Outcome::AlreadyDone(1))]);
            let later = ledger.reserve(term, &reserve(2)).await.unwrap();
            assert_eq!(later, [Claim::Settled(Outcome::Paused)]);

            // Another's unmarked reservation is told once, when it is overwritten: not while paused.
            let resume = order(2, Decision::Resume, "e");
            ledger.obey(term, &resume).await.unwrap();
            ledger.reserve(term, &reserve(2)).await.unwrap();
            ledger.obey(term, &pause(3, "*")).await.unwrap();
            lease.resign(term).await.unwrap();
            let term = won(&mut next_lease).await;
            let done = next.reserve(term, &reserve(2)).await.unwrap();
            assert_eq!(done, [Claim::Settled(Outcome::AlreadyDone(2))]);
            let paused = next.reserve(term, &reserve(3)).await.unwrap();
            assert_eq!(paused, [Claim::Settled(Outcome::Paused)]);
        },
    )
    .await;
}

#[tokio::test]
async fn a_request_is_carried_out_once() {
    on_all(async |(mut lease, mut ledger), _| {
        let term = won(&mut lease).await;
        let claim = [Claim::Settled(Outcome::Paused)];
        let all = pause(2, "*");
        assert_eq!(ledger.obey(term, &all).await, Ok(Carried::Now));
        assert_eq!(ledger.claim(term, &[fire("e", 1)]).await.unwrap(), claim);
        let one = order(3, Decision::Resume, "e");
        assert_eq!(ledger.obey(term, &one).await, Ok(Carried::AllPaused));
        let resume = order(4, Decision::Resume, "*");
        assert_eq!(ledger.obey(term, &resume).await, Ok(Carried::Now));
        assert_eq!(ledger.obey(term, &all).await, Ok(Carried::Before));
        let free = ledger.claim(term, &[fire("e", 1)]).await.unwrap();
        assert_eq!(free, [Claim::Publish], "the repeated pause changed nothing");
        // Tenth of its millisecond: numbers, not texts, are compared.
        let tenth = order(10, Decision::Answer, "e");
        assert_eq!(ledger.obey(term, &tenth).await, Ok(Carried::Now));
        lease.resign(term).await.unwrap();
        let late = ledger.obey(term, &pause(11, "e")).await;
        assert_eq!(late, Err(StoreError::Deposed));
    })
    .await;
}
