//! Whether store and broker are one server: what is written through one link is read through the other.
//!
//! URLs do not tell: one server has many names, and a name may lead to another server tomorrow.

use redis::{RedisResult, Value};
use uuid::Uuid;

use crate::store::redis::{Link, LinkError, RedisLedger};

/// What a probe has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// The key was seen: one server.
    Seen,
    /// The key is certainly not there.
    Absent,
    /// The broker's user may not look.
    Forbidden,
}

/// Milliseconds that a probe key lives.
const LIFE: u64 = 10_000;

/// Writes a key through the link of `ledger` and looks for it through `broker`, which uses the
/// database `queues`.
pub async fn probe(
    ledger: &mut RedisLedger,
    broker: &mut Link,
    queues: i64,
) -> Result<Sight, LinkError> {
    let key = ledger.keys().probe(&Uuid::new_v4().simple().to_string());
    let database = ledger.database();
    let store = ledger.link();
    let write = redis::cmd("SET")
        .arg(&key)
        .arg(1)
        .arg("PX")
        .arg(LIFE)
        .take();
    store
        .run(async |connection| write.query_async::<()>(connection).await)
        .await?;

    let mut look = redis::pipe();
    look.ignore_errors();
    look.cmd("SELECT")
        .arg(database)
        .cmd("EXISTS")
        .arg(&key)
        .cmd("SELECT")
        .arg(queues);
    let replies: Vec<RedisResult<Value>> = broker
        .run(async |connection| look.query_async(connection).await)
        .await?;
    let mut replies = replies.into_iter();
    let (selected, seen, back) = (replies.next(), replies.next(), replies.next());
    if !matches!(back, Some(Ok(_))) {
        // The connection is in the wrong database now.
        broker.drop_connection();
    }
    match (selected, seen) {
        (Some(Err(error)), _) if error.to_string().contains("DB index is out of range") => {
            Ok(Sight::Absent)
        }
        (Some(Err(error)), _) | (_, Some(Err(error))) if error.code() == Some("NOPERM") => {
            Ok(Sight::Forbidden)
        }
        (Some(Err(error)), _) | (_, Some(Err(error))) => broker.judge(Ok(Err(error))),
        (Some(Ok(_)), Some(Ok(Value::Int(0)))) => Ok(Sight::Absent),
        (Some(Ok(_)), Some(Ok(Value::Int(_)))) => Ok(Sight::Seen),
        _ => Err(LinkError::Unavailable("a reply of another form".into())),
    }
}
