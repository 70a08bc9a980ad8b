//! Commits that fail: said once, retried after a pause.

use std::time::Duration;

use super::backoff::Pauses;
use crate::store::StoreError;

/// Says once that something fails, and once that it works again.
#[derive(Debug, Default)]
pub struct Trouble {
    pauses: Pauses,
    met: bool,
}

impl Trouble {
    /// Logs the first of a row of errors; the pause before the next attempt.
    pub fn met(&mut self, error: &StoreError) -> Duration {
        if !std::mem::replace(&mut self.met, true) {
            tracing::warn!(event = "retrying", %error, "nothing can be committed; trying on");
        }
        match error {
            // Nothing may look at these entries before it is known what became of the chunk. A
            // server that swallows it makes this wait by itself.
            StoreError::Ambiguous(_) => self.pauses.short(),
            _ => self.pauses.longer(),
        }
    }

    /// Logs that it is over, if anything was.
    pub fn over(&mut self) {
        if std::mem::take(&mut self.met) {
            tracing::info!(event = "recovered", "commits succeed again");
        }
        self.pauses.reset();
    }
}
