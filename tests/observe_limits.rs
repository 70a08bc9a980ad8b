//! Whatever is done to the listener: it refuses, it lives, and no fire is late for it.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use support::beat::{Beat, Launch};
use support::http::Http;
use support::servers::Redis;
use support::wait::{now, wait_for};

const SOON: Duration = Duration::from_secs(15);

fn start(redis: &Redis) -> (Beat, Http) {
    let url = redis.url();
    let toml = format!(
        "broker_url = '{url}'\n[beat_schedule.'fast <&>']\ntask = 'tasks.add'\nschedule = 1\nmisfire = 'all'\n"
    );
    let (launch, http) = Http::of(Launch::schedule(&toml));
    let mut beat = launch.start();
    beat.wait_for_event("fired", SOON);
    (beat, http)
}

#[test]
fn only_five_paths_can_be_read_and_nothing_done() {
    let redis = Redis::start();
    let (_beat, http) = start(&redis);
    let long = format!("/{}", "x".repeat(5_000));
    let target = |target: &str| format!("GET {target} HTTP/1.1\r\nHost: x\r\n\r\n");
    let with = |headers: &str| format!("GET / HTTP/1.1\r\nHost: x\r\n{headers}\r\n");
    let many = "h: x\r\n".repeat(100);
    // What is refused: by this status, or (0) by closing the connection.
    let cases: Vec<(&str, String, &[u16])> = vec![
        ("another path", target("/etc/passwd"), &[404]),
        ("dots", target("/../etc/passwd"), &[404]),
        ("encoded dots", target("/%2e%2e/etc/passwd"), &[404]),
        ("a slash too many", target("/livez/"), &[404]),
        ("NUL", target("/\0"), &[400, 0]),
        ("another host's", target("http://example.com/livez"), &[400]),
        (
            "a tunnel",
            "CONNECT example.com:443 HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            &[400, 404, 405],
        ),
        (
            "the server as a whole",
            "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into(),
            &[400, 404, 405],
        ),
        ("a long target", target(&long), &[414]),
        (
            "a huge header",
            with(&format!("x: {}\r\n", "y".repeat(64 << 10))),
            &[431, 400, 0],
        ),
        ("many headers", with(&many), &[431, 400, 0]),
        (
            "a body",
            with("Content-Length: 3\r\n\r\nabc"),
            &[413, 400, 0],
        ),
        (
            "a chunked body",
            with("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"),
            &[413, 400, 0],
        ),
        (
            "not HTTP",
            "\u{16}\u{3}\u{1}\u{2}\r\n\r\n".into(),
            &[400, 0],
        ),
    ];
    for (why, request, statuses) in cases {
        let answer = http.send(request.as_bytes());
        assert!(statuses.contains(&answer.status), "{why}: {}", answer.head);
        assert!(!answer.body.contains("root:"), "{why}");
    }
    for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "OPTIONS"] {
        for target in ["/", "/livez", "/status.json"] {
            let answer = http.ask(method, target);
            assert_eq!(answer.status, 405, "{method} {target}");
        }
    }
    for target in ["/", "/livez", "/readyz", "/metrics", "/status.json"] {
        let answer = http.ask("HEAD", target);
        assert_eq!((answer.status, answer.body.as_str()), (200, ""), "{target}");
        for header in [
            "x-content-type-options: nosniff",
            "cache-control: no-store",
            "content-security-policy: default-src 'none'",
        ] {
            assert!(answer.head.contains(header), "{target}: {}", answer.head);
        }
        for header in ["access-control", "\r\nserver:"] {
            assert!(!answer.head.contains(header), "{target}: {}", answer.head);
        }
    }
    let page = http.get("/").body;
    assert!(
        page.contains("fast &lt;&amp;&gt;") && !page.contains("fast <&>"),
        "{page}"
    );
    assert!(http.get("/metrics").body.contains("entry=\"fast <&>\""));
    let hostile = http.get("/?q=%3Cscript%3Ealert(1)%3C/script%3E").body;
    assert!(!hostile.contains("<script>alert"), "{hostile}");
}

#[test]
fn slow_and_many_connections_delay_no_fire() {
    let redis = Redis::start();
    let (mut beat, http) = start(&redis);
    let mark = beat.mark();
    let begun = b"GET / HTTP/1.1\r\nHost: x\r\n";
    let mut slow: Vec<TcpStream> = (0..300)
        .filter_map(|_| {
            let mut stream = http.connect().ok()?;
            stream.write_all(begun).ok()?;
            Some(stream)
        })
        .collect();
    // Each dribbles on, for longer than a head may take.
    let until = now() + Duration::from_secs(7);
    while now() < until {
        std::thread::sleep(Duration::from_millis(200));
        slow.retain_mut(|stream| stream.write_all(b"x: y\r\n").is_ok());
    }
    let late = beat
        .events_since(mark, "fired")
        .iter()
        .filter(|fired| fired["lag_ms"].as_f64() > Some(250.0))
        .count();
    assert_eq!(late, 0, "{:#?}", beat.events_since(mark, "fired"));
    beat.wait_for_events_since(mark, "fired", 6, SOON);
    let asked = now();
    wait_for("/livez", SOON, || {
        (http.get("/livez").status == 200).then_some(())
    });
    assert!(
        now() - asked < Duration::from_secs(4),
        "the slow ones are closed"
    );
    drop(slow);
}

#[test]
fn garbage_ends_nothing() {
    let redis = Redis::start();
    let (mut beat, http) = start(&redis);
    let mark = beat.mark();
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let words: [&[u8]; 12] = [
        b"GET ",
        b"HEAD ",
        b"/",
        b"/status.json",
        b"?q=%ff",
        b" HTTP/1.1\r\n",
        b"Host: x\r\n",
        b"\r\n",
        b"\0\xff",
        b"Content-Length: 99999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"%00%2e%2e",
    ];
    for _ in 0..3_000 {
        let mut request = Vec::new();
        for _ in 0..random(12) {
            match random(4) {
                0 => request.extend((0..random(20)).map(|_| u8::try_from(random(256)).unwrap())),
                _ => request.extend(words[usize::try_from(random(12)).unwrap()]),
            }
        }
        let Ok(mut stream) = http.connect() else {
            continue;
        };
        let _ = stream.write_all(&request);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let _ = stream.read(&mut [0; 64]);
    }
    assert!(beat.is_alive());
    wait_for("/livez", SOON, || {
        (http.get("/livez").status == 200).then_some(())
    });
    let fired = beat.wait_for_events_since(mark, "fired", 1, SOON);
    assert!(
        fired
            .iter()
            .all(|fired| fired["lag_ms"].as_f64() < Some(250.0)),
        "{fired:#?}"
    );
    assert!(!beat.lines().iter().any(|line| line.contains("panicked")));
}
