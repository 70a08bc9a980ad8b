//! One connection to a Redis server, replaced at the first doubt.
//!
//! A connection that swallows bytes never fails by itself: every operation has a deadline, and
//! whatever passes it drops the connection. So does any reply that says this server is not the one
//! to talk to (a replica, loading, out of clients). Sentinels are asked again at every dial.

use std::fmt;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::time::error::Elapsed;
use tokio::time::timeout;

use super::server::Dialer;
use crate::store::StoreError;

/// Why an operation has no result.
#[derive(Debug)]
pub enum LinkError {
    /// Not connected, or refused by the server before anything was done.
    Unavailable(String),
    /// Sent, but not answered: it may have been done.
    Ambiguous(String),
    /// The server's own error about this very operation.
    Refused(RedisError),
}

impl fmt::Display for LinkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(why) | Self::Ambiguous(why) => f.write_str(why),
            Self::Refused(error) => write!(f, "{error}"),
        }
    }
}

impl From<LinkError> for StoreError {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Unavailable(why) => Self::Unavailable(why),
            LinkError::Ambiguous(why) => Self::Ambiguous(why),
            LinkError::Refused(error) if error.code() == Some("WRONGTYPE") => Self::Corrupt,
            LinkError::Refused(error) => Self::Unavailable(error.to_string()),
        }
    }
}

/// A connection to one server, dialled when it is needed.
#[derive(Debug)]
pub struct Link {
    dialer: Dialer,
    deadline: Duration,
    connection: Option<MultiplexedConnection>,
    dials: u64,
}

impl Link {
    /// A link that gives every operation, and every dial, at most `deadline`.
    #[must_use]
    pub fn new(dialer: Dialer, deadline: Duration) -> Self {
        Self {
            dialer,
            deadline,
            connection: None,
            dials: 0,
        }
    }

    /// Changes the deadline of later operations.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Most time that an operation may take.
    #[must_use]
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// How often a connection was established: a changed number means a new connection.
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.dials
    }

    /// Whether there is a connection, and no doubt about it.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Drops the connection; the next operation dials anew.
    pub fn drop_connection(&mut self) {
        self.connection = None;
    }

    /// Connects unless connected.
    pub async fn connect(&mut self) -> Result<MultiplexedConnection, LinkError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = match timeout(self.deadline, self.dialer.dial(self.deadline)).await {
            Ok(dialled) => dialled.map_err(LinkError::Unavailable)?,
            Err(_) => {
                return Err(LinkError::Unavailable(format!(
                    "no connection within {:?}",
                    self.deadline
                )));
            }
        };
        self.dials += 1;
        self.connection = Some(connection.clone());
        Ok(connection)
    }

    /// Runs one operation within the deadline.
    pub async fn run<T>(
        &mut self,
        operation: impl AsyncFnOnce(&mut MultiplexedConnection) -> RedisResult<T>,
    ) -> Result<T, LinkError> {
        let mut connection = self.connect().await?;
        let reply = timeout(self.deadline, operation(&mut connection)).await;
        self.judge(reply)
    }

    /// What a reply means, or its absence at the deadline; drops the connection at any doubt.
    pub fn judge<T>(&mut self, reply: Result<RedisResult<T>, Elapsed>) -> Result<T, LinkError> {
        match reply {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let (error, keep) = classify(error);
                if !keep {
                    self.connection = None;
                }
                Err(error)
            }
            Err(_) => {
                self.connection = None;
                Err(LinkError::Ambiguous(format!(
                    "no reply within {:?}",
                    self.deadline
                )))
            }
        }
    }
}

/// What an error means for the operation, and whether the connection may be used again.
fn classify(error: RedisError) -> (LinkError, bool) {
    // The error of a pipeline hides the codes of those in it.
    let errors = error.clone().into_server_errors();
    let error = match errors.as_deref().and_then(|errors| errors.first()) {
        Some((_, first)) => first.clone().into(),
        None => error,
    };
    let ErrorKind::Server(kind) = error.kind() else {
        if error.code().is_none() {
            return (LinkError::Ambiguous(error.to_string()), false);
        }
        return classify_code(error);
    };
    match kind {
        ServerErrorKind::BusyLoading | ServerErrorKind::MasterDown | ServerErrorKind::ReadOnly => {
            (LinkError::Unavailable(error.to_string()), false)
        }
        ServerErrorKind::Moved
        | ServerErrorKind::Ask
        | ServerErrorKind::ClusterDown
        | ServerErrorKind::CrossSlot => {
            let why = "this server belongs to a Redis Cluster, which is not supported, by Celery \
                       neither; name a single server or Sentinels";
            (LinkError::Unavailable(format!("{why} ({error})")), false)
        }
        _ => classify_code(error),
    }
}

fn classify_code(error: RedisError) -> (LinkError, bool) {
    let text = error.to_string();
    match error.code() {
        Some("NOAUTH" | "WRONGPASS" | "UNBLOCKED") => (LinkError::Unavailable(text), false),
        Some("OOM" | "NOREPLICAS" | "MISCONF" | "BUSY" | "TRYAGAIN") => {
            (LinkError::Unavailable(text), true)
        }
        // A script passes on what a command in it answered.
        _ if ["READONLY", "MASTERDOWN", "LOADING", "max number of clients"]
            .iter()
            .any(|word| text.contains(word)) =>
        {
            (LinkError::Unavailable(text), false)
        }
        _ if ["OOM ", "NOREPLICAS", "MISCONF"]
            .iter()
            .any(|word| text.contains(word)) =>
        {
            (LinkError::Unavailable(text), true)
        }
        _ => (LinkError::Refused(error), true),
    }
}
