//! The script that publishes and records in one step, and how a chunk becomes its call.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::{Cmd, ErrorKind, Script, ServerErrorKind, Value};

use super::ledger::RedisLedger;
use crate::plan::record::parse_micros;
use crate::plan::{Action, Outcome, Rejection};
use crate::store::{Settlement, StoreError, Term};

static COMMIT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/commit.lua")));

/// What a fire does to the broker, inside the script that records it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// `LPUSH key message`.
    Push,
    /// `PUBLISH channel message`.
    Publish,
    /// `PEXPIRE key milliseconds`; comes after the message, its errors are ignored.
    Expire,
    /// `PUBLISH channel event`; comes after the message, its errors are ignored.
    Notify,
    /// Refuses the message; the argument says why.
    Refuse,
}

impl Verb {
    pub(super) fn letter(self) -> char {
        match self {
            Self::Push => 'L',
            Self::Publish => 'P',
            Self::Expire => 'E',
            Self::Notify => 'N',
            Self::Refuse => 'X',
        }
    }
}

/// One command of a fire.
#[derive(Debug, Clone, Copy)]
pub struct Effect<'a> {
    /// The command.
    pub verb: Verb,
    /// Key or channel.
    pub key: &'a str,
    /// Message or milliseconds.
    pub argument: &'a [u8],
}

/// A settlement with what it does to the broker.
#[derive(Debug)]
pub struct Item<'a> {
    /// What is recorded.
    pub settlement: &'a Settlement,
    /// What is published, in this order.
    pub effects: &'a [Effect<'a>],
}

impl RedisLedger {
    /// Publishes and records in one script; `queues` is the number of the database they are in.
    pub async fn fire(
        &mut self,
        term: Term,
        queues: i64,
        items: &[Item<'_>],
    ) -> Result<Vec<Outcome>, StoreError> {
        let call = self.call(term, queues, items);
        let reply = self
            .link()
            .run(
                async |connection| match call.query_async(connection).await {
                    Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                        COMMIT.load_async(connection).await?;
                        call.query_async(connection).await
                    }
                    reply => reply,
                },
            )
            .await?;
        let outcomes = outcomes(reply, items.len())?;
        self.replicated(&outcomes).await;
        Ok(outcomes)
    }

    /// The call of the script: keys first, then the items one after the other.
    fn call(&self, term: Term, queues: i64, items: &[Item<'_>]) -> Cmd {
        let state = self.keys();
        let mut keys = Keys::default();
        let effects = || items.iter().flat_map(|item| item.effects);
        for effect in effects() {
            keys.place(effect);
        }
        let bytes: usize = effects().map(|effect| effect.argument.len() + 8).sum();
        let arguments = 3 + 6 + keys.list.len() + 3 + 4 * items.len() + effects().count();
        let mut call = Cmd::with_capacity(arguments, bytes + 400 * items.len() + 512);
        call.arg("EVALSHA")
            .arg(COMMIT.get_hash())
            .arg(6 + keys.list.len());
        call.arg(state.leader()).arg(state.last()).arg(state.from());
        call.arg(state.count())
            .arg(state.entries())
            .arg(state.paused());
        for key in &keys.list {
            call.arg(key);
        }
        call.arg(self.holder(term)).arg(self.database()).arg(queues);
        let mut form = String::new();
        for Item {
            settlement,
            effects,
        } in items
        {
            call.arg(&*settlement.entry)
                .arg(settlement.fire_time.as_micros());
            form.clear();
            form.push(if settlement.action == Action::Fire {
                'F'
            } else {
                'S'
            });
            for effect in *effects {
                form.push(effect.verb.letter());
                let _ = write!(form, "{}", keys.place(effect));
            }
            call.arg(&form).arg(&settlement.record);
            for effect in *effects {
                call.arg(effect.argument);
            }
        }
        call
    }
}

/// The queues and channels of a chunk, each once, and their places among the script's keys.
#[derive(Default)]
struct Keys<'a> {
    list: Vec<&'a str>,
    places: HashMap<&'a str, usize>,
    /// The last one asked for: neighbours mostly share a queue.
    last: Option<(&'a str, usize)>,
}

impl<'a> Keys<'a> {
    fn place(&mut self, effect: &Effect<'a>) -> usize {
        if effect.verb == Verb::Refuse {
            return 1;
        }
        if let Some((key, place)) = self.last
            && key == effect.key
        {
            return place;
        }
        let place = *self.places.entry(effect.key).or_insert_with(|| {
            self.list.push(effect.key);
            self.list.len() + 6
        });
        self.last = Some((effect.key, place));
        place
    }
}

/// Reads the reply of `commit.lua` or `claim.lua`; 0 is `Held` here and never returned by the former.
/// Text instead of pairs says that all was fired, and how often: one value is read many times faster
/// than two for each item.
pub(super) fn outcomes(reply: Value, expected: usize) -> Result<Vec<Outcome>, StoreError> {
    let pairs = match reply {
        Value::Int(-1) => return Err(StoreError::Deposed),
        Value::Int(-2) => return Err(StoreError::Corrupt),
        Value::Array(pairs) if pairs.len() == 2 * expected => pairs,
        Value::BulkString(counts) => {
            return fired(&counts, expected)
                .ok_or_else(|| StoreError::Ambiguous("a reply of another form".into()));
        }
        _ => return Err(StoreError::Ambiguous("a reply of another form".into())),
    };
    Ok(pairs
        .chunks_exact(2)
        .map(|pair| {
            let count = || match &pair[1] {
                Value::Int(count) => u64::try_from(*count).unwrap_or(0),
                other => text(other).parse().unwrap_or(0),
            };
            let detail = || text(&pair[1]);
            match &pair[0] {
                Value::Int(1) => Outcome::Fired(count()),
                Value::Int(2) => Outcome::AlreadyDone(count()),
                Value::Int(3) => Outcome::Superseded(parse_micros(&detail()).unwrap_or_default()),
                Value::Int(4) => Outcome::Paused,
                Value::Int(5) => Outcome::Skipped,
                Value::Int(6) => Outcome::Rejected(Rejection(detail())),
                _ => Outcome::Held,
            }
        })
        .collect())
}

/// The counts that a script returned as one text.
pub(super) fn fired(counts: &[u8], expected: usize) -> Option<Vec<Outcome>> {
    let counts = std::str::from_utf8(counts).ok()?.split(' ');
    let outcomes: Option<Vec<Outcome>> = counts
        .map(|count| Some(Outcome::Fired(count.parse().ok()?)))
        .collect();
    outcomes.filter(|outcomes| outcomes.len() == expected)
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Int(number) => number.to_string(),
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        _ => String::new(),
    }
}
