//! Dialling a Redis server: directly, by socket, through Sentinels, with or without TLS.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::io::AsyncDNSResolver;
use redis::io::tcp::TcpSettings;
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, ConnectionAddr, ConnectionInfo,
    IntoConnectionInfo, RedisConnectionInfo, RedisError, RedisFuture, RedisResult, TlsCertificates,
    Value,
};

use crate::config::{RedisEndpoint, RedisServer, Rotation, Secret, Tls};

/// How to reach a Redis; cheap to clone. Several servers are alternatives, tried in order.
#[derive(Debug, Clone)]
pub struct Dialer {
    /// As last read; clones share it.
    servers: Arc<Mutex<Arc<[RedisServer]>>>,
    rotation: Option<Arc<Rotation>>,
}

impl Dialer {
    /// A dialer for `servers`.
    #[must_use]
    pub fn new(servers: &[RedisServer]) -> Self {
        Self {
            servers: Arc::new(Mutex::new(servers.into())),
            rotation: None,
        }
    }

    /// Reads the credentials anew at each dial, where they came from a file.
    #[must_use]
    pub fn rotating(mut self, rotation: Option<Rotation>) -> Self {
        self.rotation = rotation.map(Arc::new);
        self
    }

    /// The servers with the credentials of this moment, and why they are only those known before.
    fn now(&self) -> (Arc<[RedisServer]>, Option<String>) {
        let mut known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        let stale = match self.rotation.as_ref().map(|file| file.redis(&known)) {
            None => None,
            Some(Ok(now)) => {
                *known = now.into();
                None
            }
            Some(Err(why)) => Some(why),
        };
        (Arc::clone(&known), stale)
    }

    /// The database number of the first server.
    #[must_use]
    pub fn database(&self) -> i64 {
        let known = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
        known.first().map_or(0, |server| server.database)
    }

    /// Connects to the first server that answers as a master. Errors are texts for the log; none
    /// contains a password.
    pub async fn dial(&self, deadline: Duration) -> Result<MultiplexedConnection, String> {
        let (servers, stale) = self.now();
        let share = deadline / u32::try_from(servers.len().max(1)).unwrap_or(1);
        let mut why = String::from("no server is configured");
        for server in servers.iter() {
            match dial_one(server, share).await {
                Ok(connection) => return Ok(connection),
                Err(error) => why = format!("{server}: {error}"),
            }
        }
        Err(stale.map_or(why.clone(), |stale| format!("{why}; {stale}")))
    }

    /// Subscribes to one channel on a connection of its own.
    pub async fn subscribe(&self, channel: &str) -> RedisResult<PubSub> {
        let mut last = None;
        for server in self.now().0.iter() {
            let endpoint = match resolve(server, Duration::from_secs(1)).await {
                Ok(endpoint) => endpoint,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let client = client(&endpoint, server.tls.as_ref(), settings(server))?;
            match client.get_async_pubsub().await {
                Ok(mut subscription) => {
                    subscription.subscribe(channel).await?;
                    return Ok(subscription);
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| problem("no server is configured")))
    }
}

fn problem(text: &str) -> RedisError {
    std::io::Error::other(text.to_owned()).into()
}

fn settings(server: &RedisServer) -> RedisConnectionInfo {
    let settings = credentials(server.username.as_deref(), server.password.as_ref());
    settings.set_db(server.database)
}

fn credentials(username: Option<&str>, password: Option<&Secret>) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = username {
        settings = settings.set_username(username);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.expose());
    }
    settings
}

async fn dial_one(server: &RedisServer, deadline: Duration) -> RedisResult<MultiplexedConnection> {
    let endpoint = resolve(server, deadline).await?;
    let client = client(&endpoint, server.tls.as_ref(), settings(server))?;
    let mut connection = connect(&client, &endpoint, server.tls.as_ref(), deadline).await?;
    let role: Vec<Value> = redis::cmd("ROLE").query_async(&mut connection).await?;
    match role.first() {
        Some(Value::BulkString(role)) if role == b"master" => Ok(connection),
        _ => Err(problem("the server is a replica, not the master")),
    }
}

/// The endpoint to connect to; asks the Sentinels where the master is.
async fn resolve(server: &RedisServer, deadline: Duration) -> RedisResult<RedisEndpoint> {
    let RedisEndpoint::Sentinel {
        sentinels,
        master,
        username,
        password,
    } = &server.endpoint
    else {
        return Ok(server.endpoint.clone());
    };
    let mut last = problem("no Sentinel is configured");
    for (host, port) in sentinels {
        let endpoint = RedisEndpoint::Tcp {
            host: host.clone(),
            port: *port,
        };
        let credentials = credentials(username.as_deref(), password.as_ref());
        let asked = async {
            let client = client(&endpoint, server.tls.as_ref(), credentials)?;
            let mut sentinel =
                connect(&client, &endpoint, server.tls.as_ref(), deadline / 2).await?;
            let address: Option<(String, u16)> = redis::cmd("SENTINEL")
                .arg("GET-MASTER-ADDR-BY-NAME")
                .arg(master)
                .query_async(&mut sentinel)
                .await?;
            address.ok_or_else(|| problem("the Sentinel does not know that master"))
        };
        match asked.await {
            Ok((host, port)) => return Ok(RedisEndpoint::Tcp { host, port }),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn client(
    endpoint: &RedisEndpoint,
    tls: Option<&Tls>,
    settings: RedisConnectionInfo,
) -> RedisResult<Client> {
    let address = match (endpoint, tls) {
        (RedisEndpoint::Unix { path }, _) => ConnectionAddr::Unix(path.clone()),
        (RedisEndpoint::Tcp { host, port }, None) => ConnectionAddr::Tcp(host.clone(), *port),
        (RedisEndpoint::Tcp { host, port }, Some(tls)) => ConnectionAddr::TcpTls {
            host: tls.server_name.clone().unwrap_or_else(|| host.clone()),
            port: *port,
            insecure: !tls.verify,
            tls_params: None,
        },
        (RedisEndpoint::Sentinel { .. }, _) => return Err(problem("a Sentinel was not resolved")),
    };
    // Without keepalive and a user timeout a dead peer is noticed only by the deadlines.
    let tcp = TcpSettings::default()
        .set_nodelay(true)
        .set_user_timeout(Duration::from_secs(10));
    let info: ConnectionInfo = address.into_connection_info()?;
    let info = info.set_redis_settings(settings).set_tcp_settings(tcp);
    match tls.filter(|_| matches!(endpoint, RedisEndpoint::Tcp { .. })) {
        None => Client::open(info),
        Some(tls) => Client::build_with_tls(info, certificates(tls)?),
    }
}

fn certificates(tls: &Tls) -> RedisResult<TlsCertificates> {
    let read = |path: &Path| {
        std::fs::read(path).map_err(|error| problem(&format!("{}: {error}", path.display())))
    };
    let client_tls = match (&tls.cert_file, &tls.key_file) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: read(cert)?,
            client_key: read(key)?,
        }),
        _ => None,
    };
    let root_cert = tls.ca_file.as_deref().map(read).transpose()?;
    Ok(TlsCertificates {
        client_tls,
        root_cert,
    })
}

async fn connect(
    client: &Client,
    endpoint: &RedisEndpoint,
    tls: Option<&Tls>,
    deadline: Duration,
) -> RedisResult<MultiplexedConnection> {
    // The link bounds every operation itself; the library's own, shorter bound is switched off.
    let mut config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(deadline))
        .set_response_timeout(None);
    if let (
        RedisEndpoint::Tcp { host, .. },
        Some(Tls {
            server_name: Some(_),
            ..
        }),
    ) = (endpoint, tls)
    {
        config = config.set_dns_resolver(ActualHost(host.clone()));
    }
    client
        .get_multiplexed_async_connection_with_config(&config)
        .await
}

/// Resolves the host of the URL although the certificate's name is what the client was given.
struct ActualHost(String);

impl AsyncDNSResolver for ActualHost {
    fn resolve<'a, 'b: 'a>(
        &'a self,
        _name: &'b str,
        port: u16,
    ) -> RedisFuture<'a, Box<dyn Iterator<Item = SocketAddr> + Send + 'a>> {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((self.0.as_str(), port))
                .await?
                .collect();
            Ok(Box::new(found.into_iter()) as Box<dyn Iterator<Item = SocketAddr> + Send + 'a>)
        })
    }
}
