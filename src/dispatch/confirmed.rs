//! Publish and record one after the other, where no transaction spans both.
//!
//! `delivery` decides, entry by entry, what a crash in between leads to:
//!
//! | step | `at_least_once` | `at_most_once` |
//! |---|---|---|
//! | 1 | look whether it may be published | reserve: from now on it counts as published |
//! | 2 | publish, wait for the confirm | publish, wait for the confirm |
//! | 3 | record | mark the reservation done |
//! | refused, or certainly never left | tried again | tried again; the reservation is given back |
//! | no confirm | published again, same task id | `Unknown`, not published again |
//! | crash between 2 and 3 | published again, same task id | the next leader says `unknown` |
//!
//! What was published is remembered until the caller was told what became of it, so that a chunk
//! which is sent again, because the store or a part of the broker did not answer, records it without
//! publishing it again. One fire of an entry is in flight at a time.

use std::collections::{HashMap, HashSet};

use super::CHUNK;
use super::outlet::Outlet;
use super::publisher::{AnyPublisher, Failure, Parcel, Receipt, Scope};
use super::scribe::Scribe;
use crate::clock::{FireTime, Timestamp};
use crate::plan::record::parse_micros;
use crate::plan::{Action, Due, Outcome, Rejection};
use crate::store::control::{Carried, Order};
use crate::store::{AnyLedger, Claim, Ledger, Reservation, Settlement, StoreError, Term};
use crate::timetable::{Delivery, EntryName};

/// Most messages that are published before their confirms are awaited. While they are, the batch
/// before is recorded.
const BATCH: usize = 8 * CHUNK;
/// Most bytes of them, unless one alone has more.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A publisher and a ledger.
#[derive(Debug)]
pub struct Confirmed {
    outlet: Outlet,
    ledger: AnyLedger,
    /// What was published and not yet reported, by entry.
    sent: HashMap<EntryName, Sent>,
    unknown: Vec<(EntryName, FireTime)>,
}

#[derive(Debug, Clone, Copy)]
struct Sent {
    fire_time: FireTime,
    at: Timestamp,
    /// Without a confirm: `at_most_once`, where it is not published again.
    unknown: bool,
}

/// One chunk on its way through the steps; items are named by their place in `dues`.
struct Chunk<'a> {
    dues: &'a [Due],
    now: Timestamp,
    outcomes: Vec<Option<Outcome>>,
    fresh: Vec<usize>,
    to_publish: Vec<usize>,
    to_record: Vec<(usize, Settlement)>,
    /// What the caller is told instead of the outcomes.
    trouble: Option<StoreError>,
}

impl Confirmed {
    /// Publishes through `publisher`, records in `ledger`.
    #[must_use]
    pub fn new(publisher: AnyPublisher, ledger: AnyLedger) -> Self {
        Self {
            outlet: Outlet::new(publisher),
            ledger,
            sent: HashMap::new(),
            unknown: Vec::new(),
        }
    }

    /// See [`super::Dispatcher::trigger`]. A repeat after a crash has the same task id.
    pub async fn trigger(
        &mut self,
        scribe: &Scribe,
        term: Term,
        order: &Order,
        due: &Due,
        now: Timestamp,
    ) -> Result<Carried, StoreError> {
        let fire = scribe.trigger(due, &order.id, now);
        let receipts = self.outlet.publish(&[Parcel { due, fire }]).await;
        match receipts.into_iter().next() {
            Some(Receipt::Confirmed) => self.ledger.obey(term, order).await,
            Some(Receipt::Failed(failure)) => Ok(Carried::Refused(failure.why)),
            None => Ok(Carried::Refused("the publisher did not answer".to_owned())),
        }
    }

    /// The ledger.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        &mut self.ledger
    }

    /// See [`super::Dispatcher::room`].
    #[must_use]
    pub fn room(&self) -> usize {
        self.outlet.room()
    }

    /// See [`super::Dispatcher::mode`].
    #[must_use]
    pub fn mode(&self) -> &'static str {
        match self.outlet.peek() {
            AnyPublisher::Shadow(_) => "shadow",
            _ => "confirmed",
        }
    }

    /// Fire times that another holder had reserved without saying what became of them, found since
    /// this was last asked. They are in the log.
    pub fn take_unknown(&mut self) -> Vec<(EntryName, FireTime)> {
        std::mem::take(&mut self.unknown)
    }

    /// Publisher and ledger.
    pub fn parts(&mut self) -> (&mut AnyPublisher, &mut AnyLedger) {
        (self.outlet.publisher(), &mut self.ledger)
    }

    /// See [`super::Dispatcher::tend`].
    pub async fn tend(&mut self) -> Result<(), StoreError> {
        self.outlet.ready().await
    }

    /// See [`super::Dispatcher::broker_is_up`].
    pub fn broker_is_up(&mut self) -> Option<bool> {
        self.outlet.is_up()
    }

    /// What a look at the broker showed, by other means than [`Confirmed::tend`].
    pub fn reached_broker(&mut self, reached: Result<(), String>) -> Result<(), StoreError> {
        self.outlet.reached(reached)
    }

    /// Whether something is published and not yet recorded.
    #[must_use]
    pub fn owes(&self) -> bool {
        !self.sent.is_empty()
    }

    /// See [`super::Dispatcher::dispatch`].
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        let mut chunk = self.sort(scribe, dues, now);
        if !chunk.fresh.is_empty() {
            match self.outlet.ready().await {
                Ok(()) => self.ask(scribe, term, &mut chunk).await?,
                Err(down) => chunk.trouble = Some(down),
            }
        }
        self.publish(scribe, term, &mut chunk).await?;
        let owed = chunk.take_records();
        let recorded = record(&mut self.ledger, term, &owed.1).await;
        self.recorded(&mut chunk, &owed.0, recorded)?;
        if let Some(trouble) = chunk.trouble {
            return Err(trouble);
        }
        for due in dues {
            self.sent.remove(&due.entry.name);
        }
        let outcomes = chunk.outcomes.into_iter();
        Ok(outcomes.map(|one| one.unwrap_or(Outcome::Held)).collect())
    }

    fn sort<'a>(&self, scribe: &Scribe, dues: &'a [Due], now: Timestamp) -> Chunk<'a> {
        let mut chunk = Chunk {
            dues,
            now,
            outcomes: vec![None; dues.len()],
            fresh: Vec::new(),
            to_publish: Vec::new(),
            to_record: Vec::new(),
            trouble: None,
        };
        let mut in_flight: HashSet<&str> = HashSet::new();
        for (place, due) in dues.iter().enumerate() {
            if !in_flight.insert(&due.entry.name) {
                chunk.outcomes[place] = Some(Outcome::Held);
            } else if due.action == Action::Skip {
                chunk.to_record.push((place, scribe.settlement(due, now)));
            } else if let Some(sent) = self.sent_before(due) {
                chunk
                    .to_record
                    .push((place, scribe.settlement(due, sent.at)));
            } else {
                chunk.fresh.push(place);
            }
        }
        chunk
    }

    /// `due`, if it was published and not yet reported.
    fn sent_before(&self, due: &Due) -> Option<Sent> {
        let sent = self.sent.get(&due.entry.name).copied();
        sent.filter(|sent| sent.fire_time == due.fire_time)
    }

    /// Asks the ledger which of the fresh items may be published.
    async fn ask(
        &mut self,
        scribe: &Scribe,
        term: Term,
        chunk: &mut Chunk<'_>,
    ) -> Result<(), StoreError> {
        let (once, least): (Vec<usize>, Vec<usize>) = std::mem::take(&mut chunk.fresh)
            .into_iter()
            .partition(|&place| chunk.dues[place].entry.policy.delivery == Delivery::AtMostOnce);
        let mut claims = Vec::with_capacity(once.len() + least.len());
        if !least.is_empty() {
            let items: Vec<Settlement> = least
                .iter()
                .map(|&place| scribe.settlement(&chunk.dues[place], chunk.now))
                .collect();
            claims.extend(
                least
                    .into_iter()
                    .zip(self.ledger.claim(term, &items).await?),
            );
        }
        if !once.is_empty() {
            claims.extend(self.reserve(term, chunk.dues, once).await?);
        }
        for (place, claim) in claims {
            match claim {
                Claim::Publish => chunk.to_publish.push(place),
                Claim::Settled(Outcome::Paused) => {
                    // Skipped for good, even if the pause ends before that is recorded.
                    let mut settlement = scribe.settlement(&chunk.dues[place], chunk.now);
                    settlement.action = Action::Skip;
                    chunk.to_record.push((place, settlement));
                    chunk.outcomes[place] = Some(Outcome::Paused);
                }
                Claim::Settled(outcome) => chunk.outcomes[place] = Some(outcome),
                // Reserved by yet another holder meanwhile: this term is over, or nearly.
                Claim::Unmarked(_) => chunk.outcomes[place] = Some(Outcome::Held),
            }
        }
        chunk.to_publish.sort_unstable();
        Ok(())
    }

    /// Reserves; another holder's unmarked reservation is said before it is overwritten.
    async fn reserve(
        &mut self,
        term: Term,
        dues: &[Due],
        places: Vec<usize>,
    ) -> Result<Vec<(usize, Claim)>, StoreError> {
        let mut items: Vec<Reservation> = places
            .iter()
            .map(|&place| Reservation {
                entry: dues[place].entry.name.clone(),
                fire_time: dues[place].fire_time,
                overwrite: String::new(),
            })
            .collect();
        let mut claims = self.ledger.reserve(term, &items).await?;
        if claims
            .iter()
            .any(|claim| matches!(claim, Claim::Unmarked(_)))
        {
            for (item, claim) in items.iter_mut().zip(&claims) {
                if let Claim::Unmarked(text) = claim {
                    self.say_unknown(&item.entry, text);
                    item.overwrite.clone_from(text);
                }
            }
            // The others get their own reservation back.
            claims = self.ledger.reserve(term, &items).await?;
        }
        Ok(places.into_iter().zip(claims).collect())
    }

    /// Says of what earlier holders reserved and did not mark done that its fate is not known, though
    /// the entry may never be due again.
    pub async fn take_over(&mut self, term: Term) -> Result<(), StoreError> {
        let left = self.ledger.unmarked(term).await?;
        for (entry, text) in &left {
            self.say_unknown(entry, text);
        }
        self.ledger.abandon(term, &left).await
    }

    fn say_unknown(&mut self, entry: &EntryName, reservation: &str) {
        let (fire_time, holder) = reservation.split_once(' ').unwrap_or((reservation, ""));
        let fire_time = parse_micros(fire_time).unwrap_or_default();
        tracing::warn!(
            event = "fired",
            entry = &**entry,
            %fire_time,
            holder,
            outcome = "unknown",
            "reserved by an instance that did not say whether it published; not sent again"
        );
        self.unknown.push((entry.clone(), fire_time));
    }

    /// Publishes in batches of a bounded size, until one finds the broker in trouble; records each
    /// while the next one is on its way. What was published last is still to be recorded.
    async fn publish(
        &mut self,
        scribe: &Scribe,
        term: Term,
        chunk: &mut Chunk<'_>,
    ) -> Result<(), StoreError> {
        let mut left = std::mem::take(&mut chunk.to_publish);
        while !left.is_empty() && chunk.trouble.is_none() {
            let mut size = 0;
            let fits = left.iter().take(BATCH).take_while(|&&place| {
                size += chunk.dues[place].entry.template.size_hint();
                size <= BATCH_BYTES
            });
            let count = fits.count().max(1);
            let rest = left.split_off(count);
            let parcels: Vec<Parcel<'_>> = left
                .iter()
                .map(|&place| Parcel {
                    due: &chunk.dues[place],
                    fire: scribe.fire(&chunk.dues[place], chunk.now),
                })
                .collect();
            let owed = chunk.take_records();
            let (receipts, recorded) = tokio::join!(
                Box::pin(self.outlet.publish(&parcels)),
                record(&mut self.ledger, term, &owed.1)
            );
            // First what must not be published again.
            self.published(scribe, chunk, &left, receipts);
            self.recorded(chunk, &owed.0, recorded)?;
            left = rest;
        }
        Ok(())
    }

    /// Takes in how the publishing of `places` went.
    fn published(
        &mut self,
        scribe: &Scribe,
        chunk: &mut Chunk<'_>,
        places: &[usize],
        receipts: Vec<Receipt>,
    ) {
        for (&place, receipt) in places.iter().zip(receipts) {
            let due = &chunk.dues[place];
            let failure = match receipt {
                Receipt::Confirmed => None,
                Receipt::Failed(failure) => Some(failure),
            };
            let at_most_once = due.entry.policy.delivery == Delivery::AtMostOnce;
            let unknown = at_most_once && failure.as_ref().is_some_and(|f| f.may_have_arrived);
            match failure {
                Some(failure) if !unknown => chunk.fail(place, failure),
                _ => {
                    let sent = Sent {
                        fire_time: due.fire_time,
                        at: chunk.now,
                        unknown,
                    };
                    self.sent.insert(due.entry.name.clone(), sent);
                    let settlement = scribe.settlement(due, chunk.now);
                    chunk.to_record.push((place, settlement));
                }
            }
        }
    }

    /// Takes in how the recording of `places` went.
    fn recorded(
        &self,
        chunk: &mut Chunk<'_>,
        places: &[usize],
        recorded: Result<Vec<Outcome>, StoreError>,
    ) -> Result<(), StoreError> {
        let recorded = match recorded {
            Ok(recorded) => recorded,
            Err(StoreError::Unavailable(why)) => {
                // What is published must be recorded before anything else is decided.
                let owed = chunk.dues.iter().any(|due| self.sent_before(due).is_some());
                return Err(if owed {
                    StoreError::Ambiguous(why)
                } else {
                    StoreError::Unavailable(why)
                });
            }
            Err(error) => return Err(error),
        };
        for (&place, outcome) in places.iter().zip(recorded) {
            let sent = self.sent_before(&chunk.dues[place]);
            let outcome = match (sent, outcome) {
                (Some(Sent { unknown: true, .. }), Outcome::Fired(n) | Outcome::AlreadyDone(n)) => {
                    Outcome::Unknown(n)
                }
                // Recorded by an attempt whose outcome the caller did not hear of.
                (Some(_), Outcome::AlreadyDone(count)) => Outcome::Fired(count),
                (_, outcome) => outcome,
            };
            chunk.outcomes[place].get_or_insert(outcome);
        }
        Ok(())
    }
}

/// Records `items`, if there are any.
async fn record(
    ledger: &mut AnyLedger,
    term: Term,
    items: &[Settlement],
) -> Result<Vec<Outcome>, StoreError> {
    if items.is_empty() {
        return Ok(Vec::new());
    }
    ledger.commit(term, items).await
}

impl Chunk<'_> {
    /// What is to be recorded now: places and settlements.
    fn take_records(&mut self) -> (Vec<usize>, Vec<Settlement>) {
        std::mem::take(&mut self.to_record).into_iter().unzip()
    }

    /// An item that was not published, or is published again.
    fn fail(&mut self, place: usize, failure: Failure) {
        match (failure.scope, failure.may_have_arrived) {
            (Scope::Message, _) => {
                self.outcomes[place] = Some(Outcome::Rejected(Rejection(failure.why)));
            }
            (Scope::Broker, true) => self.trouble = Some(StoreError::Ambiguous(failure.why)),
            (Scope::Broker, false) => {
                self.trouble.get_or_insert(StoreError::Broker(failure.why));
            }
        }
    }
}

#[cfg(test)]
mod tests;
