//! Task ids: functions of what is fired, so that a repeat is recognised.

use uuid::Uuid;

use crate::clock::FireTime;

/// The ids of one scheduler's tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaskIds {
    namespace: Uuid,
}

impl TaskIds {
    /// For the scheduler called `scheduler`.
    #[must_use]
    pub fn new(scheduler: &str) -> Self {
        Self {
            namespace: Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("beat:{scheduler}").as_bytes()),
        }
    }

    /// The id of the task published for `entry` at `fire_time`.
    #[must_use]
    pub fn of(&self, entry: &str, fire_time: FireTime) -> Uuid {
        self.derived(entry, &fire_time.as_micros().to_string())
    }

    /// The id of the task published because a request asked for `entry`; `stream_id` is the id of
    /// the request in the control stream, `<ms>-<n>`, which is never the digits of a fire time.
    #[must_use]
    pub fn of_trigger(&self, entry: &str, stream_id: &str) -> Uuid {
        self.derived(entry, stream_id)
    }

    fn derived(&self, entry: &str, occasion: &str) -> Uuid {
        Uuid::new_v5(&self.namespace, [entry, "\n", occasion].concat().as_bytes())
    }
}

/// The id of the task published for `entry` at `fire_time` by the scheduler called `scheduler`.
#[must_use]
pub fn task_id(scheduler: &str, entry: &str, fire_time: FireTime) -> Uuid {
    TaskIds::new(scheduler).of(entry, fire_time)
}

/// As [`TaskIds::of_trigger`].
#[must_use]
pub fn trigger_task_id(scheduler: &str, entry: &str, stream_id: &str) -> Uuid {
    TaskIds::new(scheduler).of_trigger(entry, stream_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_python_computes() {
        // uuid5(uuid5(NAMESPACE_URL, "beat:prod"), "add\n1795163884130395")
        let id = task_id("prod", "add", FireTime::from_micros(1_795_163_884_130_395));
        assert_eq!(id.to_string(), "394e7e55-c6c8-5f7c-a44e-d783be90c422");
    }

    #[test]
    fn a_trigger_is_not_a_fire() {
        let fire = task_id("prod", "add", FireTime::from_micros(1));
        assert_ne!(fire, trigger_task_id("prod", "add", "1-0"));
        assert_ne!(
            trigger_task_id("prod", "add", "1-0"),
            trigger_task_id("prod", "add", "1-1")
        );
    }
}
