//! Watches the schedule, compiles what changed, and offers it.
//!
//! Directories are watched, not files: editors rename, config maps swap a symlink, and a watch on a
//! file ends with the first replacement. Any event is only a hint to look again, and so is the
//! clock, every 30 s: some file systems send nothing. A file that is still being written is left
//! alone until size and time stand still; content decides, by its digest. A schedule with an error
//! changes nothing.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::{Config, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::loader::Loader;
use crate::clock::Clock;
use crate::config::{self, Env, Loaded, Purpose, Report, Sources};
use crate::message::Identity;
use crate::observe::{Facts, Systemd};

/// How long size and modification time must stand still.
const STILL: Duration = Duration::from_millis(250);
/// How often is looked without any hint.
const POLL: Duration = Duration::from_secs(30);

/// Why the last reload was refused; `None` when it was not.
pub type Refusal = Option<String>;

/// The task that keeps the schedule up to date.
pub struct Reload<C> {
    /// Files and directories, as on the command line.
    pub paths: Vec<PathBuf>,
    /// The environment of the process.
    pub env: Env,
    /// What goes into messages.
    pub identity: Identity,
    /// Where schedules are compiled.
    pub loader: Loader,
    /// Digest of the files that are in force.
    pub digest: u64,
    /// Where a good schedule is offered.
    pub schedule: watch::Sender<Arc<Loaded>>,
    /// Why the last reload was refused.
    pub refused: watch::Sender<Refusal>,
    /// Where its outcome is shown.
    pub facts: Arc<Facts>,
    /// Is told when a reload begins and ends.
    pub systemd: Systemd,
    /// SIGHUP.
    pub asked: mpsc::Receiver<()>,
    /// End.
    pub stop: CancellationToken,
    /// The clocks.
    pub clock: C,
}

impl<C: Clock> Reload<C> {
    /// Runs until stopped.
    pub async fn run(mut self) {
        let (hints, mut hinted) = mpsc::channel::<()>(1);
        let mut watcher = watch_directories(&self.paths, hints);
        let mut state = look(&self.paths);
        loop {
            let asked = tokio::select! {
                Some(()) = hinted.recv() => false,
                Some(()) = self.asked.recv() => true,
                () = tokio::time::sleep(POLL) => false,
                () = self.stop.cancelled() => return,
            };
            let now = look(&self.paths);
            if now == state && !asked {
                continue;
            }
            self.systemd.reloading();
            state = self.wait_until_still(now).await;
            // A watched directory may have been replaced.
            watcher.again(&self.paths);
            self.load(asked).await;
            let refused = self.refused.borrow().clone();
            self.systemd.reloaded(refused);
        }
    }

    async fn wait_until_still(&self, mut state: Vec<FileState>) -> Vec<FileState> {
        loop {
            tokio::time::sleep(STILL).await;
            let now = look(&self.paths);
            if now == state || self.stop.is_cancelled() {
                return now;
            }
            state = now;
        }
    }

    async fn load(&mut self, asked: bool) {
        let (paths, env, identity) = (self.paths.clone(), self.env.clone(), self.identity.clone());
        let (digest, at) = (self.digest, self.clock.wall());
        let old = Arc::clone(&self.schedule.borrow());
        let purpose = if old.settings.shadow {
            Purpose::Shadow
        } else {
            Purpose::Run
        };
        // Compiling a large schedule must not hold up the loop.
        let loaded = self.loader.run(move || {
            let sources = Sources::read(&paths)?;
            if sources.digest() == digest && !asked {
                return Ok(None);
            }
            let old = &old.timetable;
            let loaded = config::reload(old, &sources, &env, &identity, at, purpose)?;
            Ok::<_, Report>(Some((loaded, sources.digest())))
        });
        let mut drawn = None;
        let offered = match loaded.await {
            Ok(Ok(None)) => {
                // What was refused is gone again.
                self.facts.reload_stands();
                self.refused
                    .send_if_modified(|refused| refused.take().is_some());
                return;
            }
            Ok(Ok(Some((new, digest)))) => self.offer(new, digest),
            Ok(Err(report)) => {
                drawn = Some(report.draw(false));
                Err(first_of(&report, &self.paths))
            }
            Err(_) => Err("loading was interrupted by a fault of this program".to_owned()),
        };
        // Said once for one fault, however often it is looked at, and at each SIGHUP.
        let why = offered.err();
        let is_new = *self.refused.borrow() != why;
        if let Some(why) = why.as_deref().filter(|_| asked || is_new) {
            let drawn = drawn.unwrap_or_else(|| why.to_owned());
            self.facts.reload_refused(drawn);
            tracing::error!(
                event = "reload_refused",
                error = why,
                "the old schedule stays in force"
            );
        }
        if is_new {
            self.refused.send_replace(why);
        }
    }

    /// Puts `new` in force, unless it changes what only a stop of all instances can change.
    fn offer(&mut self, new: Loaded, digest: u64) -> Result<(), String> {
        let old = Arc::clone(&self.schedule.borrow());
        let immovable = old.settings.refuses_reload_to(&new.settings);
        if !immovable.is_empty() {
            return Err(format!(
                "{} cannot change while instances run; stop all of them first",
                immovable.join(", ")
            ));
        }
        self.digest = digest;
        let difference = new.timetable.news_since(&old.timetable);
        tracing::info!(
            event = "reloaded",
            entries = new.timetable.entries.len(),
            digest = %new.timetable.digest,
            added = names(&difference.added),
            removed = names(&difference.removed),
            changed = names(&difference.changed),
        );
        drop(difference);
        self.facts.reload_applied(new.timetable.loaded_at);
        self.schedule.send_replace(Arc::new(new));
        // Whoever is last frees a large schedule, which takes a while.
        tokio::task::spawn_blocking(move || drop(old));
        Ok(())
    }
}

/// The first error, and how many more there are. One about the schedule as a whole names all files.
fn first_of(report: &Report, paths: &[PathBuf]) -> String {
    let first = report.errors.first().map_or_else(String::new, |first| {
        let line = first.one_line();
        if first.file.is_some() {
            return line;
        }
        let all: Vec<_> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        format!("{}: {line}", all.join(", "))
    });
    match report.error_count {
        0 | 1 => first,
        count => format!("{first} (and {} more)", count - 1),
    }
}

/// Entry names for one log line.
fn names(names: &[crate::timetable::EntryName]) -> String {
    const SHOWN: usize = 50;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| &**name)
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        let _ = write!(text, " and {} more", names.len() - SHOWN);
    }
    text
}

/// What tells that a file may have changed, without reading it.
type FileState = (PathBuf, Option<(u64, std::time::SystemTime, u64)>);

fn look(paths: &[PathBuf]) -> Vec<FileState> {
    use std::os::unix::fs::MetadataExt as _;
    let mut files: Vec<PathBuf> = Vec::new();
    for path in paths {
        match std::fs::read_dir(path) {
            Ok(entries) => {
                let mut inside: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
                inside.sort();
                files.extend(
                    inside
                        .into_iter()
                        .filter(|path| path.extension().is_some_and(|e| e == "toml")),
                );
            }
            Err(_) => files.push(path.clone()),
        }
    }
    files
        .into_iter()
        .map(|path| {
            let state = std::fs::metadata(&path)
                .ok()
                .and_then(|meta| Some((meta.len(), meta.modified().ok()?, meta.ino())));
            (path, state)
        })
        .collect()
}

struct Directories {
    watcher: Option<RecommendedWatcher>,
    watched: BTreeSet<PathBuf>,
}

/// Watches every directory whose change could change a schedule.
fn watch_directories(paths: &[PathBuf], hints: mpsc::Sender<()>) -> Directories {
    let handler = move |event: notify::Result<notify::Event>| {
        // Reading the files causes access events of its own.
        if !event.is_ok_and(|event| matches!(event.kind, EventKind::Access(_))) {
            let _ = hints.try_send(());
        }
    };
    let watcher = match RecommendedWatcher::new(handler, Config::default()) {
        Ok(watcher) => Some(watcher),
        Err(error) => {
            tracing::warn!(event = "watch_failed", %error, "changes are found by looking every 30 s");
            None
        }
    };
    let mut directories = Directories {
        watcher,
        watched: BTreeSet::new(),
    };
    directories.again(paths);
    directories
}

impl Directories {
    fn again(&mut self, paths: &[PathBuf]) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for directory in std::mem::take(&mut self.watched) {
            let _ = watcher.unwatch(&directory);
        }
        for directory in paths.iter().flat_map(|path| directories_of(path)) {
            if watcher
                .watch(&directory, RecursiveMode::NonRecursive)
                .is_ok()
            {
                self.watched.insert(directory);
            }
        }
    }
}

/// The directory itself or the one a file is in, and those that symlinks on the way lead to.
fn directories_of(path: &Path) -> Vec<PathBuf> {
    let parent = |path: &Path| match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
        _ => PathBuf::from("."),
    };
    let mut directories = vec![if path.is_dir() {
        path.to_owned()
    } else {
        parent(path)
    }];
    if let Ok(real) = path.canonicalize() {
        directories.push(if real.is_dir() { real } else { parent(&real) });
    }
    directories
}
