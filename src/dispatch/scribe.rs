//! From a due item to its message and its record.

use uuid::Uuid;

use crate::clock::{FireTime, Timestamp};
use crate::message::{Fire, TaskIds};
use crate::plan::{Action, Due, Record};
use crate::store::Settlement;

/// Writes messages and records for one scheduler.
#[derive(Debug, Clone)]
pub struct Scribe {
    ids: TaskIds,
}

impl Scribe {
    /// The scribe of the scheduler called `name`.
    #[must_use]
    pub fn new(name: &str) -> Self {
        Self {
            ids: TaskIds::new(name),
        }
    }

    /// What is filled into the message of `due` when it is published at `now`.
    #[must_use]
    pub fn fire(&self, due: &Due, now: Timestamp) -> Fire {
        Fire {
            fire_time: due.fire_time,
            last_fire_time: due.last_fire_time,
            next_fire_time: next_fire_time(due, now),
            now,
            task_id: self.task_id(due),
            delivery_tag: Uuid::new_v4(),
        }
    }

    /// What is filled in when the entry of `due` is published at `now` because the request `id`
    /// asks for it.
    #[must_use]
    pub fn trigger(&self, due: &Due, id: &str, now: Timestamp) -> Fire {
        Fire {
            task_id: self.ids.of_trigger(&due.entry.name, id),
            ..self.fire(due, now)
        }
    }

    /// The task id of `due`: the same at every attempt.
    #[must_use]
    pub fn task_id(&self, due: &Due) -> Uuid {
        let id = || self.ids.of(&due.entry.name, due.fire_time);
        *due.task_id.get_or_init(id)
    }

    /// What is recorded when `due` is published, or skipped, at `now`.
    #[must_use]
    pub fn settlement(&self, due: &Due, now: Timestamp) -> Settlement {
        let record = match due.action {
            Action::Skip => String::new(),
            Action::Fire => Record {
                anchor: due.anchor,
                timing: due.entry.timing,
                enabled: true,
                max_runs: due.entry.policy.max_runs,
                task_id: Some(self.task_id(due)),
                sent_at: Some(now),
                removed_at: None,
            }
            .to_json(),
        };
        Settlement {
            entry: due.entry.name.clone(),
            fire_time: due.fire_time,
            action: due.action,
            record,
        }
    }
}

/// `expires = "auto"`: the first fire time later than both the fired one and the moment of publishing.
fn next_fire_time(due: &Due, now: Timestamp) -> Option<FireTime> {
    if !due.entry.template.needs_next_fire_time() {
        return None;
    }
    due.entry.next_fire(due.anchor, due.fire_time.max(now))
}
