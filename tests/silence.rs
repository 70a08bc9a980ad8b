//! Where Celery drops a message without a word, `beat check` says so, or the message goes where it was plainly meant.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use serde_json::Value;
use support::command::run;

const REDIS: &str = "broker_url = 'redis://h'\n";
const RABBIT: &str = "broker_url = 'amqp://h'\nstate_url = 'redis://h'\n";
const FOLDER: &str = "broker_url = 'filesystem://'\n";
const TOPIC: &str = "[task_queues.feeds]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'media.#'\n\
    [task_queues.celery]\nexchange = 'celery'\n";
const ONLY_KNOWN: &str = "task_create_missing_queues = false\n[task_queues.known]\nexchange = 'known'\n\
    [task_queues.celery]\nexchange = 'celery'\n";
const QUORUM_TOPIC: &str = "[task_queues.q]\nexchange = 't'\nexchange_type = 'topic'\nrouting_key = 'q'\n\
    queue_arguments = { x-queue-type = 'quorum' }\n[task_queues.celery]\nexchange = 'celery'\n";

/// What `check` says of an entry with these options.
fn check(settings: &str, options: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("s.toml");
    // Settings that are tables come last of the settings.
    let toml =
        format!("{settings}[beat_schedule.e]\ntask = 'proj.t'\nschedule = 3600\n{options}\n");
    std::fs::write(&file, toml).unwrap();
    let file = file.to_str().unwrap();
    let answer = run(&["--schedule", file, "check", "--format", "json"]);
    let report: Value = serde_json::from_str(&answer.stdout).unwrap();
    let code = if report["ok"] == true { 0 } else { 2 };
    assert_eq!(answer.code, Some(code), "{}", answer.stdout);
    report
}

#[test]
fn what_would_be_lost_is_refused() {
    let pickled = format!("{REDIS}task_serializer = 'pickle'\n");
    let routed =
        |route: &str, rest: &str| format!("{REDIS}task_routes = {{ 'proj.*' = {route} }}\n{rest}");
    let unknown_route = routed("{ queue = 'unknown' }", ONLY_KNOWN);
    let lone_route = routed("{ exchange = 'x' }", "");
    let topic = |broker: &str| format!("{broker}{TOPIC}");
    let missing_default = format!(
        "{REDIS}task_create_missing_queues = false\n[task_queues.known]\nexchange = 'known'\n"
    );
    let headers_exchange =
        format!("{REDIS}[task_queues.h]\nexchange = 'h'\nexchange_type = 'headers'\n");
    let long = "k".repeat(256);
    for (settings, options, says) in [
        // A lone exchange or routing key is ignored by Celery.
        (
            REDIS,
            "options = { exchange = 'x' }",
            "without a routing_key",
        ),
        (
            RABBIT,
            "options = { exchange = 'x' }",
            "without a routing_key",
        ),
        (
            FOLDER,
            "options = { exchange = 'x' }",
            "without a routing_key",
        ),
        (
            REDIS,
            "options = { routing_key = 'k' }",
            "without an exchange",
        ),
        (
            RABBIT,
            "options = { routing_key = 'k' }",
            "without an exchange",
        ),
        (&lone_route, "", "without a routing_key"),
        // No queue is bound so that the message would reach it.
        (
            &topic(REDIS),
            "options = { exchange = 'media', routing_key = 'audio.x' }",
            "no queue of the topic exchange",
        ),
        (
            &topic(RABBIT),
            "options = { exchange = 'media', routing_key = 'audio.x' }",
            "no queue of the topic exchange",
        ),
        (
            &topic(FOLDER),
            "options = { exchange = 'media', routing_key = 'audio.x' }",
            "no queue of the topic exchange",
        ),
        (
            &topic(REDIS),
            "options = { queue = 'feeds', routing_key = 'audio.x' }",
            "no queue of the topic exchange",
        ),
        // Queues that may not be created.
        (
            &format!("{REDIS}{ONLY_KNOWN}"),
            "options = { queue = 'unknown' }",
            "may not be created",
        ),
        (&unknown_route, "", "may not be created"),
        (&missing_default, "", "may not be created"),
        // Native delayed delivery.
        (
            &format!("{RABBIT}{QUORUM_TOPIC}"),
            "options = { queue = 'q', countdown = 0.5 }",
            "under one second",
        ),
        (
            &format!("{RABBIT}{QUORUM_TOPIC}"),
            "options = { queue = 'q', countdown = 268435456 }",
            "at most",
        ),
        // What the broker or its worker cannot take.
        (
            &headers_exchange,
            "options = { queue = 'h' }",
            "only RabbitMQ has",
        ),
        (FOLDER, "options = { queue = 'ü' }", "folder"),
        (
            FOLDER,
            "options = { exchange = '../x', routing_key = 'k' }",
            "folder",
        ),
        (
            RABBIT,
            "args_json = '[]'\noptions = { headers = { n = 18446744073709551616 } }",
            "64 bit",
        ),
        (
            RABBIT,
            &format!("options = {{ headers = {{ {long} = 1 }} }}"),
            "255",
        ),
        (RABBIT, "options = { headers = { d = 2026-01-01 } }", "date"),
        (REDIS, "options = { serializer = 'pickle' }", "pickle"),
        (&pickled, "", "pickle"),
        (
            REDIS,
            "args_json = '[18446744073709551616]'\noptions = { serializer = 'msgpack' }",
            "msgpack",
        ),
        (
            REDIS,
            "args = [2026-01-01]\noptions = { serializer = 'msgpack' }",
            "msgpack",
        ),
        (REDIS, "options = { task_id = 'x' }", "task_id"),
        (REDIS, "options = { priorty = 1 }", "priorty"),
    ] {
        let report = check(settings, options);
        let errors = report["errors"].as_array().unwrap();
        assert!(
            errors
                .iter()
                .any(|error| error["message"].as_str().unwrap().contains(says)
                    && error["line"].is_u64()),
            "{settings}{options}: {says:?} is not among {errors:?}"
        );
    }
}

#[test]
fn what_is_plainly_meant_is_taken() {
    let broadcast = format!(
        "{REDIS}[task_queues.all]\nbroadcast = true\n[task_queues.celery]\nexchange = 'celery'\n"
    );
    let fanout = format!(
        "{REDIS}[task_queues.f]\nexchange = 'f'\nexchange_type = 'fanout'\n[task_queues.celery]\nexchange = 'celery'\n"
    );
    for (settings, options) in [
        (&*broadcast, "options = { queue = 'all' }"),
        (&fanout, "options = { queue = 'f' }"),
        (
            REDIS,
            "options = { exchange = 'unheard', routing_key = 'of' }",
        ),
        (
            RABBIT,
            "options = { exchange = 'unheard', routing_key = 'of' }",
        ),
        (REDIS, "options = { queue = 'q', routing_key = 'k' }"),
        (
            &format!("{RABBIT}{QUORUM_TOPIC}"),
            "options = { queue = 'q', countdown = 1.5 }",
        ),
        (
            &format!("{REDIS}{QUORUM_TOPIC}"),
            "options = { queue = 'q', countdown = 0.5 }",
        ),
    ] {
        let report = check(settings, options);
        assert_eq!(
            report["errors"],
            serde_json::json!([]),
            "{settings}{options}"
        );
    }
}
