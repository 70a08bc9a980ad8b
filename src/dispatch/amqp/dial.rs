//! From the configured nodes to a connection.

use std::net::{Shutdown, TcpStream};
use std::os::fd::AsFd;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use lapin::types::LongString;
use lapin::uri::{
    AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo, SASLMechanism,
};
use lapin::{AsyncTcpStream, Connection, ConnectionProperties, Error};
use tokio::time::timeout;
use uuid::Uuid;

use super::{encode, tls};
use crate::config::{AmqpServer, AmqpServers, Failover, LoginMethod, Rotation};

/// Seconds, where the settings switch heartbeats off: without one a dead connection is noticed only
/// by what is published into it.
const HEARTBEAT: u16 = 60;

/// How the nodes are reached, and which one is tried next.
#[derive(Debug)]
pub struct Dialer {
    servers: AmqpServers,
    rotation: Option<Rotation>,
    next: usize,
}

/// A connection, and what cuts it off.
pub struct Dialled {
    pub connection: Connection,
    pub socket: Socket,
    /// The node, for the log; without its password.
    pub server: String,
}

/// The socket below a connection. The client library has no way to give a connection up at once:
/// closing it politely waits for what was written before.
#[derive(Clone, Debug, Default)]
pub struct Socket(Arc<OnceLock<TcpStream>>);

impl Socket {
    /// Ends the connection now, whatever waits to be written.
    pub fn cut(&self) {
        if let Some(socket) = self.0.get() {
            // Fails when it is closed already.
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

impl Dialer {
    /// A dialer for `servers`.
    pub fn new(servers: &AmqpServers) -> Self {
        let next = match servers.failover {
            Failover::RoundRobin => 0,
            Failover::Shuffle => random(),
        };
        Self {
            servers: servers.clone(),
            rotation: None,
            next,
        }
    }

    /// Reads the credentials anew at each dial, where they came from a file.
    pub fn rotate(&mut self, rotation: Option<Rotation>) {
        self.rotation = rotation;
    }

    /// Connects to the first node that answers, beginning with the one after the last failure. The
    /// error is a text for the log, without any password.
    pub async fn dial(&mut self, deadline: Duration) -> Result<Dialled, String> {
        let mut failures = Vec::new();
        match self.rotation.as_ref().map(|file| file.amqp(&self.servers)) {
            Some(Ok(now)) => self.servers = now,
            Some(Err(why)) => failures.push(why),
            None => {}
        }
        let count = self.servers.servers.len().max(1);
        let share = deadline / u32::try_from(count).unwrap_or(u32::MAX);
        for _ in 0..count {
            let Some(server) = self.servers.servers.get(self.next % count) else {
                break;
            };
            match self.connect(server, share).await {
                Ok(dialled) => return Ok(dialled),
                Err(error) => failures.push(format!("{server}: {error}")),
            }
            self.next = match self.servers.failover {
                Failover::RoundRobin => self.next.wrapping_add(1),
                // Any order will do that reaches every node in the end.
                Failover::Shuffle => self.next.wrapping_add(1 + random() % count),
            };
        }
        Err(failures.join("; "))
    }

    /// The next dial begins with another node: this one was lost.
    pub fn move_on(&mut self) {
        self.next = self.next.wrapping_add(1);
    }

    async fn connect(&self, server: &AmqpServer, deadline: Duration) -> Result<Dialled, String> {
        encode::short(&server.vhost)?;
        let connector = server.tls.as_ref().map(tls::connector).transpose()?;
        let name = match server.tls.as_ref().and_then(|tls| tls.server_name.as_ref()) {
            Some(name) => name.clone(),
            None => server.host.clone(),
        };
        let socket = Socket::default();
        let kept = socket.clone();
        let runtime = lapin::runtime::default_runtime().map_err(|error| error.to_string())?;
        let connecting = Connection::connector(
            self.uri(server),
            runtime,
            async move |uri, runtime| {
                let address = (uri.authority.host.clone(), uri.authority.port);
                let stream = async {
                    let address = runtime.to_socket_addrs(address);
                    let stream = AsyncTcpStream::connect(&runtime, address).await?;
                    if let AsyncTcpStream::Plain(plain) = &stream {
                        let handle = plain.get_ref().as_fd().try_clone_to_owned()?;
                        let _ = kept.0.set(handle.into());
                    }
                    match &connector {
                        Some(connector) => stream.into_rustls(connector, &name).await,
                        None => Ok(stream),
                    }
                };
                // The library's thread would wait for the system's own, much longer, bound.
                match timeout(deadline, stream).await {
                    Ok(stream) => stream.map_err(Error::from),
                    Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
                }
            },
            properties(),
        );
        let Ok(connected) = timeout(deadline, connecting).await else {
            socket.cut();
            return Err(format!("no answer within {deadline:?}"));
        };
        let connection = connected.map_err(|error| error.to_string())?;
        Ok(Dialled {
            connection,
            socket,
            server: server.to_string(),
        })
    }

    fn uri(&self, server: &AmqpServer) -> AMQPUri {
        let heartbeat = match self.servers.heartbeat {
            0 => HEARTBEAT,
            seconds => seconds,
        };
        AMQPUri {
            scheme: AMQPScheme::AMQP,
            authority: AMQPAuthority {
                userinfo: AMQPUserInfo {
                    username: server.username.clone(),
                    password: server.password.expose().to_owned(),
                },
                host: server.host.clone(),
                port: server.port,
            },
            vhost: server.vhost.clone(),
            query: AMQPQueryString {
                heartbeat: Some(heartbeat),
                auth_mechanism: Some(match self.servers.login_method {
                    LoginMethod::Plain => SASLMechanism::Plain,
                    LoginMethod::AmqPlain => SASLMechanism::AMQPlain,
                    LoginMethod::External => SASLMechanism::External,
                }),
                ..AMQPQueryString::default()
            },
        }
    }
}

/// How `rabbitmqctl list_connections` shows the connection.
fn properties() -> ConnectionProperties {
    ConnectionProperties::default()
        .with_connection_name(LongString::from("beat"))
        .with_client_property("product".into(), LongString::from("beat"))
        .with_client_property(
            "version".into(),
            LongString::from(env!("CARGO_PKG_VERSION")),
        )
}

fn random() -> usize {
    let (_, low) = Uuid::new_v4().as_u64_pair();
    usize::try_from(low >> 32).unwrap_or(0)
}
