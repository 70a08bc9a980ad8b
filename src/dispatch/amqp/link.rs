//! One connection, from dialling to the first doubt.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::{FutureExt, Stream, StreamExt};
use lapin::message::BasicReturnMessage;
use lapin::options::ConfirmSelectOptions;
use lapin::protocol::{AMQPErrorKind, AMQPHardError};
use lapin::{Channel, Confirmation, Connection, Error, ErrorKind, Event};
use tokio::time::Sleep;
use uuid::Uuid;

use super::dial::{Dialled, Socket};
use super::topology::Topology;
use crate::clock::monotonic_millis;

/// Longest silence, ms, after which a connection is asked whether it lives before it is used.
const IDLE: i64 = 5_000;

/// When a call has to end.
pub type Until<'a> = Pin<&'a mut Sleep>;

/// A message on its way, to its confirm.
pub type Flight = Pin<Box<dyn Future<Output = lapin::Result<Confirmation>> + Send>>;

/// What an error has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The channel: the broker refused what was done on it.
    Channel,
    /// The connection, by what was sent on it.
    Content,
    /// The connection, by whatever happens to connections.
    Connection,
}

impl Cause {
    pub fn of(error: &Error) -> Self {
        match error.kind() {
            ErrorKind::ProtocolError(error) => match error.kind() {
                AMQPErrorKind::Soft(_) => Self::Channel,
                // Closed by an operator, or by a node that goes down.
                AMQPErrorKind::Hard(
                    AMQPHardError::CONNECTIONFORCED | AMQPHardError::INTERNALERROR,
                ) => Self::Connection,
                AMQPErrorKind::Hard(_) => Self::Content,
            },
            ErrorKind::InvalidChannelState(..) | ErrorKind::InvalidChannel(_) => Self::Channel,
            ErrorKind::SerialisationError(_) => Self::Content,
            _ => Self::Connection,
        }
    }
}

/// Which channel a message takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lane {
    /// With others, confirms pipelined.
    Together,
    /// Alone, because it may be refused.
    Alone,
}

/// One connection and what is known of it.
pub struct Link {
    pub(super) connection: Connection,
    pub(super) topology: Topology,
    pub(super) events: Events,
    /// On their way, by task id, without a confirm in time: the broker blocked the connection, or
    /// one of its queues stands still. They cannot be taken back, and are not published again while
    /// the connection lives: their confirms may still come.
    pub(super) flights: HashMap<Uuid, Flight>,
    /// Came back, and not yet told apart.
    pub(super) returned: Vec<BasicReturnMessage>,
    /// Why the connection must not be used any more.
    pub(super) doubt: Option<String>,
    /// `task-sent` events go here, without confirms.
    pub(super) notices: Option<Channel>,
    pub(super) notices_declared: bool,
    together: Option<Arc<Channel>>,
    alone: Option<Arc<Channel>>,
    pub(super) block: Option<String>,
    socket: Socket,
    /// Reading of the monotonic clock, ms.
    heard_at: i64,
}

/// What the broker says about the connection.
pub struct Events(Pin<Box<dyn Stream<Item = Event> + Send>>);

impl Events {
    /// Waits until the broker blocks the connection; why.
    pub async fn blocked(&mut self) -> String {
        loop {
            match self.0.next().await {
                Some(Event::ConnectionBlocked(why)) => return why,
                Some(_) => {}
                None => std::future::pending().await,
            }
        }
    }
}

impl Link {
    /// Takes a new connection into use.
    pub fn new(dialled: Dialled) -> Self {
        Self {
            events: Events(Box::pin(dialled.connection.events_listener())),
            connection: dialled.connection,
            topology: Topology::default(),
            flights: HashMap::new(),
            returned: Vec::new(),
            doubt: None,
            notices: None,
            notices_declared: false,
            together: None,
            alone: None,
            block: None,
            socket: dialled.socket,
            heard_at: monotonic_millis(),
        }
    }

    /// Why the broker takes no messages at present, if so.
    pub fn blocked(&mut self) -> Option<&str> {
        while let Some(Some(event)) = self.events.0.next().now_or_never() {
            if let Event::ConnectionBlocked(why) = event {
                self.block = Some(why);
            }
        }
        if !self.connection.status().blocked() {
            self.block = None;
            return None;
        }
        Some(self.block.as_deref().unwrap_or("it does not say why"))
    }

    /// Something was answered.
    pub fn heard(&mut self) {
        self.heard_at = monotonic_millis();
    }

    /// Makes sure that the connection lives; asks, if nothing was heard for a while.
    pub async fn check(&mut self, until: &mut Until<'_>) -> Result<(), String> {
        if let Some(why) = &self.doubt {
            return Err(why.clone());
        }
        if !self.connection.status().connected() {
            return Err("the connection is closed".to_owned());
        }
        let idle = monotonic_millis().saturating_sub(self.heard_at) > IDLE;
        if idle && !self.connection.status().blocked() {
            let asked = async {
                let channel = self.lane(Lane::Together).await?;
                // Changes nothing, and is answered.
                let answer = channel
                    .confirm_select(ConfirmSelectOptions::default())
                    .await;
                answer.map_err(|error| error.to_string())
            };
            tokio::select! {
                answer = asked => answer?,
                () = until => return Err("the connection gives no answer".to_owned()),
            }
            self.heard();
        }
        Ok(())
    }

    /// The channel for messages that go `lane`, in confirm mode.
    pub async fn lane(&mut self, lane: Lane) -> Result<Arc<Channel>, String> {
        let kept = match lane {
            Lane::Together => &mut self.together,
            Lane::Alone => &mut self.alone,
        };
        if let Some(channel) = kept
            && channel.status().connected()
        {
            return Ok(Arc::clone(channel));
        }
        let open = async {
            let channel = self.connection.create_channel().await?;
            channel
                .confirm_select(ConfirmSelectOptions::default())
                .await?;
            Ok::<_, Error>(Arc::new(channel))
        };
        let channel = open.await.map_err(|error| error.to_string())?;
        *kept = Some(Arc::clone(&channel));
        Ok(channel)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A healthy connection is closed politely by the library; the others must not deliver
        // later what is not known to be delivered.
        if self.doubt.is_some() || !self.flights.is_empty() || self.connection.status().blocked() {
            self.socket.cut();
        }
    }
}
