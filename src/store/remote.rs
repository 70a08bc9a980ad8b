//! What is said and asked without leading, whatever the store is.

use std::time::Duration;

use super::StoreError;
use super::control::{Answer, Mark, Verb};
use super::file::FileStore;
use super::file::desk::Standing;
use super::file::socket::FileRemote;
use super::presence::Presence;
use super::redis::{Overview, Remote};
use crate::plan::Recorded;
use crate::timetable::EntryName;

/// A line to the store of somebody who does not lead.
#[derive(Debug)]
pub enum AnyRemote {
    /// A connection to Redis.
    Redis(Box<Remote>),
    /// A file that this process holds, or waits for.
    Here(FileStore),
    /// A file that another process holds.
    There(FileRemote),
}

impl AnyRemote {
    /// Writes what `presence` says; returns the key when it was of another type and was replaced.
    pub async fn announce(&mut self, presence: &Presence) -> Result<Option<String>, StoreError> {
        match self {
            Self::Redis(remote) => remote.announce(presence).await,
            Self::Here(store) => {
                store.announce(presence);
                Ok(None)
            }
            Self::There(_) => Ok(None),
        }
    }

    /// Removes what instances said that are gone. Of a file there is only what its holder says.
    pub async fn withdraw(&mut self, instances: &[String]) -> Result<(), StoreError> {
        match self {
            Self::Redis(remote) => remote.withdraw(instances).await,
            Self::Here(_) | Self::There(_) => Ok(()),
        }
    }

    /// Who leads, and what every instance says.
    pub async fn instances(&mut self) -> Result<(Option<String>, Vec<Presence>), StoreError> {
        match self {
            Self::Redis(remote) => remote.instances().await,
            Self::Here(store) => {
                let (leader, presence) = store.holder();
                Ok((leader, presence.into_iter().collect()))
            }
            Self::There(remote) => {
                let overview = overview(remote.standing().await?);
                Ok((overview.leader, overview.instances))
            }
        }
    }

    /// See [`Remote::dials`].
    #[must_use]
    pub fn dials(&self) -> u64 {
        match self {
            Self::Redis(remote) => remote.dials(),
            Self::Here(_) | Self::There(_) => 0,
        }
    }

    /// See [`Remote::eviction_policy`].
    pub async fn eviction_policy(&mut self) -> Option<String> {
        match self {
            Self::Redis(remote) => remote.eviction_policy().await,
            Self::Here(_) | Self::There(_) => None,
        }
    }

    /// Who leads, which instances there are, what is paused.
    pub async fn overview(&mut self) -> Result<Overview, StoreError> {
        match self {
            Self::Redis(remote) => remote.overview().await,
            Self::Here(store) => Ok(overview(store.standing().unwrap_or_default())),
            Self::There(remote) => Ok(overview(remote.standing().await?)),
        }
    }

    /// What is recorded of `names`, one for each, in the same order.
    pub async fn recorded(&mut self, names: &[EntryName]) -> Result<Vec<Recorded>, StoreError> {
        let mut standing = match self {
            Self::Redis(remote) => return remote.recorded(names).await,
            Self::Here(store) => store.standing().unwrap_or_default(),
            Self::There(remote) => remote.standing().await?,
        };
        let row = |name: &EntryName| standing.recorded.remove(&**name).unwrap_or_default();
        Ok(names.iter().map(row).map(Recorded::from).collect())
    }

    /// Asks the leader and waits for its answer; withdraws the request and returns `None` when
    /// there is none within `patience`.
    pub async fn ask(
        &mut self,
        verb: Verb,
        entry: &str,
        reason: &str,
        by: &str,
        patience: Duration,
    ) -> Result<Option<Answer>, StoreError> {
        match self {
            Self::Redis(remote) => remote.ask(verb, entry, reason, by, patience).await,
            Self::There(remote) => remote.ask(verb, entry, reason, by, patience).await,
            Self::Here(_) => Err(StoreError::Unavailable(
                "a process does not ask itself".into(),
            )),
        }
    }
}

fn overview(standing: Standing) -> Overview {
    let instances = standing.instances.into_iter();
    let marks = standing.paused.into_iter();
    Overview {
        leader: standing.leader,
        instances: instances
            .map(|(instance, presence)| Presence {
                instance,
                ..presence
            })
            .collect(),
        paused: marks
            .map(|(entry, text)| (entry, Mark::read(&text)))
            .collect(),
    }
}
