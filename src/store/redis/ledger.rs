//! The ledger as hashes, and the script that publishes and records in one step.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use redis::{Script, Value};

use super::keys::Keys;
use super::link::Link;
use super::server::Dialer;
use crate::clock::Timestamp;
use crate::plan::record::parse_micros;
use crate::plan::{Action, Outcome, Recorded, Rejection};
use crate::store::{Claim, Ledger, Loaded, Reservation, Settlement, StoreError, Term, Write};
use crate::timetable::EntryName;

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/commit.lua")));
static CLAIM: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/claim.lua")));
static ENROL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/enrol.lua")));
static REPAIR: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/repair.lua")));

/// Fields of a hash and their values, as they came.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Names asked for in one round trip.
const LOAD: usize = 1_000;
/// Entries recorded by one script: short enough not to hold up the server.
const ENROLLED: usize = 200;

/// What a fire does to the broker, inside the script that records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `LPUSH key message`.
    Push,
    /// `PUBLISH channel message`.
    Publish,
    /// `PEXPIRE key milliseconds`.
    Expire,
}

/// One command of a fire.
#[derive(Debug, Clone)]
pub struct Effect {
    /// The command.
    pub verb: Verb,
    /// Key or channel.
    pub key: Arc<str>,
    /// Message or milliseconds.
    pub argument: Arc<[u8]>,
}

/// A settlement with what it does to the broker.
#[derive(Debug)]
pub struct Item<'a> {
    /// What is recorded.
    pub settlement: &'a Settlement,
    /// What is published.
    pub effects: &'a [Effect],
}

/// The hashes of one scheduler.
#[derive(Debug)]
pub struct RedisLedger {
    link: Link,
    keys: Keys,
    instance: String,
    database: i64,
}

impl RedisLedger {
    /// The ledger of the scheduler with `keys` for the instance called `instance`.
    #[must_use]
    pub fn new(dialer: Dialer, keys: Keys, instance: String, deadline: Duration) -> Self {
        let database = dialer.database();
        Self {
            link: Link::new(dialer, deadline),
            keys,
            instance,
            database,
        }
    }

    /// The connection, for what else belongs on it.
    pub fn link(&mut self) -> &mut Link {
        &mut self.link
    }

    /// The names of the keys.
    #[must_use]
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(super) fn holder(&self, term: Term) -> String {
        format!("{}/{term}", self.instance)
    }

    /// Publishes and records in one step; `queues` is the number of the database they are in.
    pub async fn fire(
        &mut self,
        term: Term,
        queues: i64,
        items: &[Item<'_>],
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut call = COMMIT.prepare_invoke();
        call.key(self.keys.leader())
            .key(self.keys.last())
            .key(self.keys.from());
        call.key(self.keys.count())
            .key(self.keys.entries())
            .key(self.keys.paused());
        let mut places: HashMap<&str, usize> = HashMap::new();
        for effect in items.iter().flat_map(|item| item.effects) {
            let next = places.len() + 7;
            places.entry(&effect.key).or_insert_with(|| {
                call.key(&*effect.key);
                next
            });
        }
        call.arg(self.holder(term)).arg(self.database).arg(queues);
        for Item {
            settlement,
            effects,
        } in items
        {
            call.arg(&*settlement.entry)
                .arg(settlement.fire_time.as_micros());
            call.arg(if settlement.action == Action::Fire {
                "F"
            } else {
                "S"
            });
            call.arg(&settlement.record).arg(effects.len());
            for effect in *effects {
                call.arg(match effect.verb {
                    Verb::Push => "L",
                    Verb::Publish => "P",
                    Verb::Expire => "E",
                });
                call.arg(places.get(&*effect.key).copied().unwrap_or(0))
                    .arg(&*effect.argument);
            }
        }
        let reply: Value = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        outcomes(reply, items.len())
    }
}

/// Reads the reply of `commit.lua` or `claim.lua`; 0 is `Held` here and never returned by the former.
pub(super) fn outcomes(reply: Value, expected: usize) -> Result<Vec<Outcome>, StoreError> {
    let pairs = match reply {
        Value::Int(-1) => return Err(StoreError::Deposed),
        Value::Int(-2) => return Err(StoreError::Corrupt),
        Value::Array(pairs) if pairs.len() == 2 * expected => pairs,
        _ => return Err(StoreError::Ambiguous("a reply of another form".into())),
    };
    Ok(pairs
        .chunks_exact(2)
        .map(|pair| {
            let detail = text(&pair[1]);
            let count = detail.parse().unwrap_or(0);
            match &pair[0] {
                Value::Int(1) => Outcome::Fired(count),
                Value::Int(2) => Outcome::AlreadyDone(count),
                Value::Int(3) => Outcome::Superseded(parse_micros(&detail).unwrap_or_default()),
                Value::Int(4) => Outcome::Paused,
                Value::Int(5) => Outcome::Skipped,
                Value::Int(6) => Outcome::Rejected(Rejection(detail)),
                _ => Outcome::Held,
            }
        })
        .collect())
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}

fn field(value: Option<Timestamp>) -> String {
    value.map_or_else(String::new, |value| value.as_micros().to_string())
}

impl Ledger for RedisLedger {
    async fn load(&mut self, names: &[EntryName]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded {
            recorded: Vec::with_capacity(names.len()),
            ..Loaded::default()
        };
        let birth = self.keys.birth();
        loaded.birth = self
            .link
            .run(async |connection| redis::cmd("GET").arg(birth).query_async(connection).await)
            .await?;
        for names in names.chunks(LOAD) {
            let mut pipe = redis::pipe();
            for key in [
                self.keys.last(),
                self.keys.from(),
                self.keys.count(),
                self.keys.entries(),
            ] {
                let command = pipe.cmd("HMGET").arg(key);
                for name in names {
                    command.arg(&**name);
                }
            }
            let [last, from, count, entries]: [Vec<Option<Vec<u8>>>; 4] = self
                .link
                .run(async |connection| pipe.query_async(connection).await)
                .await?;
            let read = |values: &[Option<Vec<u8>>], place: usize| {
                let bytes = values.get(place).cloned().flatten().unwrap_or_default();
                String::from_utf8(bytes).unwrap_or_default()
            };
            for place in 0..names.len() {
                loaded.recorded.push(Recorded {
                    last: parse_micros(&read(&last, place)),
                    from: parse_micros(&read(&from, place)),
                    count: read(&count, place).parse().unwrap_or(0),
                    text: read(&entries, place),
                });
            }
        }
        loaded.others = self.others(names).await?;
        Ok(loaded)
    }

    async fn enrol(
        &mut self,
        term: Term,
        birth: Option<&str>,
        writes: &[Write],
    ) -> Result<Vec<usize>, StoreError> {
        let mut conflicts = Vec::new();
        let batches = writes.chunks(ENROLLED).collect::<Vec<_>>();
        let count = batches.len().max(1);
        for number in 0..count {
            let batch = batches.get(number).copied().unwrap_or_default();
            let mut call = ENROL.prepare_invoke();
            call.key(self.keys.leader())
                .key(self.keys.last())
                .key(self.keys.from());
            call.key(self.keys.count())
                .key(self.keys.entries())
                .key(self.keys.birth());
            // The mark is written last: without it the rest is done again.
            call.arg(self.holder(term))
                .arg(birth.filter(|_| number + 1 == count).unwrap_or(""));
            for write in batch {
                call.arg(&*write.entry).arg(&write.expected);
                call.arg(write.record.as_deref().unwrap_or("-"));
                call.arg(field(write.from)).arg(field(write.last));
                call.arg(
                    write
                        .count
                        .map_or_else(String::new, |count| count.to_string()),
                );
            }
            let reply: Value = self
                .link
                .run(async |connection| call.invoke_async(connection).await)
                .await?;
            let Value::Array(pairs) = reply else {
                return Err(StoreError::Deposed);
            };
            conflicts.extend(pairs.chunks_exact(2).filter_map(|pair| {
                match pair[0] {
                    Value::Int(place) => usize::try_from(place - 1)
                        .ok()
                        .map(|at| number * ENROLLED + at),
                    _ => None,
                }
            }));
        }
        Ok(conflicts)
    }

    async fn claim(&mut self, term: Term, items: &[Settlement]) -> Result<Vec<Claim>, StoreError> {
        let mut call = CLAIM.prepare_invoke();
        call.key(self.keys.leader())
            .key(self.keys.last())
            .key(self.keys.count());
        call.key(self.keys.paused()).arg(self.holder(term));
        for item in items {
            call.arg(&*item.entry).arg(item.fire_time.as_micros());
        }
        let reply: Value = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        let looked = outcomes(reply, items.len())?;
        Ok(looked
            .into_iter()
            .map(|outcome| match outcome {
                Outcome::Held => Claim::Publish,
                settled => Claim::Settled(settled),
            })
            .collect())
    }

    async fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        self.reserve_all(term, items).await
    }

    async fn commit(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        self.record(term, items).await
    }

    async fn repair(&mut self, term: Term) -> Result<Vec<String>, StoreError> {
        let mut call = REPAIR.prepare_invoke();
        call.key(self.keys.leader()).arg(self.holder(term));
        for key in [
            self.keys.last(),
            self.keys.from(),
            self.keys.count(),
            self.keys.entries(),
            self.keys.paused(),
            self.keys.reserved(),
        ] {
            call.key(key).arg("hash");
        }
        call.key(self.keys.birth()).arg("string");
        let reply: Value = self
            .link
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        match reply {
            Value::Array(keys) => Ok(keys.iter().map(text).collect()),
            _ => Err(StoreError::Deposed),
        }
    }
}

impl RedisLedger {
    /// Records of entries that are not among `names`: they left the schedule.
    async fn others(
        &mut self,
        names: &[EntryName],
    ) -> Result<Vec<(EntryName, String)>, StoreError> {
        let known: std::collections::HashSet<&str> = names.iter().map(|name| &**name).collect();
        let mut others = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let key = self.keys.entries();
            let (next, fields): (u64, Fields) = self
                .link
                .run(async |connection| {
                    redis::cmd("HSCAN")
                        .arg(key)
                        .arg(cursor)
                        .arg("COUNT")
                        .arg(LOAD)
                        .query_async(connection)
                        .await
                })
                .await?;
            for (name, record) in fields {
                if let (Ok(name), Ok(record)) = (String::from_utf8(name), String::from_utf8(record))
                    && !known.contains(name.as_str())
                {
                    others.push((name.into(), record));
                }
            }
            if next == 0 {
                return Ok(others);
            }
            cursor = next;
        }
    }
}
