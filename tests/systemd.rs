//! Under systemd: the unit, and what the daemon tells its manager.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use support::beat::{Launch, binary};
use support::process::Signal;
use support::repository;
use support::servers::Redis;
use support::wait::{now, wait_for};

/// The unit in a folder of its own, with the binary under test in place of the installed one.
fn unit(dropin: Option<&str>) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let unit = std::fs::read_to_string(repository("systemd/beat.service")).unwrap();
    let unit = unit.replace("/usr/bin/beat", binary().to_str().unwrap());
    std::fs::write(folder.path().join("beat.service"), unit).unwrap();
    if let Some(name) = dropin {
        let dropins = folder.path().join("beat.service.d");
        std::fs::create_dir(&dropins).unwrap();
        let text = std::fs::read_to_string(repository("systemd").join(name)).unwrap();
        let text = text.replace("/usr/bin/beat", binary().to_str().unwrap());
        std::fs::write(dropins.join(name), text).unwrap();
    }
    folder
}

fn analyze(args: &[&str], folder: &tempfile::TempDir) -> (bool, String) {
    let output = Command::new("systemd-analyze")
        .args(args)
        .arg(folder.path().join("beat.service"))
        .env("SYSTEMD_COLORS", "0")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn the_unit_is_valid_and_hardened() {
    let folder = unit(None);
    let (valid, complaints) = analyze(&["verify", "--man=no"], &folder);
    assert!(valid && complaints.is_empty(), "{complaints}");
    let (hardened, table) = analyze(
        &["security", "--offline=true", "--threshold=15", "--no-pager"],
        &folder,
    );
    assert!(hardened, "{table}");
}

/// Version of systemd on this machine.
fn version() -> u32 {
    let output = Command::new("systemd-analyze").arg("--version").output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    text.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_drop_in_is_valid_where_it_is_for() {
    let (valid, complaints) = analyze(&["verify", "--man=no"], &unit(Some("notify-reload.conf")));
    if version() >= 253 {
        assert!(valid && complaints.is_empty(), "{complaints}");
    } else {
        // The reason why it is no more than a drop-in.
        assert!(
            complaints.contains("Failed to parse service type"),
            "{complaints}"
        );
        assert_eq!(complaints.lines().count(), 1, "{complaints}");
    }
}

/// A service manager's end of the protocol.
struct Manager {
    socket: UnixDatagram,
    folder: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        Self { socket, folder }
    }

    fn launch(&self, redis: &Redis, more: &str) -> Launch {
        Launch::schedule(&schedule(redis, more)).env(
            "NOTIFY_SOCKET",
            self.folder.path().join("notify").into_os_string(),
        )
    }

    /// The next message's lines; `None` when nothing comes in time.
    fn next(&self, patience: Duration) -> Option<Vec<String>> {
        let mut buffer = [0; 4_096];
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let length = self.socket.recv(&mut buffer).ok()?;
        let text = std::str::from_utf8(&buffer[..length]).unwrap();
        Some(text.lines().map(str::to_owned).collect())
    }

    /// The first message with a line that begins like this; what came before it is gone.
    fn wait_for(&self, line: &str) -> Vec<String> {
        let until = now() + SOON;
        while let Some(message) = self.next(until.saturating_duration_since(now()).max(TICK)) {
            if message.iter().any(|l| l.starts_with(line)) {
                return message;
            }
        }
        panic!("waited in vain for {line}")
    }

    /// Throws away what has arrived.
    fn drain(&self) {
        while self.next(TICK).is_some() {}
    }
}

const SOON: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(1);

fn schedule(redis: &Redis, more: &str) -> String {
    format!(
        "broker_url = '{}'\nlease_ttl = '2s'\n[beat_schedule.a]\ntask = 'tasks.add'\nschedule = '1h'\n{more}",
        redis.url()
    )
}

const SECOND_ENTRY: &str = "[beat_schedule.b]\ntask = 'tasks.add'\nschedule = '1h'\n";

fn usec(message: &[String]) -> u64 {
    let line = message
        .iter()
        .find_map(|line| line.strip_prefix("MONOTONIC_USEC="));
    line.expect("in the same message").parse().unwrap()
}

#[test]
fn it_tells_of_readiness_role_reloads_and_its_end() {
    let redis = Redis::start();
    let manager = Manager::new();
    let launch = manager.launch(&redis, "");
    let mut beat = launch.clone().start();

    let ready = manager.next(SOON).unwrap();
    assert_eq!(ready[0], "READY=1", "and nothing before it");
    assert!(ready[1].starts_with("STATUS=standby, 1 entry"), "{ready:?}");
    if rustix::process::geteuid().is_root() {
        let warned = |w: &Value| w["message"].as_str().unwrap().contains("as root");
        wait_for("a warning", SOON, || {
            beat.events("warning").iter().any(warned).then_some(())
        });
    }
    let led = manager.wait_for("STATUS=leader of term 1, 1 entry, next at ");
    assert!(
        !led.contains(&"WATCHDOG=1".to_owned()),
        "nobody asked for it"
    );

    launch.rewrite(&schedule(&redis, SECOND_ENTRY));
    let begun = manager.wait_for("RELOADING=1");
    let first = usec(&begun);
    let done = manager.next(SOON).unwrap();
    assert_eq!(done[0], "READY=1");
    assert!(
        done[1].starts_with("STATUS=leader of term 1, 2 entries"),
        "{done:?}"
    );

    launch.rewrite(&schedule(&redis, "[beat_schedule.b]\ntask = 'tasks.add'\n"));
    manager.wait_for("RELOADING=1");
    let refused = manager.wait_for("READY=1");
    assert!(
        refused[1].contains("2 entries") && refused[1].contains("; reload refused: "),
        "{refused:?}"
    );

    launch.rewrite(&schedule(&redis, SECOND_ENTRY));
    manager.wait_for("RELOADING=1");
    assert!(!manager.wait_for("READY=1")[1].contains("refused"));

    // Asked by signal, it answers each time, whether or not anything has changed.
    beat.signal(Signal::HUP);
    let begun = manager.wait_for("RELOADING=1");
    assert!(usec(&begun) > first, "of this reload");
    manager.wait_for("READY=1");

    beat.signal(Signal::TERM);
    manager.wait_for("STOPPING=1");
    assert!(beat.wait_exit(SOON).success());
}

/// `WATCHDOG_USEC` as systemd would set it; a quarter of it passes between two pings.
const WATCHDOG: Duration = Duration::from_secs(3);

#[test]
fn the_watchdog_is_fed_while_the_loop_lives_and_no_longer() {
    let mut redis = Redis::start();
    let manager = Manager::new();
    let mut beat = manager
        .launch(
            &redis,
            "[beat_schedule.often]\ntask = 'tasks.add'\nschedule = 0.2\n",
        )
        .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
        .start();
    beat.wait_for_event("fired", SOON);
    for _ in 0..2 {
        manager.wait_for("WATCHDOG=1");
    }

    // A Redis that neither answers nor hangs up is no reason to be replaced.
    redis.freeze();
    manager.drain();
    let until = now() + 2 * WATCHDOG;
    let mut told = Vec::new();
    while now() < until {
        let pinged = now();
        told.extend(manager.wait_for("WATCHDOG=1"));
        assert!(now() - pinged < WATCHDOG);
    }
    assert!(
        told.iter().any(|line| line.ends_with(" does not answer")),
        "{told:?}"
    );
    redis.thaw();
    manager.wait_for("WATCHDOG=1");

    beat.freeze();
    manager.drain();
    assert_eq!(
        manager.next(WATCHDOG),
        None,
        "a stopped process feeds nothing"
    );
    beat.thaw();
    manager.wait_for("WATCHDOG=1");
}

#[test]
fn a_manager_that_does_not_read_holds_up_nothing() {
    let redis = Redis::start();
    let manager = Manager::new();
    let mut beat = manager
        .launch(
            &redis,
            "[beat_schedule.often]\ntask = 'tasks.add'\nschedule = 0.2\n",
        )
        .env("WATCHDOG_USEC", "400000")
        .start();
    beat.wait_for_event("fired", SOON);
    let other = UnixDatagram::unbound().unwrap();
    other.set_nonblocking(true).unwrap();
    while other
        .send_to(b"X=1", manager.folder.path().join("notify"))
        .is_ok()
    {}
    let mark = beat.mark();
    let fired = beat.wait_for_events_since(mark, "fired", 20, SOON);
    assert!(
        fired
            .iter()
            .all(|fired| fired["lag_ms"].as_f64().unwrap() < 500.0),
        "{fired:?}"
    );
    assert!(beat.terminate(Duration::from_secs(5)).success());
}
