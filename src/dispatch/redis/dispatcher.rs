//! One transaction or script while store and broker are one Redis, else publish and record.

use std::collections::VecDeque;
use std::sync::Arc;

use super::batch::Batch;
use super::mail::Mail;
use super::probe::{Sight, probe};
use super::publisher::RedisPublisher;
use super::switchboard::Step;
use crate::clock::Timestamp;
use crate::dispatch::{AnyPublisher, CHUNK_BYTES, Confirmed, Landing, Scribe};
use crate::message::Template;
use crate::plan::{Action, Due, Outcome};
use crate::store::control::{Carried, Order};
use crate::store::redis::{Flight, LinkError, Pushes, RedisLedger};
use crate::store::{AnyLedger, Settlement, StoreError, Term};

/// How a message and its record are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing was seen yet.
    Unknown,
    /// In one step of the server, exactly once.
    Atomic,
    /// One after the other.
    Confirmed,
}

/// Publishes to one Redis and records in one.
#[derive(Debug)]
pub struct RedisDispatcher {
    confirmed: Confirmed,
    /// Number of the database that the queues are in.
    queues: i64,
    mode: Mode,
    /// What the last probe showed.
    sight: Option<Sight>,
    /// Numbers of the connections, to the store and to the broker, that it went through.
    probed: (u64, u64),
    /// Whether no rehearsal of a transaction has failed: it would again.
    fit: bool,
    /// Chunks on their way, the oldest first.
    flights: VecDeque<Flight>,
}

impl RedisDispatcher {
    /// Publishes into database `queues` through `publisher`, records in `ledger`.
    #[must_use]
    pub fn new(ledger: RedisLedger, publisher: RedisPublisher, queues: i64) -> Self {
        let publisher = AnyPublisher::Redis(Box::new(publisher));
        let ledger = AnyLedger::Redis(Box::new(ledger));
        Self {
            confirmed: Confirmed::new(publisher, ledger),
            queues,
            mode: Mode::Unknown,
            sight: None,
            probed: (0, 0),
            fit: true,
            flights: VecDeque::new(),
        }
    }

    /// What it does where one step cannot.
    pub fn confirmed(&mut self) -> &mut Confirmed {
        &mut self.confirmed
    }

    /// The ledger.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        self.confirmed.ledger()
    }

    /// For logs and status.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self.mode {
            Mode::Atomic => "atomic",
            Mode::Unknown | Mode::Confirmed => "confirmed",
        }
    }

    /// See [`crate::dispatch::Dispatcher::dispatch`].
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.look().await?;
        if self.mode != Mode::Atomic {
            return self.confirmed.dispatch(scribe, term, dues, now).await;
        }
        let queues = self.queues;
        let (ledger, publisher) = self.parts()?;
        let templates: Vec<&Template> = dues
            .iter()
            .filter(|due| due.action == Action::Fire)
            .map(|due| &due.entry.template)
            .collect();
        let addresses = publisher
            .addresses(&templates)
            .await
            .map_err(|error| not_done(&error))?;
        let batch = Batch {
            ledger,
            publisher,
            scribe,
            term,
            queues,
            dues,
            now,
            mail: Mail::default(),
        };
        batch.commit(addresses).await
    }

    /// See [`crate::dispatch::Dispatcher::launch`].
    pub async fn launch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> bool {
        // What is wrong is told by `dispatch`, which is asked next.
        self.try_launch(scribe, term, dues, now).await == Ok(true)
    }

    async fn try_launch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        self.look().await?;
        let (mode, queues) = (self.mode, self.queues);
        let (ledger, publisher) = self.parts()?;
        if mode != Mode::Atomic || !ledger.transacts() || ledger.database() != queues {
            return Ok(false);
        }
        let templates: Vec<&Template> = dues.iter().map(|due| &due.entry.template).collect();
        // Items of one entry are neighbours.
        let distinct = dues
            .windows(2)
            .all(|two| !Arc::ptr_eq(&two[0].entry, &two[1].entry));
        let bytes: usize = templates.iter().map(|template| template.size_hint()).sum();
        let silent = !templates.iter().any(|template| template.sends_event());
        let fires = dues.iter().all(|due| due.action == Action::Fire);
        if !distinct || !silent || !fires || bytes > CHUNK_BYTES {
            return Ok(false);
        }
        let addresses = publisher
            .addresses(&templates)
            .await
            .map_err(|error| not_done(&error))?;
        let mut pushes = Pushes::of(dues.len());
        let mut message = Vec::new();
        for (due, address) in dues.iter().zip(&addresses) {
            let Ok([Step::Push(queue)]) = address.as_deref() else {
                return Ok(false);
            };
            let fire = scribe.fire(due, now);
            message.clear();
            due.entry.template.render_envelope(&fire, &mut message);
            pushes.add(queue, &message, fire.delivery_tag);
        }
        let settlements: Vec<Settlement> =
            dues.iter().map(|due| scribe.settlement(due, now)).collect();
        let flight = ledger.launch(term, pushes, &settlements).await?;
        self.flights.push_back(flight);
        Ok(true)
    }

    /// See [`crate::dispatch::Dispatcher::land`].
    pub async fn land(&mut self) -> Option<Landing> {
        let flight = self.flights.pop_front()?;
        let landed = match self.parts() {
            Ok((ledger, _)) => {
                let landed = ledger.land(flight).await;
                self.fit &= ledger.transacts();
                landed
            }
            Err(error) => Err(error),
        };
        Some(match landed {
            Ok(Some(outcomes)) => Landing::Done(outcomes),
            Ok(None) => Landing::Back,
            Err(error) => Landing::Failed(error),
        })
    }

    /// See [`crate::dispatch::Dispatcher::trigger`].
    pub async fn trigger(
        &mut self,
        scribe: &Scribe,
        term: Term,
        order: &Order,
        due: &Due,
        now: Timestamp,
    ) -> Result<Carried, StoreError> {
        self.look().await?;
        if self.mode != Mode::Atomic {
            return self.confirmed.trigger(scribe, term, order, due, now).await;
        }
        let queues = self.queues;
        let (ledger, publisher) = self.parts()?;
        let template = &due.entry.template;
        let addresses = publisher
            .addresses(&[template])
            .await
            .map_err(|error| not_done(&error))?;
        let mut mail = Mail::default();
        for address in addresses {
            let fire = scribe.trigger(due, &order.id, now);
            publisher.write(&mut mail, template, &fire, address);
        }
        let (effects, _) = mail.effects(publisher.events());
        ledger.obey(term, order, queues, &effects).await
    }

    fn parts(&mut self) -> Result<(&mut RedisLedger, &mut RedisPublisher), StoreError> {
        match self.confirmed.parts() {
            (AnyPublisher::Redis(publisher), AnyLedger::Redis(ledger)) => Ok((ledger, publisher)),
            _ => Err(StoreError::Unavailable(
                "store or broker is no Redis".into(),
            )),
        }
    }

    /// Looks whether store and broker are one server, anew with each connection.
    pub async fn look(&mut self) -> Result<(), StoreError> {
        let (queues, mode, probed) = (self.queues, self.mode, self.probed);
        let (ledger, publisher) = self.parts()?;
        ledger
            .link()
            .connect()
            .await
            .map_err(|error| not_done(&error))?;
        let reached = publisher.link().connect().await.map(drop);
        if mode == Mode::Atomic {
            // While they are one server its trouble is the store's.
            reached.map_err(|error| not_done(&error))?;
        } else {
            let reached = reached.map_err(|error| error.to_string());
            self.confirmed.reached_broker(reached)?;
        }
        let (ledger, publisher) = self.parts()?;
        let connections = (ledger.link().dials(), publisher.link().dials());
        if self.sight.is_none() || probed != connections {
            let (ledger, publisher) = self.parts()?;
            let mut sight = probe(ledger, publisher.link(), queues)
                .await
                .map_err(|error| not_done(&error))?;
            if sight == Sight::Absent && mode != Mode::Confirmed {
                // One of them may still hang on to the old master of a fail-over.
                ledger.link().drop_connection();
                publisher.link().drop_connection();
                sight = probe(ledger, publisher.link(), queues)
                    .await
                    .map_err(|error| not_done(&error))?;
            }
            if sight == Sight::Forbidden && mode == Mode::Atomic {
                return Err(StoreError::Unavailable(
                    "the broker's user may no longer read the probe key of the store".into(),
                ));
            }
            if sight == Sight::Seen && self.fit {
                let (ledger, _) = self.parts()?;
                let fit = ledger.rehearse().await.map_err(|error| not_done(&error))?;
                if !fit {
                    tracing::info!(
                        event = "warning",
                        "the store's user may not use MULTI, EXEC, EVAL, LTRIM or LINDEX: messages pass through the script, which is slower"
                    );
                }
                self.fit = fit;
            }
            let (ledger, publisher) = self.parts()?;
            self.probed = (ledger.link().dials(), publisher.link().dials());
            self.sight = Some(sight);
        }
        // What is published and not yet recorded would be published again by the script.
        if self.sight == Some(Sight::Seen) && !self.confirmed.owes() {
            self.turn(
                Mode::Atomic,
                "store and broker are one server: published and recorded at once",
            );
        } else if self.sight == Some(Sight::Forbidden) {
            self.turn(Mode::Confirmed, "the broker's user may not read the probe key of the store: published, then recorded");
        } else {
            self.turn(
                Mode::Confirmed,
                "store and broker are not one server: published, then recorded",
            );
        }
        Ok(())
    }

    fn turn(&mut self, mode: Mode, why: &'static str) {
        if std::mem::replace(&mut self.mode, mode) == mode {
            return;
        }
        let name = self.mode();
        if self.sight == Some(Sight::Forbidden) {
            tracing::warn!(event = "broker_up", mode = name, "{why}");
        } else {
            tracing::info!(event = "broker_up", mode = name, "{why}");
        }
    }
}

/// Before anything is committed, a lost reply leaves nothing in doubt.
fn not_done(error: &LinkError) -> StoreError {
    StoreError::Unavailable(error.to_string())
}
