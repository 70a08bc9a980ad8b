//! A leader's dispatcher without the daemon around it.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use beat::clock::{FireTime, Timestamp};
use beat::config::{self, Env, Purpose, RedisEndpoint, RedisServer, Sources};
use beat::dispatch::{Dispatcher, RedisDispatcher, RedisPublisher, Scribe};
use beat::message::{Conventions, Identity, Template};
use beat::plan::{Action, Due, Outcome};
use beat::store::redis::{Keys, Link, RedisLedger, server::Dialer};
use beat::store::{StoreError, Term};
use beat::timetable::Entry;

/// Number of the database that the state is in.
pub const STATE: u16 = 9;
pub const NOW: Timestamp = Timestamp::from_micros(1_795_163_884_130_395);
const DEADLINE: Duration = Duration::from_secs(3);

/// Database `database` of a server on this host.
pub fn server(port: u16, database: i64) -> RedisServer {
    RedisServer {
        endpoint: RedisEndpoint::Tcp {
            host: "127.0.0.1".into(),
            port,
        },
        database,
        username: None,
        password: None,
        tls: None,
    }
}

/// Publishes to `broker` and records in `store`; holds term 1 once [`lead`] was called.
pub fn dispatcher(
    store: &RedisServer,
    broker: &RedisServer,
    conventions: &Conventions,
) -> Dispatcher {
    let keys = Keys::new("beat:", "test");
    let ledger = RedisLedger::new(
        Dialer::new(std::slice::from_ref(store)),
        keys,
        "me".into(),
        DEADLINE,
    );
    let link = Link::new(Dialer::new(std::slice::from_ref(broker)), DEADLINE);
    let publisher = RedisPublisher::new(link, conventions);
    Dispatcher::Redis(Box::new(RedisDispatcher::new(
        ledger,
        publisher,
        broker.database,
    )))
}

/// Gives the lease of term 1 to the fixture.
pub fn lead(state: &mut redis::Connection) {
    let key = Keys::new("beat:", "test").leader();
    redis::cmd("SET")
        .arg(key)
        .arg("me/1")
        .query::<()>(state)
        .unwrap();
}

/// An entry of the name that publishes `template`.
pub fn entry(name: &str, template: Template) -> Arc<Entry> {
    let compiled = compile(&format!(
        "[beat_schedule.{name}]\ntask = 't'\nschedule = 10\n"
    ))
    .remove(0);
    let one = Arc::into_inner(compiled).expect("nobody else has it");
    Arc::new(Entry { template, ..one })
}

/// The entries of a schedule for Redis.
pub fn compile(toml: &str) -> Vec<Arc<Entry>> {
    load(toml).0
}

/// The entries of a schedule for Redis, and its conventions.
pub fn load(toml: &str) -> (Vec<Arc<Entry>>, Conventions) {
    let sources = Sources::from_text("test.toml", toml);
    let identity = Identity {
        pid: 1,
        hostname: "test".into(),
        reply_to: uuid::Uuid::nil(),
        utcoffset_hours: 0.0,
    };
    let loaded = config::load(&sources, &Env::default(), &identity, NOW, Purpose::Look)
        .unwrap_or_else(|report| panic!("{}", report.draw(false)));
    let conventions = loaded.settings.conventions.clone();
    (
        loaded.timetable.entries.into_values().collect(),
        conventions,
    )
}

/// `entry`, due at `fire_time`.
pub fn due(entry: &Arc<Entry>, fire_time: FireTime) -> Due {
    Due {
        slot: 0,
        entry: Arc::clone(entry),
        fire_time,
        action: Action::Fire,
        anchor: NOW,
        last_fire_time: None,
        skipped: Vec::new(),
        misfire: false,
        task_id: OnceLock::new(),
    }
}

/// Dispatches in term 1.
pub async fn dispatch(
    dispatcher: &mut Dispatcher,
    dues: &[Due],
) -> Result<Vec<Outcome>, StoreError> {
    let scribe = Scribe::new("test");
    dispatcher.dispatch(&scribe, Term(1), dues, NOW).await
}
