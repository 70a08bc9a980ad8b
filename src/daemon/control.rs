//! The leader's side of control: reads what operators ask, decides, carries out, answers.
//!
//! A pause is a mark that the commit script looks at; nothing in the plan changes. A resume first
//! moves what counts to now, then removes the mark: a leader that dies in between leaves it paused.
//! A trigger publishes with an id made from the request, beside the grid: neither the ledger nor
//! the count knows of it.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::elector::Leadership;
use crate::clock::Timestamp;
use crate::config::Loaded;
use crate::dispatch::{Dispatcher, Scribe};
use crate::plan::{Action, Due, Outcome, Plan};
use crate::store::control::{Answer, Carried, Decision, Mark, Order, Request, Verb};
use crate::store::redis::Remote;
use crate::store::{Paused, StoreError, Term};

/// Requests older than this, by the store's clock, are dropped: whoever asked has given up.
const STALE_MICROS: i64 = 60_000_000;

/// What carrying out requests needs of the loop.
pub struct Controller<'a> {
    /// Now, by the clock that rules.
    pub now: Timestamp,
    /// Publishes, records, answers.
    pub dispatcher: &'a mut Dispatcher,
    /// Writes messages.
    pub scribe: &'a Scribe,
    /// The term.
    pub term: Term,
    /// The plan.
    pub plan: &'a mut Plan,
    /// The schedule in force.
    pub loaded: &'a Loaded,
    /// What is paused, to be known when the store forgets it.
    pub paused: &'a mut Paused,
}

impl Controller<'_> {
    /// Carries out everything that waits.
    pub async fn run(&mut self) -> Result<(), StoreError> {
        loop {
            let (requests, store_now) = self.dispatcher.ledger().waiting().await?;
            if requests.is_empty() {
                return Ok(());
            }
            for request in requests {
                let stale = store_now.micros_since(request.asked_at()) > STALE_MICROS;
                self.carry_out(&request, stale).await?;
            }
        }
    }

    async fn carry_out(&mut self, request: &Request, stale: bool) -> Result<(), StoreError> {
        let decided = if stale {
            Err("the request is older than 60 s".to_owned())
        } else {
            self.decide(request)
        };
        let (decision, answer) = match decided {
            Ok((decision, message)) => (decision, Answer { ok: true, message }),
            Err(message) => (Decision::Answer, Answer { ok: false, message }),
        };
        let all_paused = Answer {
            ok: false,
            message: "all entries are paused; resume them with --all".to_owned(),
        };
        let order = Order {
            id: request.id.clone(),
            decision,
            entry: request.entry.clone(),
            answer: answer.to_json(),
            answer_if_all_paused: all_paused.to_json(),
        };
        let carried = match &order.decision {
            Decision::Publish => self.publish(&order).await?,
            Decision::Resume => {
                self.skip_to_now(&order.entry).await?;
                self.dispatcher.ledger().obey(self.term, &order).await?
            }
            Decision::Pause(_) | Decision::Answer => {
                self.dispatcher.ledger().obey(self.term, &order).await?
            }
        };
        match (&order.decision, &carried) {
            (Decision::Pause(mark), Carried::Now) => {
                self.paused.insert(order.entry.clone(), mark.clone());
            }
            (Decision::Resume, Carried::Now) => {
                self.paused.remove(&order.entry);
            }
            _ => {}
        }
        let answer = match carried {
            Carried::Before => return Ok(()),
            Carried::Now => answer,
            Carried::AllPaused => all_paused,
            Carried::Refused(why) => {
                let refusal = Answer {
                    ok: false,
                    message: why,
                };
                let order = Order {
                    decision: Decision::Answer,
                    answer: refusal.to_json(),
                    ..order
                };
                self.dispatcher.ledger().obey(self.term, &order).await?;
                refusal
            }
        };
        tracing::info!(
            event = "control",
            request = request
                .verb
                .as_ref()
                .map_or("unknown", |verb| verb.as_str()),
            entry = request.entry.as_str(),
            by = request.by.as_str(),
            reason = request.reason.as_str(),
            ok = answer.ok,
            "{}",
            answer.message
        );
        Ok(())
    }

    /// What to do about `request`, and what to answer.
    fn decide(&self, request: &Request) -> Result<(Decision, String), String> {
        let verb = request.verb.clone()?;
        let entry = request.entry.as_str();
        let entries = &self.loaded.timetable.entries;
        let all = entry == "*" && verb != Verb::Trigger;
        if !all && !entries.contains_key(entry) {
            return Err(unknown(entry, entries.keys().map(|name| &**name)));
        }
        let what = if all { "all entries" } else { entry };
        Ok(match verb {
            Verb::Trigger if self.dispatcher.mode() == "shadow" => (
                Decision::Publish,
                format!("{what} would have been published once; a shadow publishes nothing"),
            ),
            Verb::Trigger => (Decision::Publish, format!("{what} was published once")),
            Verb::Resume => (
                Decision::Resume,
                format!("{what} resumed, counting from now"),
            ),
            Verb::Pause => {
                let mark = Mark {
                    reason: request.reason.clone(),
                    by: request.by.clone(),
                    at: self.now.to_rfc3339(),
                };
                let mark = serde_json::to_string(&mark).unwrap_or_default();
                (Decision::Pause(mark), format!("{what} paused"))
            }
        })
    }

    async fn publish(&mut self, order: &Order) -> Result<Carried, StoreError> {
        let now = self.now;
        let Some(due) = self.pseudo_due(&order.entry, Action::Fire, now) else {
            return Ok(Carried::Refused("the entry is gone".to_owned()));
        };
        self.dispatcher
            .trigger(self.scribe, self.term, order, &due, now)
            .await
    }

    /// Fire times up to now do not count any more.
    async fn skip_to_now(&mut self, entry: &str) -> Result<(), StoreError> {
        let now = self.now;
        let names: Vec<_> = if entry == "*" {
            self.loaded.timetable.entries.keys().cloned().collect()
        } else {
            vec![entry.into()]
        };
        let dues: Vec<Due> = names
            .iter()
            .filter_map(|name| self.pseudo_due(name, Action::Skip, now))
            .collect();
        for chunk in dues.chunks(crate::dispatch::CHUNK) {
            let outcomes = self
                .dispatcher
                .dispatch(self.scribe, self.term, chunk, now)
                .await?;
            for (due, outcome) in chunk.iter().zip(outcomes) {
                if matches!(outcome, Outcome::Skipped | Outcome::Paused) {
                    self.plan.skip_to(&due.entry.name, now);
                }
            }
        }
        Ok(())
    }

    fn pseudo_due(&self, name: &str, action: Action, now: Timestamp) -> Option<Due> {
        let standing = self.plan.standing(name)?;
        let entry = self.loaded.timetable.entries.get(name)?;
        Some(Due {
            slot: 0,
            entry: Arc::clone(entry),
            fire_time: now,
            action,
            anchor: standing.progress.anchor,
            last_fire_time: standing.progress.last,
            skipped: Vec::new(),
            misfire: false,
            task_id: OnceLock::new(),
        })
    }
}

/// Says that there is no such entry, and which ones are near.
fn unknown<'a>(entry: &str, names: impl Iterator<Item = &'a str>) -> String {
    let mut near: Vec<(usize, &str)> = names
        .map(|name| (strsim::damerau_levenshtein(entry, name), name))
        .filter(|(edits, name)| *edits <= 1 + name.chars().count() / 3)
        .collect();
    near.sort_unstable();
    let near: Vec<&str> = near.into_iter().take(3).map(|(_, name)| name).collect();
    if near.is_empty() {
        format!("there is no entry {entry:?}")
    } else {
        format!(
            "there is no entry {entry:?}; did you mean {}?",
            near.join(", ")
        )
    }
}

/// Pause after requests were noticed, which stay until they are carried out, and after trouble.
const PAUSE: Duration = Duration::from_millis(250);

/// The task that notices requests, on a connection of its own: looking for them must not delay a
/// fire.
pub struct Listener {
    /// The store.
    pub remote: Remote,
    /// Only a leader listens.
    pub leadership: watch::Receiver<Leadership>,
    /// Changes whenever requests wait.
    pub requests: watch::Sender<()>,
    /// End.
    pub stop: CancellationToken,
}

impl Listener {
    /// Runs until stopped. Trouble with the store is the elector's to report.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let listen = async {
            let leads = |now: &Leadership| now.term().is_some();
            while self.leadership.wait_for(leads).await.is_ok() {
                match self.remote.has_requests().await {
                    Ok(false) => continue,
                    // A stream of another type is repaired by whoever reads it.
                    Ok(true) | Err(StoreError::Corrupt) => {
                        self.requests.send_replace(());
                    }
                    Err(_) => {}
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = listen => {}
            () = stop.cancelled() => {}
        }
    }
}
