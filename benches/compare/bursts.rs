//! N entries due at one instant.

use std::time::Duration;

use lapin::options::{BasicGetOptions, QueueDeclareOptions, QueuePurgeOptions};
use lapin::types::FieldTable;

use super::Bench;
use super::ours::{Schedule, entries, interval};
use super::peers::{Kind, Peer};
use super::probe::{self, Arrival};
use super::support::wait::wall_micros;
use super::table::median;
use super::yardstick;

/// Bursts on Redis: entries, rounds, seconds between them.
pub const SIZES: [(usize, usize, f64); 4] = [
    (1, 11, 1.0),
    (1_000, 7, 2.0),
    (10_000, 5, 4.0),
    (100_000, 2, 10.0),
];

/// `beat`, with the yardsticks between its bursts.
pub fn ours(bench: &mut Bench, (count, rounds, every): (usize, usize, f64)) {
    let what = format!("burst of {count} on Redis");
    let redis = bench.fresh_redis();
    let lead = 2_000_000 + i64::try_from(count).unwrap_or(0) * 60;
    let start = (wall_micros() + lead) / 1_000_000 * 1_000_000;
    let schedule = Schedule::new(
        &redis.url(),
        &redis.url(),
        &entries(count, |_| interval(every, start)),
    );
    let mut beat = schedule.start("burst.log");
    beat.wait_for("elected");
    let mut link = redis.connect();
    let (mut first, mut rates, mut ours, mut theirs, mut lua, mut cpus, mut scripts) = <(
        Vec<f64>,
        Vec<f64>,
        Vec<f64>,
        Vec<f64>,
        Vec<f64>,
        Vec<f64>,
        Vec<(f64, f64)>,
    )>::default(
    );
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
    let period = (every * 1e6) as i64;
    for round in 0..i64::try_from(rounds).unwrap_or(0) {
        let due = start + round * period;
        assert!(
            wall_micros() < due,
            "loading took longer than was left for it"
        );
        probe::wait_until(due - 300_000);
        probe::empty(&mut link);
        probe::watch_scripts(&redis);
        let before = (probe::cpu(beat.pid()), probe::cpu(redis.pid()));
        let arrival = probe::watch(&redis, count, due, Duration::from_secs_f64(every * 0.8));
        assert_eq!(arrival.count, count, "{what}: not all arrived");
        // The log of a burst is written a little later.
        std::thread::sleep(Duration::from_millis(20));
        let each = |cpu: f64| cpu / 1e3 / count_of(count);
        ours.push(each(probe::cpu(beat.pid()) - before.0));
        cpus.push(each(probe::cpu(redis.pid()) - before.1));
        scripts.push(probe::longest_script(&mut link));
        first.push(arrival.first * 1e3);
        rates.push(arrival.rate());
        if count >= 1_000 {
            let bodies = yardstick::bodies(&redis, count);
            probe::empty(&mut link);
            theirs.push(bench.run(yardstick::lpush(&redis, &bodies)));
            lua.push(bench.run(yardstick::script(&redis, &bodies)));
        }
    }
    let share = |bar: &str| match median(&theirs) {
        raw if raw > 0.0 => format!("{:.0} % of redis-rs ({bar})", 100.0 * median(&rates) / raw),
        _ => String::new(),
    };
    let table = &mut bench.table;
    let bar = if count == 1 { "≤ 1.5" } else { "≤ 3" };
    table.add(&what, "beat", median(&first), "ms to the first", bar);
    if count > 1 {
        table.add(&what, "beat", median(&rates), "messages/s", share("≥ 50 %"));
        table.add(&what, "redis-rs LPUSH", median(&theirs), "messages/s", "");
        table.add(&what, "bare Lua LPUSH", median(&lua), "messages/s", "");
        let bar = if count == 10_000 { "≤ 20" } else { "" };
        table.add(&what, "beat", median(&ours), "µs CPU each", bar);
        table.add(&what, "redis-server", median(&cpus), "µs CPU each", "");
        let longest = scripts.iter().copied();
        let (script, push) = longest.fold((0.0_f64, 0.0_f64), |most, one| {
            (most.0.max(one.0), most.1.max(one.1))
        });
        let usual = median(&scripts.iter().map(|one| one.0).collect::<Vec<_>>());
        let remark = format!("≤ 2; {usual:.1} in the median round, {push:.1} for the longest push");
        table.add(&what, "beat", script, "ms, longest script", remark);
        bench.growth.push((count, 1e6 / median(&rates)));
    }
}

/// Another scheduler; it is stopped after `patience`, however much it still owes.
pub fn theirs(bench: &mut Bench, kind: Kind, count: usize, patience: Duration) {
    let what = format!("burst of {count} on Redis");
    let redis = bench.fresh_redis();
    let peer = Peer::start(kind, &redis, count, 3_600.0);
    probe::empty(&mut redis.connect());
    probe::wait_until(peer.due - 300_000);
    let before = probe::cpu(peer.pid());
    let (memory, _) = probe::memory(peer.pid());
    let arrival: Arrival = probe::watch(&redis, count, peer.due, patience);
    let cpu = (probe::cpu(peer.pid()) - before) / 1e3;
    let table = &mut bench.table;
    table.add(
        &what,
        kind.name(),
        arrival.first * 1e3,
        "ms to the first",
        "",
    );
    if count > 1 {
        let done = match arrival.count {
            all if all == count => String::new(),
            some => format!("{some} after {} s", patience.as_secs()),
        };
        let rate = if arrival.count == 0 {
            0.0
        } else {
            arrival.rate()
        };
        table.add(&what, kind.name(), rate, "messages/s", done);
        table.add(
            &what,
            kind.name(),
            cpu / count_of(arrival.count),
            "µs CPU each",
            "",
        );
        table.add(
            format!("{count} entries"),
            kind.name(),
            memory,
            "MiB RSS",
            "",
        );
    }
}

/// `beat` to RabbitMQ, with the yardstick between its bursts.
pub fn rabbit(bench: &mut Bench, (count, rounds, every): (usize, usize, f64)) {
    let what = format!("burst of {count} on RabbitMQ, confirmed");
    let redis = bench.fresh_redis();
    let url = bench.rabbit().vhost().url();
    let channel = bench.run(yardstick::channel(&url));
    let start = (wall_micros() + 3_000_000) / 1_000_000 * 1_000_000;
    let schedule = Schedule::new(
        &url,
        &redis.url(),
        &entries(count, |_| interval(every, start)),
    );
    let mut beat = schedule.start("rabbit.log");
    beat.wait_for("elected");
    let (mut rates, mut raws, mut ours) = <(Vec<f64>, Vec<f64>, Vec<f64>)>::default();
    #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
    let period = (every * 1e6) as i64;
    for round in 0..i64::try_from(rounds).unwrap_or(0) {
        let due = start + round * period;
        probe::wait_until(due - 100_000);
        let cpu = probe::cpu(beat.pid());
        probe::wait_until(due);
        let last = bench.run(async {
            let passive = QueueDeclareOptions {
                passive: true,
                ..QueueDeclareOptions::default()
            };
            let patience = due + period * 8 / 10;
            loop {
                let state = channel.queue_declare("celery".into(), passive, FieldTable::default());
                let state = state.await.expect("the queue is there");
                let at = wall_micros();
                if usize::try_from(state.message_count()).unwrap_or(0) >= count {
                    return at;
                }
                assert!(at < patience, "{what}: {} arrived", state.message_count());
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
        ours.push((probe::cpu(beat.pid()) - cpu) / 1e3 / count_of(count));
        rates
            .push(count_of(count) * 1e6 / f64::from(i32::try_from(last - due).unwrap_or(i32::MAX)));
        let (body, properties) = bench.run(async {
            let one = channel.basic_get("celery".into(), BasicGetOptions { no_ack: true });
            let one = one.await.expect("RabbitMQ answers").expect("a message");
            purge(&channel).await;
            (one.delivery.data.clone(), one.delivery.properties.clone())
        });
        raws.push(bench.run(yardstick::publish(&channel, &body, &properties, count)));
        bench.run(purge(&channel));
    }
    let share = 100.0 * median(&rates) / median(&raws);
    let table = &mut bench.table;
    table.add(
        &what,
        "beat",
        median(&rates),
        "messages/s",
        format!("{share:.0} % of lapin (≥ 70 %)"),
    );
    table.add(&what, "lapin", median(&raws), "messages/s", "");
    table.add(&what, "beat", median(&ours), "µs CPU each", "");
}

async fn purge(channel: &lapin::Channel) {
    let options = QueuePurgeOptions::default();
    channel
        .queue_purge("celery".into(), options)
        .await
        .expect("RabbitMQ answers");
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn count_of(count: usize) -> f64 {
    count as f64
}
