use super::*;

fn options(json: &str) -> Result<Options, Vec<Invalid>> {
    let Value::Dict(pairs) = Value::from_json_text(json).unwrap() else {
        panic!("{json}");
    };
    Options::from_pairs(pairs)
}

#[test]
fn refusals_name_the_option() {
    let long = "x".repeat(256);
    for (json, key) in [
        (r#"{"task_id": "a"}"#, "task_id"),
        (r#"{"queu": "a"}"#, "queu"),
        (r#"{"queue": 1}"#, "queue"),
        (r#"{"queue": " "}"#, "queue"),
        (&format!(r#"{{"queue": "{long}"}}"#), "queue"),
        (r#"{"routing_key": "a\u0000b"}"#, "routing_key"),
        (r#"{"priority": -1}"#, "priority"),
        (r#"{"priority": 256}"#, "priority"),
        (r#"{"priority": 1.5}"#, "priority"),
        (r#"{"priority": true}"#, "priority"),
        (r#"{"expires": -1}"#, "expires"),
        (r#"{"expires": "soon"}"#, "expires"),
        (r#"{"countdown": -0.5}"#, "countdown"),
        (r#"{"countdown": "10"}"#, "countdown"),
        (r#"{"countdown": 1e300}"#, "countdown"),
        (r#"{"eta": 10}"#, "eta"),
        (r#"{"eta": "auto"}"#, "eta"),
        (r#"{"delivery_mode": 3}"#, "delivery_mode"),
        (r#"{"delivery_mode": "sometimes"}"#, "delivery_mode"),
        (r#"{"serializer": "pickle"}"#, "serializer"),
        (r#"{"serializer": "xml"}"#, "serializer"),
        (r#"{"compression": "rar"}"#, "compression"),
        (r#"{"headers": []}"#, "headers"),
        (r#"{"headers": {"id": "mine"}}"#, "headers.id"),
        (r#"{"link": [{"task": "a"}, {}]}"#, "link.1.task"),
        (r#"{"chord": []}"#, "chord"),
        (r#"{"ignore_result": 1}"#, "ignore_result"),
        (
            r#"{"retry_policy": {"max_retry": 1}}"#,
            "retry_policy.max_retry",
        ),
        (r#"{"stamped_headers": ["who"]}"#, "stamped_headers.0"),
        (
            r#"{"stamped_headers": ["queue"], "queue": "a"}"#,
            "stamped_headers.0",
        ),
        (r#"{"stamped_headers": "who"}"#, "stamped_headers"),
    ] {
        let errors = options(json).unwrap_err();
        assert_eq!(errors[0].key, key, "{json}: {errors:?}");
    }
}

#[test]
fn every_error_is_reported() {
    assert_eq!(
        options(r#"{"a": 1, "priority": -1, "b": 2}"#)
            .unwrap_err()
            .len(),
        3
    );
}

#[test]
fn suggestions_come_from_the_options() {
    let error = options(r#"{"routing_kye": "a"}"#)
        .unwrap_err()
        .swap_remove(0);
    assert_eq!(error.help.as_deref(), Some("did you mean \"routing_key\"?"));
}

#[test]
fn what_celery_takes_is_taken() {
    for json in [
        r#"{"expires": 0, "countdown": 0.5, "priority": 255}"#,
        r#"{"expires": "auto"}"#,
        r#"{"expires": "2031-05-06T07:08:09Z", "eta": "2031-05-06 07:08:09"}"#,
        r#"{"stamped_headers": ["who", "n"], "who": "me", "n": 1}"#,
        r#"{"delivery_mode": "transient", "retry": false, "retry_policy": {"max_retries": null}}"#,
        r#"{"headers": {"x": [1, null]}, "time_limit": 1.5, "timestamp": 1700000000}"#,
    ] {
        options(json).unwrap();
    }
    let mode = options(r#"{"delivery_mode": "transient"}"#).unwrap();
    assert_eq!(mode.get("delivery_mode"), Some(&Value::Int(1)));
}

#[test]
fn an_entry_wins_over_its_route_key_by_key() {
    let route = options(r#"{"queue": "routed", "priority": 4}"#).unwrap();
    let entry = options(r#"{"app_id": "me", "queue": "own"}"#).unwrap();
    let merged = entry.over(&route);
    let shown: Vec<_> = merged.iter().map(|(key, _)| key).collect();
    assert_eq!(shown, ["queue", "priority", "app_id"]);
    assert_eq!(merged.text("queue"), Some("own"));
}
