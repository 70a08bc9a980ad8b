//! The daemon reaches Redis by every form of URL, and hands nothing to a server that is not who it should be.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::io::{ErrorKind, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use support::beat::Launch;
use support::queue::read_redis;
use support::sentinel::Sentinels;
use support::servers::Redis;
use support::wait::{free_port, wait_for};

const ENTRY: &str = "[beat_schedule.e]\ntask = 't'\nschedule = { crontab = '* * * * * *' }\n";

/// Files `ca.pem`, `other.pem` (another authority), and for the host `localhost` by `ca`: `server.pem`, `server.key`,
/// and `expired.pem` with the same key.
fn certificates() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| std::fs::write(folder.path().join(name), text).unwrap();
    let authority = |name: &str| {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        write(&format!("{name}.pem"), certificate.pem());
        Issuer::new(params, key)
    };
    let issuer = authority("ca");
    authority("other");
    let key = KeyPair::generate().unwrap();
    write("server.key", key.serialize_pem());
    let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    write("server.pem", params.signed_by(&key, &issuer).unwrap().pem());
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2021, 1, 1);
    write(
        "expired.pem",
        params.signed_by(&key, &issuer).unwrap().pem(),
    );
    folder
}

/// A message of the entry arrives in the list `celery` of that database.
fn arrives(redis: &Redis, database: u16, settings: &str) {
    let beat = Launch::schedule(&format!("{settings}\n{ENTRY}")).start();
    let url = redis.url_at(redis.port(), database);
    let client = redis::Client::open(url).unwrap();
    let mut link = client.get_connection().unwrap();
    wait_for(
        &format!("a message by {settings}"),
        Duration::from_secs(15),
        || {
            let row = read_redis(&mut link, "celery").pop();
            row.filter(|row| row.entry == "e" && !beat.events("fired").is_empty())
        },
    );
    let up = beat.events("broker_up");
    assert_eq!(up[0]["mode"], "atomic", "{settings}: {up:?}");
    drop(beat);
    redis::cmd("FLUSHALL").exec(&mut link).unwrap();
}

#[test]
fn every_form_of_url_reaches_redis() {
    let folder = certificates();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let tls = free_port();
    let redis = Redis::options()
        .unix_socket()
        .password("p@ss:w/rd%")
        .args(["user", "sched", "on", ">a b#c", "~*", "&*", "+@all"])
        .args(["tls-port", &tls.to_string()])
        .args(["tls-cert-file", &at("server.pem")])
        .args(["tls-key-file", &at("server.key")])
        .args(["tls-ca-cert-file", &at("ca.pem")])
        .args(["tls-auth-clients", "no"])
        .start();
    let (port, socket) = (redis.port(), redis.socket().display().to_string());
    let password = "p%40ss%3Aw%2Frd%25";
    let ca = at("ca.pem");
    let file = folder.path().join("url");
    std::fs::write(&file, format!("redis://:{password}@127.0.0.1:{port}/6\n")).unwrap();
    for (database, settings) in [
        (
            0,
            format!("broker_url = 'redis://:{password}@127.0.0.1:{port}'"),
        ),
        (
            3,
            format!("broker_url = 'redis://sched:a%20b%23c@127.0.0.1:{port}/3'"),
        ),
        (
            1,
            format!(
                "broker_url = 'rediss://:{password}@localhost:{tls}/1?ssl_cert_reqs=required&ssl_ca_certs={ca}'"
            ),
        ),
        (
            2,
            format!(
                "broker_url = 'rediss://:{password}@127.0.0.1:{tls}/2'\nbroker_tls_ca_file = '{ca}'\nbroker_tls_server_name = 'localhost'\n\
             state_tls_ca_file = '{ca}'\nstate_tls_server_name = 'localhost'"
            ),
        ),
        (
            4,
            format!("broker_url = 'redis+socket://{socket}?virtual_host=4&password={password}'"),
        ),
        (
            5,
            format!(
                "broker_url = 'redis+socket://{socket}?virtual_host=5&password={password}'\n\
             state_url = 'rediss://:{password}@localhost:{tls}/5'\nstate_tls_ca_file = '{ca}'"
            ),
        ),
        (6, format!("broker_url_file = '{}'", file.display())),
    ] {
        arrives(&redis, database, &settings);
    }
}

#[test]
fn every_form_of_url_reaches_the_master_of_sentinels() {
    let master = Redis::start();
    let sentinels = Sentinels::start(&master, 2, Duration::from_secs(5));
    let ports = sentinels.ports();
    let option = "broker_transport_options = { master_name = 'mymaster' }";
    // The first is not there.
    let dead = free_port();
    let list = ports.iter().map(|port| format!("127.0.0.1:{port}"));
    let list = list.collect::<Vec<_>>().join(",");
    for (database, settings) in [
        (0, format!("broker_url = '{}'\n{option}", sentinels.url())),
        (
            2,
            format!(
                "broker_url = 'sentinel://127.0.0.1:{dead}/2;sentinel://127.0.0.1:{}/2'\n{option}",
                ports[0]
            ),
        ),
        (
            1,
            format!("broker_url = 'redis+sentinel://127.0.0.1:{dead},{list}/mymaster/1'"),
        ),
    ] {
        arrives(&master, database, &settings);
    }
}

/// Shakes hands as a TLS server and keeps what is sent after it; without certificate, whatever is sent.
struct Spy {
    port: u16,
    heard: Arc<Mutex<Heard>>,
}

#[derive(Default)]
struct Heard {
    connections: usize,
    bytes: Vec<u8>,
}

impl Spy {
    fn start(folder: &Path, certificate: Option<&str>) -> Self {
        let config = certificate.map(|name| {
            let chain = CertificateDer::from_pem_file(folder.join(name)).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join("server.key")).unwrap();
            let provider = Arc::new(rustls::crypto::ring::default_provider());
            let builder = ServerConfig::builder_with_provider(provider);
            let builder = builder.with_safe_default_protocol_versions().unwrap();
            let builder = builder.with_no_client_auth();
            Arc::new(builder.with_single_cert(vec![chain], key).unwrap())
        });
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard = Arc::<Mutex<Heard>>::default();
        let all = Arc::clone(&heard);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (config, all) = (config.clone(), Arc::clone(&all));
                std::thread::spawn(move || {
                    let bytes = listen(client, config);
                    let mut all = all.lock().unwrap();
                    all.connections += 1;
                    all.bytes.extend(bytes);
                });
            }
        });
        Self { port, heard }
    }

    /// Everything that was sent, once `count` connections have ended.
    fn heard(&self, count: usize) -> Vec<u8> {
        wait_for("connections to the spy", Duration::from_secs(30), || {
            let heard = self.heard.lock().unwrap();
            (heard.connections >= count).then(|| heard.bytes.clone())
        })
    }
}

/// Reads until the client gives up, or for a second.
fn listen(client: TcpStream, config: Option<Arc<ServerConfig>>) -> Vec<u8> {
    client
        .set_read_timeout(Some(Duration::from_secs(1)))
        .unwrap();
    let mut bytes = Vec::new();
    match config {
        Some(config) => {
            let session = ServerConnection::new(config).unwrap();
            read(StreamOwned::new(session, client), &mut bytes);
        }
        None => read(client, &mut bytes),
    }
    bytes
}

fn read(mut from: impl Read, bytes: &mut Vec<u8>) {
    let mut buffer = [0; 4096];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return,
            Ok(count) => bytes.extend(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}

#[test]
fn nothing_is_sent_to_a_server_that_is_not_who_it_should_be() {
    let folder = certificates();
    let folder = folder.path();
    let at = |name: &str| folder.join(name).display().to_string();
    let store = Redis::start();
    let trust = |file: &str| format!("broker_tls_ca_file = '{}'\n", at(file));
    let scenes = [
        ("another name", "server.pem", "127.0.0.1", trust("ca.pem")),
        (
            "another name is asked for",
            "server.pem",
            "localhost",
            format!("{}broker_tls_server_name = 'redis.test'\n", trust("ca.pem")),
        ),
        (
            "an unknown authority",
            "server.pem",
            "localhost",
            trust("other.pem"),
        ),
        (
            "the system's authorities",
            "server.pem",
            "localhost",
            String::new(),
        ),
        ("expired", "expired.pem", "localhost", trust("ca.pem")),
    ];
    for scheme in ["rediss", "amqps"] {
        for (what, certificate, host, settings) in &scenes {
            let spy = Spy::start(folder, Some(certificate));
            let beat = dial(scheme, host, &spy, &store, settings);
            let heard = spy.heard(1);
            assert!(
                heard.is_empty(),
                "{scheme}, {what}: {:?}",
                String::from_utf8_lossy(&heard)
            );
            wait_for(
                &format!("{scheme}, {what}: the reason in the log"),
                Duration::from_secs(20),
                || {
                    let lines = beat.lines();
                    lines
                        .iter()
                        .any(|line| line.contains("certificate"))
                        .then_some(())
                },
            );
            assert!(beat.events("fired").is_empty(), "{scheme}, {what}");
        }
        // The spy does hear what is meant for it.
        let spy = Spy::start(folder, Some("server.pem"));
        let _beat = dial(scheme, "localhost", &spy, &store, &trust("ca.pem"));
        assert!(!spy.heard(1).is_empty(), "{scheme}");
        // A server without TLS gets a greeting in TLS and no command.
        let spy = Spy::start(folder, None);
        let _beat = dial(scheme, "localhost", &spy, &store, &trust("ca.pem"));
        let heard = spy.heard(1);
        assert_eq!(heard[..2], [0x16, 0x03], "{scheme}: a TLS handshake");
        for word in ["PING", "AUTH", "HELLO", "AMQP", "s3cr3t"] {
            let found = heard
                .windows(word.len())
                .any(|part| part == word.as_bytes());
            assert!(!found, "{scheme}: {word}");
        }
    }
}

fn dial(scheme: &str, host: &str, spy: &Spy, store: &Redis, settings: &str) -> support::beat::Beat {
    let toml = format!(
        "broker_url = '{scheme}://user:s3cr3t@{host}:{}/0'\nstate_url = '{}'\n{settings}\n{ENTRY}",
        spy.port,
        store.url()
    );
    // A name of its own for each: the lease of the one before may last.
    Launch::schedule(&format!("name = 'n{}'\n{toml}", spy.port)).start()
}
