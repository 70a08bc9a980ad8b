//! The daemon's own loop under virtual time: a day of it takes a moment.
//!
//! Real are the loader, the plan, the office and the metronome; store and publisher are the doubles that hold to the same
//! rules as the real ones. What is skipped is read from the log, where a user would read it.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use beat::clock::{Clock, Timestamp};
use beat::config::{self, Env, Loaded, Purpose, Sources};
use beat::daemon::Leadership;
use beat::daemon::alarm::Alarm;
use beat::daemon::elector::Ended;
use beat::daemon::links::Links;
use beat::daemon::metronome::Metronome;
use beat::daemon::report::Untold;
use beat::daemon::trouble::Trouble;
use beat::dispatch::memory::MemoryPublisher;
use beat::dispatch::{AnyPublisher, Confirmed, Dispatcher, Scribe};
use beat::message::Identity;
use beat::observe::Facts;
use beat::plan::clocks::{Clocks, Reading};
use beat::store::memory::MemoryStore;
use beat::store::{AnyLedger, Campaign, Lease, StoreError, Term};
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The clock of tokio's paused time.
#[derive(Clone, Copy)]
struct Virtual {
    start: Instant,
    noon: Timestamp,
}

impl Clock for Virtual {
    fn wall(&self) -> Timestamp {
        self.noon.plus(self.start.elapsed())
    }

    fn boot(&self) -> Duration {
        self.start.elapsed()
    }
}

/// Collects the log.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A leader that runs.
struct Leader {
    schedule: watch::Sender<Arc<Loaded>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Held open: nobody else announces anything.
    _channels: (watch::Sender<Leadership>, mpsc::Receiver<Ended>),
}

/// A store, a broker, and at most one leader.
pub struct Stage {
    clock: Virtual,
    store: MemoryStore,
    publisher: MemoryPublisher,
    leader: Option<Leader>,
    elections: u32,
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

/// What was to be seen.
#[derive(Debug, PartialEq, Eq)]
pub struct Seen {
    /// Fire times of the messages, in the order of their arrival.
    pub fires: Vec<Timestamp>,
    /// How many were skipped, by reason.
    pub skipped: BTreeMap<String, u64>,
}

impl Stage {
    /// It is noon, and nothing runs.
    pub fn new(noon: Timestamp) -> Self {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_writer(move || writer.clone())
            .finish();
        Self {
            clock: Virtual {
                start: Instant::now(),
                noon,
            },
            store: MemoryStore::default(),
            publisher: MemoryPublisher::default(),
            leader: None,
            elections: 0,
            log,
            _guard: tracing::subscriber::set_default(subscriber),
        }
    }

    /// Lets time pass.
    pub async fn until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.clock.wall())).await;
    }

    /// What an instance makes of the schedule now.
    pub fn load(&self, toml: &str) -> Arc<Loaded> {
        let identity = Identity {
            pid: 1,
            hostname: "test".into(),
            reply_to: Uuid::nil(),
            utcoffset_hours: 0.0,
        };
        let sources = Sources::from_text("test.toml", toml);
        let now = self.clock.wall();
        let loaded = config::load(&sources, &Env::default(), &identity, now, Purpose::Look);
        Arc::new(loaded.unwrap_or_else(|report| panic!("{}\n{toml}", report.draw(false))))
    }

    /// An instance that loaded the schedule so is elected.
    pub async fn elect(&mut self, loaded: &Arc<Loaded>) {
        self.elections += 1;
        let (mut lease, ledger) = self.store.open(&format!("instance-{}", self.elections));
        let ttl = Duration::from_secs(10);
        let Ok(Campaign::Won(term)) = lease.campaign(ttl, Term(0)).await else {
            panic!("the lease is held")
        };
        let (schedule, schedules) = watch::channel(Arc::clone(loaded));
        let (announce, leadership) = watch::channel(Leadership::Leader {
            term,
            trusted_until: Duration::MAX,
            store_offset: None,
        });
        let (ended, endings) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let publisher = AnyPublisher::Memory(self.publisher.clone());
        let metronome = Metronome {
            clock: self.clock,
            schedule: schedules,
            leadership,
            ended,
            dispatcher: Dispatcher::Confirmed(Box::new(Confirmed::new(
                publisher,
                AnyLedger::Memory(ledger),
            ))),
            links: Links::new(&loaded.settings, "test"),
            scribe: Scribe::new("test"),
            stop: stop.clone(),
            requests: watch::channel(()).1,
            mode: watch::channel(None).0,
            trouble: Trouble::default(),
            facts: Arc::new(Facts::new(self.clock.boot(), self.clock.wall())),
            clocks: Clocks::new(Reading {
                wall: self.clock.wall(),
                boot: self.clock.boot(),
            }),
            trusted_until: Duration::ZERO,
            tended: None,
            unanswered_since: None,
            alarm: Alarm::default(),
            untold: Untold::default(),
        };
        self.leader = Some(Leader {
            schedule,
            stop,
            task: tokio::spawn(metronome.run()),
            _channels: (announce, endings),
        });
    }

    /// The leader ends.
    pub async fn end(&mut self) {
        if let Some(leader) = self.leader.take() {
            leader.stop.cancel();
            leader.task.await.unwrap();
            self.store.depose();
        }
    }

    /// The leader reloads; without one nothing happens.
    pub fn reload(&self, loaded: &Arc<Loaded>) {
        if let Some(leader) = &self.leader {
            leader.schedule.send_replace(Arc::clone(loaded));
        }
    }

    /// Pauses or resumes.
    pub fn set_paused(&self, paused: bool) {
        self.store.set_paused("*", paused.then_some("{}"));
    }

    /// The store answers, or does not.
    pub fn set_store_up(&self, up: bool) {
        let fault = StoreError::Unavailable("down".into());
        self.store.set_fault((!up).then_some(fault));
    }

    /// What happened so far.
    pub fn seen(&self) -> Seen {
        let fires = self.publisher.published().into_iter().map(|(_, at)| at);
        let log = self.log.0.lock().unwrap();
        let mut skipped = BTreeMap::new();
        for line in String::from_utf8_lossy(&log).lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            if record["event"] == "skipped" {
                let reason = record["reason"].as_str().unwrap().to_owned();
                *skipped.entry(reason).or_default() += record["count"].as_u64().unwrap();
            }
        }
        Seen {
            fires: fires.collect(),
            skipped,
        }
    }
}
