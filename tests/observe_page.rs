//! The status page, drawn by a real Chromium.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

use support::beat::Launch;
use support::http::Http;
use support::servers::Redis;

const SOON: Duration = Duration::from_secs(15);

/// What Chromium makes of the page once its script has run for a while; of Debian's package `chromium`.
fn drawn(http: Http) -> (String, String) {
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--dump-dom",
            "--virtual-time-budget=2000",
        ])
        .args(["--enable-logging=stderr", "--log-level=0"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("http://127.0.0.1:{}/", http.0))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn chromium_draws_the_page_and_counts_down() {
    let redis = Redis::start();
    let mut entries = String::new();
    for n in 0..300 {
        let _ = writeln!(
            entries,
            "[beat_schedule.e{n:03}]\ntask = 'tasks.t'\nschedule = {{ crontab = '0 3 * * *' }}"
        );
    }
    let toml = format!(
        "name = 'shop'\nbroker_url = '{}'\n[beat_schedule.soon]\ntask = 'tasks.soon'\nschedule = '45s'\n{entries}",
        redis.url()
    );
    let (launch, http) = Http::of(Launch::schedule(&toml));
    let mut beat = launch.start();
    beat.wait_for_event("elected", SOON);
    http.wait_for("the plan", |s| {
        s["entries"][0]["next_fire_time"].is_string().then_some(())
    });

    let bare = http.get("/").body;
    for fact in [
        "<h1>shop</h1>",
        "Leader",
        "term 1",
        "every 45 s",
        "Next 24 hours",
        "101 more can be found",
    ] {
        assert!(
            bare.contains(fact),
            "{fact:?} without JavaScript is not there"
        );
    }
    for link in ["=\"http", "=\"//", "url(", "@import"] {
        assert!(
            !bare.contains(link),
            "{link}: nothing is loaded from elsewhere"
        );
    }
    let found = http.get("/?q=E299").body;
    assert!(
        found.contains("1 of 301 entries") && found.contains("e299") && !found.contains("e298")
    );

    let (page, log) = drawn(http);
    let countdown = page.split("data-form=\"clock\">").nth(1).unwrap();
    let countdown = countdown.split('<').next().unwrap();
    assert!(countdown.starts_with("00:"), "{countdown}");
    assert!(
        page.contains("role=\"status\">live<"),
        "the script has run: {page}"
    );
    for trouble in ["Content Security Policy", "Uncaught", "Refused to"] {
        assert!(!log.contains(trouble), "{log}");
    }
}
