//! What is said and asked without leading: presence, requests, status.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{Script, Value};
use tokio::time::sleep;

use super::keys::Keys;
use super::link::Link;
use super::records;
use super::server::Dialer;
use crate::plan::Recorded;
use crate::store::StoreError;
use crate::store::control::{Answer, Mark, Request, Verb};
use crate::store::presence::Presence;
use crate::timetable::EntryName;

static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/announce.lua")));

/// How often a command looks whether the leader has answered.
const LOOK: Duration = Duration::from_millis(50);

/// What the store says of a scheduler as a whole.
#[derive(Debug, Default, Clone)]
pub struct Overview {
    /// `<instance>/<term>`, while somebody leads.
    pub leader: Option<String>,
    /// The instances that said something.
    pub instances: Vec<Presence>,
    /// Why entries, or `*`, are paused.
    pub paused: HashMap<String, Mark>,
}

/// A connection of somebody who does not lead.
#[derive(Debug)]
pub struct Remote {
    link: Link,
    keys: Keys,
}

impl Remote {
    /// For the scheduler with `keys`; each call takes at most `deadline`.
    #[must_use]
    pub fn new(dialer: Dialer, keys: Keys, deadline: Duration) -> Self {
        Self {
            link: Link::new(dialer, deadline),
            keys,
        }
    }

    /// Writes what `presence` says; returns the key when it was of another type and was replaced.
    pub async fn announce(&mut self, presence: &Presence) -> Result<Option<String>, StoreError> {
        let text = serde_json::to_string(presence).unwrap_or_default();
        let key = self.keys.instances();
        let mut call = ANNOUNCE.prepare_invoke();
        call.key(&key).arg(&presence.instance).arg(text);
        let replaced: i64 = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        Ok((replaced == 1).then_some(key))
    }

    /// How often a connection was established: a changed number means a new connection, perhaps to
    /// another server.
    #[must_use]
    pub fn dials(&self) -> u64 {
        self.link.dials()
    }

    /// What the server does when its memory is full (`maxmemory-policy`); `None` when it does not
    /// tell, or not to this user.
    pub async fn eviction_policy(&mut self) -> Option<String> {
        let info: Result<String, _> = self
            .link
            .run(async |connection| {
                redis::cmd("INFO")
                    .arg("memory")
                    .query_async(connection)
                    .await
            })
            .await;
        info.ok()?
            .lines()
            .find_map(|line| line.strip_prefix("maxmemory_policy:"))
            .map(|policy| policy.trim().chars().take(32).collect())
    }

    /// Removes what instances said that are gone.
    pub async fn withdraw(&mut self, instances: &[String]) -> Result<(), StoreError> {
        let key = self.keys.instances();
        let call = async |connection: &mut _| {
            redis::cmd("HDEL")
                .arg(key)
                .arg(instances)
                .query_async::<()>(connection)
                .await
        };
        Ok(self.link.run(call).await?)
    }

    /// Who leads, and what every instance says.
    pub async fn instances(&mut self) -> Result<(Option<String>, Vec<Presence>), StoreError> {
        let (leader, instances) = (self.keys.leader(), self.keys.instances());
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(leader).cmd("HGETALL").arg(instances);
        let (leader, said): (Option<String>, HashMap<String, String>) = self
            .link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        let mut instances: Vec<Presence> = said
            .into_iter()
            .filter(|(_, text)| text.len() <= 4_096)
            .filter_map(|(instance, text)| {
                let presence: Presence = serde_json::from_str(&text).ok()?;
                Some(Presence {
                    instance,
                    ..presence
                })
            })
            .collect();
        instances.sort_by(|a, b| a.instance.cmp(&b.instance));
        Ok((leader, instances))
    }

    /// Whether requests of operators wait; the server holds the answer back until one does, or for
    /// half the deadline. For a connection on which nothing else is asked.
    pub async fn has_requests(&mut self) -> Result<bool, StoreError> {
        let stream = self.keys.control();
        let patience = u64::try_from(self.link.deadline().as_millis() / 2).unwrap_or(u64::MAX);
        let mut read = redis::cmd("XREAD");
        // Those that were carried out are deleted: whatever comes after the beginning waits. Zero
        // would be for ever.
        read.arg("COUNT").arg(1).arg("BLOCK").arg(patience.max(1));
        read.arg("STREAMS").arg(stream).arg("0");
        let first: Value = self
            .link
            .run(async |connection| read.query_async(connection).await)
            .await?;
        Ok(first != Value::Nil)
    }

    /// Who leads, which instances there are, what is paused.
    pub async fn overview(&mut self) -> Result<Overview, StoreError> {
        let (leader, instances) = self.instances().await?;
        let key = self.keys.paused();
        let marks: HashMap<String, String> = self
            .link
            .run(async |connection| redis::cmd("HGETALL").arg(key).query_async(connection).await)
            .await?;
        let mut overview = Overview {
            leader,
            instances,
            ..Overview::default()
        };
        for (entry, text) in marks {
            overview.paused.insert(entry, Mark::read(&text));
        }
        Ok(overview)
    }

    /// What is recorded of `names`, one for each, in the same order.
    pub async fn recorded(&mut self, names: &[EntryName]) -> Result<Vec<Recorded>, StoreError> {
        records::read(&mut self.link, &self.keys, names).await
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
        let stream = self.keys.control();
        let fields = Request::fields(verb, entry, reason, by);
        let id: String = self
            .link
            .run(async |connection| {
                redis::cmd("XADD")
                    .arg(&stream)
                    .arg("*")
                    .arg(&fields)
                    .query_async(connection)
                    .await
            })
            .await?;
        let reply = self.keys.reply(&id);
        let looks = patience.as_millis() / LOOK.as_millis();
        for _ in 0..looks {
            sleep(LOOK).await;
            if let Some(answer) = self.answer(&reply).await? {
                return Ok(Some(answer));
            }
        }
        let withdrawn: i64 = self
            .link
            .run(async |connection| {
                redis::cmd("XDEL")
                    .arg(&stream)
                    .arg(&id)
                    .query_async(connection)
                    .await
            })
            .await?;
        // Carried out in this very moment.
        if withdrawn == 0 {
            self.answer(&reply).await
        } else {
            Ok(None)
        }
    }

    async fn answer(&mut self, key: &str) -> Result<Option<Answer>, StoreError> {
        let text: Option<String> = self
            .link
            .run(async |connection| redis::cmd("GET").arg(key).query_async(connection).await)
            .await?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}
