//! How a Redis is reached, and whether store and broker are found to be one server.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test ends at what it did not expect"
)]

#[path = "redis_broker/fixture.rs"]
mod fixture;
mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use beat::config::{RedisEndpoint, RedisServer, Secret, Tls};
use beat::dispatch::Dispatcher;
use beat::message::Conventions;
use beat::plan::Outcome;
use beat::store::StoreError;
use beat::store::redis::server::Dialer;
use beat::timetable::Entry;
use fixture::{NOW, dispatch, dispatcher, due, lead, load, server};
use redis::Commands;
use support::sentinel::Sentinels;
use support::servers::Redis;

const SCHEDULE: &str = "[beat_schedule.e]\ntask = 't'\nschedule = 10\n";

fn schedule() -> (Arc<Entry>, Conventions) {
    let (mut entries, conventions) = load(SCHEDULE);
    (entries.remove(0), conventions)
}

/// A dispatcher whose first fire succeeded, with what it fired.
async fn fired(store: &RedisServer, broker: &RedisServer) -> (Dispatcher, Arc<Entry>) {
    let (entry, conventions) = schedule();
    let mut dispatcher = dispatcher(store, broker, &conventions);
    let outcomes = dispatch(&mut dispatcher, &[due(&entry, NOW)])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Fired(1)]);
    (dispatcher, entry)
}

/// Dispatches the next fire time until it succeeds.
async fn fire_again(dispatcher: &mut Dispatcher, entry: &Arc<Entry>) {
    let mut last = String::new();
    for _ in 0..300 {
        match dispatch(dispatcher, &[due(entry, NOW.plus_micros(1))]).await {
            Ok(outcomes) => {
                assert!(
                    matches!(outcomes[0], Outcome::Fired(_) | Outcome::AlreadyDone(_)),
                    "{outcomes:?}"
                );
                return;
            }
            Err(StoreError::Deposed) => panic!("the lease is gone"),
            Err(error) => last = error.to_string(),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{last}");
}

fn with_user(mut server: RedisServer, name: &str, password: &str) -> RedisServer {
    server.username = Some(name.to_owned());
    server.password = Some(Secret::new(password.to_owned()));
    server
}

fn at_socket(redis: &Redis, database: i64) -> RedisServer {
    let endpoint = RedisEndpoint::Unix {
        path: redis.socket(),
    };
    RedisServer {
        endpoint,
        ..server(0, database)
    }
}

#[tokio::test]
async fn one_server_has_many_names() {
    let redis = Redis::options().unix_socket().start();
    lead(&mut redis.connect());
    let named = RedisServer {
        endpoint: RedisEndpoint::Tcp {
            host: "localhost".into(),
            port: redis.port(),
        },
        ..server(0, 0)
    };
    for (store, broker) in [
        (server(redis.port(), 0), at_socket(&redis, 0)),
        (at_socket(&redis, 0), at_socket(&redis, 5)),
        (named, server(redis.port(), 3)),
    ] {
        redis.run("FLUSHALL");
        lead(&mut redis.connect());
        let (dispatcher, _) = fired(&store, &broker).await;
        assert_eq!(dispatcher.mode(), "atomic", "{store} {broker}");
    }
}

/// Whatever shows that the probe key is not there, or may not be looked for.
#[tokio::test]
async fn what_is_not_seen_is_confirmed() {
    let store = Redis::start();
    let small = Redis::options().databases(1).start();
    let strict = Redis::options()
        .args([
            "user", "worker", "on", ">pw", "~celery*", "~_kombu*", "&*", "+@all",
        ])
        .start();
    for (database, broker) in [
        (0, server(small.port(), 0)),
        (7, server(small.port(), 0)),
        (0, with_user(server(strict.port(), 0), "worker", "pw")),
    ] {
        store.run("FLUSHALL");
        let here = server(store.port(), database);
        let mut link = store.connect();
        redis::cmd("SELECT")
            .arg(database)
            .query::<()>(&mut link)
            .unwrap();
        lead(&mut link);
        let (dispatcher, _) = fired(&here, &broker).await;
        assert_eq!(dispatcher.mode(), "confirmed", "{here} {broker}");
    }
    assert_eq!(small.connect().llen::<_, usize>("celery").unwrap(), 2);
    assert_eq!(strict_length(&strict), 1);
}

fn strict_length(redis: &Redis) -> usize {
    redis.connect().llen("celery").unwrap()
}

/// Only a key that is positively absent downgrades.
#[tokio::test]
async fn an_outage_does_not_downgrade() {
    let mut redis = Redis::options().aof().start();
    lead(&mut redis.connect());
    let here = server(redis.port(), 0);
    let (mut dispatcher, entry) = fired(&here, &server(redis.port(), 2)).await;
    redis.kill9();
    let refused = dispatch(&mut dispatcher, &[due(&entry, NOW.plus_micros(1))]).await;
    assert!(refused.is_err());
    assert_eq!(dispatcher.mode(), "atomic");
    redis.start_again();
    fire_again(&mut dispatcher, &entry).await;
    assert_eq!(dispatcher.mode(), "atomic");
}

#[tokio::test]
async fn declares_again_after_the_server_lost_its_data() {
    let toml = "[task_queues.feeds]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'a.#'\n\
        [beat_schedule.e]\ntask = 't'\nschedule = 10\noptions = { queue = 'feeds', routing_key = 'a.b' }\n";
    let (entries, conventions) = load(toml);
    let redis = Redis::start();
    lead(&mut redis.connect());
    let here = server(redis.port(), 0);
    let mut dispatcher = dispatcher(&here, &here, &conventions);
    dispatch(&mut dispatcher, &[due(&entries[0], NOW)])
        .await
        .unwrap();
    redis.run("FLUSHALL");
    lead(&mut redis.connect());
    // Bindings are believed for a second.
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let outcomes = dispatch(&mut dispatcher, &[due(&entries[0], NOW)])
        .await
        .unwrap();
    assert_eq!(outcomes, [Outcome::Fired(1)]);
    let bound: Vec<String> = redis.connect().smembers("_kombu.binding.media").unwrap();
    assert_eq!(bound, ["a.#\u{6}\u{16}^a\\..*?$\u{6}\u{16}feeds"]);
}

/// The table of the module's documentation is enough.
#[tokio::test]
async fn the_documented_permissions_suffice() {
    let redis = Redis::options()
        .args([
            "user",
            "store",
            "on",
            ">pw",
            "~beat:*",
            "~celery*",
            "&*",
            "-@all",
            "+select",
            "+role",
            "+get",
            "+set",
            "+evalsha",
            "+script|load",
            "+type",
            "+exists",
            "+hmget",
            "+hget",
            "+hset",
            "+hdel",
            "+hexists",
            "+hscan",
            "+incr",
            "+pexpire",
            "+del",
            "+time",
            "+publish",
            "+subscribe",
            "+wait",
            "+lpush",
        ])
        .args([
            "user",
            "broker",
            "on",
            ">pw",
            "~beat:*",
            "~_kombu.binding*",
            "&*",
            "-@all",
            "+select",
            "+role",
            "+exists",
            "+sadd",
            "+smembers",
            "+multi",
            "+exec",
        ])
        .start();
    lead(&mut redis.connect());
    let store = with_user(server(redis.port(), 0), "store", "pw");
    let broker = with_user(server(redis.port(), 0), "broker", "pw");
    let (dispatcher, _) = fired(&store, &broker).await;
    assert_eq!(dispatcher.mode(), "atomic");
    assert_eq!(
        redis
            .connect()
            .scard::<_, usize>("_kombu.binding.celery")
            .unwrap(),
        1
    );
}

#[tokio::test]
async fn follows_the_master_that_sentinels_name() {
    let mut master = Redis::start();
    let replica = Redis::replica_of(&master);
    let sentinels = Sentinels::start(&master, 3, Duration::from_millis(800));
    let endpoint = RedisEndpoint::Sentinel {
        sentinels: sentinels
            .ports()
            .iter()
            .map(|port| ("127.0.0.1".into(), *port))
            .collect(),
        master: "mymaster".into(),
        username: None,
        password: None,
    };
    let here = RedisServer {
        endpoint,
        ..server(0, 0)
    };
    lead(&mut master.connect());
    let (mut dispatcher, entry) = fired(&here, &here).await;
    assert_eq!(dispatcher.mode(), "atomic");
    // The replica has it before the master goes.
    master.run("WAIT 1 2000");
    master.kill9();
    fire_again(&mut dispatcher, &entry).await;
    assert_eq!(dispatcher.mode(), "atomic");
    assert_eq!(replica.connect().llen::<_, usize>("celery").unwrap(), 2);
}

/// A private CA, and a server's certificate for the name `redis.test` alone.
struct Certificates(tempfile::TempDir);

impl Certificates {
    fn make() -> Self {
        let made = Self(tempfile::tempdir().unwrap());
        for name in ["ca", "other"] {
            made.openssl(&format!(
                "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN={name} -keyout {name}.key -out {name}.crt"
            ));
        }
        let names = "subjectAltName=DNS:redis.test";
        std::fs::write(made.path("names"), names).unwrap();
        made.openssl(
            "req -newkey rsa:2048 -nodes -subj /CN=redis.test -keyout server.key -out server.csr",
        );
        made.openssl(
            "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile names -out server.crt",
        );
        made
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn openssl(&self, words: &str) {
        let run = Command::new("openssl")
            .args(words.split(' '))
            .current_dir(self.0.path())
            .output()
            .expect("openssl runs");
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
    }

    fn tls(&self, ca: &str, server_name: Option<&str>) -> Tls {
        Tls {
            ca_file: Some(self.path(ca)),
            cert_file: None,
            key_file: None,
            server_name: server_name.map(str::to_owned),
            verify: true,
        }
    }
}

fn words(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[tokio::test]
async fn tls_verifies_who_answers() {
    install_provider();
    let made = Certificates::make();
    let port = support::wait::free_port();
    let (cert, key, ca) = (
        made.path("server.crt"),
        made.path("server.key"),
        made.path("ca.crt"),
    );
    let redis = Redis::options()
        .args(["tls-port", &port.to_string()])
        .args(["tls-cert-file", words(&cert)])
        .args(["tls-key-file", words(&key)])
        .args(["tls-ca-cert-file", words(&ca)])
        .args(["tls-auth-clients", "optional"])
        .start();
    let dial = async |tls: Tls| {
        let here = RedisServer {
            tls: Some(tls),
            ..server(port, 0)
        };
        Dialer::new(&[here])
            .dial(Duration::from_secs(3))
            .await
            .map(drop)
    };
    for (what, tls, refused) in [
        (
            "the right name",
            made.tls("ca.crt", Some("redis.test")),
            None,
        ),
        (
            "another name",
            made.tls("ca.crt", Some("redis.other")),
            Some("certificate"),
        ),
        ("the address", made.tls("ca.crt", None), Some("certificate")),
        (
            "another CA",
            made.tls("other.crt", Some("redis.test")),
            Some("certificate"),
        ),
        (
            "the system's CAs",
            Tls {
                ca_file: None,
                ..made.tls("ca.crt", Some("redis.test"))
            },
            Some("certificate"),
        ),
        (
            "unverified",
            Tls {
                verify: false,
                ..made.tls("other.crt", None)
            },
            None,
        ),
        (
            "a missing file",
            made.tls("missing.crt", Some("redis.test")),
            Some("missing.crt"),
        ),
    ] {
        let dialled = dial(tls).await;
        match (refused, &dialled) {
            (None, Ok(())) => {}
            (Some(word), Err(why)) if why.to_lowercase().contains(word) => {}
            _ => panic!("{what}: {dialled:?}"),
        }
    }
    // A server that asks for the client's certificate gets it.
    redis.run("CONFIG SET tls-auth-clients yes");
    assert!(dial(made.tls("ca.crt", Some("redis.test"))).await.is_err());
    let own = Tls {
        cert_file: Some(cert.clone()),
        key_file: Some(key.clone()),
        ..made.tls("ca.crt", Some("redis.test"))
    };
    assert_eq!(dial(own).await, Ok(()));
}

/// What `main` does once.
fn install_provider() {
    let _ = rustls::crypto::ring::default_provider().install_default();
}
