//! Broker and store URLs, parsed strictly into plain types.
//!
//! | file | holds |
//! |---|---|
//! | `split` | scheme, credentials, hosts, path and query of any URL |
//! | `redis` | [`RedisServer`]: TCP, TLS, socket, Sentinel |
//! | `amqp` | [`AmqpServers`] |
//! | `files` | [`Folders`] of `filesystem://`, the path of `file://` |
//! | `tls` | [`Tls`] and the settings it is made from |
//!
//! An error says what is wrong and never quotes the URL: a malformed one is where a password is
//! most likely to stand in an unexpected place. `Display` and `Debug` of every type here leave
//! credentials out.

mod amqp;
mod files;
mod redis;
mod split;
mod tls;

#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

pub use amqp::{AmqpServer, AmqpServers, Failover, LoginMethod};
pub use files::Folders;
pub use redis::{RedisEndpoint, RedisServer};
pub use tls::Tls;
pub(super) use tls::{TlsSettings, verification};

use split::Parts;

/// Where messages go.
#[derive(Debug, Clone, PartialEq)]
pub enum Broker {
    /// Redis servers in the order in which they are tried; never empty.
    Redis(Vec<RedisServer>),
    /// `RabbitMQ`.
    Amqp(AmqpServers),
    /// Kombu's folders.
    Filesystem(Folders),
}

/// Where lease and last-run state live.
#[derive(Debug, Clone, PartialEq)]
pub enum StoreLocation {
    /// Redis servers in the order in which they are tried; never empty.
    Redis(Vec<RedisServer>),
    /// The embedded database.
    File(PathBuf),
}

/// Why a URL is refused; never quotes it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct UrlError {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: Option<&'static str>,
}

impl UrlError {
    fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: None,
        }
    }

    fn help(mut self, help: &'static str) -> Self {
        self.help = Some(help);
        self
    }
}

/// Schemes that may be named in an error: other transports of Kombu, and the web's.
const KOMBU: &[&str] = &[
    "amqp",
    "amqps",
    "azureservicebus",
    "azurestoragequeues",
    "confluentkafka",
    "consul",
    "etcd",
    "file",
    "filesystem",
    "ftp",
    "gcpubsub",
    "http",
    "https",
    "kafka",
    "librabbitmq",
    "memory",
    "mongodb",
    "pyamqp",
    "pyro",
    "qpid",
    "slmq",
    "sqla",
    "sqs",
    "tcp",
    "unix",
    "valkey",
    "valkeys",
    "zookeeper",
];

/// What other settings add to a URL.
#[derive(Debug, Clone, Default)]
pub(super) struct UrlContext {
    /// The `…_tls_…` settings and `broker_use_ssl`.
    pub tls: TlsSettings,
    /// `master_name` of `broker_transport_options`.
    pub master_name: Option<String>,
    /// Credentials of `sentinel_kwargs`.
    pub sentinel_username: Option<String>,
    pub sentinel_password: Option<super::Secret>,
    /// `data_folder_in`, `data_folder_out`, `control_folder`.
    pub folders: [Option<PathBuf>; 3],
    /// `broker_failover_strategy`.
    pub failover: Failover,
    /// `broker_login_method`.
    pub login_method: LoginMethod,
    /// `broker_heartbeat`, seconds; 0 is off.
    pub heartbeat: Option<u16>,
}

const BROKERS: &str = "supported: redis://, rediss://, redis+socket://, sentinel://, redis+sentinel://, amqp://, amqps://, pyamqp://, filesystem://";
const STORES: &str =
    "supported: redis://, rediss://, redis+socket://, sentinel://, redis+sentinel://, file://";

impl Broker {
    /// Parses a broker URL, or several separated by `;`.
    pub(super) fn parse(url: &str, context: &UrlContext) -> Result<Self, UrlError> {
        let all = split_list(url)?;
        let first = scheme_of(all[0])?;
        match first.as_str() {
            "amqp" | "amqps" | "pyamqp" => amqp::parse(&all, context).map(Self::Amqp),
            "filesystem" => match all.as_slice() {
                [one] => files::folders(one, &context.folders).map(Self::Filesystem),
                _ => Err(UrlError::new("filesystem:// takes no list of URLs")),
            },
            scheme if redis::SCHEMES.contains(&scheme) => {
                redis::parse(&all, context).map(Self::Redis)
            }
            _ => Err(unsupported(&first, BROKERS)),
        }
    }
}

impl StoreLocation {
    /// Parses a store URL.
    pub(super) fn parse(url: &str, context: &UrlContext) -> Result<Self, UrlError> {
        let all = split_list(url)?;
        let first = scheme_of(all[0])?;
        match first.as_str() {
            "file" => match all.as_slice() {
                [one] => files::state_path(one).map(Self::File),
                _ => Err(UrlError::new("file:// takes no list of URLs")),
            },
            "amqp" | "amqps" | "pyamqp" => Err(UrlError::new("RabbitMQ cannot hold the state")
                .help("RabbitMQ needs a Redis, or file:// for a single instance")),
            scheme if redis::SCHEMES.contains(&scheme) => {
                redis::parse(&all, context).map(Self::Redis)
            }
            _ => Err(unsupported(&first, STORES)),
        }
    }

    /// Whether both name the same server and database; credentials and TLS may differ.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Redis(a), Self::Redis(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_place(b))
            }
            (Self::File(a), Self::File(b)) => a == b,
            _ => false,
        }
    }
}

/// The parts of a fail-over list.
fn split_list(url: &str) -> Result<Vec<&str>, UrlError> {
    let all: Vec<&str> = url.split(';').map(str::trim).collect();
    if url.trim().is_empty() {
        return Err(UrlError::new("is empty"));
    }
    if all.iter().any(|one| one.is_empty()) {
        return Err(UrlError::new("has an empty URL between two `;`"));
    }
    Ok(all)
}

fn scheme_of(url: &str) -> Result<String, UrlError> {
    let bad = || {
        UrlError::new("is not a URL")
            .help("it begins with the kind of server, such as redis://localhost:6379/0")
    };
    let (scheme, _) = url.split_once("://").ok_or_else(bad)?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
    if scheme.is_empty() || scheme.len() > 20 || !scheme.chars().all(fits) {
        return Err(bad());
    }
    Ok(scheme.to_ascii_lowercase())
}

fn unsupported(scheme: &str, supported: &'static str) -> UrlError {
    let error = if scheme.contains("cluster") {
        UrlError::new("Redis Cluster is not supported, by Celery neither")
    } else if KOMBU.contains(&scheme.split('+').next().unwrap_or("")) {
        UrlError::new(format!("{scheme}:// is not supported"))
    } else {
        // What stands before `://` may be anything, a piece of a password too.
        UrlError::new("has a scheme that is not supported")
    };
    error.help(supported)
}

/// Writes `user:***@`, or what there is of it.
fn write_credentials(
    f: &mut fmt::Formatter<'_>,
    username: Option<&str>,
    has_password: bool,
) -> fmt::Result {
    match (username, has_password) {
        (None, false) => Ok(()),
        (user, true) => write!(f, "{}:***@", user.unwrap_or("")),
        (Some(user), false) => write!(f, "{user}@"),
    }
}

impl fmt::Display for Broker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(servers) => write_list(f, servers),
            Self::Amqp(servers) => write_list(f, &servers.servers),
            Self::Filesystem(folders) => write!(f, "filesystem://{}", folders.data_out.display()),
        }
    }
}

impl fmt::Display for StoreLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Redis(servers) => write_list(f, servers),
            Self::File(path) => write!(f, "file://{}", path.display()),
        }
    }
}

fn write_list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, all: &[T]) -> fmt::Result {
    for (n, one) in all.iter().enumerate() {
        if n > 0 {
            f.write_str(";")?;
        }
        write!(f, "{one}")?;
    }
    Ok(())
}

fn write_host(f: &mut fmt::Formatter<'_>, host: &str, port: u16) -> fmt::Result {
    if host.contains(':') {
        write!(f, "[{host}]:{port}")
    } else {
        write!(f, "{host}:{port}")
    }
}

/// Whether traffic to `host` stays on this machine.
fn is_loopback(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<std::net::IpAddr>()
            .is_ok_and(|ip| ip.is_loopback())
}
