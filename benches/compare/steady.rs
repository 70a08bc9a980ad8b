//! A thousand fires a second, and nothing to do at all.

use std::time::Duration;

use redis::Commands;
use serde_json::Value;

use super::Bench;
use super::ours::{Schedule, entries, interval};
use super::peers::{Kind, Peer};
use super::probe;
use super::support::servers::Redis;
use super::support::wait::wall_micros;
use super::table::{median, quantile};

/// Entries of one second each.
const RATE: usize = 1_000;

/// One message as a consumer took it.
struct Taken {
    /// µs since the epoch.
    at: i64,
    message: Vec<u8>,
}

/// Takes messages as a worker does, one by one, until `until` (µs since the epoch).
fn consume(redis: &Redis, until: i64) -> Vec<Taken> {
    let mut link = redis.connect();
    let mut taken = Vec::new();
    while wall_micros() < until {
        let one: Option<(String, Vec<u8>)> = link.brpop("celery", 0.1).expect("redis answers");
        if let Some((_, message)) = one {
            taken.push(Taken {
                at: wall_micros(),
                message,
            });
        }
    }
    taken
}

/// Lag of each message in ms: from the fire time that it names to when it was taken.
fn lags(taken: &[Taken]) -> Vec<f64> {
    let lag = |taken: &Taken| {
        let message: Value = serde_json::from_slice(&taken.message).ok()?;
        let due = message["headers"]["scheduled_time"].as_str()?;
        let due = chrono::DateTime::parse_from_rfc3339(due).ok()?;
        let micros = taken.at - due.timestamp_micros();
        Some(f64::from(i32::try_from(micros).unwrap_or(i32::MAX)) / 1e3)
    };
    taken.iter().filter_map(lag).collect()
}

/// `beat`, one entry due each millisecond, for `seconds`.
pub fn ours(bench: &mut Bench, seconds: i64) {
    let what = format!("{RATE} fires/s for {seconds} s");
    let redis = bench.fresh_redis();
    let start = (wall_micros() + 3_000_000) / 1_000_000 * 1_000_000;
    let staggered = |i| interval(1.0, start + i64::try_from(i).unwrap_or(0) * 1_000);
    let schedule = Schedule::new(&redis.url(), &redis.url(), &entries(RATE, staggered));
    let mut beat = schedule.start("steady.log");
    beat.wait_for("elected");
    probe::watch_scripts(&redis);
    let before = probe::cpu(beat.pid());
    let taken = consume(&redis, start + seconds * 1_000_000);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let each = (probe::cpu(beat.pid()) - before) / 1e3 / taken.len() as f64;
    let lags = lags(&taken);
    let (early, late) = (&lags[..lags.len() / 4], &lags[lags.len() * 3 / 4..]);
    let table = &mut bench.table;
    table.add(
        &what,
        "beat",
        quantile(&lags, 0.5),
        "ms lag, p50",
        "from the due instant to a consumer",
    );
    table.add(&what, "beat", quantile(&lags, 0.99), "ms lag, p99", "≤ 5");
    table.add(&what, "beat", quantile(&lags, 1.0), "ms lag, most", "≤ 50");
    let drift = median(late) - median(early);
    table.add(
        &what,
        "beat",
        drift,
        "ms drift",
        "last quarter's median less the first's",
    );
    table.add(
        &what,
        "beat",
        quantile(&beat.lags(), 0.99),
        "ms lag_ms, p99",
        "as it says itself",
    );
    table.add(&what, "beat", each, "µs CPU each", "");
    let (longest, _) = probe::longest_script(&mut redis.connect());
    table.add(&what, "beat", longest, "ms, longest script", "");
}

/// Another scheduler with as many entries of one second.
pub fn theirs(bench: &mut Bench, kind: Kind, seconds: i64) {
    let what = format!("{RATE} fires/s for {seconds} s");
    let redis = bench.fresh_redis();
    let peer = Peer::start(kind, &redis, RATE, 1.0);
    probe::wait_until(peer.due);
    let taken = consume(&redis, peer.due + seconds * 1_000_000);
    let owed = RATE * usize::try_from(seconds).unwrap_or(0);
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    let part = 100.0 * taken.len() as f64 / owed as f64;
    let note = format!("{} of {owed}", taken.len());
    bench
        .table
        .add(&what, kind.name(), part, "% of the fires", note);
}

/// `count` entries of which none is due: start, memory, and what waiting costs.
pub fn idle(bench: &mut Bench, count: usize, seconds: u64) {
    let what = format!("{count} entries");
    let redis = bench.fresh_redis();
    let never = |_| "schedule = { crontab = \"0 0 29 2 *\" }".to_owned();
    let schedule = Schedule::new(&redis.url(), &redis.url(), &entries(count, never));
    let mut beat = schedule.start("idle.log");
    let started = beat.started;
    let since = |at: i64| f64::from(i32::try_from(at - started).unwrap_or(i32::MAX)) / 1e6;
    let ready = since(beat.wait_for("ready"));
    let mut link = redis.connect();
    let recorded = probe::wait_for("the records", Duration::from_secs(60), || {
        let recorded: usize = link.hlen("beat:{bench}:entries").expect("redis answers");
        (recorded == count).then(|| since(wall_micros()))
    });
    std::thread::sleep(Duration::from_secs(1));
    let before = (probe::cpu(beat.pid()), wall_micros());
    std::thread::sleep(Duration::from_secs(seconds));
    let spent = probe::cpu(beat.pid()) - before.0;
    let passed = f64::from(i32::try_from(wall_micros() - before.1).unwrap_or(i32::MAX));
    let (memory, files) = probe::memory(beat.pid());
    let (most_memory, most_cpu) = if count > 1_000 {
        ("≤ 100", "≤ 0.5")
    } else {
        ("≤ 10", "≤ 0.1")
    };
    let table = &mut bench.table;
    table.add(
        &what,
        "beat",
        ready,
        "s to ready",
        if count > 1_000 { "≤ 2" } else { "" },
    );
    table.add(
        &what,
        "beat",
        recorded,
        "s to recorded",
        "the first start: every entry is new",
    );
    table.add(
        &what,
        "beat",
        memory,
        "MiB RSS",
        format!("{most_memory}; {files:.1} of it the mapped program and libraries"),
    );
    table.add(
        &what,
        "beat",
        spent / passed / 10.0,
        "% CPU, idle",
        most_cpu,
    );
}
