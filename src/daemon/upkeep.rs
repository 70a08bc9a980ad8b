//! What the loop does besides firing: looks after its line to the broker, and counts.

use std::time::Duration;

use super::metronome::Metronome;
use crate::clock::{Clock, Timestamp};
use crate::config::Loaded;
use crate::timetable::Fate;

/// How often an idle leader looks after its line to the broker, so that it is found broken before
/// something is due; and how long before a fire time it does not.
const TEND: Duration = Duration::from_secs(10);
const QUIET: Duration = Duration::from_secs(5);

impl<C: Clock> Metronome<C> {
    /// Looks after the line to the broker, unless something is due soon.
    pub(super) async fn tend(&mut self, wake: Option<Timestamp>) {
        let boot = self.clock.boot();
        let free = wake.map_or(QUIET, |at| at.since(self.now()));
        if free < QUIET || self.tended.is_some_and(|last| boot < last + TEND) {
            return;
        }
        self.tended = Some(boot);
        let tend = self.facts.pulse.during(&self.clock, self.dispatcher.tend());
        let sound = tokio::select! {
            sound = tend => sound.is_ok(),
            () = tokio::time::sleep(free) => false,
            () = self.stop.cancelled() => return,
        };
        self.hear_of_broker(sound);
    }

    /// Shows whether the broker takes messages, after it was talked to.
    pub(super) fn hear_of_broker(&mut self, sound: bool) {
        let atomic = self.dispatcher.mode() == "atomic";
        let up = self.dispatcher.broker_is_up();
        // Where store and broker are one, what fails there fails for both.
        let up = up.map(|up| if atomic { sound } else { up });
        self.facts.broker_is(up);
        if sound {
            let mode = Some(self.dispatcher.mode());
            self.mode
                .send_if_modified(|old| std::mem::replace(old, mode) != mode);
        }
    }

    /// Counts a chunk that was handed over at `began`.
    pub(super) fn committed(&mut self, loaded: &Loaded, began: Duration) {
        let done = self.clock.boot();
        self.facts.publishing.observe(done.saturating_sub(began));
        self.tended = Some(done);
        self.hear_of_broker(true);
        let (unknown, shortfalls) = self.dispatcher.take_findings();
        self.facts.replicas_behind(shortfalls);
        for (name, _) in unknown {
            if let Some(entry) = loaded.timetable.entries.get(&name) {
                self.facts.fired(entry, Fate::Unknown);
            }
        }
    }
}
