//! What an instance says of itself over HTTP, while things happen to it.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use support::beat::{Beat, Launch};
use support::command::{run, run_with};
use support::http::Http;
use support::process::Signal;
use support::repository;
use support::servers::Redis;
use support::wait::{free_port, wait_for};

const SOON: Duration = Duration::from_secs(15);

/// Fires each second, and entries in other states.
const ENTRIES: &str = "
[beat_schedule.fast]
task = 'tasks.add'
schedule = 1
[beat_schedule.rare]
task = 'tasks.rare'
schedule = { crontab = '0 0 1 1 *' }
timezone = 'Asia/Seoul'
[beat_schedule.off]
task = 'tasks.off'
schedule = 60
enabled = false
[beat_schedule.over]
task = 'tasks.over'
schedule = { at = 2020-01-01T00:00:00Z }
";

fn launch(redis: &Redis, settings: &str, entries: &str) -> (Launch, Http) {
    let url = redis.url();
    let toml = format!("broker_url = '{url}'\nlease_ttl = '2s'\n{settings}\n{entries}");
    Http::of(Launch::schedule(&toml))
}

fn start(redis: &Redis) -> (Beat, Http) {
    let (launch, http) = launch(redis, "", ENTRIES);
    let mut beat = launch.start();
    beat.wait_for_event("fired", SOON);
    (beat, http)
}

fn row<'a>(status: &'a Value, entry: &str) -> &'a Value {
    let mut rows = status["entries"].as_array().unwrap().iter();
    rows.find(|row| row["entry"] == entry).unwrap()
}

/// The names of `# TYPE` lines.
fn families(metrics: &str) -> BTreeSet<&str> {
    let types = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE "));
    types.map(|line| line.split(' ').next().unwrap()).collect()
}

#[test]
fn a_leader_says_what_it_knows() {
    let redis = Redis::start();
    let (beat, http) = start(&redis);
    let live = http.get("/livez");
    assert_eq!(live.status, 200, "{}", live.body);
    let ready = http.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(ready.body.contains("\"role\":\"leader\""), "{}", ready.body);

    let fired =
        |status: &Value| (row(status, "fast")["count"].as_u64()? > 0).then(|| status.clone());
    let status = http.wait_for("a fire", fired);
    for (key, value) in [
        ("role", json!("leader")),
        ("term", json!(1)),
        ("store", json!({ "url": redis.url(), "up": true })),
        (
            "broker",
            json!({ "url": redis.url(), "up": true, "mode": "atomic" }),
        ),
        ("warnings", json!([])),
    ] {
        assert_eq!(status[key], value, "{key}");
    }
    assert_eq!(status["leader"], status["instances"][0]["instance"]);
    assert_eq!(status["instances"][0]["pid"], beat.pid());
    assert_eq!(status["schedule"]["entries"], 4);
    let fast = row(&status, "fast");
    assert!(fast["lag_ms"].as_f64().unwrap() < 1_000.0, "{fast}");
    assert!(
        fast["last_fire_time"].as_str() < fast["next_fire_time"].as_str(),
        "{fast}"
    );
    assert!(
        fast["sent_at"].is_string() && fast["last_error"].is_null(),
        "{fast}"
    );
    let rare = row(&status, "rare");
    assert_eq!(rare["timezone"], "Asia/Seoul");
    assert!(
        rare["next_fire_time"]
            .as_str()
            .unwrap()
            .ends_with("12-31T15:00:00Z"),
        "{rare}"
    );
    assert!(row(&status, "off")["next_fire_time"].is_null());

    // The same code, from outside: the same keys.
    let schedule = beat.launch().path().display().to_string();
    let answer = run(&["status", "--format", "json", "--schedule", &schedule]);
    let outside: Value = serde_json::from_str(&answer.stdout).unwrap();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&outside), keys(&status));
    assert_eq!(keys(row(&outside, "fast")), keys(fast));
    assert_eq!(outside["leader"], status["leader"]);
}

#[test]
fn metrics_are_there_from_the_start_and_count_what_happens() {
    let redis = Redis::start();
    redis.run("SET wrong x");
    let broken =
        "[beat_schedule.broken]\ntask = 't'\nschedule = 1\noptions = { queue = 'wrong' }\n";
    let (launch, http) = launch(&redis, "", &format!("{ENTRIES}{broken}"));
    let mut beat = launch.start();
    beat.wait_for_event("ready", SOON);
    let text = wait_for("metrics", SOON, || {
        Some(http.get("/metrics")).filter(|a| a.status == 200)
    });
    assert!(
        text.head.contains("text/plain; version=0.0.4"),
        "{}",
        text.head
    );
    let named = families(&text.body);
    for name in "build_info leader term leader_transitions_total lease_renew_failures_total lease_expiry_timestamp_seconds \
        entries fires_total skipped_total fire_lag_seconds publish_duration_seconds publish_retries_total \
        entry_last_fire_timestamp_seconds entry_next_fire_timestamp_seconds next_fire_timestamp_seconds \
        loop_last_iteration_timestamp_seconds config_last_reload_successful \
        config_last_reload_success_timestamp_seconds config_reloads_total up clock_steps_total clock_skew_seconds \
        state_lost_total schedule_mismatch"
        .split_whitespace()
    {
        assert!(named.contains(&*format!("beat_{name}")), "beat_{name} in\n{}", text.body);
    }
    for sample in [
        "beat_fires_total{entry=\"rare\",outcome=\"unknown\"} 0",
        "beat_skipped_total{entry=\"rare\",reason=\"backlog\"} 0",
        "beat_config_reloads_total{result=\"refused\"} 0",
        "beat_entries{state=\"disabled\"} 1",
    ] {
        assert!(text.body.contains(sample), "{sample} in\n{}", text.body);
    }
    read_by_prometheus(&text.body);

    beat.wait_for_events_since(0, "fired", 2, SOON);
    assert!(http.metric("beat_fires_total{entry=\"fast\",outcome=\"sent\"}") >= 1.0);
    assert!(http.metric("beat_fire_lag_seconds_count") >= 1.0);
    assert!((http.metric("beat_leader") - 1.0).abs() < f64::EPSILON);
    assert!(http.metric("beat_entry_next_fire_timestamp_seconds{entry=\"rare\"}") > 1.7e9);
    for target in ["store", "broker"] {
        let up = http.metric(&format!("beat_up{{target=\"{target}\"}}"));
        assert!((up - 1.0).abs() < f64::EPSILON, "{target}");
    }

    // A broken entry is counted, shown, and forgotten once it works.
    beat.wait_for_event("publish_failed", SOON);
    let error = http.wait_for("the error", |s| {
        row(s, "broken")["last_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("WRONGTYPE"), "{error}");
    assert!(http.metric("beat_fires_total{entry=\"broken\",outcome=\"failed\"}") >= 1.0);
    redis.run("DEL wrong");
    http.wait_for("the end of it", |s| {
        row(s, "broken")["last_error"].is_null().then_some(())
    });

    // A pause is counted and shown with its reason.
    let schedule = beat.launch().path().display().to_string();
    run(&[
        "pause",
        "fast",
        "--reason",
        "upgrade",
        "--schedule",
        &schedule,
    ]);
    let mark = http.wait_for("the pause", |s| {
        Some(row(s, "fast")["paused"].clone()).filter(Value::is_object)
    });
    assert_eq!(mark["reason"], "upgrade");
    let skipped = "beat_skipped_total{entry=\"fast\",reason=\"paused\"}";
    wait_for("a skip", SOON, || {
        (http.metric(skipped) >= 1.0).then_some(())
    });
    assert!((http.metric("beat_entries{state=\"paused\"}") - 1.0).abs() < f64::EPSILON);
}

/// Prometheus' own parser takes `text`, and its linter has nothing to say.
fn read_by_prometheus(text: &str) {
    let mut promtool = promtool(&["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.is_empty(), "{said}");
}

/// Of Debian's package `prometheus`.
fn promtool(words: &[&str]) -> Command {
    let mut command = Command::new("promtool");
    command
        .args(words)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

#[test]
fn without_entry_labels_there_are_totals() {
    let redis = Redis::start();
    let (launch, http) = launch(&redis, "metrics_per_entry = false", ENTRIES);
    let mut beat = launch.start();
    beat.wait_for_events_since(0, "fired", 2, SOON);
    let text = http.get("/metrics").body;
    assert!(!text.contains("entry=\""), "{text}");
    assert!(http.metric("beat_fires_total{outcome=\"sent\"}") >= 1.0);
    assert!(http.metric("beat_skipped_total{reason=\"misfire\"}").abs() < f64::EPSILON);
    assert!(families(&text).contains("beat_entry_next_fire_timestamp_seconds"));
}

#[test]
fn a_refused_reload_is_shown_with_its_line() {
    let redis = Redis::start();
    let (mut beat, http) = start(&redis);
    let good = std::fs::read_to_string(beat.launch().path()).unwrap();
    beat.launch()
        .rewrite(&good.replace("schedule = 60", "schedule = 'sixty'"));
    beat.wait_for_event("reload_refused", SOON);
    let error = http.wait_for("the refusal", |s| {
        s["schedule"]["reload_error"].as_str().map(str::to_owned)
    });
    assert!(error.contains("beat.toml"), "{error}");
    assert!(
        (http.metric("beat_config_reloads_total{result=\"refused\"}") - 1.0).abs() < f64::EPSILON
    );
    assert!(http.metric("beat_config_last_reload_successful").abs() < f64::EPSILON);
    let page = http.get("/").body;
    assert!(page.contains("schedule = &#39;sixty&#39;"), "{page}");

    let fires = http.metric("beat_fires_total{entry=\"fast\",outcome=\"sent\"}");
    beat.launch()
        .rewrite(&good.replace("schedule = 60", "schedule = 61"));
    beat.wait_for_event("reloaded", SOON);
    assert!(
        (http.metric("beat_config_reloads_total{result=\"applied\"}") - 1.0).abs() < f64::EPSILON
    );
    assert!((http.metric("beat_config_last_reload_successful") - 1.0).abs() < f64::EPSILON);
    assert!(
        http.metric("beat_fires_total{entry=\"fast\",outcome=\"sent\"}") >= fires,
        "counts go on"
    );
    assert!(http.status()["schedule"]["reload_error"].is_null());
}

#[test]
fn a_standby_is_ready_and_reads_from_the_store() {
    let redis = Redis::start();
    // More than are read at a time.
    let hours = (0..1_100).map(|n| {
        format!(
            "[beat_schedule.z{n:04}]\ntask = 't'\nschedule = {{ minute = {} }}\n",
            n % 60
        )
    });
    let entries = hours.fold(ENTRIES.to_owned(), |all, one| all + &one);
    let (leading, first) = launch(&redis, "", &entries);
    let mut leader = leading.start();
    leader.wait_for_event("fired", SOON);
    let (launch, http) = launch(&redis, "", &entries);
    let mut standby = launch.start();
    standby.wait_for_event("standby", SOON);
    let ready = http.get("/readyz");
    assert_eq!(ready.status, 200, "{}", ready.body);
    assert!(
        ready.body.contains("\"role\":\"standby\""),
        "{}",
        ready.body
    );
    assert_eq!(http.get("/livez").status, 200);
    let both = |status: &Value| {
        let known = row(status, "fast")["count"].as_u64()? > 0;
        let both = status["instances"].as_array()?.len() == 2;
        (known && both).then(|| status.clone())
    };
    let status = http.wait_for("the other's fires", both);
    assert_eq!(status["role"], "standby");
    assert_eq!(status["leader"], first.status()["leader"]);
    let fast = row(&status, "fast");
    for key in ["last_fire_time", "next_fire_time", "sent_at"] {
        assert!(fast[key].is_string(), "{key} in {fast}");
    }
    for entry in ["over", "z0000", "z1099"] {
        let next = "next_fire_time";
        let leaders = first.status();
        assert_eq!(
            row(&status, entry)[next],
            row(&leaders, entry)[next],
            "{entry}"
        );
    }
    assert!(http.metric("beat_leader").abs() < f64::EPSILON);
    assert!((http.metric("beat_term") - 1.0).abs() < f64::EPSILON);
}

#[test]
fn a_store_that_is_away_is_neither_dead_nor_ready() {
    let mut redis = Redis::start();
    let (mut beat, http) = start(&redis);
    let before = http.wait_for("a fire", |s| {
        row(s, "fast")["count"].as_u64().filter(|count| *count > 0)
    });
    redis.stop();
    beat.wait_for_event("store_down", SOON);
    let status = http.wait_for("the outage", |s| {
        (s["store"]["up"] == false).then(|| s.clone())
    });
    assert_eq!(status["broker"]["up"], false);
    assert_eq!(status["warnings"].as_array().unwrap().len(), 1, "{status}");
    assert!(
        row(&status, "fast")["count"].as_u64()
            >= Some(before).filter(|_| status["role"] == "leader")
    );
    let ready = http.get("/readyz");
    assert_eq!(ready.status, 503, "{}", ready.body);
    let live = http.get("/livez");
    assert_eq!(live.status, 200, "{}", live.body);
    assert!(http.metric("beat_up{target=\"store\"}").abs() < f64::EPSILON);
    assert_eq!(http.get("/").status, 200);
    redis.start_again();
    let mark = beat.mark();
    beat.wait_for_event_since(mark, "fired", SOON);
    http.wait_for("the store", |s| {
        (s["store"]["up"] == true && s["broker"]["up"] == true).then_some(())
    });
    assert_eq!(http.get("/readyz").status, 200);
    assert!(http.metric("beat_leader_transitions_total") >= 1.0);
}

#[test]
fn a_process_that_was_stopped_for_a_moment_is_alive() {
    let redis = Redis::start();
    let (mut beat, http) = start(&redis);
    beat.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(2));
    beat.signal(Signal::CONT);
    assert_eq!(http.get("/livez").status, 200, "two seconds are no fault");
}

#[test]
fn other_entries_under_one_name_are_said() {
    let redis = Redis::start();
    let (_leader, http) = start(&redis);
    let (launch, _) = launch(
        &redis,
        "",
        "[beat_schedule.other]\ntask = 't'\nschedule = 5\n",
    );
    let mut standby = launch.start();
    standby.wait_for_event("standby", SOON);
    let digests = http.wait_for("both digests", |s| {
        let all: BTreeSet<_> = s["instances"]
            .as_array()?
            .iter()
            .map(|i| i["digest"].to_string())
            .collect();
        (all.len() == 2).then_some(all)
    });
    assert_eq!(digests.len(), 2);
}

#[test]
fn health_asks_the_instance_that_runs() {
    let redis = Redis::start();
    let (beat, http) = start(&redis);
    let schedule = beat.launch().path().display().to_string();
    let everywhere = format!("0.0.0.0:{}", http.0);
    let dead = format!("127.0.0.1:{}", free_port());
    for (why, words, listen, code, said) in [
        ("live", vec!["health"], Some(&everywhere), 0, "ok"),
        (
            "ready",
            vec!["health", "--ready"],
            Some(&everywhere),
            0,
            "leader",
        ),
        ("nobody there", vec!["health"], Some(&dead), 1, "refused"),
        ("not set", vec!["health"], None, 1, "http_listen is not set"),
    ] {
        let words: Vec<&str> = words.into_iter().chain(["--schedule", &schedule]).collect();
        let env: Vec<(&str, &str)> = listen
            .iter()
            .map(|to| ("BEAT_HTTP_LISTEN", to.as_str()))
            .collect();
        let answer = run_with(&words, &env);
        assert_eq!(answer.code, Some(code), "{why}: {}", answer.stderr);
        let text = format!("{}{}", answer.stdout, answer.stderr);
        assert!(text.to_lowercase().contains(said), "{why}: {text}");
    }
}

#[test]
fn an_address_in_use_is_said_at_the_start() {
    let redis = Redis::start();
    let (_beat, http) = start(&redis);
    let other = Launch::schedule(&format!("broker_url = '{}'\n{ENTRIES}", redis.url()));
    let mut other = other
        .env("BEAT_HTTP_LISTEN", format!("127.0.0.1:{}", http.0))
        .start();
    assert_eq!(other.wait_exit(SOON).code(), Some(1));
    let stopped = &other.events("stopped")[0];
    let error = stopped["error"].as_str().unwrap();
    assert!(
        error.contains(&format!("http_listen 127.0.0.1:{}", http.0)),
        "{error}"
    );
    assert!(error.contains("in use"), "{error}");
}

#[test]
fn no_secret_is_shown() {
    let redis = Redis::options().password("s3cr3t").start();
    let settings = "task_default_queue = 'q'";
    let entry = "[beat_schedule.e]\ntask = 't'\nschedule = 1\nargs = ['s3cr3t']\nkwargs = { a = 's3cr3t' }\n";
    let (launch, http) = launch(&redis, settings, entry);
    let mut beat = launch.start();
    beat.wait_for_event("fired", SOON);
    for target in ["/", "/status.json", "/metrics", "/readyz"] {
        let answer = http.get(target);
        assert_eq!(answer.status, 200);
        assert!(!answer.body.contains("s3cr3t"), "{target}");
    }
}

#[test]
fn rules_and_dashboard_name_metrics_that_exist() {
    let redis = Redis::start();
    let (_beat, http) = start(&redis);
    let text = http.get("/metrics").body;
    let named = families(&text);
    let word = regex::Regex::new(r"\bbeat_[a-z_]+").unwrap();
    for file in ["monitoring/alerts.yaml", "monitoring/dashboard.json"] {
        let content = std::fs::read_to_string(repository(file)).unwrap();
        let mut found = 0;
        for name in word.find_iter(&content).map(|m| m.as_str()) {
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|end| name.strip_suffix(end));
            assert!(
                named.contains(name) || family.is_some_and(|family| named.contains(family)),
                "{name} of {file} is no metric"
            );
            found += 1;
        }
        assert!(found > 10, "{file} names {found} metrics");
    }
    let dashboard = std::fs::read_to_string(repository("monitoring/dashboard.json")).unwrap();
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    assert!(dashboard["panels"].as_array().unwrap().len() >= 8);
    let rules = repository("monitoring/alerts.yaml");
    let checked = promtool(&["check", "rules"]).arg(rules).output().unwrap();
    assert!(checked.status.success(), "{checked:?}");
}
