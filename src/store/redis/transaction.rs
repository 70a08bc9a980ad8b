//! The quick way for plain fires: pushes, and the script that keeps or takes them back, in one
//! transaction.
//!
//! A message that passes through a script is hashed and copied by Lua, which costs Redis more than
//! the push itself. So the messages are pushed beside the script, before it: `keep.lua` records the
//! chunk when all is plainly in order, else it removes what was pushed before anybody could see it,
//! and the chunk is sent again by [`RedisLedger::fire`], which knows every case.
//!
//! A push must never stay without its record. The script is sent with its text, so it cannot be
//! missing. The commands it may need are queued before the pushes on the same keys, without effect:
//! where a user may not call them, the server refuses the whole transaction. And a connection is
//! trusted with it only after [`RedisLedger::rehearse`].

use std::sync::LazyLock;

use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use uuid::Uuid;

use super::fire::fired;
use super::ledger::RedisLedger;
use super::link::LinkError;
use crate::plan::Outcome;
use crate::store::{Settlement, StoreError, Term};

/// The script as it is sent each time: without comments.
static KEEP: LazyLock<String> = LazyLock::new(|| {
    let lines = include_str!("lua/keep.lua").lines().map(str::trim);
    let code: Vec<&str> = lines.filter(|line| !line.starts_with("--")).collect();
    code.join("\n")
});

/// An index that no list reaches.
const BEYOND: i64 = i64::MAX;

type Replies = Vec<RedisResult<Value>>;

/// The messages of a chunk, by queue.
#[derive(Debug)]
pub struct Pushes {
    /// Messages in all, for the first queue's room: mostly there is no other.
    expected: usize,
    list: Vec<Push>,
}

#[derive(Debug)]
struct Push {
    queue: String,
    command: Cmd,
    count: usize,
    /// Contained in the last message, and in no other that was ever sent.
    tag: Uuid,
}

impl Pushes {
    /// Of so many messages.
    #[must_use]
    pub fn of(expected: usize) -> Self {
        Self {
            expected,
            list: Vec::new(),
        }
    }

    /// Adds a message; `tag` is contained in it, and in no other that was ever sent.
    pub fn add(&mut self, queue: &str, message: &[u8], tag: Uuid) {
        let place = self.list.iter().rposition(|push| push.queue == queue);
        let place = place.unwrap_or_else(|| {
            let expected = std::mem::take(&mut self.expected);
            let bytes = expected * (message.len() + 32);
            let mut command = Cmd::with_capacity(2 + expected, bytes);
            command.arg("LPUSH").arg(queue);
            self.list.push(Push {
                queue: queue.to_owned(),
                command,
                count: 0,
                tag,
            });
            self.list.len() - 1
        });
        let push = &mut self.list[place];
        push.command.arg(message);
        push.count += 1;
        push.tag = tag;
    }
}

/// A chunk on its way.
#[derive(Debug)]
pub struct Flight {
    items: usize,
    reply: JoinHandle<Result<RedisResult<Replies>, Elapsed>>,
}

impl RedisLedger {
    /// Sends `pushes` off, one for each of `settlements`, which are fires of different entries.
    /// Others may follow before they land; the server takes them in order.
    pub async fn launch(
        &mut self,
        term: Term,
        pushes: Pushes,
        settlements: &[Settlement],
    ) -> Result<Flight, StoreError> {
        let call = self.transaction(&self.holder(term), pushes, settlements);
        let mut connection = self.link().connect().await?;
        let deadline = self.link().deadline();
        let reply = async move { call.query_async(&mut connection).await };
        Ok(Flight {
            items: settlements.len(),
            reply: tokio::spawn(tokio::time::timeout(deadline, reply)),
        })
    }

    /// What became of a chunk; `None` when nothing did, and [`RedisLedger::fire`] is to say why.
    pub async fn land(&mut self, flight: Flight) -> Result<Option<Vec<Outcome>>, StoreError> {
        let replies = match flight.reply.await {
            Ok(replies) => self.link().judge(replies)?,
            Err(error) => return Err(LinkError::Ambiguous(error.to_string()).into()),
        };
        if matches!(replies.first(), Some(Err(_))) {
            // Carried out command by command: this once, and not again.
            self.set_transacts(false);
        }
        let outcomes = match verdict(replies) {
            Ok(Value::BulkString(counts)) => fired(&counts, flight.items),
            Ok(Value::Nil) => return Ok(None),
            Ok(Value::ServerError(error)) => {
                return Err(StoreError::Ambiguous(RedisError::from(error).to_string()));
            }
            Ok(_) => None,
            Err(refused) => {
                let judged = self.link().judge(Ok(Err(refused)));
                // Perhaps the transaction was begun and not ended.
                self.link().drop_connection();
                return match judged {
                    // The user may not do it; perhaps it may run the script alone.
                    Err(LinkError::Refused(_)) => {
                        self.set_transacts(false);
                        Ok(None)
                    }
                    Err(error) => Err(error.into()),
                    Ok(()) => Ok(None),
                };
            }
        };
        let Some(outcomes) = outcomes else {
            return Err(StoreError::Ambiguous("a reply of another form".into()));
        };
        self.replicated(&outcomes).await;
        Ok(Some(outcomes))
    }

    /// Finds out whether this connection's server and user do transactions as they are needed, by
    /// one whose push has to be taken back; and makes the ledger quick to search.
    pub async fn rehearse(&mut self) -> Result<bool, LinkError> {
        let tag = Uuid::new_v4();
        let key = self.keys().probe(&tag.simple().to_string());
        let mut pushes = Pushes::of(1);
        pushes.add(&key, tag.to_string().as_bytes(), tag);
        let mut call = self.transaction("nobody", pushes, &[]);
        call.cmd("EXISTS").arg(&key).cmd("DEL").arg(&key);
        let mut replies: Replies = self
            .link()
            .run(async |connection| call.query_async(connection).await)
            .await?;
        replies.pop();
        let gone = matches!(replies.pop(), Some(Ok(Value::Int(0))));
        let began = matches!(replies.first(), Some(Ok(_)));
        let works = began && gone && matches!(verdict(replies), Ok(Value::Nil));
        self.set_transacts(works);
        if works {
            self.make_tables().await?;
        } else {
            // Perhaps the transaction was begun and not ended.
            self.link().drop_connection();
        }
        Ok(works)
    }

    /// Makes tables of small hashes, see `keep.lua`: after a restart of the server they are lists again.
    async fn make_tables(&mut self) -> Result<(), LinkError> {
        let long = "-".repeat(512);
        let mut pipe = Pipeline::new();
        pipe.ignore_errors();
        pipe.cmd("MULTI");
        for hash in [self.keys().last(), self.keys().count()] {
            pipe.cmd("HSET").arg(&hash).arg(&long).arg("");
            pipe.cmd("HDEL").arg(&hash).arg(&long);
        }
        pipe.cmd("EXEC");
        // Where it is refused, scripts take longer; what is wrong with a key is told by whoever needs it.
        let done: Result<Replies, LinkError> = self
            .link()
            .run(async |connection| pipe.query_async(connection).await)
            .await;
        done.map(drop)
    }

    fn transaction(&self, holder: &str, pushes: Pushes, settlements: &[Settlement]) -> Pipeline {
        let pushes = pushes.list;
        let state = self.keys();
        let mut keep = Cmd::with_capacity(
            12 + 3 * pushes.len() + 3 * settlements.len(),
            KEEP.len() + 256 + 256 * settlements.len(),
        );
        keep.arg("EVAL").arg(&*KEEP).arg(5 + pushes.len());
        keep.arg(state.leader()).arg(state.last());
        keep.arg(state.count())
            .arg(state.entries())
            .arg(state.paused());
        for push in &pushes {
            keep.arg(&push.queue);
        }
        let mut times: Vec<i64> = settlements
            .iter()
            .map(|settlement| settlement.fire_time.as_micros())
            .collect();
        if times.iter().all(|time| *time == times[0]) {
            times.truncate(1);
        }
        keep.arg(holder).arg(settlements.len()).arg(times.len());
        let mut buffer = Uuid::encode_buffer();
        for push in &pushes {
            keep.arg(push.count)
                .arg(&*push.tag.hyphenated().encode_lower(&mut buffer));
        }
        for settlement in settlements {
            keep.arg(&*settlement.entry).arg(&settlement.record);
        }
        keep.arg(times);

        let mut pipe = Pipeline::with_capacity(4 + 3 * pushes.len());
        pipe.ignore_errors();
        pipe.cmd("MULTI");
        for push in pushes {
            pipe.cmd("LTRIM").arg(&push.queue).arg(0).arg(-1);
            pipe.cmd("LINDEX").arg(&push.queue).arg(BEYOND);
            pipe.add_command(push.command);
        }
        pipe.add_command(keep);
        pipe.cmd("EXEC");
        pipe
    }
}

/// What the script of a transaction returned; an error when nothing was done.
fn verdict(mut replies: Replies) -> RedisResult<Value> {
    let executed = replies.pop();
    let mut replies = replies.into_iter();
    // Without its first command the others were carried out one by one.
    if let Some(Err(error)) = replies.next() {
        return replies.next_back().unwrap_or(Err(error));
    }
    match executed {
        Some(Ok(Value::Array(mut results))) => Ok(results.pop().unwrap_or(Value::Okay)),
        // The reason is with the command that was not queued.
        Some(Err(error)) => Err(replies.find_map(Result::err).unwrap_or(error)),
        Some(Ok(value)) => Ok(value),
        None => Ok(Value::Okay),
    }
}
