//! One message per (entry, fire time), observed at the broker only.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::time::Duration;

use redis::Commands;
use support::beat::Launch;
use support::cluster::Cluster;
use support::proxy::{Act, At, Proxy, Trap};
use support::queue::{Row, drain_redis, duplicates, fire_times, missing};
use support::servers::Redis;
use support::wait::{now, wait_for, wall_micros};

const SECOND: i64 = 1_000_000;
const TTL: Duration = Duration::from_secs(1);

/// Two one-second entries that differ in what an outage leaves of them.
fn schedule(redis: &Redis) -> Launch {
    Launch::schedule(&format!(
        "broker_url = '{}'\nlease_ttl = '1s'\n\
         [beat_schedule.latest]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\n\
         [beat_schedule.all]\ntask = 'tasks.add'\nschedule = {{ crontab = '* * * * * *' }}\nmisfire = 'all'\n",
        redis.url()
    ))
}

/// The whole seconds between the first and the last fire time of `entry`, both included.
fn span(rows: &[Row], entry: &str) -> (i64, i64) {
    let times = fire_times(rows, entry);
    (*times.iter().min().unwrap(), *times.iter().max().unwrap())
}

fn wait_for_fires(redis: &Redis, count: usize) {
    let mut link = redis.connect();
    wait_for("fires", Duration::from_secs(20), || {
        let length: usize = redis::cmd("LLEN").arg("celery").query(&mut link).ok()?;
        (length >= count).then_some(())
    });
}

#[test]
fn a_leader_that_is_killed_five_times_doubles_nothing_and_loses_no_more_than_its_lease() {
    let redis = Redis::start();
    let mut cluster = Cluster::of(3, &schedule(&redis));
    wait_for_fires(&redis, 4);
    let mut outage = 0;
    for pause in [700, 1_300, 1_900, 1_150, 1_550] {
        std::thread::sleep(Duration::from_millis(pause));
        let killed = now();
        let old = cluster.kill_leader();
        let new = cluster.wait_for_leader(TTL + Duration::from_secs(2));
        let took = killed.elapsed();
        assert!(
            took <= TTL + Duration::from_secs(1),
            "{old} → {new} took {took:?}"
        );
        outage += i64::try_from(took.as_secs()).unwrap() + 1;
    }
    std::thread::sleep(Duration::from_secs(2));
    drop(cluster);

    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    let (from, until) = span(&rows, "all");
    assert_eq!(
        missing(&rows, "all", from, until, SECOND),
        [0; 0],
        "nothing is lost with misfire = \"all\""
    );
    let (from, until) = span(&rows, "latest");
    let lost = missing(&rows, "latest", from, until, SECOND);
    assert!(
        i64::try_from(lost.len()).unwrap() <= outage,
        "{lost:?} lost in about {outage} s of outages"
    );
}

#[test]
fn a_leader_that_is_killed_in_the_middle_of_a_burst_doubles_and_loses_nothing() {
    const ENTRIES: usize = 10_000;
    let redis = Redis::start();
    let due = wall_micros() + 8 * SECOND;
    let start_at = chrono::DateTime::from_timestamp_micros(due)
        .unwrap()
        .to_rfc3339();
    let mut toml = format!("broker_url = '{}'\nlease_ttl = '1s'\n", redis.url());
    for i in 0..ENTRIES {
        let _ = write!(
            toml,
            "[beat_schedule.e{i}]\ntask = 'tasks.add'\nschedule = 3600\nstart_at = {start_at}\n"
        );
    }
    let mut cluster = Cluster::of(2, &Launch::schedule(&toml));
    let leader = cluster.wait_for_leader(Duration::from_secs(5));
    let mut link = redis.connect();
    while link.llen::<_, usize>("celery").unwrap() < ENTRIES / 20 {
        assert!(wall_micros() < due + 10 * SECOND, "{leader} does not fire");
    }
    cluster.0[leader].kill9();
    let done: usize = link.llen("celery").unwrap();
    assert!(done < ENTRIES, "killed too late to tell anything");
    wait_for_fires(&redis, ENTRIES);
    std::thread::sleep(Duration::from_millis(300));
    drop(cluster);
    let rows = drain_redis(&mut redis.connect(), "celery");
    let entries: HashSet<&str> = rows.iter().map(|row| row.entry.as_str()).collect();
    assert_eq!((rows.len(), entries.len()), (ENTRIES, ENTRIES));
}

#[test]
fn sigterm_hands_over_within_half_a_second() {
    let redis = Redis::start();
    let toml = format!(
        "broker_url = '{}'\nlease_ttl = '10s'\n[beat_schedule.fast]\ntask = 'tasks.add'\nschedule = 0.1\n",
        redis.url()
    );
    let mut cluster = Cluster::of(2, &Launch::schedule(&toml));
    wait_for_fires(&redis, 5);
    let leader = cluster.wait_for_leader(Duration::from_secs(5));
    let asked = wall_micros();
    let status = cluster.0[leader].terminate(Duration::from_secs(5));
    assert_eq!(status.code(), Some(0));
    assert!(
        wall_micros() - asked < SECOND,
        "the process ends within a second"
    );
    let new = cluster.wait_for_leader(Duration::from_secs(2));
    let fired = cluster.0[new].wait_for_event("fired", Duration::from_secs(2));
    let at: i64 = chrono::DateTime::parse_from_rfc3339(fired["timestamp"].as_str().unwrap())
        .unwrap()
        .timestamp_micros();
    assert!(
        at - asked <= SECOND / 2,
        "{} ms after the signal",
        (at - asked) / 1_000
    );
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
}

#[test]
fn a_restart_keeps_the_phase_and_makes_up_for_what_was_missed() {
    let redis = Redis::start();
    let toml = format!(
        "broker_url = '{}'\nlease_ttl = '1s'\n\
         [beat_schedule.late]\ntask = 'tasks.add'\nschedule = 2\n\
         [beat_schedule.each]\ntask = 'tasks.add'\nschedule = 0.5\nmisfire = 'all'\n",
        redis.url()
    );
    let launch = Launch::schedule(&toml);
    let mut first = launch.clone().start();
    wait_for_fires(&redis, 7);
    assert_eq!(first.terminate(Duration::from_secs(5)).code(), Some(0));
    std::thread::sleep(Duration::from_millis(2_700));
    let mut second = launch.start();
    second.wait_for_event("elected", Duration::from_secs(5));
    std::thread::sleep(Duration::from_millis(2_500));
    second.terminate(Duration::from_secs(5));

    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
    let (from, until) = span(&rows, "each");
    assert_eq!(missing(&rows, "each", from, until, SECOND / 2), [0; 0]);
    let late = fire_times(&rows, "late");
    assert!(
        late.iter().all(|at| (at - late[0]) % (2 * SECOND) == 0),
        "off the grid: {late:?}"
    );
    assert!(
        second
            .events("skipped")
            .iter()
            .all(|skip| skip["reason"] == "misfire")
    );
}

#[test]
fn without_redis_it_stays_up_says_so_once_and_recovers() {
    let mut redis = Redis::start();
    redis.stop();
    let mut beat = schedule(&redis).start();
    beat.wait_for_event("store_down", Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(2));
    assert!(beat.is_alive());
    assert_eq!(
        beat.events("store_down").len(),
        1,
        "one line per state change"
    );
    redis.start_again();
    beat.wait_for_event("store_up", Duration::from_secs(5));
    beat.wait_for_event("fired", Duration::from_secs(5));
    redis.stop();
    let mark = beat.mark();
    beat.wait_for_event_since(mark, "deposed", Duration::from_secs(5));
    std::thread::sleep(Duration::from_secs(2));
    redis.start_again();
    beat.wait_for_event_since(mark, "fired", Duration::from_secs(5));
    for event in ["store_down", "store_up"] {
        assert_eq!(
            beat.events(event).len(),
            2,
            "one line per state change: {:?}",
            beat.lines()
        );
    }
}

#[test]
fn a_wrong_typed_queue_harms_only_its_own_entry() {
    let redis = Redis::start();
    let toml = format!(
        "broker_url = '{}'\n\
         [beat_schedule.good]\ntask = 'tasks.add'\nschedule = 0.2\n\
         [beat_schedule.bad]\ntask = 'tasks.add'\nschedule = 0.2\noptions = {{ queue = 'poisoned' }}\n",
        redis.url()
    );
    redis.run("SET poisoned text");
    let mut beat = Launch::schedule(&toml).start();
    let failed = beat.wait_for_event("publish_failed", Duration::from_secs(10));
    assert_eq!(failed["entry"], "bad");
    wait_for_fires(&redis, 10);
    assert!(
        beat.events("fired")
            .iter()
            .all(|fired| fired["entry"] == "good")
    );
    redis.run("DEL poisoned");
    wait_for("the healed entry", Duration::from_secs(5), || {
        beat.events("fired")
            .iter()
            .any(|fired| fired["entry"] == "bad")
            .then_some(())
    });
    let good = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&good), []);
}

#[test]
fn a_redis_cluster_is_refused_by_name_and_ends_nothing() {
    let redis = Redis::options().args(["cluster-enabled", "yes"]).start();
    let mut beat = schedule(&redis).start();
    let down = beat.wait_for_event("store_down", Duration::from_secs(5));
    let why = down["error"].as_str().unwrap();
    assert!(why.contains("Redis Cluster"), "{why}");
    assert!(beat.is_alive());
}

#[test]
fn a_leader_whose_commits_are_swallowed_gives_up_its_term() {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    // Renewals have a line of their own and get through; whatever carries a message does not.
    let url = redis.url_at(proxy.port(), 0);
    let mut deaf = schedule(&redis).broker(&url).start();
    deaf.wait_for_events_since(0, "fired", 2, Duration::from_secs(10));
    let late = Act::Late(Duration::from_secs(60));
    let trap = proxy.trap(Trap::new("periodic_task_name", At::Request, late).times(1_000));
    let mut other = deaf.launch().clone().broker(&redis.url()).start();
    trap.wait(1, Duration::from_secs(5));
    let began = now();
    deaf.wait_for_event("resigned", Duration::from_secs(5));
    other.wait_for_event("fired", Duration::from_secs(5));
    // Half a lease, one more attempt, and the next whole second.
    assert!(began.elapsed() < 3 * TTL, "{:?}", began.elapsed());
    assert_eq!(deaf.events("deposed").len(), 0, "it held its lease");
    let rows = drain_redis(&mut redis.connect(), "celery");
    assert_eq!(duplicates(&rows), []);
}
