//! What is known of this instance: the daemon's tasks put it in, health, metrics and status read it.

use std::time::Duration;

use super::Pulse;

/// One for the process, shared by all tasks.
#[derive(Debug)]
pub struct Facts {
    /// Of the firing loop.
    pub pulse: Pulse,
}

impl Facts {
    /// Of an instance that starts; `boot` is a reading of [`crate::clock::Clock::boot`].
    #[must_use]
    pub fn new(boot: Duration) -> Self {
        Self {
            pulse: Pulse::new(boot),
        }
    }
}
