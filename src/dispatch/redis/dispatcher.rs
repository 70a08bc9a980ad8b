//! One script while store and broker are one Redis, else publish and record.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use super::mail::Mail;
use super::probe::{Sight, probe};
use super::publisher::RedisPublisher;
use super::switchboard::Address;
use crate::clock::Timestamp;
use crate::dispatch::{AnyPublisher, CHUNK, CHUNK_BYTES, Confirmed, Scribe};
use crate::message::Template;
use crate::plan::{Action, Due, Outcome};
use crate::store::control::{Carried, Order};
use crate::store::redis::{Flight, Item, LinkError, RedisLedger};
use crate::store::{AnyLedger, Settlement, StoreError, Term};

/// Chunks on their way at once: the next is rendered while the server runs the last one.
const FLIGHTS: usize = 2;

/// How a message and its record are committed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// Nothing was seen yet.
    Unknown,
    /// In one script, exactly once.
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
        }
    }

    /// What it does where one script cannot.
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

/// What is committed by several scripts, one after the other.
struct Batch<'a> {
    ledger: &'a mut RedisLedger,
    publisher: &'a mut RedisPublisher,
    scribe: &'a Scribe,
    term: Term,
    queues: i64,
    dues: &'a [Due],
    now: Timestamp,
    /// The chunk that is being written.
    mail: Mail,
}

/// Tells the entries of one batch apart, faster than their names.
fn address_of(due: &Due) -> usize {
    Arc::as_ptr(&due.entry).addr()
}

/// What is known of the chunks so far.
struct Progress {
    outcomes: Vec<Outcome>,
    flights: VecDeque<(Vec<usize>, Flight)>,
    /// Entries in flight, by their address: their next item waits for how this one goes.
    flying: HashSet<usize>,
    /// Entries of which an item failed: the rest is held.
    failed: HashSet<usize>,
    landed: bool,
    error: Option<StoreError>,
}

impl Batch<'_> {
    /// Commits everything, at most [`CHUNK`] items and [`CHUNK_BYTES`] in a script.
    ///
    /// After an error of a later chunk, what earlier ones did is told and the rest is held, unless
    /// it is in doubt: then all is to be sent again.
    async fn commit(mut self, addresses: Vec<Address>) -> Result<Vec<Outcome>, StoreError> {
        let mut progress = Progress {
            outcomes: vec![Outcome::Held; self.dues.len()],
            flights: VecDeque::with_capacity(FLIGHTS),
            flying: HashSet::new(),
            failed: HashSet::new(),
            landed: false,
            error: None,
        };
        let mut addresses = addresses.into_iter();
        let mut next = 0;
        while next < self.dues.len() && progress.error.is_none() {
            next = self.launch(next, &mut addresses, &mut progress).await;
            let room = if next < self.dues.len() {
                FLIGHTS - 1
            } else {
                0
            };
            while progress.flights.len() > room {
                self.land(&mut progress).await;
            }
        }
        while !progress.flights.is_empty() {
            self.land(&mut progress).await;
        }
        match progress.error {
            Some(error) if !progress.landed || matches!(error, StoreError::Ambiguous(_)) => {
                Err(error)
            }
            _ => Ok(progress.outcomes),
        }
    }

    /// Sends off the chunk that begins at `next`; returns where the next one begins.
    async fn launch(
        &mut self,
        mut next: usize,
        addresses: &mut impl Iterator<Item = Address>,
        progress: &mut Progress,
    ) -> usize {
        let dues = self.dues;
        self.mail.clear();
        let mut places = Vec::with_capacity(CHUNK);
        let mut settlements: Vec<Settlement> = Vec::with_capacity(CHUNK);
        while let Some(due) = dues.get(next) {
            let template = &due.entry.template;
            let full = self.mail.size() + template.size_hint() > CHUNK_BYTES && !places.is_empty();
            if places.len() == CHUNK || full {
                break;
            }
            if progress.flying.contains(&address_of(due)) {
                while !progress.flights.is_empty() {
                    self.land(progress).await;
                }
                if progress.error.is_some() {
                    return next;
                }
            }
            let address = if due.action == Action::Fire {
                addresses.next()
            } else {
                None
            };
            next += 1;
            if progress.failed.contains(&address_of(due)) {
                continue;
            }
            match address {
                Some(address) => {
                    let fire = self.scribe.fire(due, self.now);
                    self.publisher
                        .write(&mut self.mail, template, &fire, address);
                }
                None => self.mail.skip(),
            }
            settlements.push(self.scribe.settlement(due, self.now));
            places.push(next - 1);
        }
        if places.is_empty() {
            return next;
        }
        let (effects, parts) = self.mail.effects(self.publisher.events());
        let items: Vec<Item<'_>> = settlements
            .iter()
            .zip(parts)
            .map(|(settlement, part)| Item {
                settlement,
                effects: &effects[part],
            })
            .collect();
        match self.ledger.launch(self.term, self.queues, &items).await {
            Ok(flight) => {
                progress
                    .flying
                    .extend(places.iter().map(|place| address_of(&dues[*place])));
                progress.flights.push_back((places, flight));
            }
            Err(error) => progress.fail(error),
        }
        next
    }

    /// Waits for the oldest chunk.
    async fn land(&mut self, progress: &mut Progress) {
        let Some((places, flight)) = progress.flights.pop_front() else {
            return;
        };
        for place in &places {
            progress.flying.remove(&address_of(&self.dues[*place]));
        }
        match self.ledger.land(flight).await {
            Ok(outcomes) => {
                progress.landed = true;
                for (place, outcome) in places.into_iter().zip(outcomes) {
                    if matches!(outcome, Outcome::Rejected(_) | Outcome::Held) {
                        progress.failed.insert(address_of(&self.dues[place]));
                    }
                    progress.outcomes[place] = outcome;
                }
            }
            Err(error) => progress.fail(error),
        }
    }
}

impl Progress {
    /// Keeps what matters most: a doubt, else the first error.
    fn fail(&mut self, error: StoreError) {
        if self.error.is_none() || matches!(error, StoreError::Ambiguous(_)) {
            self.error = Some(error);
        }
    }
}
