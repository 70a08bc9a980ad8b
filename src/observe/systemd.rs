//! What the service manager is told: readiness, reloads, a line of status, and that the loop lives.
//!
//! One task does it all, by systemd's notification protocol (`sd_notify(3)`), and only where
//! `NOTIFY_SOCKET` says that somebody listens. A manager that does not read holds up this task and
//! nothing else. The watchdog is not fed by its timer: each ping stands for progress that the firing
//! loop has made since the last one.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{MissedTickBehavior, interval};

use super::{Facts, Pulse};
use crate::clock::{Clock, FireTime, monotonic_micros};
use crate::config::{Env, Loaded};

/// How often it looks whether there is anything to tell.
const LOOK: Duration = Duration::from_secs(1);

/// The longest pause between two pings, and the shortest between two lines of status that differ in the next fire only.
const PERIOD: Duration = Duration::from_secs(5);

/// Longest reason of a refused reload that the status shows, in characters; systemd takes 4 KiB in all.
const LONGEST_REASON: usize = 400;

/// What there is to tell, as it happens.
#[derive(Debug)]
enum Word {
    Ready,
    /// `CLOCK_MONOTONIC` in µs, by which the manager tells this reload from an earlier one.
    Reloading(i64),
    /// Why the schedule was refused, if it was.
    Reloaded(Option<String>),
    Stopping,
}

/// By which the daemon's tasks tell; without a manager it does nothing.
#[derive(Debug, Clone, Default)]
pub struct Systemd(Option<mpsc::UnboundedSender<Word>>);

impl Systemd {
    /// Starts the task if there is a manager to tell; it ends after [`Systemd::stopping`].
    pub fn start(
        env: &Env,
        clock: impl Clock,
        facts: Arc<Facts>,
        schedule: watch::Receiver<Arc<Loaded>>,
    ) -> (Self, Option<JoinHandle<()>>) {
        if env.get("NOTIFY_SOCKET").is_none() {
            return (Self::default(), None);
        }
        // Rare words, so their number needs no bound.
        let (tell, words) = mpsc::unbounded_channel();
        let notifier = Notifier {
            words,
            pings: Pings {
                each: sd_notify::watchdog_enabled().map(|wait| PERIOD.min(wait / 4)),
                last: clock.boot(),
            },
            clock,
            facts,
            schedule,
            refused: None,
            shown: None,
            deaf: false,
        };
        (Self(Some(tell)), Some(tokio::spawn(notifier.run())))
    }

    /// The schedule is loaded, the listener bound.
    pub fn ready(&self) {
        self.tell(Word::Ready);
    }

    /// The schedule is about to be loaded again; [`Systemd::reloaded`] has to follow.
    pub fn reloading(&self) {
        self.tell(Word::Reloading(monotonic_micros()));
    }

    /// The schedule was loaded again, or refused.
    pub fn reloaded(&self, refused: Option<String>) {
        self.tell(Word::Reloaded(refused));
    }

    /// The process is about to end.
    pub fn stopping(&self) {
        self.tell(Word::Stopping);
    }

    fn tell(&self, word: Word) {
        if let Some(tell) = &self.0 {
            let _ = tell.send(word);
        }
    }
}

struct Notifier<C> {
    words: mpsc::UnboundedReceiver<Word>,
    pings: Pings,
    clock: C,
    facts: Arc<Facts>,
    schedule: watch::Receiver<Arc<Loaded>>,
    /// Why the last reload was refused.
    refused: Option<String>,
    /// What the manager was told, and at which reading of [`Clock::boot`].
    shown: Option<(Standing, String, Duration)>,
    /// Whether the last message could not be sent.
    deaf: bool,
}

/// What feeds the watchdog.
struct Pings {
    /// How often, if there is a watchdog.
    each: Option<Duration>,
    /// Reading of [`Clock::boot`] at the last one.
    last: Duration,
}

impl Pings {
    /// Whether one is due and stands for something: the loop was seen alive since the last one.
    fn are_due(&mut self, now: Duration, pulse: &Pulse) -> bool {
        let since = now.saturating_sub(self.last);
        let due = self.each.is_some_and(|each| since >= each) && pulse.age(now) < since;
        if due {
            self.last = now;
        }
        due
    }
}

/// What is told as soon as it changes.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Standing {
    /// The term it leads for; `None` on a standby.
    term: Option<u64>,
    entries: usize,
    /// A server that does not answer.
    silent: Option<&'static str>,
    refused: Option<String>,
}

impl<C: Clock> Notifier<C> {
    async fn run(mut self) {
        let mut looks = interval(self.pings.each.map_or(LOOK, |each| LOOK.min(each)));
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut ready = false;
        loop {
            let word = tokio::select! {
                word = self.words.recv() => match word {
                    None => return,
                    word => word,
                },
                // Until it is ready, that is all the manager waits for.
                _ = looks.tick(), if ready => None,
            };
            ready |= matches!(word, Some(Word::Ready));
            let over = matches!(word, Some(Word::Stopping));
            self.say(word).await;
            if over {
                return;
            }
        }
    }

    async fn say(&mut self, word: Option<Word>) {
        let mut states = match word {
            None => Vec::new(),
            Some(Word::Ready) => vec![NotifyState::Ready],
            Some(Word::Reloading(at)) => {
                vec![
                    NotifyState::Reloading,
                    NotifyState::MonotonicUsec(at.into()),
                ]
            }
            Some(Word::Reloaded(refused)) => {
                self.refused = refused;
                vec![NotifyState::Ready]
            }
            Some(Word::Stopping) => vec![NotifyState::Stopping],
        };
        let now = self.clock.boot();
        if self.pings.are_due(now, &self.facts.pulse) {
            states.push(NotifyState::Watchdog);
        }
        let status = self.news(now);
        if states.is_empty() && status.is_none() {
            return;
        }
        // A blocking send: the manager may be busy for seconds.
        let sent = spawn_blocking(move || {
            let mut all: Vec<NotifyState<'_>> = states;
            all.extend(status.as_deref().map(NotifyState::Status));
            sd_notify::notify(&all)
        });
        let Ok(sent) = sent.await else {
            return;
        };
        let was_deaf = std::mem::replace(&mut self.deaf, sent.is_err());
        if let Err(error) = sent
            && !was_deaf
        {
            tracing::warn!(event = "warning", %error, "NOTIFY_SOCKET does not take what it is told");
        }
    }

    /// The line of status, if the manager is to be told. What changes with each fire changes too often.
    fn news(&mut self, now: Duration) -> Option<String> {
        let loaded = Arc::clone(&self.schedule.borrow());
        let facts = &self.facts;
        let standing = Standing {
            term: facts.leads().then(|| facts.term()),
            entries: loaded.timetable.entries.len(),
            silent: match (facts.store_up(), facts.broker_up()) {
                (Some(false), _) => Some("store"),
                (_, Some(false)) => Some("broker"),
                _ => None,
            },
            refused: self.refused.clone(),
        };
        if let Some((shown, _, told)) = &self.shown
            && *shown == standing
            && now.saturating_sub(*told) < PERIOD
        {
            return None;
        }
        let nexts = loaded.timetable.entries.values();
        let next = nexts.filter_map(|entry| entry.tally.next()).min();
        let status = describe(&standing, next);
        let is_new = self
            .shown
            .as_ref()
            .is_none_or(|(_, shown, _)| *shown != status);
        // Looked at anew only after another period: there may be very many entries.
        self.shown = Some((standing, status.clone(), now));
        is_new.then_some(status)
    }
}

/// `leader of term 3, 42 entries, next at 2026-12-30T07:30:00Z`. An instant, since a span would be wrong a second later.
fn describe(standing: &Standing, next: Option<FireTime>) -> String {
    let mut text = match standing.term {
        Some(term) => format!("leader of term {term}"),
        None => "standby".to_owned(),
    };
    let _ = match standing.entries {
        1 => write!(text, ", 1 entry"),
        entries => write!(text, ", {entries} entries"),
    };
    if let Some(next) = next.filter(|_| standing.term.is_some()) {
        // Whole seconds are what people read.
        let next = next.to_datetime().format("%Y-%m-%dT%H:%M:%SZ");
        let _ = write!(text, ", next at {next}");
    }
    if let Some(server) = standing.silent {
        let _ = write!(text, "; the {server} does not answer");
    }
    if let Some(why) = &standing.refused {
        // A line of its own would be another message.
        let plain = |c: char| if c.is_control() { ' ' } else { c };
        text += "; reload refused: ";
        text.extend(why.chars().map(plain).take(LONGEST_REASON));
    }
    text
}

#[cfg(test)]
mod tests;
