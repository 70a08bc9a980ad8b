//! Requests of operators: a stream that the leader carries out, and an answer for each.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::{Script, Value};

use super::{Effect, RedisLedger, fire::text};
use crate::clock::Timestamp;
use crate::store::control::{Carried, Decision, Order, Request};
use crate::store::{StoreError, Term};

static CONTROL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("lua/control.lua")));

/// Requests read at once.
const AT_ONCE: usize = 16;

/// A stream entry: its id, and names and values of its fields.
type Row = (String, Vec<String>);

impl RedisLedger {
    /// The oldest requests that are not carried out yet, with the server's time.
    pub async fn waiting(&mut self) -> Result<(Vec<Request>, Timestamp), StoreError> {
        let stream = self.keys().control();
        let mut pipe = redis::pipe();
        pipe.cmd("XRANGE")
            .arg(stream)
            .arg("-")
            .arg("+")
            .arg("COUNT")
            .arg(AT_ONCE);
        pipe.cmd("TIME");
        let (rows, (seconds, micros)): (Vec<Row>, (i64, i64)) = self
            .link()
            .run(async |connection| pipe.query_async(connection).await)
            .await?;
        let requests = rows
            .into_iter()
            .map(|(id, fields)| Request::read(id, &fields))
            .collect();
        let now = Timestamp::from_micros(seconds.saturating_mul(1_000_000).saturating_add(micros));
        Ok((requests, now))
    }

    /// Carries `order` out and answers it; `effects` are what a trigger publishes into the database
    /// `queues`.
    pub async fn obey(
        &mut self,
        term: Term,
        order: &Order,
        queues: i64,
        effects: &[Effect<'_>],
    ) -> Result<Carried, StoreError> {
        let mut call = CONTROL.prepare_invoke();
        let keys = self.keys();
        call.key(keys.leader())
            .key(keys.control())
            .key(keys.control_cursor());
        call.key(keys.paused()).key(keys.reply(&order.id));
        let mut form = String::new();
        for (place, effect) in effects.iter().enumerate() {
            call.key(effect.key);
            let _ = write!(form, "{}{}", effect.verb.letter(), place + 6);
        }
        let (op, mark) = match &order.decision {
            Decision::Pause(mark) => ("P", mark.as_str()),
            Decision::Resume => ("R", ""),
            Decision::Publish => ("T", ""),
            Decision::Answer => ("A", ""),
        };
        call.arg(self.holder(term))
            .arg(&order.id)
            .arg(op)
            .arg(&order.entry)
            .arg(mark);
        call.arg(&order.answer).arg(&order.answer_if_all_paused);
        call.arg(self.database()).arg(queues).arg(form);
        for effect in effects {
            call.arg(effect.argument);
        }
        let reply: Value = self
            .link()
            .run(async |connection| call.invoke_async(connection).await)
            .await?;
        match reply {
            Value::Int(-1) => Err(StoreError::Deposed),
            Value::Int(0) => Ok(Carried::Before),
            Value::Int(1) => Ok(Carried::Now),
            Value::Int(2) => Ok(Carried::AllPaused),
            other => Ok(Carried::Refused(text(&other))),
        }
    }
}
