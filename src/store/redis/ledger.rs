//! The ledger as hashes.

use std::collections::HashSet;
use std::sync::LazyLock;
use std::time::Duration;

use redis::{Script, Value};

use super::fire::text;
use super::keys::Keys;
use super::link::Link;
use super::records::{self, LOAD};
use super::replicas::Replicas;
use super::server::Dialer;
use crate::clock::Timestamp;
use crate::plan::Outcome;
use crate::store::{
    Claim, Ledger, Loaded, Paused, Reservation, Settlement, StoreError, Term, Unmarked, Write,
};
use crate::timetable::EntryName;

static ENROL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/enrol.lua")));
static PAUSE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/pause.lua")));
static REPAIR: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/repair.lua")));

/// Fields of a hash and their values, as they came.
type Fields = Vec<(Vec<u8>, Vec<u8>)>;

/// Entries recorded by one script: short enough not to hold up the server.
const ENROLLED: usize = 200;

/// Longest name and longest mark of what is paused that is kept in memory, bytes; longer ones are
/// nobody's entry and no leader's mark. They count in the store all the same.
const MOST_NAME: usize = 256;
const MOST_MARK: usize = 4_096;

/// The hashes of one scheduler.
#[derive(Debug)]
pub struct RedisLedger {
    link: Link,
    keys: Keys,
    instance: String,
    database: i64,
    replicas: Replicas,
    transacts: bool,
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
            replicas: Replicas::default(),
            transacts: false,
        }
    }

    /// Chunks after which too few replicas had what was fired, since this was last asked.
    pub fn take_shortfalls(&mut self) -> u64 {
        std::mem::take(&mut self.replicas.shortfalls)
    }

    /// Waits for `replicas` replicas (`store_wait_replicas`) after each chunk.
    #[must_use]
    pub fn wait_for(mut self, replicas: u32) -> Self {
        self.replicas = Replicas::new(replicas);
        self
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

    /// Number of the database that the keys are in.
    #[must_use]
    pub fn database(&self) -> i64 {
        self.database
    }

    /// Whether chunks may be sent as transactions.
    #[must_use]
    pub fn transacts(&self) -> bool {
        self.transacts
    }

    pub(super) fn set_transacts(&mut self, works: bool) {
        self.transacts = works;
    }

    pub(super) async fn replicated(&mut self, outcomes: &[Outcome]) {
        self.replicas.wait(&mut self.link, outcomes).await;
    }

    pub(super) fn holder(&self, term: Term) -> String {
        format!("{}/{term}", self.instance)
    }
}

fn field(value: Option<Timestamp>) -> String {
    value.map_or_else(String::new, |value| value.as_micros().to_string())
}

impl Ledger for RedisLedger {
    async fn load(&mut self, names: &[EntryName]) -> Result<Loaded, StoreError> {
        let mut loaded = Loaded::default();
        let mut pipe = redis::pipe();
        pipe.cmd("GET").arg(self.keys.birth());
        pipe.cmd("HGETALL").arg(self.keys.paused());
        let (birth, paused): (Option<Vec<u8>>, Fields) = self
            .link
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        loaded.birth = birth.map(|birth| String::from_utf8_lossy(&birth).into_owned());
        loaded.paused = paused
            .into_iter()
            .filter(|(name, mark)| name.len() <= MOST_NAME && mark.len() <= MOST_MARK)
            .filter_map(|(name, mark)| {
                let mark = String::from_utf8_lossy(&mark).into_owned();
                Some((String::from_utf8(name).ok()?, mark))
            })
            .collect();
        loaded.recorded = records::read(&mut self.link, &self.keys, names).await?;
        Ok(loaded)
    }

    async fn others(
        &mut self,
        names: &[EntryName],
    ) -> Result<Vec<(EntryName, String)>, StoreError> {
        let known: HashSet<&str> = names.iter().map(|name| &**name).collect();
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

    async fn pause(&mut self, term: Term, marks: &Paused) -> Result<(), StoreError> {
        let marks: Vec<(&String, &String)> = marks.iter().collect();
        for marks in marks.chunks(ENROLLED) {
            let mut call = PAUSE.prepare_invoke();
            call.key(self.keys.leader()).key(self.keys.paused());
            call.arg(self.holder(term));
            for (entry, mark) in marks {
                call.arg(entry).arg(mark);
            }
            let done: i64 = self
                .link
                .run(async |connection| call.invoke_async(connection).await)
                .await?;
            if done == -1 {
                return Err(StoreError::Deposed);
            }
        }
        Ok(())
    }

    async fn claim(&mut self, term: Term, items: &[Settlement]) -> Result<Vec<Claim>, StoreError> {
        self.claim_all(term, items).await
    }

    async fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        self.reserve_all(term, items).await
    }

    async fn unmarked(&mut self, term: Term) -> Result<Vec<Unmarked>, StoreError> {
        self.unmarked_by(term).await
    }

    async fn abandon(&mut self, term: Term, reservations: &[Unmarked]) -> Result<(), StoreError> {
        self.abandon_all(term, reservations).await
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
        call.key(self.keys.control()).arg("stream");
        call.key(self.keys.control_cursor()).arg("string");
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
