//! AMQP URLs with Kombu's defaults.

use std::fmt;

use super::split::{decode, unknown_parameter};
use super::tls::TlsQuery;
use super::{Parts, Tls, UrlContext, UrlError, write_credentials};
use crate::config::Secret;

/// `RabbitMQ` nodes and how they are connected to.
#[derive(Debug, Clone, PartialEq)]
pub struct AmqpServers {
    /// The nodes; never empty.
    pub servers: Vec<AmqpServer>,
    /// In which order they are tried.
    pub failover: Failover,
    /// `broker_login_method`.
    pub login_method: LoginMethod,
    /// Heartbeat, seconds; 0 is off.
    pub heartbeat: u16,
}

/// One node and virtual host.
#[derive(Clone, PartialEq)]
pub struct AmqpServer {
    /// Name or address, IPv6 without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Virtual host.
    pub vhost: String,
    /// User.
    pub username: String,
    /// Password.
    pub password: Secret,
    /// TLS.
    pub tls: Option<Tls>,
}

impl AmqpServers {
    /// Whether both lead to the same nodes and virtual hosts, whatever their credentials.
    #[must_use]
    pub fn same_place(&self, other: &Self) -> bool {
        let place = |server: &AmqpServer| {
            (
                server.host.clone(),
                server.port,
                server.vhost.clone(),
                server.tls.clone(),
            )
        };
        self.servers
            .iter()
            .map(place)
            .eq(other.servers.iter().map(place))
    }
}

/// `broker_failover_strategy`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Failover {
    /// In the order of the list, over and over.
    #[default]
    RoundRobin,
    /// In random order.
    Shuffle,
}

/// `broker_login_method`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoginMethod {
    /// User and password.
    #[default]
    Plain,
    /// The older form of the same.
    AmqPlain,
    /// By client certificate.
    External,
}

impl LoginMethod {
    pub(in crate::config) const NAMES: &'static [&'static str] = &["PLAIN", "AMQPLAIN", "EXTERNAL"];

    pub(in crate::config) fn from_name(name: &str) -> Option<Self> {
        match name {
            "PLAIN" => Some(Self::Plain),
            "AMQPLAIN" => Some(Self::AmqPlain),
            "EXTERNAL" => Some(Self::External),
            _ => None,
        }
    }
}

/// Celery's `broker_heartbeat`, seconds.
const HEARTBEAT: u16 = 120;

const KNOWN: &[&str] = &[
    "heartbeat",
    "login_method",
    "ssl_ca_certs",
    "ssl_cert_reqs",
    "ssl_certfile",
    "ssl_check_hostname",
    "ssl_keyfile",
];

pub(super) fn parse(urls: &[&str], context: &UrlContext) -> Result<AmqpServers, UrlError> {
    let mut all = AmqpServers {
        servers: Vec::with_capacity(urls.len()),
        failover: context.failover,
        login_method: context.login_method,
        heartbeat: context.heartbeat.unwrap_or(HEARTBEAT),
    };
    for url in urls {
        let parts = Parts::parse(url)?;
        let tls_scheme = match parts.scheme.as_str() {
            "amqp" | "pyamqp" => false,
            "amqps" => true,
            _ => return Err(UrlError::new("mixes kinds of brokers in one list")),
        };
        let mut tls = TlsQuery::default();
        for (key, value) in &parts.query {
            match key.as_str() {
                "heartbeat" => {
                    all.heartbeat = value.parse().map_err(|_| {
                        UrlError::new("has a heartbeat that is no number from 0 to 65535")
                    })?;
                }
                "login_method" => {
                    all.login_method = LoginMethod::from_name(value).ok_or_else(|| {
                        UrlError::new(
                            "has a login_method that is none of PLAIN, AMQPLAIN, EXTERNAL",
                        )
                    })?;
                }
                "connect_timeout" | "connection_timeout" => {}
                key if tls.take(key, value)? => {}
                key => return Err(unknown_parameter(key, KNOWN)),
            }
        }
        let secured = tls_scheme || context.tls.enabled;
        if tls.is_given() && !secured {
            return Err(UrlError::new("has TLS parameters but no TLS").help("write amqps://"));
        }
        let (mut host, port) = parts.one_host(if tls_scheme { 5671 } else { 5672 })?;
        let mut tls = secured.then(|| tls.over(&context.tls)).transpose()?;
        if host == "localhost" {
            // Kombu's own substitution: RabbitMQ's default user may only log in from 127.0.0.1. A certificate is still
            // held against the name that was given.
            "127.0.0.1".clone_into(&mut host);
            if let Some(tls) = &mut tls {
                tls.server_name
                    .get_or_insert_with(|| "localhost".to_owned());
            }
        }
        all.servers.push(AmqpServer {
            host,
            port,
            vhost: vhost(parts.path.as_deref())?,
            username: parts.username.unwrap_or_else(|| "guest".to_owned()),
            password: Secret::new(parts.password.unwrap_or_else(|| "guest".to_owned())),
            tls,
        });
    }
    Ok(all)
}

/// No path, `/` and `//` are the virtual host `/`; `/vh` is `vh`; `/%2Fvh` is `/vh`.
fn vhost(path: Option<&str>) -> Result<String, UrlError> {
    match path {
        None | Some("" | "/") => Ok("/".to_owned()),
        Some(path) => decode(path),
    }
}

impl AmqpServer {
    /// Whether credentials travel unencrypted to another host.
    pub(crate) fn leaks_credentials(&self) -> bool {
        self.tls.is_none() && !super::is_loopback(&self.host)
    }
}

impl fmt::Display for AmqpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls.is_some() {
            "amqps://"
        } else {
            "amqp://"
        })?;
        write_credentials(f, Some(&self.username), true)?;
        super::write_host(f, &self.host, self.port)?;
        write!(f, "/{}", self.vhost)
    }
}

impl fmt::Debug for AmqpServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
