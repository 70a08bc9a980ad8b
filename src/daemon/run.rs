//! Starts the tasks and stops them in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::alarm::Alarm;
use super::control::Listener;
use super::desk::Desk;
use super::elector::{Elector, Leadership};
use super::links::Links;
use super::loader::Loader;
use super::metronome::Metronome;
use super::presence::Announcer;
use super::reload::Reload;
use super::report::Untold;
use super::trouble::Trouble;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{Env, Loaded, Settings};
use crate::dispatch::Scribe;
use crate::message::Identity;
use crate::observe::viewer::{Ear, Viewer};
use crate::observe::{Facts, Systemd, http};
use crate::plan::clocks::{Clocks, Reading};
use crate::store::presence::Presence;

/// Longest wait for the chunk in flight, and again for the resignation.
const PATIENCE: Duration = Duration::from_millis(2_400);

/// Longest wait for the announcement that this instance is gone, and again for systemd.
const FAREWELL: Duration = Duration::from_millis(200);

/// What the daemon is started with.
#[derive(Debug)]
pub struct Options {
    /// Files and directories of the schedule, for reloads.
    pub paths: Vec<PathBuf>,
    /// The environment, for reloads.
    pub env: Env,
    /// What goes into messages.
    pub identity: Identity,
    /// What loaded them, for reloads.
    pub loader: Loader,
    /// Digest of the files that were loaded.
    pub digest: u64,
    /// What they hold.
    pub loaded: Loaded,
}

/// Runs until SIGTERM or SIGINT; a second signal ends it at once.
///
/// # Errors
/// When signal handlers cannot be installed, or `http_listen` cannot be bound: who set it relies on
/// it, and would find out only when it is needed.
pub async fn run(options: Options) -> std::io::Result<()> {
    let mut ends = Ends::install()?;
    let loaded = Arc::new(options.loaded);
    let settings = &loaded.settings;
    tracing::info!(
        event = "started",
        version = env!("CARGO_PKG_VERSION"),
        name = settings.name.as_str(),
        entries = loaded.timetable.entries.len(),
        digest = %loaded.timetable.digest,
        broker = %settings.broker,
        store = %settings.store,
        tzdata = %crate::schedule::zone_source(),
    );

    if settings.shadow {
        tracing::warn!(
            event = "warning",
            "a shadow: it connects to the store only, and publishes nothing"
        );
    }
    let listener = settings.http_listen.map(http::bind).transpose()?;
    let links = Links::new(settings, &settings.conventions.identity.hostname);
    let facts = Arc::new(Facts::new(SystemClock.boot(), loaded.timetable.loaded_at));
    let (leadership, leads) = watch::channel(Leadership::default());
    let (ended, endings) = mpsc::channel(4);
    let (ttl, ttls) = watch::channel(settings.lease_ttl);
    let (schedule, schedules) = watch::channel(Arc::clone(&loaded));
    let (ask, asked) = mpsc::channel(1);
    let (refused, refusals) = watch::channel(None);
    let (mode, modes) = watch::channel(None);
    let (requests, requested) = watch::channel(());
    let (systemd, notifier) = Systemd::start(
        &options.env,
        SystemClock,
        Arc::clone(&facts),
        schedules.clone(),
    );
    let stop_firing = CancellationToken::new();
    let mut desks = JoinSet::new();
    let stop_leading = CancellationToken::new();

    if let Some(listener) = listener {
        let viewer = Viewer {
            facts: Arc::clone(&facts),
            schedule: schedules.clone(),
            refused: refusals.clone(),
            mode: modes.clone(),
            this: this_instance(&links, settings),
            drawn: std::sync::Mutex::default(),
            ear: Mutex::new(Ear::new(links.any_remote(settings))),
        };
        http::serve(listener, viewer)?;
    }
    let elector = tokio::spawn(
        Elector {
            lease: links.lease(settings),
            ttl: ttls,
            leadership,
            ended: endings,
            stop: stop_leading.clone(),
            clock: SystemClock,
            facts: Arc::clone(&facts),
            store_is_down: false,
            failures: 0,
        }
        .run(),
    );
    if let Some(remote) = links.remote(settings) {
        let listener = Listener {
            remote,
            leadership: leads.clone(),
            requests,
            stop: stop_firing.clone(),
        };
        tokio::spawn(listener.run());
    } else if let Some(store) = links.file() {
        let desk = Desk {
            store: store.clone(),
            path: store.socket(),
            leadership: leads.clone(),
            requests,
            stop: stop_firing.clone(),
            clock: SystemClock,
        };
        desks.spawn(desk.run());
    }
    let announcer = tokio::spawn(
        Announcer {
            remote: links.any_remote(settings),
            this: this_instance(&links, settings),
            leadership: leads.clone(),
            schedule: schedules.clone(),
            refused: refusals,
            mode: modes,
            facts: Arc::clone(&facts),
            stop: stop_leading.clone(),
            clock: SystemClock,
        }
        .run(),
    );
    let metronome = tokio::spawn(
        Metronome {
            clock: SystemClock,
            schedule: schedules.clone(),
            leadership: leads,
            ended,
            dispatcher: links.dispatcher(settings),
            links,
            scribe: Scribe::new(settings.publishing_name()),
            stop: stop_firing.clone(),
            requests: requested,
            mode,
            trouble: Trouble::default(),
            facts: Arc::clone(&facts),
            clocks: Clocks::new(Reading {
                wall: SystemClock.wall(),
                boot: SystemClock.boot(),
            }),
            trusted_until: Duration::ZERO,
            tended: None,
            unanswered_since: None,
            alarm: Alarm::precise(),
            untold: Untold::default(),
        }
        .run(),
    );
    let reload = tokio::spawn(
        Reload {
            paths: options.paths,
            env: options.env,
            identity: options.identity,
            loader: options.loader,
            digest: options.digest,
            schedule,
            refused,
            facts: Arc::clone(&facts),
            systemd: systemd.clone(),
            asked,
            stop: stop_firing.clone(),
            clock: SystemClock,
        }
        .run(),
    );
    tokio::spawn(follow_ttl(schedules, ttl));
    // Or what is replaced by a reload would be held to the end.
    drop(loaded);
    tracing::info!(event = "ready");
    systemd.ready();

    let reason = ends.first(&ask).await;
    facts.stop();
    tracing::info!(event = "stopping", reason);
    systemd.stopping();
    let in_order = async {
        stop_firing.cancel();
        let _ = timeout(PATIENCE, metronome).await;
        // While the file is held, so that no socket of a successor is removed.
        let _ = timeout(FAREWELL, desks.join_all()).await;
        stop_leading.cancel();
        let _ = timeout(PATIENCE, elector).await;
        let _ = timeout(FAREWELL, announcer).await;
        let _ = reload.await;
        if let Some(notifier) = notifier {
            let _ = timeout(FAREWELL, notifier).await;
        }
    };
    tokio::select! {
        () = in_order => {}
        second = ends.first(&ask) => tracing::warn!(event = "stopping", reason = second, "at once"),
    }
    tracing::info!(event = "stopped");
    Ok(())
}

/// What this instance says of itself and never changes.
fn this_instance(links: &Links, settings: &Settings) -> Presence {
    Presence {
        instance: links.instance().to_owned(),
        host: settings.conventions.identity.hostname.clone(),
        pid: settings.conventions.identity.pid,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        tzdata: crate::schedule::zone_source().to_string(),
        ..Presence::default()
    }
}

/// A reloaded `lease_ttl` counts from the next renewal.
async fn follow_ttl(mut schedules: watch::Receiver<Arc<Loaded>>, ttl: watch::Sender<Duration>) {
    while schedules.changed().await.is_ok() {
        ttl.send_replace(schedules.borrow_and_update().settings.lease_ttl);
    }
}

/// The signals that end the process, and the one that reloads.
struct Ends {
    term: Signal,
    int: Signal,
    hup: Signal,
}

impl Ends {
    fn install() -> std::io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for SIGTERM or SIGINT; passes SIGHUP on as a request to reload.
    async fn first(&mut self, reload: &mpsc::Sender<()>) -> &'static str {
        loop {
            tokio::select! {
                _ = self.term.recv() => return "SIGTERM",
                _ = self.int.recv() => return "SIGINT",
                _ = self.hup.recv() => {
                    // One that waits already covers this one.
                    let _ = reload.try_send(());
                }
            }
        }
    }
}
