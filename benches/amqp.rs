//! Confirmed messages a second to RabbitMQ: the publisher beside the client library alone, same
//! bytes, same node, same run. `cargo bench --bench amqp`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark that fails has nothing to say"
)]

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::{self, Broker, Env, Purpose, Sources};
use beat::dispatch::{AmqpPublisher, CHUNK, Parcel, Publisher, Receipt, Scribe};
use beat::message::Identity;
use beat::plan::{Action, Due};
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, QueuePurgeOptions,
};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use support::rabbit::Rabbit;
use support::wait::now;

/// What the daemon hands over at once in a burst.
const BATCH: usize = 8 * CHUNK;
const MESSAGES: usize = 8 * BATCH;
const ROUNDS: usize = 5;
/// Size of a typical envelope.
const BODY: usize = 925;

fn main() {
    let rabbit = Rabbit::shared();
    let vhost = rabbit.vhost();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let dues = dues(&vhost.url());
        let link = Connection::connect(&vhost.url(), ConnectionProperties::default())
            .await
            .unwrap();
        let raw = link.create_channel().await.unwrap();
        raw.confirm_select(ConfirmSelectOptions::default())
            .await
            .unwrap();
        let mut publisher = dues.publisher();
        publisher.ready().await.unwrap();
        dues.publish(&mut publisher).await;
        let purge = async || {
            let options = QueuePurgeOptions::default();
            raw.queue_purge("celery".into(), options).await.unwrap()
        };
        let properties = raw_properties(&raw).await;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            purge().await;
            ours.push(dues.publish(&mut publisher).await);
            purge().await;
            theirs.push(dues.publish_raw(&raw, &properties).await);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "{MESSAGES} messages of {BODY} bytes, confirmed, {BATCH} at a time, median of {ROUNDS}:\n\
             lapin alone  {theirs:>8.0} messages/s\npublisher    {ours:>8.0} messages/s   {:.0} %",
            100.0 * ours / theirs
        );
    });
}

struct Dues {
    settings: config::Settings,
    dues: Vec<Due>,
}

fn dues(url: &str) -> Dues {
    let filler = "x".repeat(BODY - 80);
    let toml = format!(
        "broker_url = \"{url}\"\nstate_url = \"redis://127.0.0.1:1\"\n\
         [beat_schedule.e]\ntask = 'tasks.add'\nschedule = 1\nargs = ['{filler}']\n"
    );
    let identity = Identity {
        pid: 1,
        hostname: "bench".into(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("bench.toml", toml);
    let start = Timestamp::EPOCH;
    let loaded = config::load(&sources, &Env::default(), &identity, start, Purpose::Run);
    let loaded = loaded.unwrap_or_else(|report| panic!("{}", report.draw(false)));
    let entry = loaded.timetable.entries.values().next().unwrap();
    let dues = (1..=MESSAGES)
        .map(|second| Due {
            slot: 0,
            entry: Arc::clone(entry),
            fire_time: start.plus(Duration::from_secs(u64::try_from(second).unwrap())),
            action: Action::Fire,
            anchor: start,
            last_fire_time: None,
            skipped: Vec::new(),
            misfire: false,
            task_id: OnceLock::new(),
        })
        .collect();
    Dues {
        settings: loaded.settings,
        dues,
    }
}

impl Dues {
    fn publisher(&self) -> AmqpPublisher {
        let Broker::Amqp(servers) = &self.settings.broker else {
            panic!("no RabbitMQ")
        };
        AmqpPublisher::new(servers, Duration::from_secs(10), Duration::from_secs(10))
    }

    /// Messages a second.
    async fn publish(&self, publisher: &mut AmqpPublisher) -> f64 {
        let scribe = Scribe::new("bench");
        let started = now();
        for chunk in self.dues.chunks(BATCH) {
            let parcels: Vec<Parcel<'_>> = chunk
                .iter()
                .map(|due| Parcel {
                    due,
                    fire: scribe.fire(due, due.fire_time),
                })
                .collect();
            publisher.ready().await.unwrap();
            let receipts = publisher.publish(&parcels).await;
            assert!(receipts.iter().all(|one| *one == Receipt::Confirmed));
        }
        rate(started.elapsed())
    }

    /// The same bytes through the client library alone.
    async fn publish_raw(&self, channel: &Channel, properties: &BasicProperties) -> f64 {
        let scribe = Scribe::new("bench");
        let template = &self.dues[0].entry.template;
        let message = template
            .render_amqp(&scribe.fire(&self.dues[0], Timestamp::EPOCH))
            .unwrap();
        let started = now();
        for chunk in self.dues.chunks(BATCH) {
            let mut confirms = Vec::with_capacity(BATCH);
            for _ in chunk {
                let options = BasicPublishOptions {
                    mandatory: true,
                    ..BasicPublishOptions::default()
                };
                let sent = channel.basic_publish(
                    "".into(),
                    "celery".into(),
                    options,
                    &message.body,
                    properties.clone(),
                );
                confirms.push(sent.await.unwrap());
            }
            for confirm in confirms {
                assert!(confirm.await.unwrap().is_ack());
            }
        }
        rate(started.elapsed())
    }
}

/// Those of a message that the publisher has just sent.
async fn raw_properties(channel: &Channel) -> BasicProperties {
    let options = BasicGetOptions { no_ack: true };
    let got = channel.basic_get("celery".into(), options).await.unwrap();
    got.unwrap().delivery.properties.clone()
}

fn rate(took: Duration) -> f64 {
    f64::from(u32::try_from(MESSAGES).unwrap()) / took.as_secs_f64()
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
