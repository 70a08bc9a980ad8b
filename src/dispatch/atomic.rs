//! Store and broker in one Redis: one script publishes and records, exactly once.

use super::Scribe;
use crate::clock::Timestamp;
use crate::plan::{Action, Due, Outcome};
use crate::store::redis::{Effect, Item, RedisLedger, Verb};
use crate::store::{AnyLedger, Settlement, StoreError, Term};

/// The script, and what it needs to know of the broker.
#[derive(Debug)]
pub struct Atomic {
    ledger: AnyLedger,
    /// Number of the database that the queues are in.
    queues: i64,
}

impl Atomic {
    /// Publishes into database `queues` of the ledger's own server.
    #[must_use]
    pub fn new(ledger: RedisLedger, queues: i64) -> Self {
        Self {
            ledger: AnyLedger::Redis(Box::new(ledger)),
            queues,
        }
    }

    /// The ledger.
    pub fn ledger(&mut self) -> &mut AnyLedger {
        &mut self.ledger
    }

    /// For logs and status.
    #[must_use]
    pub fn mode(&self) -> &'static str {
        "atomic"
    }

    /// See [`super::Dispatcher::dispatch`].
    pub async fn dispatch(
        &mut self,
        scribe: &Scribe,
        term: Term,
        dues: &[Due],
        now: Timestamp,
    ) -> Result<Vec<Outcome>, StoreError> {
        let prepared: Vec<(Settlement, Vec<Effect>)> = dues
            .iter()
            .map(|due| (scribe.settlement(due, now), effects(scribe, due, now)))
            .collect();
        let items: Vec<Item<'_>> = prepared
            .iter()
            .map(|(settlement, effects)| Item {
                settlement,
                effects,
            })
            .collect();
        let AnyLedger::Redis(ledger) = &mut self.ledger else {
            return Err(StoreError::Unavailable("the ledger is no Redis".into()));
        };
        ledger.fire(term, self.queues, &items).await
    }
}

fn effects(scribe: &Scribe, due: &Due, now: Timestamp) -> Vec<Effect> {
    if due.action == Action::Skip {
        return Vec::new();
    }
    let template = &due.entry.template;
    let mut envelope = Vec::with_capacity(template.size_hint());
    template.render_envelope(&scribe.fire(due, now), &mut envelope);
    let key = template.route().routing_key.as_str().into();
    vec![Effect {
        verb: Verb::Push,
        key,
        argument: envelope.into(),
    }]
}
