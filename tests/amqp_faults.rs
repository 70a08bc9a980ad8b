//! Two instances, their state in Redis, their messages in RabbitMQ, and what goes wrong between them.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

use support::beat::Launch;
use support::cluster::Cluster;
use support::process::{Signal, signal_pid};
use support::proxy::{Act, At, Mode, Proxy, Trap};
use support::queue::{Row, drain_amqp, duplicates, fire_times, missing};
use support::rabbit::{Rabbit, Vhost};
use support::servers::Redis;
use support::wait::{wait_for, wall_micros};

const SECOND: i64 = 1_000_000;
const FAST: [&str; 3] = ["fast-0", "fast-1", "fast-2"];
/// What each message of the daemon contains.
const MESSAGE: &str = "periodic_task_name";

/// Two instances, each with a proxy of its own before RabbitMQ.
struct Scene {
    rabbit: &'static Rabbit,
    vhost: Vhost,
    proxies: Vec<Proxy>,
    cluster: Cluster,
    redis: Redis,
}

impl Scene {
    fn new(entry_keys: &str) -> Self {
        let rabbit = Rabbit::shared();
        let vhost = rabbit.vhost();
        let redis = Redis::start();
        let mut toml = format!(
            "broker_url = 'amqp://'\nstate_url = '{}'\nlease_ttl = '3s'\n",
            redis.url()
        );
        for (name, seconds) in FAST
            .iter()
            .map(|name| (*name, "*"))
            .chain([("slow", "*/6")])
        {
            write!(
                toml,
                "[beat_schedule.{name}]\ntask = 'tasks.add'\n\
                 schedule = {{ crontab = '{seconds} * * * * *' }}\n{entry_keys}\n"
            )
            .unwrap();
        }
        let launch = Launch::schedule(&toml);
        let proxies: Vec<Proxy> = (0..2).map(|_| Proxy::start(vhost.port())).collect();
        let launches = proxies
            .iter()
            .map(|proxy| launch.clone().broker(&vhost.url_at(proxy.port())));
        let cluster = Cluster::start(launches);
        let mut scene = Self {
            rabbit,
            vhost,
            proxies,
            cluster,
            redis,
        };
        scene.wait_for_fires(4);
        scene
    }

    fn leader(&mut self) -> usize {
        self.cluster.wait_for_leader(Duration::from_secs(10))
    }

    /// Waits for `count` further fires, by whichever instance.
    fn wait_for_fires(&mut self, count: usize) {
        let fired = |cluster: &Cluster| -> usize {
            cluster
                .0
                .iter()
                .map(|beat| beat.events("fired").len())
                .sum()
        };
        let before = fired(&self.cluster);
        wait_for("fires", Duration::from_secs(30), || {
            (fired(&self.cluster) >= before + count).then_some(())
        });
    }

    /// Everything that arrived, once each fast entry has fired after `since`; within `limit` of it.
    fn end(mut self, since: i64, limit: Duration) -> Vec<Row> {
        for entry in FAST {
            wait_for("fires of all entries", Duration::from_secs(30), || {
                let beats = self.cluster.0.iter();
                let fired = beats.flat_map(|beat| beat.events("fired"));
                let is_later = |at: &str| {
                    let at = chrono::DateTime::parse_from_rfc3339(at).unwrap();
                    at.timestamp_micros() > since
                };
                fired
                    .filter(|record| record["entry"] == entry && record["outcome"] != "unknown")
                    .any(|record| record["fire_time"].as_str().is_some_and(is_later))
                    .then_some(())
            });
        }
        for beat in &mut self.cluster.0 {
            assert!(beat.is_alive(), "no fault is a reason to end");
        }
        let lines: Vec<String> = self
            .cluster
            .0
            .iter()
            .flat_map(support::beat::Beat::lines)
            .collect();
        drop(self.cluster);
        let rows = drain_amqp(&self.vhost.url(), "celery");
        for line in &lines {
            assert!(
                !line.contains("guest:guest") && !line.contains("panicked"),
                "{line}"
            );
        }
        let limit = since + i64::try_from(limit.as_micros()).unwrap();
        for entry in FAST {
            let times = fire_times(&rows, entry);
            let first = times.iter().find(|time| **time > since);
            assert!(
                first.is_some_and(|first| *first <= limit + SECOND),
                "{entry}: {times:?} since {since}"
            );
        }
        drop(self.redis);
        rows
    }
}

/// Fire times between the first and the last that did not arrive.
fn lost(rows: &[Row], entry: &str, period: i64) -> Vec<i64> {
    let times: BTreeSet<i64> = fire_times(rows, entry).into_iter().collect();
    match (times.first(), times.last()) {
        (Some(&first), Some(&last)) => missing(rows, entry, first, last, period),
        // A short scene may not see the slow one at all.
        _ => Vec::new(),
    }
}

/// No fast entry lost more than `allowed`, the slow one nothing; repeats have the same id.
fn check(rows: &[Row], allowed: usize, most_repeats: usize) {
    for entry in FAST {
        let lost = lost(rows, entry, SECOND);
        assert!(lost.len() <= allowed, "{entry} lost {lost:?}");
    }
    assert_eq!(lost(rows, "slow", 6 * SECOND), [0; 0]);
    let repeats = duplicates(rows);
    assert!(repeats.len() <= most_repeats, "{repeats:?}");
    for (entry, at, ids) in repeats {
        assert!(ids.iter().all(|id| *id == ids[0]), "{entry} {at}: {ids:?}");
    }
}

#[test]
fn a_deleted_queue_costs_nothing() {
    let mut scene = Scene::new("");
    let (url, name) = (scene.vhost.url(), scene.vhost.name.clone());
    let before = drain_amqp(&url, "celery");
    scene.rabbit.ctl(&["delete_queue", "-p", &name, "celery"]);
    let since = wall_micros();
    scene.wait_for_fires(8);
    let mut rows = before;
    rows.extend(scene.end(since, Duration::from_secs(4)));
    // What lay in the queue went with it; what was fired after that did not.
    let fired_after: Vec<Row> = rows
        .into_iter()
        .filter(|row| row.fire_time > since)
        .collect();
    check(&fired_after, 0, 0);
}

#[test]
fn closed_connections_cost_nothing() {
    let mut scene = Scene::new("");
    for _ in 0..3 {
        scene.rabbit.ctl(&[
            "close_all_connections",
            "-p",
            &scene.vhost.name.clone(),
            "test",
        ]);
        scene.wait_for_fires(3);
    }
    let rows = scene.end(wall_micros(), Duration::from_secs(3));
    check(&rows, 6, 0);
}

#[test]
fn a_confirm_that_is_lost_five_times_repeats_with_the_same_id() {
    let mut scene = Scene::new("");
    let leader = scene.leader();
    let trap = Trap::new(MESSAGE, At::Reply, Act::Reset).times(5);
    scene.proxies[leader]
        .trap(trap)
        .wait(5, Duration::from_secs(30));
    let rows = scene.end(wall_micros(), Duration::from_secs(3));
    // Each chunk has up to four messages.
    check(&rows, 1, 20);
    assert!(
        !duplicates(&rows).is_empty(),
        "the trap did not spring where it should"
    );
}

#[test]
fn a_message_that_never_arrives_is_sent_again() {
    let mut scene = Scene::new("");
    let leader = scene.leader();
    let trap = Trap::new(MESSAGE, At::Request, Act::Reset).times(5);
    scene.proxies[leader]
        .trap(trap)
        .wait(5, Duration::from_secs(30));
    let rows = scene.end(wall_micros(), Duration::from_secs(3));
    check(&rows, 1, 0);
}

#[test]
fn at_most_once_loses_rather_than_repeats_and_says_so() {
    let mut scene = Scene::new("delivery = 'at_most_once'");
    let leader = scene.leader();
    let trap = Trap::new(MESSAGE, At::Reply, Act::Reset).times(3);
    scene.proxies[leader]
        .trap(trap)
        .wait(3, Duration::from_secs(30));
    scene.wait_for_fires(4);
    let unknown = |record: &serde_json::Value| record["outcome"] == "unknown";
    let said = scene.cluster.0[leader]
        .events("fired")
        .iter()
        .filter(|r| unknown(r))
        .count();
    assert!(said >= 3, "{said}");

    // Killed between reserving and publishing: the next leader says so.
    let pid = scene.cluster.0[leader].pid();
    let kill = move || signal_pid(pid, Signal::KILL);
    let trap = Trap::new(MESSAGE, At::Request, Act::Reset).hook(kill);
    scene.proxies[leader]
        .trap(trap)
        .wait(1, Duration::from_secs(10));
    let launch = scene.cluster.0[leader].launch().clone();
    scene.cluster.0[leader] = launch.start();
    // Whoever leads next: the other one, or the one that was started again.
    wait_for("the next leader's word", Duration::from_secs(10), || {
        let mut fired = scene.cluster.0.iter().flat_map(|beat| beat.events("fired"));
        fired.any(|record| unknown(&record)).then_some(())
    });
    let since = wall_micros();
    let rows = scene.end(since, Duration::from_secs(5));
    assert_eq!(duplicates(&rows), []);
}

#[test]
fn a_leader_killed_when_its_message_was_taken_repeats_with_the_same_id() {
    let mut scene = Scene::new("");
    for _ in 0..4 {
        let leader = scene.leader();
        let pid = scene.cluster.0[leader].pid();
        let kill = move || signal_pid(pid, Signal::KILL);
        let trap = Trap::new(MESSAGE, At::Reply, Act::Reset).hook(kill);
        scene.proxies[leader]
            .trap(trap)
            .wait(1, Duration::from_secs(15));
        std::thread::sleep(Duration::from_secs(1));
        let launch = scene.cluster.0[leader].launch().clone();
        scene.cluster.0[leader] = launch.start();
        scene.wait_for_fires(4);
    }
    let rows = scene.end(wall_micros(), Duration::from_secs(5));
    check(&rows, 24, 16);
}

#[test]
fn a_broker_that_is_away_is_waited_for() {
    let mut scene = Scene::new("");
    for proxy in &scene.proxies {
        proxy.set(Mode::Cut);
    }
    std::thread::sleep(Duration::from_secs(5));
    for proxy in &scene.proxies {
        proxy.set(Mode::Pass);
    }
    let since = wall_micros();
    scene.wait_for_fires(4);
    let leader = scene.leader();
    let said = scene.cluster.0[leader].events("broker_down");
    assert_eq!(said.len(), 1, "{said:?}");
    let rows = scene.end(since, Duration::from_secs(3));
    check(&rows, 6, 0);
}

#[test]
fn a_paused_leader_repeats_at_most_what_it_had_in_hand() {
    let mut scene = Scene::new("");
    let leader = scene.leader();
    scene.cluster.0[leader].freeze();
    std::thread::sleep(Duration::from_secs(8));
    scene.cluster.0[leader].thaw();
    let rows = scene.end(wall_micros(), Duration::from_secs(2));
    check(&rows, 5, 3);
}
