use super::*;
use crate::message::{
    Compression, EventConventions, Field, Identity, Protocol, RoutingSettings, Serializer, json,
};

const ENTRY: &str = "every \u{e9}\"";

fn conventions() -> Conventions {
    Conventions::new(Identity {
        pid: 7,
        hostname: "host".to_owned(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    })
}

/// An entry as TOML tables would give it, written as JSON.
fn compile(
    args: &str,
    kwargs: &str,
    options: &str,
    conventions: &Conventions,
) -> Result<Template, Vec<Invalid>> {
    let dict = |text| match Value::from_json_text(text).unwrap() {
        Value::Dict(pairs) => pairs,
        other => panic!("{other:?}"),
    };
    let Value::List(args) = Value::from_json_text(args).unwrap() else {
        panic!("{args}");
    };
    let job = Job {
        entry: ENTRY,
        task: "proj.add",
        args: &args,
        kwargs: &dict(kwargs),
        options: &Options::from_pairs(dict(options))?,
        zone: &Zone::load("Asia/Seoul").unwrap(),
    };
    let routing = Routing::new(RoutingSettings::default());
    Template::compile(&job, &routing, conventions, &mut Interner::default())
}

fn fire() -> Fire {
    Fire {
        // 2026-12-01T17:30:00Z, 02:30 on the next day in Seoul.
        fire_time: Timestamp::from_micros(1_796_146_200_000_000),
        last_fire_time: None,
        next_fire_time: None,
        now: Timestamp::from_micros(1_796_146_201_500_000),
        task_id: Uuid::from_u128(1),
        delivery_tag: Uuid::from_u128(2),
    }
}

fn envelope(template: &Template, fire: &Fire) -> Value {
    let mut out = Vec::new();
    template.render_envelope(fire, &mut out);
    Value::from_json_text(std::str::from_utf8(&out).unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    let mut out = Vec::new();
    json::write_value(value, &mut out);
    String::from_utf8(out).unwrap()
}

fn body(envelope: &Value) -> Vec<u8> {
    use base64::Engine as _;
    let body = envelope.get("body").and_then(Value::as_str).unwrap();
    base64::engine::general_purpose::STANDARD
        .decode(body)
        .unwrap()
}

fn header(envelope: &Value, name: &str) -> String {
    text(envelope.get("headers").unwrap().get(name).unwrap())
}

fn property(envelope: &Value, name: &str) -> Option<String> {
    envelope.get("properties").unwrap().get(name).map(text)
}

#[test]
fn placeholders_are_filled_at_each_fire() {
    let last = Fire {
        last_fire_time: Some(Timestamp::from_micros(1_796_146_140_000_001)),
        ..fire()
    };
    for (written, without, with) in [
        (
            "{fire_time}",
            r#""2026-12-02T02:30:00+09:00""#,
            r#""2026-12-02T02:30:00+09:00""#,
        ),
        ("{fire_time:%Y-%m-%d}", r#""2026-12-02""#, r#""2026-12-02""#),
        (
            "{fire_time:%H:%M:%S.%f%%f}",
            r#""02:30:00.000000%f""#,
            r#""02:30:00.000000%f""#,
        ),
        (
            "{last_fire_time}",
            "null",
            r#""2026-12-02T02:29:00.000001+09:00""#,
        ),
        ("{last_fire_time:%M}", r#""""#, r#""29""#),
        ("<{last_fire_time:%M}>", r#""<>""#, r#""<29>""#),
        (
            "{{{entry}}}",
            "\"{every \\u00e9\\\"}\"",
            "\"{every \\u00e9\\\"}\"",
        ),
        (
            "Hi {{ user }} {x",
            "\"Hi {{ user }} {x\"",
            "\"Hi {{ user }} {x\"",
        ),
    ] {
        let args = text(&Value::List(vec![Value::Dict(vec![(
            "k".into(),
            written.into(),
        )])]));
        let template = compile(&args, "{}", "{}", &conventions()).unwrap();
        for (fire, expected) in [(fire(), without), (last, with)] {
            let envelope = envelope(&template, &fire);
            let body = String::from_utf8(body(&envelope)).unwrap();
            assert!(
                body.starts_with(&format!("[[{{\"k\": {expected}}}], {{}}, ")),
                "{body}"
            );
        }
    }
}

#[test]
fn reprs_and_headers_show_what_was_filled_in() {
    let options = r#"{"headers": {"at": ["{fire_time:%d}"], "plain": "{x}"}}"#;
    let template = compile(
        r#"["{fire_time:%Y}"]"#,
        r#"{"e": "{entry}"}"#,
        options,
        &conventions(),
    );
    let envelope = envelope(&template.unwrap(), &fire());
    assert_eq!(header(&envelope, "argsrepr"), r#""['2026']""#);
    assert_eq!(
        header(&envelope, "kwargsrepr"),
        "\"{'e': 'every \\u00e9\\\"'}\""
    );
    assert_eq!(header(&envelope, "at"), r#"["02"]"#);
    assert_eq!(header(&envelope, "plain"), r#""{x}""#);
}

#[test]
fn mistakes_are_named_by_their_place() {
    let utf8 = {
        let mut conventions = conventions();
        conventions.redis.body_base64 = false;
        conventions
    };
    let plain = conventions();
    for (args, kwargs, options, conventions, key) in [
        (r#"["{fire_time:%Q}"]"#, "{}", "{}", &plain, "args.0"),
        (r#"["{fire_time:}"]"#, "{}", "{}", &plain, "args.0"),
        (r#"["{fire_time} {user}"]"#, "{}", "{}", &plain, "args.0"),
        (r#"["{fire_time} }"]"#, "{}", "{}", &plain, "args.0"),
        (r#"["{fire_time"]"#, "{}", "{}", &plain, "args.0"),
        (
            "[]",
            r#"{"a": ["{fire_times}"]}"#,
            "{}",
            &plain,
            "kwargs.a.0",
        ),
        (
            "[]",
            "{}",
            r#"{"headers": {"a": "{entry} {"}}"#,
            &plain,
            "options.headers.a",
        ),
        (
            "[1, 18446744073709551616]",
            "{}",
            r#"{"serializer": "msgpack"}"#,
            &plain,
            "args.1",
        ),
        ("[]", "{}", r#"{"serializer": "msgpack"}"#, &utf8, "options"),
        ("[]", "{}", r#"{"compression": "gzip"}"#, &utf8, "options"),
    ] {
        let errors = compile(args, kwargs, options, conventions).unwrap_err();
        assert_eq!(errors[0].key, key, "{args} {kwargs} {options}: {errors:?}");
    }
    let amqp = Conventions {
        transport: Transport::Amqp,
        ..conventions()
    };
    for header in [
        "18446744073709551616",
        r#"["{entry}", 18446744073709551616]"#,
    ] {
        let options = format!(r#"{{"headers": {{"a": {header}}}}}"#);
        let errors = compile("[]", "{}", &options, &amqp).unwrap_err();
        assert!(errors[0].key.starts_with("options.headers.a"), "{errors:?}");
    }
}

#[test]
fn protocol_1_writes_times_as_text_in_every_encoding() {
    let mut conventions = conventions();
    conventions.protocol = Protocol::V1;
    let options = r#"{"serializer": "msgpack", "eta": "AT", "expires": "AT"}"#;
    let job_options = |text: &str| match Value::from_json_text(text).unwrap() {
        Value::Dict(mut pairs) => {
            for (_, value) in &mut pairs[1..] {
                *value = Value::Date(chrono::NaiveDate::from_ymd_opt(2036, 1, 2).unwrap());
            }
            Options::from_pairs(pairs).unwrap()
        }
        other => panic!("{other:?}"),
    };
    let job = Job {
        entry: ENTRY,
        task: "proj.add",
        args: &[],
        kwargs: &[],
        options: &job_options(options),
        zone: &Zone::utc(),
    };
    let routing = Routing::new(RoutingSettings::default());
    let template = Template::compile(&job, &routing, &conventions, &mut Interner::default());
    let body = body(&envelope(&template.unwrap(), &fire()));
    let text = String::from_utf8_lossy(&body);
    assert_eq!(text.matches("2036-01-02").count(), 2, "{text}");
}

#[test]
fn expires_auto_is_the_next_fire_time() {
    let template = compile("[]", "{}", r#"{"expires": "auto"}"#, &conventions()).unwrap();
    assert!(template.needs_next_fire_time() && template.depends_on_now());
    let next = Fire {
        next_fire_time: Some(Timestamp::from_micros(1_796_146_260_000_000)),
        ..fire()
    };
    let shown = envelope(&template, &next);
    assert_eq!(header(&shown, "expires"), r#""2026-12-01T17:31:00+00:00""#);
    assert_eq!(
        property(&shown, "expiration"),
        Some(r#""58500""#.to_owned())
    );
    let shown = envelope(&template, &fire());
    assert_eq!(header(&shown, "expires"), "null");
    assert_eq!(property(&shown, "expiration"), None);
}

#[test]
fn numbers_count_from_publishing() {
    let options = r#"{"countdown": 0.0000015, "expires": 0.0015}"#;
    let template = compile("[]", "{}", options, &conventions()).unwrap();
    assert!(template.depends_on_now() && !template.needs_next_fire_time());
    let shown = envelope(&template, &fire());
    assert_eq!(
        header(&shown, "eta"),
        r#""2026-12-01T17:30:01.500002+00:00""#
    );
    assert_eq!(
        header(&shown, "expires"),
        r#""2026-12-01T17:30:01.501500+00:00""#
    );
    assert_eq!(property(&shown, "expiration"), Some(r#""1""#.to_owned()));
    let plain = compile("[]", "{}", r#"{"eta": "2031-05-06"}"#, &conventions()).unwrap();
    assert!(!plain.depends_on_now());
}

#[test]
fn our_headers_stand_before_celery_beat_task_wherever_that_is() {
    let options = r#"{"headers": {"celery_beat_task": 1, "scheduled_time": 2, "x": 3}}"#;
    let template = compile("[]", "{}", options, &conventions()).unwrap();
    let headers = text(envelope(&template, &fire()).get("headers").unwrap());
    let end = concat!(
        r#""stamps": {}, "periodic_task_name": "every \u00e9\"", "#,
        r#""scheduled_time": "2026-12-01T17:30:00Z", "celery_beat_task": true, "x": 3}"#
    );
    assert!(headers.ends_with(end), "{headers}");
}

#[test]
fn stamps_are_headers_and_not_properties() {
    let options = r#"{"stamped_headers": ["who"], "who": {"a": 1}, "app_id": "me"}"#;
    let template = compile("[]", "{}", options, &conventions()).unwrap();
    let shown = envelope(&template, &fire());
    assert_eq!(header(&shown, "stamped_headers"), r#"["who"]"#);
    assert_eq!(header(&shown, "stamps"), r#"{"who": {"a": 1}}"#);
    assert_eq!(property(&shown, "who"), None);
    assert_eq!(property(&shown, "app_id"), Some(r#""me""#.to_owned()));
}

#[test]
fn protocol_1_puts_all_into_the_body() {
    let mut conventions = conventions();
    conventions.protocol = Protocol::V1;
    let options = r#"{"countdown": 1, "time_limit": 2.5, "group_id": "g"}"#;
    let template = compile(r#"["{entry}"]"#, "{}", options, &conventions).unwrap();
    let shown = envelope(&template, &fire());
    assert_eq!(
        String::from_utf8(body(&shown)).unwrap(),
        concat!(
            r#"{"task": "proj.add", "id": "00000000-0000-0000-0000-000000000001", "#,
            r#""args": ["every \u00e9\""], "kwargs": {}, "group": "g", "group_index": null, "retries": 0, "#,
            r#""eta": "2026-12-01T17:30:02.500000+00:00", "expires": null, "utc": true, "callbacks": null, "#,
            r#""errbacks": null, "timelimit": [2.5, null], "taskset": "g", "chord": null}"#
        )
    );
    let headers = shown.get("headers").unwrap();
    assert!(headers.get("id").is_none() && headers.get("celery_beat_task").is_some());
}

#[test]
fn encodings_come_from_the_settings_and_the_options() {
    let mut conventions = conventions();
    conventions.serializer = Serializer::Yaml;
    conventions.compression = Some(Compression::Zlib);
    let template = compile("[]", "{}", r#"{"compression": "bzip2"}"#, &conventions).unwrap();
    let shown = envelope(&template, &fire());
    assert_eq!(
        text(shown.get("content-type").unwrap()),
        r#""application/x-yaml""#
    );
    assert_eq!(header(&shown, "compression"), r#""application/x-bz2""#);
    assert_eq!(body(&shown)[..3], *b"BZh");
    let headers = text(shown.get("headers").unwrap());
    assert!(headers.ends_with(r#""celery_beat_task": true, "compression": "application/x-bz2"}"#));
}

#[test]
fn an_event_can_be_packed() {
    let mut conventions = conventions();
    conventions.events = Some(EventConventions {
        serializer: Serializer::Msgpack,
        ..EventConventions::default()
    });
    let template = compile("[1]", "{}", "{}", &conventions).unwrap();
    let mut out = Vec::new();
    template.render_event_envelope(&fire(), 5, &mut out);
    let shown = Value::from_json_text(std::str::from_utf8(&out).unwrap()).unwrap();
    let packed = body(&shown);
    // A map of 18 fields, the first of them `hostname`.
    assert_eq!(packed[..4], [0xde, 0, 18, 0xa8]);
    assert!(packed.windows(8).any(|part| part == b"\xa5clock\x05\xa4"));
    assert_eq!(
        conventions.event_channel().as_deref(),
        Some("/0.celeryev/task.sent")
    );
}

#[test]
fn an_amqp_message_carries_the_same() {
    let conventions = Conventions {
        transport: Transport::Amqp,
        ..conventions()
    };
    let options = r#"{"headers": {"at": "{fire_time:%d}"}, "expires": "auto", "mandatory": true,
        "correlation_id": "mine", "priority": 9}"#;
    let template = compile(r#"["{entry}"]"#, "{}", options, &conventions).unwrap();
    let message = template.render_amqp(&fire()).unwrap();
    assert!(message.mandatory && message.properties.priority == 9);
    assert_eq!(message.properties.correlation_id.as_deref(), Some("mine"));
    assert_eq!(message.properties.expiration, None);
    let header = |name| {
        message
            .headers
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, f)| f.clone())
    };
    assert_eq!(header("at"), Some(Field::Text("02".to_owned())));
    assert_eq!(
        header("periodic_task_name"),
        Some(Field::Text(ENTRY.to_owned()))
    );
    assert!(message.body.starts_with(b"[[\"every \\u00e9\\\"\"], "));
    let close = template.size_hint().abs_diff(message.body.len() + 600);
    assert!(close < 300, "{}", template.size_hint());
}

#[test]
fn what_entries_have_in_common_is_kept_once() {
    let routing = Routing::new(RoutingSettings::default());
    let conventions = conventions();
    let mut interner = Interner::default();
    let options = Options::default();
    let mut compiled = |entry, task, args: &[Value]| {
        let job = Job {
            entry,
            task,
            args,
            kwargs: &[],
            options: &options,
            zone: &Zone::utc(),
        };
        Template::compile(&job, &routing, &conventions, &mut interner).unwrap()
    };
    let one = compiled("one", "proj.one", &[Value::Int(1)]);
    let two = compiled("two", "proj.two", &[Value::Int(2)]);
    let (Form::Envelope(first), Form::Envelope(second)) = (&one.form, &two.form) else {
        panic!("not envelopes");
    };
    assert!(first.shares_with(second) && Arc::ptr_eq(one.route(), two.route()));
    let mut out = Vec::new();
    one.render_envelope(&fire(), &mut out);
    assert_eq!(one.size_hint(), out.len());
    assert!(first.own_size() < 120, "{} bytes", first.own_size());
}
