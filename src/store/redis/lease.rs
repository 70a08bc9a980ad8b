//! The lease as an expiring key.

use std::sync::LazyLock;
use std::time::Duration;

use futures_util::StreamExt;
use redis::Script;
use redis::aio::PubSub;
use tokio::time::timeout;

use super::keys::Keys;
use super::link::Link;
use super::server::Dialer;
use crate::clock::Timestamp;
use crate::store::{Campaign, FRESH, Lease, Renewal, StoreError, Term};

static CAMPAIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/campaign.lua")));
static RENEW: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/renew.lua")));
static RESIGN: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/resign.lua")));

/// `<prefix>leader`, on a connection of its own: a long commit must not delay a renewal.
pub struct RedisLease {
    link: Link,
    dialer: Dialer,
    keys: Keys,
    instance: String,
    /// Resignations; best effort, polling finds them as well.
    wakes: Option<PubSub>,
}

impl std::fmt::Debug for RedisLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLease")
            .field("instance", &self.instance)
            .finish_non_exhaustive()
    }
}

impl RedisLease {
    /// The lease of the scheduler with `keys`, as the instance called `instance` (without `/`).
    #[must_use]
    pub fn new(dialer: Dialer, keys: Keys, instance: String, deadline: Duration) -> Self {
        Self {
            link: Link::new(dialer.clone(), deadline),
            dialer,
            keys,
            instance,
            wakes: None,
        }
    }

    fn holder(&self, term: Term) -> String {
        format!("{}/{term}", self.instance)
    }

    async fn next_wake(&mut self) {
        if self.wakes.is_none() {
            self.wakes = self.dialer.subscribe(&self.keys.wake()).await.ok();
        }
        match &mut self.wakes {
            Some(wakes) => {
                if wakes.on_message().next().await.is_none() {
                    self.wakes = None;
                }
            }
            None => std::future::pending().await,
        }
    }
}

fn millis(ttl: Duration) -> u64 {
    u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX)
}

impl Lease for RedisLease {
    async fn campaign(&mut self, ttl: Duration, seen: Term) -> Result<Campaign, StoreError> {
        self.link.set_deadline(ttl / 3);
        let mut call = CAMPAIGN.prepare_invoke();
        call.key(self.keys.leader())
            .key(self.keys.term())
            .key(self.keys.birth());
        call.arg(&self.instance).arg(millis(ttl)).arg(seen.0);
        call.arg(FRESH);
        let (won, term, left, holder, repaired): (i64, u64, u64, String, String) = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        for key in repaired.split_whitespace() {
            tracing::warn!(
                event = "state_repaired",
                key,
                "a state key was not in its usual form and was replaced"
            );
        }
        if won == 1 {
            return Ok(Campaign::Won(Term(term)));
        }
        Ok(Campaign::Held {
            holder,
            term: Term(term),
            ends_in: Some(Duration::from_millis(left)),
        })
    }

    async fn renew(&mut self, term: Term, ttl: Duration) -> Result<Renewal, StoreError> {
        self.link.set_deadline(ttl / 3);
        let mut call = RENEW.prepare_invoke();
        call.key(self.keys.leader())
            .arg(self.holder(term))
            .arg(millis(ttl));
        let (held, seconds, micros): (i64, i64, i64) = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        if held == 0 {
            return Ok(Renewal::Lost);
        }
        let now = Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros));
        Ok(Renewal::Held(Some(now)))
    }

    async fn resign(&mut self, term: Term) -> Result<(), StoreError> {
        let mut call = RESIGN.prepare_invoke();
        call.key(self.keys.leader())
            .key(self.keys.wake())
            .arg(self.holder(term));
        let _: i64 = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        Ok(())
    }

    async fn wait(&mut self, limit: Duration) {
        // Either ending means: look again.
        let _ = timeout(limit, self.next_wake()).await;
    }
}
