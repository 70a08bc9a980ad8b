//! What is said and asked without leading: presence, requests, status.

use std::collections::HashMap;
use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use tokio::time::sleep;

use super::keys::Keys;
use super::link::Link;
use super::server::Dialer;
use crate::plan::Recorded;
use crate::plan::record::parse_micros;
use crate::store::StoreError;
use crate::store::control::{Answer, Mark, Request, Verb};
use crate::store::presence::Presence;

static ANNOUNCE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/announce.lua")));

/// How often a command looks whether the leader has answered.
const LOOK: Duration = Duration::from_millis(50);

/// Everything the store holds of one scheduler.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// `<instance>/<term>`, while somebody leads.
    pub leader: Option<String>,
    /// The instances that said something.
    pub instances: Vec<Presence>,
    /// What is recorded of each entry.
    pub recorded: HashMap<String, Recorded>,
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

    /// Whether requests of operators wait.
    pub async fn has_requests(&mut self) -> Result<bool, StoreError> {
        let stream = self.keys.control();
        let waiting: i64 = self
            .link
            .run(async |connection| redis::cmd("XLEN").arg(stream).query_async(connection).await)
            .await?;
        Ok(waiting > 0)
    }

    /// Everything, for `status`.
    pub async fn snapshot(&mut self) -> Result<Snapshot, StoreError> {
        let (leader, instances) = self.instances().await?;
        let mut pipe = redis::pipe();
        for key in [
            self.keys.last(),
            self.keys.from(),
            self.keys.count(),
            self.keys.entries(),
            self.keys.paused(),
        ] {
            pipe.cmd("HGETALL").arg(key);
        }
        let [last, from, count, entries, paused]: [HashMap<String, String>; 5] = self
            .link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        let mut snapshot = Snapshot {
            leader,
            instances,
            ..Snapshot::default()
        };
        for (entry, text) in entries {
            let recorded = Recorded {
                last: last.get(&entry).and_then(|text| parse_micros(text)),
                from: from.get(&entry).and_then(|text| parse_micros(text)),
                count: count
                    .get(&entry)
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0),
                text,
            };
            snapshot.recorded.insert(entry, recorded);
        }
        for (entry, text) in paused {
            let unknown = || Mark {
                reason: text.clone(),
                by: String::new(),
                at: String::new(),
            };
            snapshot.paused.insert(
                entry,
                serde_json::from_str(&text).unwrap_or_else(|_| unknown()),
            );
        }
        Ok(snapshot)
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
