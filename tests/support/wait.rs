//! Waiting with a deadline, and ports.

use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Monotonic now.
#[expect(
    clippy::disallowed_methods,
    reason = "tests measure real processes from outside; the daemon's clocks are not involved"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// The machine's wall clock, microseconds since the epoch.
#[expect(clippy::disallowed_methods, reason = "as above")]
pub fn wall_micros() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("the clock is past 1970");
    i64::try_from(since.as_micros()).expect("fits for 290 000 years")
}

/// Asks `probe` every 10 ms until it answers; panics with `what` after `timeout`.
pub fn wait_for<T>(what: &str, timeout: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let until = now() + timeout;
    loop {
        if let Some(answer) = probe() {
            return answer;
        }
        assert!(now() < until, "waited {timeout:?} in vain for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A free port on 127.0.0.1 that stays free while its server is down for a restart: it is outside the range from which
/// the kernel gives ports to outgoing connections (32768 and up), and no other test of this process gets it.
pub fn free_port() -> u16 {
    const FIRST: u16 = 12_000;
    const COUNT: u16 = 20_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two test binaries that run side by side begin at different places.
    let start = u16::try_from(std::process::id() * 101 % u32::from(COUNT)).unwrap_or(0);
    for _ in 0..COUNT {
        let step = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = FIRST + (start + step % COUNT) % COUNT;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between {FIRST} and {}", FIRST + COUNT)
}
