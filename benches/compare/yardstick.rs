//! What the same client libraries do with the same bytes when nothing is recorded.

use std::time::Duration;

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use redis::Commands;

use super::support::servers::Redis;
use super::support::wait::now;

/// Commands in one pipeline, messages in one confirmed batch: more does not make either faster.
const DEPTH: usize = 1_000;
/// Messages in one script.
const SCRIPT: usize = 128;

/// The messages that lie in the queue, at most `most`.
pub fn bodies(redis: &Redis, most: usize) -> Vec<Vec<u8>> {
    let last = isize::try_from(most).unwrap_or(isize::MAX) - 1;
    redis
        .connect()
        .lrange("celery", 0, last)
        .expect("redis answers")
}

/// Messages a second of `redis-rs`: one `LPUSH` each, in pipelines.
pub async fn lpush(redis: &Redis, bodies: &[Vec<u8>]) -> f64 {
    let mut link = connect(redis).await;
    let started = now();
    for part in bodies.chunks(DEPTH) {
        let mut pipe = redis::pipe();
        for body in part {
            pipe.lpush("yard", body).ignore();
        }
        let () = pipe.query_async(&mut link).await.expect("redis answers");
    }
    rate(bodies.len(), started.elapsed())
}

/// The same through a script that does nothing but push: what is left of that when it is Lua's.
pub async fn script(redis: &Redis, bodies: &[Vec<u8>]) -> f64 {
    let push = redis::Script::new("return redis.call('LPUSH', KEYS[1], unpack(ARGV))");
    let mut link = connect(redis).await;
    let started = now();
    for part in bodies.chunks(SCRIPT) {
        let mut call = push.key("yard");
        for body in part {
            call.arg(body);
        }
        let _: i64 = call.invoke_async(&mut link).await.expect("redis answers");
    }
    rate(bodies.len(), started.elapsed())
}

async fn connect(redis: &Redis) -> redis::aio::MultiplexedConnection {
    let client = redis::Client::open(redis.url()).expect("a valid URL");
    client
        .get_multiplexed_async_connection()
        .await
        .expect("redis answers")
}

/// A channel with confirms, and the queue that beat publishes to.
pub async fn channel(url: &str) -> Channel {
    let link = Connection::connect(url, ConnectionProperties::default())
        .await
        .expect("RabbitMQ answers");
    let channel = link.create_channel().await.expect("a channel");
    channel
        .confirm_select(ConfirmSelectOptions::default())
        .await
        .expect("confirms");
    let durable = QueueDeclareOptions {
        durable: true,
        ..QueueDeclareOptions::default()
    };
    channel
        .queue_declare("celery".into(), durable, FieldTable::default())
        .await
        .expect("the queue");
    channel
}

/// Messages a second of `lapin`: published one after the other, confirmed together.
pub async fn publish(
    channel: &Channel,
    body: &[u8],
    properties: &BasicProperties,
    count: usize,
) -> f64 {
    let started = now();
    let mut left = count;
    while left > 0 {
        let batch = left.min(DEPTH);
        left -= batch;
        let mut confirms = Vec::with_capacity(batch);
        for _ in 0..batch {
            let options = BasicPublishOptions {
                mandatory: true,
                ..BasicPublishOptions::default()
            };
            let properties = properties.clone();
            let sent = channel.basic_publish("".into(), "celery".into(), options, body, properties);
            confirms.push(sent.await.expect("published"));
        }
        for confirm in confirms {
            assert!(confirm.await.expect("confirmed").is_ack());
        }
    }
    rate(count, started.elapsed())
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn rate(count: usize, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}
