//! The ledger of messages that are published elsewhere: asked or reserved before, recorded after.

use std::sync::LazyLock;

use redis::{Script, Value};

use super::RedisLedger;
use super::fire::{outcomes, text};
use crate::plan::{Action, Outcome};
use crate::store::{Claim, Reservation, Settlement, StoreError, Term, Unmarked};

static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/claim.lua")));
static RESERVE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/reserve.lua")));
static ABANDON: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/abandon.lua")));
static RECORD: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/record.lua")));

/// Most items of one script: a longer one would hold up the server. What parts before have done is
/// found done when all is sent again.
const PART: usize = 128;
/// Longest reservation that is one of ours, bytes.
const LONGEST: usize = 512;

impl RedisLedger {
    /// See [`crate::store::Ledger::claim`].
    pub(super) async fn claim_all(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::with_capacity(items.len());
        for part in items.chunks(PART) {
            claims.extend(self.claim_part(term, part).await?);
        }
        Ok(claims)
    }

    async fn claim_part(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Claim>, StoreError> {
        let holder = self.holder(term);
        let keys = self.keys();
        let mut call = CLAIM.prepare_invoke();
        call.key(keys.leader()).key(keys.last()).key(keys.count());
        call.key(keys.paused()).arg(holder);
        for item in items {
            call.arg(&*item.entry).arg(item.fire_time.as_micros());
        }
        let reply: Value = self
            .link()
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        let claims = outcomes(reply, items.len())?.into_iter();
        Ok(claims
            .map(|outcome| match outcome {
                Outcome::Held => Claim::Publish,
                settled => Claim::Settled(settled),
            })
            .collect())
    }

    /// See [`crate::store::Ledger::reserve`].
    pub(super) async fn reserve_all(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        let mut claims = Vec::with_capacity(items.len());
        for part in items.chunks(PART) {
            claims.extend(self.reserve_part(term, part).await?);
        }
        Ok(claims)
    }

    async fn reserve_part(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        let holder = self.holder(term);
        let keys = self.keys();
        let mut call = RESERVE.prepare_invoke();
        call.key(keys.leader()).key(keys.last()).key(keys.count());
        call.key(keys.paused()).key(keys.reserved()).arg(holder);
        for item in items {
            call.arg(&*item.entry).arg(item.fire_time.as_micros());
            call.arg(&item.overwrite);
        }
        let reply: Value = self
            .link()
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        let unmarked: Vec<Option<String>> = match &reply {
            Value::Array(values) => values.chunks_exact(2).map(unmarked).collect(),
            _ => Vec::new(),
        };
        let settled = outcomes(reply, items.len())?;
        Ok(unmarked
            .into_iter()
            .zip(settled)
            .map(|claim| match claim {
                (Some(text), _) => Claim::Unmarked(text),
                (None, Outcome::Fired(_)) => Claim::Publish,
                (None, settled) => Claim::Settled(settled),
            })
            .collect())
    }

    /// See [`crate::store::Ledger::unmarked`].
    pub(super) async fn unmarked_by(&mut self, term: Term) -> Result<Vec<Unmarked>, StoreError> {
        let (key, own) = (self.keys().reserved(), format!(" {}", self.holder(term)));
        let all: Vec<(Vec<u8>, Vec<u8>)> = self
            .link()
            .run(async |connection| redis::cmd("HGETALL").arg(key).query_async(connection).await)
            .await?;
        let texts = all
            .into_iter()
            .filter(|(_, text)| text.len() <= LONGEST)
            .filter_map(|(entry, text)| {
                let entry = String::from_utf8(entry).ok()?;
                Some((entry.into(), String::from_utf8(text).ok()?))
            });
        Ok(texts.filter(|(_, text)| !text.ends_with(&own)).collect())
    }

    /// See [`crate::store::Ledger::abandon`].
    pub(super) async fn abandon_all(
        &mut self,
        term: Term,
        reservations: &[Unmarked],
    ) -> Result<(), StoreError> {
        for part in reservations.chunks(PART) {
            let holder = self.holder(term);
            let mut call = ABANDON.prepare_invoke();
            call.key(self.keys().leader()).key(self.keys().reserved());
            call.arg(holder);
            for (entry, text) in part {
                call.arg(&**entry).arg(text);
            }
            let done: i64 = self
                .link()
                .run(async |connection| call.invoke_async(connection).await)
                .await?;
            if done == -1 {
                return Err(StoreError::Deposed);
            }
        }
        Ok(())
    }

    /// See [`crate::store::Ledger::commit`].
    pub(super) async fn record(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut outcomes = Vec::with_capacity(items.len());
        for part in items.chunks(PART) {
            outcomes.extend(self.record_part(term, part).await?);
        }
        Ok(outcomes)
    }

    async fn record_part(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        let holder = self.holder(term);
        let keys = self.keys();
        let mut call = RECORD.prepare_invoke();
        call.key(keys.leader()).key(keys.last()).key(keys.from());
        call.key(keys.count())
            .key(keys.entries())
            .key(keys.paused());
        call.key(keys.reserved()).arg(holder);
        for item in items {
            call.arg(&*item.entry).arg(item.fire_time.as_micros());
            call.arg(match item.action {
                Action::Fire => "P",
                Action::Skip => "S",
            });
            call.arg(&item.record);
        }
        let reply: Value = self
            .link()
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        let outcomes = outcomes(reply, items.len())?;
        self.replicated(&outcomes).await;
        Ok(outcomes)
    }
}

/// The reservation that stands in the way, when a reply names one.
fn unmarked(pair: &[Value]) -> Option<String> {
    matches!(pair.first(), Some(Value::Int(8))).then(|| pair.get(1).map(text).unwrap_or_default())
}
