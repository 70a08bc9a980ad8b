//! The right to lead, for a limited time.

use std::time::Duration;

use super::{StoreError, Term, file::FileLease, memory::MemoryLease, redis::RedisLease};
use crate::clock::Timestamp;

/// Outcome of standing for election.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Campaign {
    /// This instance leads.
    Won(Term),
    /// Somebody else does.
    Held {
        /// `<instance>/<term>` of the leader, as stored.
        holder: String,
        /// The leader's term; zero when the holder is not in the usual form.
        term: Term,
        /// When the lease ends unless it is renewed; `None` when it ends with its holder.
        ends_in: Option<Duration>,
    },
}

/// Outcome of prolonging the lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Prolonged; with the store's own wall clock, where it has one.
    Held(Option<Timestamp>),
    /// The lease is somebody else's or nobody's.
    Lost,
}

/// A time-limited right to fire. Every call is bounded by a third of the lease's duration.
pub trait Lease {
    /// Stands for election; `seen` is the highest term this instance knows of.
    fn campaign(
        &mut self,
        ttl: Duration,
        seen: Term,
    ) -> impl Future<Output = Result<Campaign, StoreError>> + Send;

    /// Prolongs the lease of `term`.
    fn renew(
        &mut self,
        term: Term,
        ttl: Duration,
    ) -> impl Future<Output = Result<Renewal, StoreError>> + Send;

    /// Gives the lease of `term` up and wakes the standbys.
    fn resign(&mut self, term: Term) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Waits until a leader resigns, at most `limit`; may return early.
    fn wait(&mut self, limit: Duration) -> impl Future<Output = ()> + Send;
}

/// The lease of whichever store is configured.
#[derive(Debug)]
pub enum AnyLease {
    /// In Redis.
    Redis(Box<RedisLease>),
    /// The lock of a file.
    File(FileLease),
    /// In this process.
    Memory(MemoryLease),
}

impl Lease for AnyLease {
    async fn campaign(&mut self, ttl: Duration, seen: Term) -> Result<Campaign, StoreError> {
        match self {
            Self::Redis(lease) => lease.campaign(ttl, seen).await,
            Self::File(lease) => lease.campaign(ttl, seen).await,
            Self::Memory(lease) => lease.campaign(ttl, seen).await,
        }
    }

    async fn renew(&mut self, term: Term, ttl: Duration) -> Result<Renewal, StoreError> {
        match self {
            Self::Redis(lease) => lease.renew(term, ttl).await,
            Self::File(lease) => lease.renew(term, ttl).await,
            Self::Memory(lease) => lease.renew(term, ttl).await,
        }
    }

    async fn resign(&mut self, term: Term) -> Result<(), StoreError> {
        match self {
            Self::Redis(lease) => lease.resign(term).await,
            Self::File(lease) => lease.resign(term).await,
            Self::Memory(lease) => lease.resign(term).await,
        }
    }

    async fn wait(&mut self, limit: Duration) {
        match self {
            Self::Redis(lease) => lease.wait(limit).await,
            Self::File(lease) => lease.wait(limit).await,
            Self::Memory(lease) => lease.wait(limit).await,
        }
    }
}
