//! `store_wait_replicas`: waiting until replicas have what was written.

use std::time::Duration;

use super::link::Link;
use crate::plan::Outcome;

/// Longest wait after a chunk.
const PATIENCE: Duration = Duration::from_secs(1);

/// How many replicas are waited for, and whether they kept up the last time.
#[derive(Debug, Default)]
pub struct Replicas {
    wanted: u32,
    behind: bool,
    /// Chunks after which too few had what was fired, since this was last asked.
    pub shortfalls: u64,
}

impl Replicas {
    /// Waits for `wanted` replicas.
    #[must_use]
    pub fn new(wanted: u32) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Waits after a chunk that wrote something. Too few replicas are said once; what was fired
    /// stands.
    pub async fn wait(&mut self, link: &mut Link, outcomes: &[Outcome]) {
        let fired = |outcome: &Outcome| matches!(outcome, Outcome::Fired(_));
        if self.wanted == 0 || !outcomes.iter().any(fired) {
            return;
        }
        let patience = PATIENCE.min(link.deadline() * 3 / 4);
        let millis = u64::try_from(patience.as_millis()).unwrap_or(1_000);
        let wait = redis::cmd("WAIT").arg(self.wanted).arg(millis).take();
        let reply: Result<u32, _> = link
            .run(async |connection| wait.query_async(connection).await)
            .await;
        // A lost connection is noticed, and said, by whatever comes next.
        let Ok(reached) = reply else { return };
        let behind = reached < self.wanted;
        self.shortfalls += u64::from(behind);
        if std::mem::replace(&mut self.behind, behind) == behind {
            return;
        }
        let wanted = self.wanted;
        if behind {
            tracing::warn!(
                event = "replicas_behind",
                reached,
                wanted,
                "fewer replicas than store_wait_replicas have what was fired"
            );
        } else {
            tracing::info!(
                event = "replicas_caught_up",
                wanted,
                "the replicas keep up again"
            );
        }
    }
}
