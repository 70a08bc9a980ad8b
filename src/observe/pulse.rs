//! Whether the firing loop makes progress.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::Clock;

/// The loop's naps are a second; what it computes between two of them takes far less than this.
const STALLED: Duration = Duration::from_secs(15);

/// How often a wait for a server is marked.
const WAITING: Duration = Duration::from_secs(1);

/// Longest wait for servers that counts as progress. Every call has a deadline, the longest of them
/// a third of the longest lease, 100 s; what takes longer than several of these is a fault.
const PATIENCE: Duration = Duration::from_secs(600);

/// The moment at which the firing loop was last seen alive.
///
/// The loop itself marks it, as leader and as standby: a watch kept by a task of its own would go
/// on when the loop hangs. A server that does not answer is no reason to end the process, so the
/// loop marks it while it waits for one, too.
#[derive(Debug)]
pub struct Pulse {
    /// Reading of [`Clock::boot`], µs.
    marked: AtomicU64,
}

impl Pulse {
    /// Of a loop that is about to begin; `boot` is a reading of [`Clock::boot`].
    #[must_use]
    pub fn new(boot: Duration) -> Self {
        Self {
            marked: AtomicU64::new(micros(boot)),
        }
    }

    /// The loop is alive.
    pub fn mark(&self, clock: &impl Clock) {
        self.marked.store(micros(clock.boot()), Ordering::Relaxed);
    }

    /// Waits for `answer`, which servers decide on, and marks meanwhile.
    pub async fn during<T>(&self, clock: &impl Clock, answer: impl Future<Output = T>) -> T {
        self.mark(clock);
        tokio::pin!(answer);
        let began = clock.boot();
        loop {
            tokio::select! {
                biased;
                answer = &mut answer => return answer,
                () = tokio::time::sleep(WAITING) => {}
            }
            if clock.boot().saturating_sub(began) < PATIENCE {
                self.mark(clock);
            }
        }
    }

    /// How long ago the loop was last seen, at the reading `boot` of [`Clock::boot`].
    #[must_use]
    pub fn age(&self, boot: Duration) -> Duration {
        Duration::from_micros(micros(boot).saturating_sub(self.marked.load(Ordering::Relaxed)))
    }

    /// Whether the loop makes progress, at the reading `boot` of [`Clock::boot`].
    #[must_use]
    pub fn is_alive(&self, boot: Duration) -> bool {
        self.age(boot) < STALLED
    }
}

fn micros(boot: Duration) -> u64 {
    u64::try_from(boot.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::{ManualClock, Timestamp};

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stops_is_not_alive_but_one_that_waits_for_a_server_is() {
        let clock = Arc::new(ManualClock::new(Timestamp::EPOCH));
        let hand = Arc::clone(&clock);
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(SECOND).await;
                hand.advance(SECOND);
            }
        });
        let pulse = Pulse::new(clock.boot());
        let pass = |seconds| tokio::time::sleep(SECOND * seconds);

        pass(14).await;
        assert!(pulse.is_alive(clock.boot()), "it may compute for a while");
        pass(2).await;
        assert!(!pulse.is_alive(clock.boot()), "it hangs");

        let answered = pulse.during(&*clock, async {
            pass(500).await;
            pulse.is_alive(clock.boot())
        });
        assert!(answered.await, "it waits");

        let answered = pulse.during(&*clock, async {
            pass(700).await;
            pulse.is_alive(clock.boot())
        });
        assert!(!answered.await, "no server may be waited for so long");
    }
}
