//! Every URL form that is taken, by what it becomes; what is refused is in `tests/check.rs`.

use super::*;

fn context() -> UrlContext {
    UrlContext {
        master_name: Some("mymaster".to_owned()),
        ..UrlContext::default()
    }
}

#[test]
fn brokers_by_form() {
    let cases = [
        ("redis://", "redis://localhost:6379/0"),
        ("redis://h", "redis://h:6379/0"),
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://:p@h", "redis://:***@h:6379/0"),
        ("redis://u:p%40%2F@h/1", "redis://u:***@h:6379/1"),
        ("redis://[::1]:7/0", "redis://[::1]:7/0"),
        ("redis://h?db=3", "redis://h:6379/3"),
        ("rediss://h/0?ssl_cert_reqs=required", "rediss://h:6379/0"),
        (
            "redis+socket:///run/r.sock?virtual_host=2",
            "redis+socket:///run/r.sock?virtual_host=2",
        ),
        (
            "redis+socket://:p@/run/r.sock",
            "redis+socket://:***@/run/r.sock?virtual_host=0",
        ),
        (
            "sentinel://:p@a:1/2;sentinel://b",
            "redis+sentinel://:***@a:1,b:26379/mymaster/2",
        ),
        (
            "redis+sentinel://:p@a,b:2/other/1",
            "redis+sentinel://:***@a:26379,b:2/other/1",
        ),
        ("redis://a;redis://b", "redis://a:6379/0;redis://b:6379/0"),
        ("amqp://", "amqp://guest:***@127.0.0.1:5672//"),
        (
            "amqp://guest@localhost//",
            "amqp://guest:***@127.0.0.1:5672//",
        ),
        ("amqp://u:p@h:1/vh", "amqp://u:***@h:1/vh"),
        ("pyamqp://h/%2Fvh", "amqp://guest:***@h:5672//vh"),
        ("amqps://h", "amqps://guest:***@h:5671//"),
        (
            "amqp://a;amqp://b",
            "amqp://guest:***@a:5672//;amqp://guest:***@b:5672//",
        ),
        ("filesystem://", "filesystem://data_out"),
        ("filesystem://localhost//", "filesystem://data_out"),
        ("filesystem:///var/q", "filesystem:///var/q"),
        ("filesystem://demo/q", "filesystem://demo/q"),
    ];
    for (url, shown) in cases {
        match Broker::parse(url, &context()) {
            Ok(broker) => assert_eq!(broker.to_string(), shown, "{url}"),
            Err(error) => panic!("{url}: {error}"),
        }
    }
}

#[test]
fn credentials_are_decoded() {
    let Ok(Broker::Redis(servers)) = Broker::parse("redis://us%3Aer:p%40%2F%25@h", &context())
    else {
        panic!("refused");
    };
    assert_eq!(servers[0].username.as_deref(), Some("us:er"));
    assert_eq!(
        servers[0]
            .password
            .as_ref()
            .map(crate::config::Secret::expose),
        Some("p@/%")
    );
    assert!(!format!("{servers:?}").contains("p@/%"));
}

#[test]
fn stores_by_form() {
    for (url, shown) in [
        ("redis://:p@h/1", "redis://:***@h:6379/1"),
        ("file:///var/lib/beat/state", "file:///var/lib/beat/state"),
        ("file://localhost/var/state", "file:///var/state"),
        ("file://state/beat", "file://state/beat"),
    ] {
        let store = StoreLocation::parse(url, &context());
        assert_eq!(store.map(|s| s.to_string()), Ok(shown.to_owned()), "{url}");
    }
    for url in [
        "file://",
        "file:///dir/",
        "file:///a?b=1",
        "amqp://h",
        "filesystem://x",
    ] {
        assert!(StoreLocation::parse(url, &context()).is_err(), "{url}");
    }
}

#[test]
fn a_store_stays_in_its_place_when_only_credentials_change() {
    let store = |url| StoreLocation::parse(url, &context()).unwrap();
    let here = store("redis://:old@h/1");
    for (url, same) in [
        ("redis://u:new@h:6379/1", true),
        ("redis://:old@h/2", false),
        ("redis://:old@other/1", false),
        ("file:///x", false),
    ] {
        assert_eq!(here.same_place(&store(url)), same, "{url}");
    }
}

#[test]
fn verification_is_given_up_only_in_full() {
    let url = "rediss://h/0?ssl_cert_reqs=none";
    assert!(Broker::parse(url, &context()).is_err());
    let mut accepted = context();
    accepted.tls.skip_verification = true;
    match Broker::parse(url, &accepted) {
        Ok(Broker::Redis(servers)) => {
            assert_eq!(servers[0].tls.as_ref().map(|t| t.verify), Some(false));
        }
        other => panic!("{other:?}"),
    }
}
