//! How a process and a broker are watched without being in their way.
//!
//! Processor time is the kernel's own count of nanoseconds on a processor, of all threads. The
//! first message of a burst is seen by a client that waits in `BLMOVE` for it: no polling, and
//! Redis answers it as soon as the push is done. The last one is seen by `LLEN`, asked once a
//! quarter to one millisecond: about one percent of what Redis does meanwhile.

use std::fs;
use std::time::Duration;

use redis::{Commands, Connection, Direction};

use super::support::servers::Redis;
use super::support::wait::{now, wall_micros};

/// Nanoseconds that the process has run, in all its threads that live.
pub fn cpu(pid: u32) -> f64 {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("the process runs");
    tasks
        .filter_map(|task| fs::read_to_string(task.ok()?.path().join("schedstat")).ok())
        .filter_map(|text| text.split(' ').next()?.parse::<f64>().ok())
        .sum()
}

/// Resident memory in MiB: now, and what of it is mapped from files, the program itself above all.
pub fn memory(pid: u32) -> (f64, f64) {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let of = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kib.map_or(f64::NAN, |kib| kib / 1024.0)
    };
    (of("VmRSS:"), of("RssFile:"))
}

/// When the messages of a burst arrived, in seconds after its instant.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The first one.
    pub first: f64,
    /// The last one seen.
    pub last: f64,
    /// So many.
    pub count: usize,
}

impl Arrival {
    /// Messages a second, from the instant to the last one.
    #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
    pub fn rate(&self) -> f64 {
        self.count as f64 / self.last
    }
}

/// Empties the queue.
pub fn empty(link: &mut Connection) {
    for key in ["celery", "first", "yard"] {
        let _: () = link.unlink(key).expect("redis answers");
    }
}

/// Watches the queue `celery`, which is empty, for `count` messages due at `instant` (µs since the
/// epoch); gives up `patience` after it. The queue is left full.
pub fn watch(redis: &Redis, count: usize, instant: i64, patience: Duration) -> Arrival {
    let mut link = redis.connect();
    let since =
        |instant: i64| f64::from(i32::try_from(wall_micros() - instant).unwrap_or(i32::MAX)) / 1e6;
    let mut arrival = Arrival {
        first: f64::NAN,
        last: f64::NAN,
        count: 0,
    };
    let until = patience.as_secs_f64();
    while arrival.first.is_nan() {
        let left = until - since(instant);
        if left <= 0.0 {
            return arrival;
        }
        let moved: Option<Vec<u8>> = link
            .blmove(
                "celery",
                "first",
                Direction::Right,
                Direction::Left,
                left.min(1.0),
            )
            .expect("redis answers");
        if moved.is_some() {
            arrival.first = since(instant);
        }
    }
    arrival.last = arrival.first;
    arrival.count = 1;
    let pause = Duration::from_micros(if count > 5_000 { 1_000 } else { 250 });
    while arrival.count < count && since(instant) < until {
        let length: usize = link.llen("celery").expect("redis answers");
        let at = since(instant);
        if length + 1 > arrival.count {
            arrival.count = length + 1;
            arrival.last = at;
        }
        std::thread::sleep(pause);
    }
    arrival
}

/// From here on, slow commands are counted.
pub fn watch_scripts(redis: &Redis) {
    redis.run("CONFIG SET slowlog-log-slower-than 600");
    redis.run("CONFIG SET slowlog-max-len 8192");
    redis.run("SLOWLOG RESET");
}

/// The longest script and the longest push since, in milliseconds; one transaction has both. What is
/// shorter than 0.6 counts as that.
pub fn longest_script(link: &mut Connection) -> (f64, f64) {
    type Entry = (i64, i64, i64, Vec<Vec<u8>>, String, String);
    let entries: Vec<Entry> = redis::cmd("SLOWLOG")
        .arg("GET")
        .arg(-1)
        .query(link)
        .expect("redis answers");
    let longest = |names: [&[u8]; 2]| {
        let is_one = |entry: &&Entry| {
            let name = entry.3.first();
            name.is_some_and(|name| names.iter().any(|known| name.eq_ignore_ascii_case(known)))
        };
        let micros = entries.iter().filter(is_one).map(|entry| entry.2).max();
        f64::from(i32::try_from(micros.unwrap_or(600)).unwrap_or(i32::MAX)) / 1e3
    };
    (
        longest([b"EVAL", b"EVALSHA"]),
        longest([b"LPUSH", b"RPUSH"]),
    )
}

/// Waits until the wall clock shows `instant`.
pub fn wait_until(instant: i64) {
    let left = u64::try_from(instant - wall_micros()).unwrap_or(0);
    std::thread::sleep(Duration::from_micros(left));
}

/// Asks every millisecond.
pub fn wait_for<T>(what: &str, patience: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = now() + patience;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(now() < until, "waited {patience:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
