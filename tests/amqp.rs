//! The publisher against a real RabbitMQ: what arrives, what is refused, what is told of each message.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test helper that fails is a test that fails"
)]

mod support;

use std::fmt::Write as _;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use beat::clock::Timestamp;
use beat::config::{self, Broker, Env, Loaded, Purpose, Sources};
use beat::dispatch::publisher::{Failure, Scope};
use beat::dispatch::{AmqpPublisher, Parcel, Publisher, Receipt, Scribe};
use beat::message::Identity;
use beat::plan::{Action, Due};
use beat::timetable::Entry;
use lapin::options::{
    ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use support::proxy::{Mode, Proxy};
use support::queue::drain_amqp;
use support::rabbit::{Rabbit, Vhost};
use support::wait::free_port;

const DEADLINE: Duration = Duration::from_secs(2);

/// A publisher and the entries of a schedule.
struct Rig {
    publisher: AmqpPublisher,
    loaded: Loaded,
    /// Fire times published so far: each call publishes the next.
    fires: i64,
    receipts: Vec<Receipt>,
}

fn load(broker_url: &str, toml: &str) -> Loaded {
    let toml =
        format!("broker_url = \"{broker_url}\"\nstate_url = \"redis://127.0.0.1:1\"\n{toml}");
    let identity = Identity {
        pid: 1,
        hostname: "h".into(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let sources = Sources::from_text("t.toml", toml);
    config::load(
        &sources,
        &Env::default(),
        &identity,
        Timestamp::EPOCH,
        Purpose::Run,
    )
    .unwrap_or_else(|report| panic!("{}", report.draw(false)))
}

impl Rig {
    fn new(broker_url: &str, toml: &str) -> Self {
        let loaded = load(broker_url, toml);
        let Broker::Amqp(servers) = &loaded.settings.broker else {
            panic!("no RabbitMQ")
        };
        Self {
            publisher: AmqpPublisher::new(servers, DEADLINE, DEADLINE),
            loaded,
            fires: 0,
            receipts: Vec::new(),
        }
    }

    /// One entry for each name, to the queue or with the options that are given.
    fn with_entries(broker_url: &str, settings: &str, entries: &[(&str, &str)]) -> Self {
        let mut toml = format!("{settings}\n");
        for (name, options) in entries {
            write!(
                toml,
                "[beat_schedule.{name}]\ntask = 't'\nschedule = 1\noptions = {{ {options} }}\n"
            )
            .unwrap();
        }
        Self::new(broker_url, &toml)
    }

    /// Publishes the next fire time of every entry, in order of their names.
    async fn fire(&mut self) -> Vec<Receipt> {
        self.fires += 1;
        self.receipts = vec![Receipt::unsent("new"); self.loaded.timetable.entries.len()];
        self.fire_again().await
    }

    /// Publishes what is not confirmed of the last call's fire times; receipts of all.
    async fn fire_again(&mut self) -> Vec<Receipt> {
        let fire_time = Timestamp::from_micros(self.fires * 1_000_000);
        let due = |entry: &Arc<Entry>| Due {
            slot: 0,
            entry: Arc::clone(entry),
            fire_time,
            action: Action::Fire,
            anchor: Timestamp::EPOCH,
            last_fire_time: None,
            skipped: Vec::new(),
            misfire: false,
            task_id: OnceLock::new(),
        };
        let dues: Vec<Due> = self.loaded.timetable.entries.values().map(due).collect();
        let places: Vec<usize> = (0..dues.len())
            .filter(|&place| self.receipts[place] != Receipt::Confirmed)
            .collect();
        let scribe = Scribe::new("amqp");
        let parcels: Vec<Parcel<'_>> = places
            .iter()
            .map(|&place| Parcel {
                due: &dues[place],
                fire: scribe.fire(&dues[place], fire_time),
            })
            .collect();
        let receipts = match self.publisher.ready().await {
            Ok(()) => self.publisher.publish(&parcels).await,
            Err(why) => vec![Receipt::unsent(why); places.len()],
        };
        for (place, receipt) in places.into_iter().zip(receipts) {
            self.receipts[place] = receipt;
        }
        self.receipts.clone()
    }
}

/// Another client, to prepare and to look.
struct Client {
    _link: Connection,
    channel: Channel,
}

impl Client {
    async fn connect(url: &str) -> Self {
        let properties = ConnectionProperties::default();
        let link = Connection::connect(url, properties).await.unwrap();
        let channel = link.create_channel().await.unwrap();
        Self {
            _link: link,
            channel,
        }
    }

    async fn declare(&self, queue: &str, arguments: FieldTable) {
        let options = QueueDeclareOptions {
            durable: true,
            ..QueueDeclareOptions::default()
        };
        let declared = self.channel.queue_declare(queue.into(), options, arguments);
        declared.await.unwrap();
    }

    async fn delete(&self, queue: &str) {
        let options = QueueDeleteOptions::default();
        self.channel
            .queue_delete(queue.into(), options)
            .await
            .unwrap();
    }
}

fn arrived(url: &str, queue: &str) -> usize {
    let (url, queue) = (url.to_owned(), queue.to_owned());
    std::thread::spawn(move || drain_amqp(&url, &queue).len())
        .join()
        .unwrap()
}

fn vhost() -> (&'static Rabbit, Vhost) {
    let rabbit = Rabbit::shared();
    (rabbit, rabbit.vhost())
}

fn refused(receipt: &Receipt) -> &str {
    match receipt {
        Receipt::Failed(Failure {
            why,
            scope: Scope::Message,
            may_have_arrived: false,
        }) => why,
        other => panic!("not refused: {other:?}"),
    }
}

fn is_lost(receipt: &Receipt) -> bool {
    matches!(
        receipt,
        Receipt::Failed(Failure {
            scope: Scope::Broker,
            may_have_arrived: true,
            ..
        })
    )
}

const CONFIRMED: Receipt = Receipt::Confirmed;

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_declared_as_configured_and_messages_arrive() {
    let (rabbit, vhost) = vhost();
    let settings = "[task_queues.feeds]\nexchange = 'media'\nexchange_type = 'topic'\nrouting_key = 'media.#'\n\
                    queue_arguments = { x-max-length = 100 }\n\
                    [task_queues.bulk]\nqueue_arguments = { x-queue-type = 'quorum' }\n";
    let entries = [
        ("a", "queue = 'bulk'"),
        ("b", "queue = 'feeds', routing_key = 'media.video'"),
        ("c", "queue = 'made'"),
    ];
    let mut rig = Rig::with_entries(&vhost.url(), settings, &entries);
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
    let queues = rabbit.ctl(&[
        "list_queues",
        "-p",
        &vhost.name,
        "name",
        "durable",
        "arguments",
    ]);
    assert!(
        queues.contains("feeds\ttrue\t[{\"x-max-length\",100}]"),
        "{queues}"
    );
    assert!(
        queues.contains("bulk\ttrue\t[{\"x-queue-type\",\"quorum\"}]"),
        "{queues}"
    );
    let bindings = rabbit.ctl(&[
        "list_bindings",
        "-p",
        &vhost.name,
        "source_name",
        "routing_key",
    ]);
    assert!(bindings.contains("media\tmedia.#"), "{bindings}");
    for queue in ["feeds", "bulk", "made"] {
        assert_eq!(arrived(&vhost.url(), queue), 1, "{queue}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_exists_with_other_arguments_is_used_as_it_is() {
    let (_, vhost) = vhost();
    let client = Client::connect(&vhost.url()).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-max-length".into(), AMQPValue::LongInt(7));
    client.declare("celery", arguments).await;
    let mut rig = Rig::with_entries(&vhost.url(), "", &[("a", ""), ("b", "queue = 'other'")]);
    assert_eq!(rig.fire().await, [CONFIRMED; 2]);
    assert_eq!(rig.fire().await, [CONFIRMED; 2]);
    assert_eq!(arrived(&vhost.url(), "celery"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_exchange_is_the_trouble_of_its_entry_alone() {
    let (_, vhost) = vhost();
    let entries = [
        ("a", ""),
        ("b", "exchange = 'nowhere', routing_key = 'x'"),
        ("c", ""),
    ];
    let mut rig = Rig::with_entries(&vhost.url(), "", &entries);
    for _ in 0..2 {
        let receipts = rig.fire().await;
        assert_eq!([&receipts[0], &receipts[2]], [&CONFIRMED; 2]);
        assert!(refused(&receipts[1]).contains("nowhere"), "{receipts:?}");
    }
    assert_eq!(arrived(&vhost.url(), "celery"), 4, "nothing was sent twice");

    // It appears, and leads somewhere.
    let client = Client::connect(&vhost.url()).await;
    let options = ExchangeDeclareOptions::default();
    let table = FieldTable::default;
    let declared =
        client
            .channel
            .exchange_declare("nowhere".into(), ExchangeKind::Direct, options, table());
    declared.await.unwrap();
    let receipts = rig.fire().await;
    assert!(refused(&receipts[1]).contains("no queue"), "{receipts:?}");
    let bind = QueueBindOptions::default();
    let bound =
        client
            .channel
            .queue_bind("celery".into(), "nowhere".into(), "x".into(), bind, table());
    bound.await.unwrap();
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_is_declared_again_and_nothing_is_lost() {
    let (_, vhost) = vhost();
    let mut rig = Rig::with_entries(
        &vhost.url(),
        "",
        &[("a", ""), ("b", "queue = 'b'"), ("c", "")],
    );
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
    let client = Client::connect(&vhost.url()).await;
    client.delete("celery").await;
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
    assert_eq!(arrived(&vhost.url(), "celery"), 2);
    assert_eq!(
        arrived(&vhost.url(), "b"),
        2,
        "its neighbour is not sent again"
    );
}

/// What was sent while the broker closed the channel can cost the connection. Then nothing has left,
/// and the loop would fire again after a pause, as here.
async fn fire_when_connected(rig: &mut Rig) -> Vec<Receipt> {
    for _ in 0..5 {
        let receipts = rig.fire().await;
        let unsent = |receipt: &Receipt| {
            matches!(receipt, Receipt::Failed(failure)
                if failure.scope == Scope::Broker && !failure.may_have_arrived)
        };
        if !receipts.iter().all(unsent) {
            return receipts;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the broker takes nothing")
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_broker_refuses_is_published_alone_from_then_on() {
    let (_, vhost) = vhost();
    let entries = [("a", ""), ("b", "user_id = 'somebody'"), ("c", "")];
    let mut rig = Rig::with_entries(&vhost.url(), "", &entries);
    // Which one it was cannot be told from those that went with it.
    let first = rig.fire().await;
    assert!(first.iter().all(|receipt| !is_lost(receipt)), "{first:?}");
    for _ in 0..2 {
        let receipts = fire_when_connected(&mut rig).await;
        assert_eq!(
            [&receipts[0], &receipts[2]],
            [&CONFIRMED; 2],
            "{receipts:?}"
        );
        assert!(refused(&receipts[1]).contains("user_id"), "{receipts:?}");
    }
    let most = 6;
    let there = arrived(&vhost.url(), "celery");
    assert!((4..=most).contains(&there), "{there}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_the_broker_closes_is_replaced() {
    let (rabbit, vhost) = vhost();
    let mut rig = Rig::with_entries(&vhost.url(), "", &[("a", "")]);
    for _ in 0..3 {
        assert_eq!(rig.fire().await, [CONFIRMED]);
        rabbit.ctl(&["close_all_connections", "-p", &vhost.name, "test"]);
    }
    assert_eq!(rig.fire().await, [CONFIRMED]);
    assert_eq!(arrived(&vhost.url(), "celery"), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_falls_silent_is_given_up_within_the_deadline() {
    let (_, vhost) = vhost();
    let proxy = Proxy::start(vhost.port());
    let mut rig = Rig::with_entries(&vhost.url_at(proxy.port()), "", &[("a", "")]);
    assert_eq!(rig.fire().await, [CONFIRMED]);
    proxy.set(Mode::Blackhole);
    let started = support::wait::now();
    let receipts = rig.fire().await;
    assert!(is_lost(&receipts[0]), "{receipts:?}");
    let receipts = rig.fire_again().await;
    assert!(!is_lost(&receipts[0]), "{receipts:?}");
    let took = started.elapsed();
    assert!(took < 2 * DEADLINE + Duration::from_millis(500), "{took:?}");
    // What was held back belongs to a connection that its end has closed: it is not delivered.
    proxy.heal_by_reset();
    assert_eq!(rig.fire_again().await, [CONFIRMED]);
    assert_eq!(arrived(&vhost.url(), "celery"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_that_stands_still_holds_up_nobody_and_doubles_nothing() {
    let (rabbit, vhost) = vhost();
    let entries = [("a", ""), ("b", "queue = 'other'")];
    let mut rig = Rig::with_entries(&vhost.url(), "", &entries);
    assert_eq!(rig.fire().await, [CONFIRMED; 2]);
    let process = |act: &str| {
        let name = &vhost.name;
        rabbit.eval(&format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"{name}\">>, queue, <<\"celery\">>)), \
             sys:{act}(amqqueue:get_pid(Q))."
        ))
    };
    process("suspend");
    let receipts = rig.fire().await;
    assert_eq!(receipts[1], CONFIRMED);
    for _ in 0..2 {
        let receipts = rig.fire_again().await;
        let Receipt::Failed(Failure { scope, .. }) = &receipts[0] else {
            panic!("{receipts:?}")
        };
        assert_eq!(*scope, Scope::Message);
    }
    process("resume");
    assert_eq!(rig.fire_again().await, [CONFIRMED; 2]);
    assert_eq!(arrived(&vhost.url(), "celery"), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_of_a_list_are_tried_in_turn() {
    let (_, vhost) = vhost();
    let dead = format!("amqp://guest:guest@127.0.0.1:{}/x", free_port());
    for strategy in ["round-robin", "shuffle"] {
        let urls = format!("{dead};{dead};{}", vhost.url());
        let settings = format!("broker_failover_strategy = '{strategy}'");
        let mut rig = Rig::with_entries(&urls, &settings, &[("a", "")]);
        // A shuffled list may reach the same dead node again first.
        let mut receipts = Vec::new();
        for _ in 0..20 {
            receipts = rig.fire().await;
            if receipts == [CONFIRMED] {
                break;
            }
        }
        assert_eq!(receipts, [CONFIRMED], "{strategy}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_login_names_the_node_and_no_password() {
    let (_, vhost) = vhost();
    let url = vhost.url().replace("guest:guest", "guest:s3cret-w0rd");
    let mut rig = Rig::with_entries(&url, "", &[("a", "")]);
    let why = format!("{:?}", rig.fire().await);
    assert!(
        why.contains("ACCESS_REFUSED") && why.contains("127.0.0.1"),
        "{why}"
    );
    assert!(!why.contains("s3cret"), "{why}");
    assert!(!format!("{:?}", rig.publisher).contains("s3cret"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_follows_its_task() {
    let (_, vhost) = vhost();
    let client = Client::connect(&vhost.url()).await;
    let mut rig = Rig::with_entries(&vhost.url(), "task_send_sent_event = true", &[("a", "")]);
    // The exchange is the publisher's to declare.
    assert_eq!(rig.fire().await, [CONFIRMED]);
    client.declare("watcher", FieldTable::default()).await;
    let bind = QueueBindOptions::default();
    let table = FieldTable::default();
    let bound = client.channel.queue_bind(
        "watcher".into(),
        "celeryev".into(),
        "task.#".into(),
        bind,
        table,
    );
    bound.await.unwrap();
    assert_eq!(rig.fire().await, [CONFIRMED]);
    // An event has no confirm; the next fire's comes after it on the same connection.
    assert_eq!(rig.fire().await, [CONFIRMED]);
    assert!(arrived(&vhost.url(), "watcher") >= 1);
    assert_eq!(arrived(&vhost.url(), "celery"), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_broker_is_blocked_nothing_is_sent_twice() {
    let rabbit = Rabbit::start();
    let vhost = rabbit.vhost();
    let mut rig = Rig::with_entries(&vhost.url(), "", &[("a", ""), ("b", ""), ("c", "")]);
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
    rabbit.ctl(&["set_vm_memory_high_watermark", "absolute", "1"]);
    let receipts = rig.fire().await;
    assert!(receipts.iter().any(is_lost), "{receipts:?}");
    for _ in 0..2 {
        let receipts = rig.fire_again().await;
        assert!(
            receipts.iter().any(|receipt| *receipt != CONFIRMED),
            "{receipts:?}"
        );
    }
    assert!(!rig.publisher.is_up());
    rabbit.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    assert_eq!(rig.fire_again().await, [CONFIRMED; 3]);
    assert!(rig.publisher.is_up());
    assert_eq!(rig.fire().await, [CONFIRMED; 3]);
    assert_eq!(arrived(&vhost.url(), "celery"), 9);
}
