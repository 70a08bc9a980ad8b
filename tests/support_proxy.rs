//! The fault-injecting proxy, held against a real Redis.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod support;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::time::Duration;

use support::process::{Process, Signal, signal_pid};
use support::proxy::{Act, At, Mode, Proxy, Trap};
use support::servers::Redis;
use support::wait::{now, wait_for};

const SOON: Duration = Duration::from_secs(10);
/// Long beside a round trip, short for a test.
const SILENCE: Duration = Duration::from_millis(150);

/// A Redis behind a proxy.
fn pair() -> (Redis, Proxy) {
    let redis = Redis::start();
    let proxy = Proxy::start(redis.port());
    (redis, proxy)
}

fn dial(proxy: &Proxy) -> TcpStream {
    let link = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    link.set_read_timeout(Some(SOON)).unwrap();
    link
}

/// Sends a command and returns what comes back.
fn ask(mut link: &TcpStream, line: &str) -> std::io::Result<String> {
    link.write_all(format!("{line}\r\n").as_bytes())?;
    hear(link)
}

fn hear(mut link: &TcpStream) -> std::io::Result<String> {
    let mut buffer = [0; 4096];
    match link.read(&mut buffer)? {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        n => Ok(String::from_utf8_lossy(&buffer[..n]).trim().to_owned()),
    }
}

/// Sends a command that must not be answered.
fn ask_in_vain(link: &TcpStream, line: &str) {
    link.set_read_timeout(Some(SILENCE)).unwrap();
    let answer = ask(link, line);
    assert!(
        matches!(&answer, Err(e) if e.kind() == ErrorKind::WouldBlock),
        "{answer:?}"
    );
    link.set_read_timeout(Some(SOON)).unwrap();
}

fn is_reset<T: std::fmt::Debug>(answer: &std::io::Result<T>) -> bool {
    matches!(answer, Err(e) if matches!(e.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe))
}

/// How often `INCR marked` was executed.
fn executed(redis: &Redis) -> u32 {
    redis::cmd("GET")
        .arg("marked")
        .query::<Option<u32>>(&mut redis.connect())
        .unwrap()
        .unwrap_or(0)
}

#[test]
fn passes_and_closes() {
    let (_redis, proxy) = pair();
    let link = dial(&proxy);
    assert_eq!(ask(&link, "PING").unwrap(), "+PONG");
    assert_eq!(proxy.connections(), 1);
    drop(link);
    wait_for("the end of the connection", SOON, || {
        (proxy.connections() == 0).then_some(())
    });
}

#[test]
fn cut_resets_and_refuses_until_it_is_over() {
    let (_redis, proxy) = pair();
    let link = dial(&proxy);
    ask(&link, "PING").unwrap();
    proxy.set(Mode::Cut);
    let answer = wait_for("the reset", SOON, || {
        let answer = ask(&link, "PING");
        answer.is_err().then_some(answer)
    });
    assert!(is_reset(&answer), "{answer:?}");
    let refused = TcpStream::connect(("127.0.0.1", proxy.port()));
    assert!(refused.is_err_and(|e| e.kind() == ErrorKind::ConnectionRefused));
    proxy.set(Mode::Pass);
    assert_eq!(ask(&dial(&proxy), "PING").unwrap(), "+PONG");
}

#[test]
fn frozen_bytes_flow_on_after_a_blackhole() {
    let (redis, proxy) = pair();
    let link = dial(&proxy);
    ask(&link, "PING").unwrap();
    proxy.set(Mode::Blackhole);
    let newcomer = dial(&proxy);
    ask_in_vain(&link, "INCR marked");
    ask_in_vain(&newcomer, "INCR marked");
    assert_eq!(executed(&redis), 0);
    proxy.set(Mode::Pass);
    wait_for("both requests", SOON, || {
        (executed(&redis) == 2).then_some(())
    });
    assert!(hear(&link).unwrap().starts_with(':'));
    assert!(hear(&newcomer).unwrap().starts_with(':'));
}

#[test]
fn a_blackhole_can_end_in_resets() {
    let (redis, proxy) = pair();
    let link = dial(&proxy);
    proxy.set(Mode::Blackhole);
    ask_in_vain(&link, "INCR marked");
    proxy.heal_by_reset();
    let answer = hear(&link);
    assert!(is_reset(&answer), "{answer:?}");
    assert_eq!(ask(&dial(&proxy), "PING").unwrap(), "+PONG");
    assert_eq!(executed(&redis), 0);
}

#[test]
fn delay_is_each_way() {
    let (_redis, proxy) = pair();
    let link = dial(&proxy);
    proxy.set(Mode::Delay(Duration::from_millis(100)));
    let start = now();
    ask(&link, "PING").unwrap();
    let took = now() - start;
    assert!(took.as_millis() >= 200, "{took:?}");
}

#[test]
fn throttle_is_by_the_second() {
    let (_redis, proxy) = pair();
    let link = dial(&proxy);
    proxy.set(Mode::Throttle(500));
    let start = now();
    let word = "x".repeat(200);
    // 200 bytes and a little there and back again; the answer is heard from its first piece on.
    let mut heard = ask(&link, &format!("ECHO {word}")).unwrap();
    while heard.len() < 200 {
        heard += &hear(&link).unwrap();
    }
    let took = now() - start;
    assert!(took.as_millis() >= 700, "{took:?}");
}

#[test]
fn replies_can_be_lost() {
    let (redis, proxy) = pair();
    let link = dial(&proxy);
    ask(&link, "PING").unwrap();
    proxy.set(Mode::RepliesLost);
    ask_in_vain(&link, "INCR marked");
    assert_eq!(executed(&redis), 1);
    proxy.set(Mode::Pass);
    assert_eq!(
        ask(&link, "PING").unwrap(),
        "+PONG",
        "the lost reply stays lost"
    );
}

#[test]
fn half_open_is_silence_for_old_connections_only() {
    let (redis, proxy) = pair();
    let link = dial(&proxy);
    ask(&link, "PING").unwrap();
    proxy.half_open();
    ask_in_vain(&link, "INCR marked");
    ask_in_vain(&link, "INCR marked");
    assert_eq!(ask(&dial(&proxy), "PING").unwrap(), "+PONG");
    assert_eq!(executed(&redis), 0);
    drop(link);
    wait_for("the end of both", SOON, || {
        (proxy.connections() == 0).then_some(())
    });
}

#[test]
fn a_server_that_is_down_resets() {
    let (mut redis, proxy) = pair();
    redis.stop();
    let link = dial(&proxy);
    let answer = wait_for("the reset", SOON, || {
        let answer = ask(&link, "PING");
        answer.is_err().then_some(answer)
    });
    assert!(is_reset(&answer), "{answer:?}");
    let other = Redis::start();
    proxy.redirect(other.port());
    assert_eq!(ask(&dial(&proxy), "PING").unwrap(), "+PONG");
}

#[test]
fn a_reply_can_be_lost_after_the_request_was_executed() {
    let (redis, proxy) = pair();
    let trap = proxy.trap(Trap::new("marked", At::Reply, Act::Reset).times(2));
    for done in 1..=2 {
        let link = dial(&proxy);
        assert_eq!(ask(&link, "PING").unwrap(), "+PONG");
        let answer = ask(&link, "INCR marked");
        assert!(is_reset(&answer), "{answer:?}");
        assert_eq!(executed(&redis), done);
        trap.wait(done, SOON);
    }
    assert_eq!(ask(&dial(&proxy), "INCR marked").unwrap(), ":3");
    assert_eq!(trap.sprung(), 2);
}

#[test]
fn a_request_can_be_lost_before_it_arrives() {
    let (redis, proxy) = pair();
    proxy.trap(Trap::new("marked", At::Request, Act::Reset));
    let link = dial(&proxy);
    // The marker lies across two writes.
    let (mut half, rest) = (&link, "ked");
    half.write_all(b"INCR mar").unwrap();
    std::thread::sleep(Duration::from_millis(50));
    let answer = ask(&link, rest);
    assert!(is_reset(&answer), "{answer:?}");
    assert_eq!(ask(&dial(&proxy), "INCR marked").unwrap(), ":1");
    assert_eq!(executed(&redis), 1);
}

#[test]
fn a_late_request_arrives_although_its_client_has_gone() {
    for leave in [Leave::Politely, Leave::ByReset] {
        let (redis, proxy) = pair();
        let late = Duration::from_millis(600);
        let trap = proxy.trap(Trap::new("marked", At::Request, Act::Late(late)));
        let link = dial(&proxy);
        let start = now();
        ask_in_vain(&link, "INCR marked");
        trap.wait(1, SOON);
        match leave {
            Leave::Politely => link.shutdown(Shutdown::Both).unwrap(),
            Leave::ByReset => {
                rustix::net::sockopt::set_socket_linger(&link, Some(Duration::ZERO)).unwrap();
            }
        }
        drop(link);
        assert_eq!(executed(&redis), 0);
        wait_for("the late request", SOON, || {
            (executed(&redis) == 1).then_some(())
        });
        let took = now() - start;
        assert!(took >= late, "{leave:?} {took:?}");
    }
}

#[derive(Debug, Clone, Copy)]
enum Leave {
    Politely,
    ByReset,
}

#[test]
fn a_process_can_be_stopped_or_killed_at_the_instant() {
    let dir = tempfile::tempdir().unwrap();
    let mut sleep = Command::new("sleep");
    sleep.arg("1000");
    let mut victim = Process::start("sleep", &sleep, &dir.path().join("log"));
    let pid = victim.pid();
    let (redis, proxy) = pair();
    let stop =
        Trap::new("marked", At::Reply, Act::Pass).hook(move || signal_pid(pid, Signal::STOP));
    let kill =
        Trap::new("marked", At::Request, Act::Reset).hook(move || signal_pid(pid, Signal::KILL));

    let stopped = proxy.trap(stop);
    assert_eq!(ask(&dial(&proxy), "INCR marked").unwrap(), ":1");
    stopped.wait(1, SOON);
    wait_for("the stop", SOON, || {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
        stat.contains(") T ").then_some(())
    });
    let killed = proxy.trap(kill);
    assert!(is_reset(&ask(&dial(&proxy), "INCR marked")));
    killed.wait(1, SOON);
    assert!(!victim.wait_exit(SOON).success());
    assert_eq!(executed(&redis), 1);
}
