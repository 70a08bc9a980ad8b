//! Redis URLs: `redis`, `rediss`, `redis+socket`, Kombu's `sentinel` lists, `redis+sentinel`.

use std::fmt;
use std::path::PathBuf;

use super::split::{decode, unknown_parameter};
use super::tls::TlsQuery;
use super::{Parts, Tls, UrlContext, UrlError, write_credentials};
use crate::config::Secret;

pub(super) const SCHEMES: &[&str] = &[
    "redis",
    "rediss",
    "redis+socket",
    "sentinel",
    "redis+sentinel",
];

/// One Redis server, or a master found through Sentinel.
#[derive(Clone, PartialEq)]
pub struct RedisServer {
    /// Where it listens.
    pub endpoint: RedisEndpoint,
    /// Database number.
    pub database: i64,
    /// User of `AUTH`; `None` is Redis' `default`.
    pub username: Option<String>,
    /// Password of `AUTH`.
    pub password: Option<Secret>,
    /// TLS, to Sentinels too.
    pub tls: Option<Tls>,
}

/// How a Redis server is reached.
#[derive(Debug, Clone, PartialEq)]
pub enum RedisEndpoint {
    /// Host and port.
    Tcp {
        /// Name or address, IPv6 without brackets.
        host: String,
        /// Port.
        port: u16,
    },
    /// A socket of this host.
    Unix {
        /// Its path.
        path: PathBuf,
    },
    /// The master that Sentinels name.
    Sentinel {
        /// Sentinels' hosts and ports, in order.
        sentinels: Vec<(String, u16)>,
        /// Name of the master.
        master: String,
        /// User for the Sentinels themselves.
        username: Option<String>,
        /// Password for the Sentinels themselves.
        password: Option<Secret>,
    },
}

/// Query parameters of redis-py that mean nothing here.
const WITHOUT_EFFECT: &[&str] = &[
    "client_name",
    "health_check_interval",
    "max_connections",
    "protocol",
    "retry_on_timeout",
    "socket_connect_timeout",
    "socket_keepalive",
    "socket_timeout",
];
const KNOWN: &[&str] = &[
    "db",
    "master_name",
    "password",
    "sentinel_password",
    "sentinel_username",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
    "username",
    "virtual_host",
];

/// What the query of a Redis URL says.
#[derive(Default)]
struct Query {
    database: Option<String>,
    username: Option<String>,
    password: Option<String>,
    master: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    tls: TlsQuery,
}

fn read_query(parts: &Parts) -> Result<Query, UrlError> {
    let mut query = Query::default();
    for (key, value) in &parts.query {
        let slot = match key.as_str() {
            "db" => &mut query.database,
            "virtual_host" if parts.scheme == "redis+socket" => &mut query.database,
            "username" => &mut query.username,
            "password" => &mut query.password,
            "master_name" => &mut query.master,
            "sentinel_username" => &mut query.sentinel_username,
            "sentinel_password" => &mut query.sentinel_password,
            key if WITHOUT_EFFECT.contains(&key) => continue,
            key if query.tls.take(key, value)? => continue,
            key => return Err(unknown_parameter(key, KNOWN)),
        };
        *slot = Some(value.clone());
    }
    Ok(query)
}

/// Parses a list of URLs of the Redis kinds. A list of Sentinels is one server.
pub(super) fn parse(urls: &[&str], context: &UrlContext) -> Result<Vec<RedisServer>, UrlError> {
    let parts = urls
        .iter()
        .map(|url| Parts::parse(url))
        .collect::<Result<Vec<_>, _>>()?;
    let is_sentinel = |p: &Parts| p.scheme == "sentinel";
    if parts.iter().any(is_sentinel) {
        if !parts.iter().all(is_sentinel) {
            return Err(UrlError::new(
                "mixes sentinel:// with other URLs in one list",
            ));
        }
        return kombu_sentinel(&parts, context).map(|server| vec![server]);
    }
    parts.iter().map(|p| parse_one(p, context)).collect()
}

fn parse_one(parts: &Parts, context: &UrlContext) -> Result<RedisServer, UrlError> {
    if !SCHEMES.contains(&parts.scheme.as_str()) {
        return Err(UrlError::new("mixes kinds of brokers in one list"));
    }
    let query = read_query(parts)?;
    let path = parts.decoded_path()?;
    let (endpoint, database) = match parts.scheme.as_str() {
        "redis+socket" => {
            let path = match parts.hosts.as_slice() {
                // `redis+socket://run/redis.sock` is meant to be relative.
                [(host, None)] if host != "localhost" => format!("{host}/{path}"),
                [] | [(_, None)] => format!("/{path}"),
                _ => return Err(UrlError::new("a socket has a path and no port")),
            };
            if path == "/" {
                return Err(UrlError::new("names no socket").help("redis+socket:///run/redis.sock"));
            }
            let path = PathBuf::from(path);
            (RedisEndpoint::Unix { path }, query.database.clone())
        }
        "redis+sentinel" => {
            let mut steps = path.split('/');
            let master = steps.next().unwrap_or("").to_owned();
            let database = steps.next().map(str::to_owned);
            if steps.next().is_some() {
                return Err(UrlError::new(
                    "has more than master and database in its path",
                ));
            }
            let endpoint = sentinel(parts.hosts.clone(), Some(master), &query, context)?;
            (endpoint, database.or(query.database.clone()))
        }
        _ => {
            let (host, port) = parts.one_host(6379)?;
            let database = parts
                .path
                .is_some()
                .then(|| path.trim_start_matches('/').to_owned());
            let database = database.filter(|d| !d.is_empty());
            (
                RedisEndpoint::Tcp { host, port },
                database.or(query.database.clone()),
            )
        }
    };
    finish(endpoint, database.as_deref(), parts, query, context)
}

/// `sentinel://h1:26379/0;sentinel://h2:26379`; the master's name is a transport option.
fn kombu_sentinel(parts: &[Parts], context: &UrlContext) -> Result<RedisServer, UrlError> {
    let Some(first) = parts.first() else {
        return Err(UrlError::new("is empty"));
    };
    let query = read_query(first)?;
    let hosts = parts.iter().flat_map(|p| {
        if p.hosts.is_empty() {
            vec![("localhost".to_owned(), None)]
        } else {
            p.hosts.clone()
        }
    });
    let endpoint = sentinel(hosts.collect(), None, &query, context)?;
    let mut database = None;
    for one in parts {
        let path = one.decoded_path()?;
        let path = path.trim_start_matches('/');
        if !path.is_empty() {
            database.get_or_insert_with(|| decode(path).unwrap_or_default());
        }
    }
    let credentials = parts.iter().find(|p| p.password.is_some()).unwrap_or(first);
    finish(endpoint, database.as_deref(), credentials, query, context)
}

fn sentinel(
    hosts: Vec<(String, Option<u16>)>,
    master: Option<String>,
    query: &Query,
    context: &UrlContext,
) -> Result<RedisEndpoint, UrlError> {
    let master = master
        .or_else(|| query.master.clone())
        .or_else(|| context.master_name.clone())
        .filter(|m| !m.is_empty())
        .ok_or_else(|| {
            UrlError::new("names no Sentinel master").help(
                "set master_name in broker_transport_options, or write redis+sentinel://HOST:26379/MASTER/0",
            )
        })?;
    if hosts.is_empty() {
        return Err(UrlError::new("names no Sentinel"));
    }
    Ok(RedisEndpoint::Sentinel {
        sentinels: hosts
            .into_iter()
            .map(|(host, port)| (host, port.unwrap_or(26379)))
            .collect(),
        master,
        username: query
            .sentinel_username
            .clone()
            .or_else(|| context.sentinel_username.clone()),
        password: (query.sentinel_password.clone().map(Secret::new))
            .or_else(|| context.sentinel_password.clone()),
    })
}

fn finish(
    endpoint: RedisEndpoint,
    database: Option<&str>,
    parts: &Parts,
    query: Query,
    context: &UrlContext,
) -> Result<RedisServer, UrlError> {
    let database = match database {
        None | Some("") => 0,
        Some(digits) if digits.len() <= 9 && digits.bytes().all(|b| b.is_ascii_digit()) => {
            digits.parse().unwrap_or(0)
        }
        Some(_) => {
            return Err(UrlError::new("has a database that is no number")
                .help("redis://HOST:6379/0: the path is the number of the database"));
        }
    };
    let wants_tls = match parts.scheme.as_str() {
        "rediss" => true,
        "redis+socket" => {
            if query.tls.is_given() {
                return Err(UrlError::new("TLS parameters mean nothing on a socket"));
            }
            false
        }
        // Sentinel URLs have no TLS scheme: the settings decide.
        "sentinel" | "redis+sentinel" => {
            context.tls.enabled || context.tls.is_given() || query.tls.is_given()
        }
        _ => {
            if query.tls.is_given() && !context.tls.enabled {
                return Err(UrlError::new("has TLS parameters but no TLS").help("write rediss://"));
            }
            context.tls.enabled
        }
    };
    Ok(RedisServer {
        endpoint,
        database,
        username: parts.username.clone().or(query.username),
        password: parts.password.clone().or(query.password).map(Secret::new),
        tls: wants_tls
            .then(|| query.tls.over(&context.tls))
            .transpose()?,
    })
}

impl RedisServer {
    /// Whether both name the same server and database; credentials and TLS may differ.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        let same_endpoint = match (&self.endpoint, &other.endpoint) {
            // Which Sentinels are asked may change, the master they name may not.
            (
                RedisEndpoint::Sentinel { master: a, .. },
                RedisEndpoint::Sentinel { master: b, .. },
            ) => a == b,
            (a, b) => a == b,
        };
        same_endpoint && self.database == other.database
    }

    /// Whether credentials travel unencrypted to another host.
    pub(crate) fn leaks_credentials(&self) -> bool {
        let remote = match &self.endpoint {
            RedisEndpoint::Tcp { host, .. } => !super::is_loopback(host),
            RedisEndpoint::Unix { .. } => false,
            RedisEndpoint::Sentinel { sentinels, .. } => {
                sentinels.iter().any(|(host, _)| !super::is_loopback(host))
            }
        };
        remote && self.tls.is_none() && self.password.is_some()
    }
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (&self.endpoint, &self.tls) {
            (RedisEndpoint::Tcp { .. }, None) => "redis://",
            (RedisEndpoint::Tcp { .. }, Some(_)) => "rediss://",
            (RedisEndpoint::Unix { .. }, _) => "redis+socket://",
            (RedisEndpoint::Sentinel { .. }, _) => "redis+sentinel://",
        })?;
        write_credentials(f, self.username.as_deref(), self.password.is_some())?;
        match &self.endpoint {
            RedisEndpoint::Tcp { host, port } => {
                super::write_host(f, host, *port)?;
                write!(f, "/{}", self.database)
            }
            RedisEndpoint::Unix { path } => {
                write!(f, "{}?virtual_host={}", path.display(), self.database)
            }
            RedisEndpoint::Sentinel {
                sentinels, master, ..
            } => {
                for (n, (host, port)) in sentinels.iter().enumerate() {
                    if n > 0 {
                        f.write_str(",")?;
                    }
                    super::write_host(f, host, *port)?;
                }
                write!(f, "/{master}/{}", self.database)
            }
        }
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
