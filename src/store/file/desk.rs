//! What is asked of the holder of a file while it holds it: requests of operators, and how things stand.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::{FileLedger, FileStore};
use crate::clock::Timestamp;
use crate::plan::Recorded;
use crate::store::control::{Carried, Order, Request, place};
use crate::store::presence::Presence;
use crate::store::tables::Table;
use crate::store::{Paused, StoreError, Term};

/// Most requests that wait; more are refused.
const MOST_WAITING: usize = 64;

/// What waits for the loop, and what the instance says of itself.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// The last id that was given.
    last: (u64, u64),
    waiting: VecDeque<Waiting>,
    presence: Option<Presence>,
}

#[derive(Debug)]
struct Waiting {
    request: Request,
    answer: oneshot::Sender<String>,
}

/// How things stand, as the holder of the file knows it.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Standing {
    /// `<instance>/<term>` of the holder.
    pub leader: Option<String>,
    /// The holder's name, and what it says of itself.
    pub instances: BTreeMap<String, Presence>,
    /// Why entries, or `*`, are paused.
    pub paused: Paused,
    /// What is recorded of each entry.
    pub recorded: BTreeMap<String, Row>,
}

/// [`Recorded`], as it travels; times in µs.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Row {
    last: Option<Timestamp>,
    from: Option<Timestamp>,
    count: u64,
    text: String,
}

impl From<Row> for Recorded {
    fn from(row: Row) -> Self {
        Self {
            last: row.last,
            from: row.from,
            count: row.count,
            text: row.text,
        }
    }
}

impl FileStore {
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a request, made of names and values in turn; the answer comes once it is carried out.
    /// Dropping the receiver withdraws it.
    ///
    /// # Errors
    /// Why it is not taken.
    pub fn submit(
        &self,
        fields: &[String],
        now: Timestamp,
    ) -> Result<oneshot::Receiver<String>, String> {
        let cursor = {
            let open = self.open();
            let held = open.as_ref().ok_or("this instance does not lead")?;
            place(
                held.tables
                    .get(Table::Meta, "control_cursor")
                    .unwrap_or_default(),
            )
        };
        let mut desk = self.desk();
        desk.waiting.retain(|waiting| !waiting.answer.is_closed());
        if desk.waiting.len() >= MOST_WAITING {
            return Err(format!("{MOST_WAITING} requests wait already"));
        }
        // Ids only grow, whatever the clock does: one that is not above the cursor was carried out.
        let millis = u64::try_from(now.as_micros() / 1_000).unwrap_or(0);
        let last = desk.last.max(cursor);
        let id = (millis, 0).max((last.0, last.1 + 1));
        desk.last = id;
        let (answer, answered) = oneshot::channel();
        let request = Request::read(format!("{}-{}", id.0, id.1), fields);
        desk.waiting.push_back(Waiting { request, answer });
        Ok(answered)
    }

    /// Keeps what this instance says of itself.
    pub fn announce(&self, presence: &Presence) {
        self.desk().presence = Some(presence.clone());
    }

    /// Who holds the file, and what it says of itself; nothing when it is another process.
    #[must_use]
    pub fn holder(&self) -> (Option<String>, Option<Presence>) {
        let term = self.open().as_ref().map(|held| held.term);
        let presence = self.desk().presence.clone();
        let leader = term.zip(presence.as_ref());
        let leader = leader.map(|(term, presence)| format!("{}/{term}", presence.instance));
        (leader, presence)
    }

    /// How things stand; `None` when another process holds the file.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        let (leader, presence) = self.holder();
        let open = self.open();
        let tables = &open.as_ref()?.tables;
        let names = tables.others(&[]).into_iter().map(|(name, _)| name);
        let names: Vec<_> = names.collect();
        let loaded = tables.load(&names);
        let rows = names.iter().zip(loaded.recorded);
        Some(Standing {
            leader,
            instances: presence
                .into_iter()
                .map(|presence| (presence.instance.clone(), presence))
                .collect(),
            paused: loaded.paused,
            recorded: rows
                .map(|(name, recorded)| {
                    let Recorded {
                        last,
                        from,
                        count,
                        text,
                    } = recorded;
                    let row = Row {
                        last,
                        from,
                        count,
                        text,
                    };
                    (name.to_string(), row)
                })
                .collect(),
        })
    }
}

impl FileLedger {
    /// The requests that wait. Whoever made one waits for its answer or has withdrawn it, so none
    /// is ever too old: the time that comes with them is before all.
    #[must_use]
    pub fn waiting(&self) -> (Vec<Request>, Timestamp) {
        let mut desk = self.0.desk();
        desk.waiting.retain(|waiting| !waiting.answer.is_closed());
        let requests = desk.waiting.iter().map(|waiting| waiting.request.clone());
        (requests.collect(), Timestamp::EPOCH)
    }

    /// See [`crate::store::AnyLedger::obey`].
    pub async fn obey(&mut self, term: Term, order: &Order) -> Result<Carried, StoreError> {
        let (store, copy) = (self.0.clone(), order.clone());
        let work = move || store.with(term, |tables| tables.obey(&copy));
        let carried = super::blocking(work).await?;
        let answer = match carried {
            Carried::AllPaused => &order.answer_if_all_paused,
            _ => &order.answer,
        };
        let mut desk = self.0.desk();
        let found = desk
            .waiting
            .iter()
            .position(|waiting| waiting.request.id == order.id);
        if let Some(waiting) = found.and_then(|at| desk.waiting.remove(at)) {
            // Whoever asked may be gone.
            let _ = waiting.answer.send(answer.clone());
        }
        Ok(carried)
    }
}
