use super::*;

fn dict(json: &str) -> Vec<(String, Value)> {
    match Value::from_json_text(json).unwrap() {
        Value::Dict(pairs) => pairs,
        other => panic!("{other:?}"),
    }
}

fn options(json: &str) -> Options {
    Options::from_pairs(dict(json)).unwrap()
}

fn queues(json: &str) -> Vec<Queue> {
    dict(json)
        .iter()
        .map(|(name, table)| Queue::from_value(name, table).unwrap())
        .collect()
}

fn topics() -> RoutingSettings {
    RoutingSettings {
        queues: queues(
            r#"{"feeds": {"exchange": "media", "exchange_type": "topic", "routing_key": "media.#"},
                "celery": {}, "all": {"broadcast": true}, "hk": {"binding_key": "own"}}"#,
        ),
        ..RoutingSettings::default()
    }
}

fn resolved(settings: RoutingSettings, written: &str) -> Result<Route, Invalid> {
    Routing::new(settings)
        .resolve("proj.add", &options(written), Transport::Redis)
        .map(|(_, route)| route)
}

fn shown(route: &Route) -> String {
    format!(
        "{}/{}/{} declares {}",
        route.exchange,
        route.kind.name(),
        route.routing_key,
        route
            .declare
            .as_ref()
            .map_or("nothing", |queue| &queue.name)
    )
}

#[test]
fn goes_where_celery_sends_it() {
    for (written, expected) in [
        ("{}", "/direct/celery declares celery"),
        (r#"{"queue": "new"}"#, "/direct/new declares new"),
        (r#"{"queue": "hk"}"#, "/direct/hk declares hk"),
        (
            r#"{"queue": "hk", "routing_key": "x"}"#,
            "/direct/hk declares hk",
        ),
        (
            r#"{"queue": "feeds"}"#,
            "media/topic/media.# declares feeds",
        ),
        (
            r#"{"queue": "feeds", "routing_key": "media.x"}"#,
            "media/topic/media.x declares feeds",
        ),
        (
            r#"{"exchange": "media", "routing_key": "media.x"}"#,
            "media/topic/media.x declares celery",
        ),
        (
            r#"{"exchange": "elsewhere", "routing_key": "x"}"#,
            "elsewhere/direct/x declares celery",
        ),
        (
            r#"{"routing_key": "celery"}"#,
            "/direct/celery declares celery",
        ),
        // A broadcast is published to its fanout, with the key its workers bind with.
        (r#"{"queue": "all"}"#, "all/fanout/celery declares nothing"),
    ] {
        assert_eq!(
            shown(&resolved(topics(), written).unwrap()),
            expected,
            "{written}"
        );
    }
}

#[test]
fn what_celery_would_drop_is_refused() {
    let strict = RoutingSettings {
        create_missing: false,
        ..topics()
    };
    assert_eq!(
        resolved(strict, r#"{"queue": "new"}"#).unwrap_err().key,
        "options.queue"
    );
    for (written, key) in [
        (r#"{"exchange": "media"}"#, "options.exchange"),
        (r#"{"routing_key": "x"}"#, "options.routing_key"),
        (
            r#"{"queue": "feeds", "exchange": "media"}"#,
            "options.exchange",
        ),
        (
            r#"{"queue": "feeds", "routing_key": "x"}"#,
            "options.routing_key",
        ),
        (
            r#"{"exchange": "media", "routing_key": "x"}"#,
            "options.routing_key",
        ),
    ] {
        assert_eq!(
            resolved(topics(), written).unwrap_err().key,
            key,
            "{written}"
        );
    }
    let routes = Value::from_json_text(r#"{"proj.*": {"exchange": "media"}}"#).unwrap();
    let routed = RoutingSettings {
        routes: Routes::from_value(&routes).unwrap(),
        ..topics()
    };
    assert_eq!(resolved(routed, "{}").unwrap_err().key, "task");
    let plugin = RoutingSettings {
        default_exchange_type: ExchangeKind::Other("x-delayed".into()),
        ..RoutingSettings::default()
    };
    assert!(resolved(plugin, "{}").is_err());
}

#[test]
fn a_route_lies_under_the_entry() {
    let routes = r#"{"proj.*": {"queue": "routed", "priority": 4, "delivery_mode": 1}}"#;
    let routing = Routing::new(RoutingSettings {
        routes: Routes::from_value(&Value::from_json_text(routes).unwrap()).unwrap(),
        ..topics()
    });
    let (merged, route) = routing
        .resolve(
            "proj.add",
            &options(r#"{"queue": "own"}"#),
            Transport::Redis,
        )
        .unwrap();
    assert_eq!(route.queue.as_deref(), Some("own"));
    assert_eq!(merged.get("priority"), Some(&Value::Int(4)));
    assert_eq!(route.delivery_mode, DeliveryMode::Transient);
    assert!(route.unknown_queue);
}

#[test]
fn native_delay_needs_rabbitmq_a_quorum_queue_and_no_direct_exchange() {
    let quorum = || RoutingSettings {
        default_queue_type: QueueType::Quorum,
        default_exchange_type: ExchangeKind::Topic,
        ..RoutingSettings::default()
    };
    let delayed = |settings, written: &str, transport| {
        Routing::new(settings)
            .resolve("t", &options(written), transport)
            .map(|(_, route)| route.delayed_key)
    };
    let countdown = r#"{"countdown": 30}"#;
    let key = Some("celery".to_owned());
    assert_eq!(delayed(quorum(), countdown, Transport::Amqp), Ok(key));
    assert_eq!(delayed(quorum(), countdown, Transport::Redis), Ok(None));
    assert_eq!(
        delayed(quorum(), r#"{"countdown": 0}"#, Transport::Amqp),
        Ok(None)
    );
    let direct = RoutingSettings {
        default_exchange_type: ExchangeKind::Direct,
        ..quorum()
    };
    assert_eq!(delayed(direct, countdown, Transport::Amqp), Ok(None));
    for refused in [r#"{"countdown": 0.5}"#, r#"{"countdown": 300000000}"#] {
        let error = delayed(quorum(), refused, Transport::Amqp).unwrap_err();
        assert_eq!(error.key, "options.countdown");
    }
}

#[test]
fn queue_tables_are_celerys_dict_form() {
    let json = r#"{"exchange": {"name": "e", "type": "topic", "delivery_mode": "transient"},
        "routing_key": "r", "durable": false, "queue_arguments": {"x-foo": 1, "x-max-length": 1},
        "expires": 60.0, "message_ttl": 30.5, "max_length": 100, "max_priority": 5}"#;
    let queue = Queue::from_value("q", &Value::from_json_text(json).unwrap()).unwrap();
    let shown: Vec<_> = queue
        .arguments
        .iter()
        .map(|(k, v)| format!("{k}={v:?}"))
        .collect();
    assert_eq!(
        shown,
        [
            "x-foo=Int(1)",
            "x-max-length=Int(100)",
            "x-expires=Int(60000)",
            "x-message-ttl=Int(30500)",
            "x-max-priority=Int(5)"
        ]
    );
    let exchange = queue.exchange.unwrap();
    assert_eq!(exchange.kind, ExchangeKind::Topic);
    assert_eq!(exchange.delivery_mode, Some(DeliveryMode::Transient));
    assert!(!exchange.durable && !queue.durable);
    for (table, key) in [
        ("1", ""),
        (r#"{"exchang": "e"}"#, "exchang"),
        (r#"{"exchange": 1}"#, "exchange"),
        (r#"{"exchange": {"type": "topic"}}"#, "exchange.name"),
        (
            r#"{"exchange": {"name": "e", "kind": "topic"}}"#,
            "exchange.kind",
        ),
        (r#"{"expires": -1}"#, "expires"),
        (r#"{"max_priority": 256}"#, "max_priority"),
        (r#"{"durable": 1}"#, "durable"),
        (r#"{"delivery_mode": 3}"#, "delivery_mode"),
        (r#"{"queue_arguments": []}"#, "queue_arguments"),
    ] {
        let value = Value::from_json_text(table).unwrap();
        assert_eq!(
            Queue::from_value("q", &value).unwrap_err()[0].key,
            key,
            "{table}"
        );
    }
}
