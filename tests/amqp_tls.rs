//! TLS to RabbitMQ: a private authority, client certificates, and what is refused.
#![allow(
    clippy::unwrap_used,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::path::Path;
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::{self, Broker, Env, Purpose, Sources};
use beat::dispatch::{AmqpPublisher, Publisher};
use beat::message::Identity;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
};
use support::rabbit::Rabbit;
use support::wait::free_port;

/// Makes an authority called `name`: `<name>.pem`, and certificates by it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(folder: &Path, name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        Self {
            issuer: Issuer::new(params, key),
        }
    }

    /// `<name>.pem` and `<name>.key`, for the host `host`.
    fn issue(&self, folder: &Path, name: &str, host: &str) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([host.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        std::fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
        std::fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
    }
}

/// Connects with these settings; the error otherwise.
async fn connect(url: &str, settings: &str) -> Result<(), String> {
    let toml = format!(
        "broker_url = '{url}'\nstate_url = 'redis://127.0.0.1:1'\n{settings}\n\
         [beat_schedule.e]\ntask = 't'\nschedule = 1\n"
    );
    let identity = Identity {
        pid: 1,
        hostname: "h".into(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("t.toml", toml);
    let loaded = config::load(
        &sources,
        &Env::default(),
        &identity,
        Timestamp::EPOCH,
        Purpose::Run,
    )
    .map_err(|report| report.draw(false))?;
    let Broker::Amqp(servers) = &loaded.settings.broker else {
        return Err("no RabbitMQ".into());
    };
    AmqpPublisher::new(servers, Duration::from_secs(5), Duration::from_secs(5))
        .ready()
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn chain_host_and_client_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let ours = Authority::new(folder.path(), "ours");
    Authority::new(folder.path(), "foreign");
    ours.issue(folder.path(), "server", "localhost");
    ours.issue(folder.path(), "client", "client");
    let (port, strict_port) = (free_port(), free_port());
    let certificates = format!(
        "ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n",
        at("ours.pem"),
        at("server.pem"),
        at("server.key")
    );
    let rabbit = Rabbit::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{port}\n{certificates}"
    ));
    let strict = Rabbit::start_with(&format!(
        "listeners.ssl.1 = 127.0.0.1:{strict_port}\n{certificates}\
         ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true"
    ));

    let url = |port: u16| format!("amqps://guest:guest@127.0.0.1:{port}//");
    let trust = format!("broker_tls_ca_file = '{}'\n", at("ours.pem"));
    let name = "broker_tls_server_name = 'localhost'\n";
    let client = format!(
        "broker_tls_cert_file = '{}'\nbroker_tls_key_file = '{}'\n",
        at("client.pem"),
        at("client.key")
    );
    connect(&url(port), &format!("{trust}{name}"))
        .await
        .unwrap();
    let unverified = "broker_tls_dangerously_skip_verification = true";
    connect(&url(port), unverified).await.unwrap();
    connect(&url(strict_port), &format!("{trust}{name}{client}"))
        .await
        .unwrap();

    let foreign = format!("broker_tls_ca_file = '{}'\n{name}", at("foreign.pem"));
    let nothing = format!("broker_tls_ca_file = '{}'\n{name}", at("missing.pem"));
    for (port, settings, word) in [
        (port, trust.clone(), "certificate"),
        (port, foreign, "certificate"),
        (port, name.to_owned(), "certificate"),
        (port, nothing, "missing.pem"),
        (strict_port, format!("{trust}{name}"), "127.0.0.1"),
    ] {
        let error = connect(&url(port), &settings).await.unwrap_err();
        assert!(error.contains(word), "{settings}: {error}");
        assert!(!error.contains("guest:guest"), "{error}");
    }
    drop((rabbit, strict));
}
