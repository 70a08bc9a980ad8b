//! What happens to firing while something changes.

use std::time::Duration;

use redis::Commands;

use super::Bench;
use super::ours::{Schedule, entries, interval};
use super::probe;
use super::support::servers::Redis;
use super::support::wait::wall_micros;

/// Entries beside the one that is watched.
const MANY: usize = 100_000;
/// Its interval in ms.
const TICK: i64 = 20;

fn many(start: i64) -> String {
    let never = |_| "schedule = { crontab = \"0 0 29 2 *\" }".to_owned();
    let ticking = interval(0.02, start);
    format!(
        "[beat_schedule.tick]\ntask = \"proj.tick\"\noptions = {{ queue = \"tick\" }}\n{ticking}\n{}",
        entries(MANY, never)
    )
}

/// When the ticks between now and `until` arrived, in µs.
fn ticks(redis: &Redis, until: i64) -> Vec<i64> {
    let mut link = redis.connect();
    let mut at = Vec::new();
    while wall_micros() < until {
        let one: Option<(String, Vec<u8>)> = link.brpop("tick", 0.1).expect("redis answers");
        if one.is_some() {
            at.push(wall_micros());
        }
    }
    at
}

/// The longest time between two ticks beyond their interval, in ms.
fn longest_pause(ticks: &[i64]) -> f64 {
    let longest = ticks.windows(2).map(|two| two[1] - two[0]).max();
    let longest = longest.unwrap_or(i64::MAX) - TICK * 1_000;
    f64::from(i32::try_from(longest).unwrap_or(i32::MAX)) / 1e3
}

/// One entry of many is edited; then a second instance takes over, and a third after a kill.
pub fn all(bench: &mut Bench) {
    let redis = bench.fresh_redis();
    let schedule = Schedule::new(
        &redis.url(),
        &redis.url(),
        &format!("lease_ttl = \"2s\"\n{}", many(wall_micros())),
    );
    let mut first = schedule.start("first.log");
    first.wait_for("elected");
    let mut link = redis.connect();
    probe::wait_for("the first tick", Duration::from_secs(60), || {
        let length: usize = link.llen("tick").expect("redis answers");
        (length > 0).then_some(())
    });
    let () = link.unlink("tick").expect("redis answers");
    let quiet = ticks(&redis, wall_micros() + 3_000_000);

    let what = format!("reload of 1 among {MANY}");
    let edited = schedule.edit("args = [77, \"customer\"]", "args = [77, \"changed\"]");
    let during = ticks(&redis, wall_micros() + 5_000_000);
    let reloaded = first.wait_for("reloaded");
    let took = f64::from(i32::try_from(reloaded - edited).unwrap_or(i32::MAX)) / 1e6;
    let table = &mut bench.table;
    table.add(
        &what,
        "beat",
        longest_pause(&quiet),
        "ms pause",
        "before the edit, for comparison",
    );
    table.add(&what, "beat", longest_pause(&during), "ms pause", "≤ 5");
    table.add(
        &what,
        "beat",
        took,
        "s to effect",
        "0.25 of them the wait for a still file",
    );
    let (memory, _) = probe::memory(first.pid());
    table.add(&what, "beat", memory, "MiB RSS", "after it");

    let mut second = schedule.start("second.log");
    second.wait_for("standby");
    std::thread::sleep(Duration::from_secs(1));
    let what = format!("take-over with {MANY} records");
    let stopped = first.terminate();
    let () = link.unlink("tick").expect("redis answers");
    let taken = ticks(&redis, wall_micros() + 3_000_000);
    let elected = second.wait_for("elected");
    let tick = taken
        .iter()
        .find(|at| **at > elected)
        .copied()
        .unwrap_or(i64::MAX);
    let ms = |from: i64, to: i64| f64::from(i32::try_from(to - from).unwrap_or(i32::MAX)) / 1e3;
    let table = &mut bench.table;
    table.add(
        &what,
        "beat",
        ms(elected, tick),
        "ms to a fire",
        "≤ 1 000 after the lease is won",
    );
    table.add(
        &what,
        "beat",
        ms(stopped, tick),
        "ms without",
        "from SIGTERM to the next fire",
    );

    let mut third = schedule.start("third.log");
    third.wait_for("standby");
    std::thread::sleep(Duration::from_secs(1));
    let killed = second.kill();
    let () = link.unlink("tick").expect("redis answers");
    let taken = ticks(&redis, wall_micros() + 5_000_000);
    let elected = third.wait_for("elected");
    let tick = taken
        .iter()
        .find(|at| **at > elected)
        .copied()
        .unwrap_or(i64::MAX);
    let what = format!("leader killed, {MANY} entries, lease 2 s");
    let bar = "≤ 3 000: lease_ttl + 1 s";
    bench
        .table
        .add(&what, "beat", ms(killed, tick), "ms without", bar);
}
