use std::sync::Arc;
use std::time::Duration;

use super::catch_up::{CatchUp, catch_up};
use super::enrol::{News, enrol};
use super::{Action, Due, Outcome, Plan, Progress, Reason, Record, Recorded, Rejection};
use crate::clock::Timestamp;
use crate::testing::{at, entry};
use crate::timetable::Timing;

const NOON: &str = "2026-11-20T12:00:00Z";

/// Standing at noon with nothing fired.
fn since_noon() -> Progress {
    Progress {
        anchor: at(NOON),
        from: at(NOON),
        last: None,
        count: 0,
    }
}

fn seconds_after_noon(times: &[Timestamp]) -> Vec<i64> {
    times
        .iter()
        .map(|time| time.micros_since(at(NOON)) / 1_000_000)
        .collect()
}

fn reasons(mut found: CatchUp) -> Vec<(Reason, u64)> {
    found
        .skipped_up_to(Timestamp::MAX)
        .iter()
        .map(|skipped| (skipped.reason, skipped.count))
        .collect()
}

/// Looks at noon + `now` s; the leader is able since noon + `able` s.
fn look(keys: &str, now: u64, able: u64) -> CatchUp {
    let after = |seconds| at(NOON).plus(Duration::from_secs(seconds));
    catch_up(
        &entry(keys),
        &since_noon(),
        after(now),
        after(able),
        usize::MAX,
    )
}

/// Keys of the entry, seconds fired, what is skipped.
type Case = (&'static str, &'static [i64], &'static [(Reason, u64)]);

#[test]
fn misfire_policies_decide_what_a_long_outage_leaves() {
    let cases: &[Case] = &[
        ("schedule = 10", &[60], &[(Reason::Misfire, 5)]),
        (
            "schedule = 10\nmisfire = 'latest'",
            &[60],
            &[(Reason::Misfire, 5)],
        ),
        (
            "schedule = 10\nmisfire = 'all'",
            &[10, 20, 30, 40, 50, 60],
            &[],
        ),
        (
            "schedule = 10\nmisfire = 'skip'",
            &[],
            &[(Reason::Misfire, 6)],
        ),
        (
            "schedule = 10\nenabled = false",
            &[],
            &[(Reason::Disabled, 6)],
        ),
        (
            "schedule = 10\nmisfire = 'all'\nstarting_deadline = 25",
            &[40, 50, 60],
            &[(Reason::Deadline, 3)],
        ),
        (
            "schedule = 10\nstarting_deadline = 25",
            &[60],
            &[(Reason::Deadline, 3), (Reason::Misfire, 2)],
        ),
        (
            "schedule = 10\nmax_runs = 1",
            &[60],
            &[(Reason::Misfire, 5)],
        ),
        (
            "schedule = 10\nmisfire = 'all'\nmax_runs = 2",
            &[10, 20],
            &[],
        ),
    ];
    for (keys, fires, skipped) in cases {
        let found = look(keys, 65, 65);
        assert_eq!(seconds_after_noon(&found.fires), *fires, "{keys}");
        assert_eq!(reasons(found), *skipped, "{keys}");
    }
}

#[test]
fn what_became_due_while_this_leader_was_able_is_fired_though_misfires_are_skipped() {
    let found = look("schedule = 10\nmisfire = 'skip'", 65, 55);
    assert_eq!(seconds_after_noon(&found.fires), [60]);
    assert_eq!(reasons(found), [(Reason::Misfire, 5)]);
}

#[test]
fn a_backlog_keeps_the_newest_thousand() {
    let found = look("schedule = 1\nmisfire = 'all'", 1_500, 1_500);
    assert_eq!(
        seconds_after_noon(&found.fires),
        (501..=1_500).collect::<Vec<_>>()
    );
    assert_eq!(reasons(found), [(Reason::Backlog, 500)]);
}

#[test]
fn a_year_of_seconds_is_counted_in_bounded_time() {
    let year = 365 * 86_400;
    let mut found = look("schedule = 1", year, year);
    assert_eq!(
        seconds_after_noon(&found.fires),
        [i64::try_from(year).unwrap()]
    );
    let skipped = found.skipped_up_to(Timestamp::MAX);
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].reason, Reason::Misfire);
    assert_eq!(
        skipped[0].count,
        year - 1,
        "an even grid is counted exactly"
    );
    assert!(skipped[0].estimated);
}

#[test]
fn excluded_times_are_skipped_and_said() {
    let keys = "schedule = { crontab = '0 * * * *' }\nmisfire = 'all'\nexclude = [{ crontab = '* 14 * * *' }]";
    let found = look(keys, 4 * 3_600, 0);
    assert_eq!(seconds_after_noon(&found.fires), [3_600, 10_800, 14_400]);
    assert_eq!(reasons(found), [(Reason::Excluded, 1)]);
}

/// A plan of one entry that stands at noon, and its items that are due `after` seconds later.
fn plan(keys: &str) -> Plan {
    let mut plan = Plan::new(at(NOON));
    plan.set(entry(keys), since_noon());
    plan
}

fn after_noon(seconds: u64) -> Timestamp {
    at(NOON).plus(Duration::from_secs(seconds))
}

fn settle_all(plan: &mut Plan, now: Timestamp, outcome: &Outcome) -> Vec<i64> {
    let dues = plan.due(now, 128);
    for due in &dues {
        plan.settle(due, outcome, now);
    }
    for due in &dues {
        plan.rearm(due.slot);
    }
    seconds_after_noon(&dues.iter().map(|due| due.fire_time).collect::<Vec<_>>())
}

#[test]
fn the_grid_does_not_drift_when_sending_is_late() {
    let mut plan = plan("schedule = 10");
    assert_eq!(plan.next_wake(), Some(after_noon(10)));
    assert_eq!(
        settle_all(&mut plan, after_noon(13), &Outcome::Fired(1)),
        [10]
    );
    assert_eq!(plan.next_wake(), Some(after_noon(20)));
}

#[test]
fn what_is_skipped_is_counted_with_the_fire_that_jumps_over_it() {
    let excluded = "schedule = { crontab = '* * * * *' }\nexclude = [{ crontab = '2,5 * * * *' }]";
    let counts = |keys: &str| -> Vec<(i64, Action, u64)> {
        let dues = plan(keys).due(after_noon(5 * 60), 128);
        let count = |due: &Due| due.skipped.iter().map(|skipped| skipped.count).sum();
        let minute = |due: &Due| seconds_after_noon(&[due.fire_time])[0] / 60;
        let counted = |due: &Due| (minute(due), due.action, count(due));
        dues.iter().map(counted).collect()
    };
    // The last item may be held back when the fire before it fails, or is the only one in flight.
    assert_eq!(
        counts(excluded),
        [(4, Action::Fire, 3), (5, Action::Skip, 1)]
    );
    assert_eq!(
        counts(&format!("{excluded}\nmisfire = 'all'")),
        [
            (1, Action::Fire, 0),
            (3, Action::Fire, 1),
            (4, Action::Fire, 0),
            (5, Action::Skip, 1)
        ]
    );
}

#[test]
fn what_lies_beyond_the_run_limit_is_not_decided_on() {
    let mut plan = plan("schedule = 10\nmisfire = 'all'\nmax_runs = 2");
    // Paused: both are skipped without a run, and so the third is still to come.
    let paused = settle_all(&mut plan, after_noon(35), &Outcome::Paused);
    assert_eq!(paused, [10, 20]);
    assert_eq!(plan.next_wake(), Some(after_noon(30)));
}

#[test]
fn an_entry_in_flight_is_not_handed_out_again() {
    let mut plan = plan("schedule = 10");
    assert_eq!(plan.due(after_noon(10), 128).len(), 1);
    assert!(plan.due(after_noon(25), 128).is_empty());
}

#[test]
fn a_rejected_fire_time_is_retried_until_the_next_one_is_due() {
    let mut plan = plan("schedule = 10");
    let rejected = Outcome::Rejected(Rejection("no".into()));
    assert_eq!(settle_all(&mut plan, after_noon(10), &rejected), [10]);
    let again = plan.next_wake().unwrap();
    assert!(again > after_noon(10) && again < after_noon(12), "{again}");
    assert_eq!(settle_all(&mut plan, after_noon(19), &rejected), [10]);
    // Due at 20: the pause must not delay it, and 10 is a misfire now.
    assert!(plan.next_wake().unwrap() <= after_noon(20));
    let dues = plan.due(after_noon(20), 128);
    assert_eq!(seconds_after_noon(&[dues[0].fire_time]), [20]);
    assert_eq!(
        (dues[0].skipped[0].reason, dues[0].skipped[0].count),
        (Reason::Misfire, 1)
    );
}

#[test]
fn a_failing_fire_time_never_spins() {
    let mut plan = plan("schedule = 0.01");
    let now = after_noon(10);
    settle_all(&mut plan, now, &Outcome::Rejected(Rejection("no".into())));
    assert!(plan.next_wake().unwrap() >= now.plus(Duration::from_millis(50)));
}

#[test]
fn outcomes_move_the_entry_as_far_as_they_say() {
    let cases = [
        (Outcome::Fired(7), 20),
        (Outcome::AlreadyDone(7), 20),
        (Outcome::Skipped, 20),
        (Outcome::Paused, 20),
        (Outcome::Superseded(after_noon(35)), 40),
        (Outcome::Held, 10),
    ];
    for (outcome, next) in cases {
        let mut plan = plan("schedule = 10");
        settle_all(&mut plan, after_noon(10), &outcome);
        let standing = plan.standing("e").unwrap();
        assert_eq!(standing.next, Some(after_noon(next)), "{outcome:?}");
    }
}

#[test]
fn an_entry_with_a_backlog_does_not_hold_up_the_others() {
    let toml = "[beat_schedule.old]\ntask = 't'\nschedule = 1\nmisfire = 'all'\n\
                [beat_schedule.new]\ntask = 't'\nschedule = 300\n";
    let loaded = crate::testing::load(toml, at(NOON));
    let mut plan = Plan::new(after_noon(300));
    for entry in loaded.timetable.entries.values() {
        plan.set(Arc::clone(entry), since_noon());
    }
    let dues = plan.due(after_noon(300), 128);
    assert_eq!(&*dues[0].entry.name, "new", "what is on time goes first");
    assert_eq!(dues.len(), 128);
    assert_eq!(
        seconds_after_noon(&[dues[1].fire_time, dues[127].fire_time]),
        [1, 127]
    );
}

#[test]
fn what_is_only_skipped_is_recorded_as_skipped() {
    let mut plan = plan("schedule = 10\nenabled = false");
    let dues = plan.due(after_noon(25), 128);
    assert_eq!(
        (dues[0].action, dues[0].fire_time),
        (Action::Skip, after_noon(20))
    );
    assert_eq!(dues[0].skipped[0].count, 2);
}

/// What differs in a record.
type Edit = Box<dyn FnOnce(&mut Record)>;

fn recorded(entry: &crate::timetable::Entry, change: impl FnOnce(&mut Record)) -> Recorded {
    let mut record = Record {
        anchor: at(NOON),
        timing: entry.timing,
        enabled: true,
        max_runs: None,
        task_id: None,
        sent_at: None,
        removed_at: None,
    };
    change(&mut record);
    Recorded {
        last: Some(after_noon(100)),
        from: Some(at(NOON)),
        count: 10,
        text: record.to_json(),
    }
}

#[test]
fn only_changes_of_timing_move_what_counts() {
    let entry = entry("schedule = 10");
    let (changed, now) = (after_noon(500), after_noon(900));
    let other = Timing {
        grid: crate::timetable::Fingerprint(1),
        ..entry.timing
    };
    let window = Timing {
        window: crate::timetable::Fingerprint(1),
        ..entry.timing
    };
    // (what differs in the record, news, anchor, base)
    let cases: Vec<(Edit, News, u64, u64)> = vec![
        (Box::new(|_| {}), News::Nothing, 0, 100),
        (Box::new(move |r| r.timing = other), News::Changed, 500, 500),
        (Box::new(move |r| r.timing = window), News::Changed, 0, 500),
        (Box::new(|r| r.enabled = false), News::Switched, 0, 500),
        (
            Box::new(|r| r.removed_at = Some(at(NOON))),
            News::Switched,
            0,
            500,
        ),
    ];
    for (edit, news, anchor, base) in cases {
        let enrolment = enrol(&entry, &recorded(&entry, edit), changed, now);
        assert_eq!(enrolment.news, news);
        assert_eq!(enrolment.progress.anchor, after_noon(anchor), "{news:?}");
        assert_eq!(enrolment.progress.base(), after_noon(base), "{news:?}");
        assert_eq!(enrolment.progress.count, 10, "{news:?}");
        assert_eq!(enrolment.write.is_some(), news != News::Nothing);
    }
}

#[test]
fn a_new_entry_counts_from_its_recording_and_runs_then_if_asked_to() {
    let now = after_noon(3);
    let plain = enrol(&entry("schedule = 10"), &Recorded::default(), at(NOON), now);
    assert_eq!((plain.progress.anchor, plain.progress.from), (now, now));

    let keen = entry("schedule = 10\nrun_on_start = true");
    let enrolment = enrol(&keen, &Recorded::default(), at(NOON), now);
    let found = catch_up(&keen, &enrolment.progress, now, now, 9);
    assert_eq!(
        found.fires,
        [now],
        "the instant of the recording is a fire time"
    );
    // A restart finds the record and the fire time done.
    let after = Progress {
        last: Some(now),
        ..enrolment.progress
    };
    assert!(
        catch_up(&keen, &after, now.plus(Duration::from_secs(9)), now, 9)
            .fires
            .is_empty()
    );
}

#[test]
fn garbage_in_the_store_counts_as_absent() {
    for text in ["", "{", "[]", "{\"anchor\":1}", "null", "\u{0}"] {
        assert_eq!(Record::parse(text), None, "{text}");
    }
    for text in ["", "-1", "1e9", " 1", "12345678901234567", "１"] {
        assert_eq!(super::record::parse_micros(text), None, "{text}");
    }
    assert_eq!(super::record::parse_micros("0"), Some(Timestamp::EPOCH));
}

#[test]
fn lateness_counts_from_the_send_instant() {
    // (keys, µs from the send instant to now, whether that is fired)
    let cases = [
        ("starting_deadline = '20s'", 20_000_000, true),
        ("starting_deadline = '20s'", 20_000_001, false),
        // Firing takes a moment.
        ("starting_deadline = 0.001", 999_999, true),
        ("starting_deadline = 0.001", 1_000_001, false),
    ];
    for (keys, late, fired) in cases {
        let entry = entry(&format!("schedule = '1h'\njitter = '30m'\n{keys}"));
        let fire_time = after_noon(3_600);
        let send = entry.send_instant(fire_time);
        assert!(send > fire_time.plus(Duration::from_secs(60)), "{send}");
        let now = send.plus_micros(late);
        let found = catch_up(&entry, &since_noon(), now, now, usize::MAX);
        assert_eq!(!found.fires.is_empty(), fired, "{keys} {late}");
    }
    let entry = entry("schedule = '1h'\njitter = '30m'\nmisfire = 'skip'");
    let send = entry.send_instant(after_noon(3_600));
    for (able, fires) in [(send, 1), (send.plus_micros(1), 0)] {
        let found = catch_up(&entry, &since_noon(), send.plus_micros(1), able, usize::MAX);
        assert_eq!(found.fires.len(), fires);
    }
}

#[test]
fn offsets_longer_than_the_gap_delay_and_do_not_drop() {
    for policy in ["latest", "skip", "all"] {
        let keys = format!("schedule = 1\njitter = '20s'\nmisfire = '{policy}'");
        let mut plan = plan(&keys);
        let mut fired = Vec::new();
        while let Some(wake) = plan.next_wake().filter(|at| *at <= after_noon(120)) {
            let outcome = Outcome::Fired(u64::try_from(fired.len()).unwrap());
            fired.extend(settle_all(&mut plan, wake.max(at(NOON)), &outcome));
        }
        let last = i64::try_from(fired.len()).unwrap();
        assert!(last > 90, "{last}");
        assert_eq!(fired, (1..=last).collect::<Vec<_>>(), "{policy}");
    }
}

#[test]
fn an_outage_leaves_one_of_what_jitter_made_due_at_once() {
    let found = look("schedule = 1\njitter = '20s'", 120, 120);
    assert_eq!(found.fires.len(), 1, "{:?}", found.fires);
}

#[test]
fn an_entry_is_forgotten_after_thirty_days_away() {
    let entry = entry("schedule = 10\nrun_on_start = true");
    let gone = after_noon(200);
    let away = recorded(&entry, |record| record.removed_at = Some(gone));
    let days = |days: u64| gone.plus(Duration::from_secs(days * 86_400));
    // Back in time: anchor and count stay, and it counts from its return.
    let back = enrol(&entry, &away, days(29), days(29)).progress;
    assert_eq!(
        (back.anchor, back.base(), back.count),
        (at(NOON), days(29), 10)
    );
    // Too late: new in every respect.
    let new = enrol(&entry, &away, days(30), days(30));
    assert_eq!(new.news, News::New);
    assert_eq!((new.progress.anchor, new.progress.count), (days(30), 0));
    let fires = catch_up(&entry, &new.progress, days(30), days(30), 9).fires;
    assert_eq!(fires, [days(30)], "it runs on its start again");
}

#[test]
fn an_entry_that_another_instance_took_out_was_away_until_then() {
    let entry = entry("schedule = 10");
    let away = recorded(&entry, |record| record.removed_at = Some(after_noon(700)));
    // This instance loaded the file with the entry before the other one took it out.
    let progress = enrol(&entry, &away, after_noon(300), after_noon(900)).progress;
    assert_eq!(progress.base(), after_noon(700));
}

#[test]
fn only_a_run_limit_that_was_reached_ends_with_its_raise() {
    // (limit recorded, limit now, where it counts from), with 10 runs, the last at noon + 100 s
    let cases = [
        (Some(10), Some(12), 500),
        (Some(10), None, 500),
        (Some(12), Some(14), 100),
        (None, Some(12), 100),
        (Some(10), Some(9), 100),
    ];
    for (was, is, base) in cases {
        let limit = is.map_or(String::new(), |max: u64| format!("max_runs = {max}"));
        let entry = entry(&format!("schedule = 10\n{limit}"));
        let stored = recorded(&entry, |record| record.max_runs = was);
        let progress = enrol(&entry, &stored, after_noon(500), after_noon(900)).progress;
        assert_eq!(progress.base(), after_noon(base), "{was:?} {is:?}");
        assert_eq!(progress.anchor, at(NOON));
    }
}
