//! Tells the other instances about this one, and looks whether all run the same schedule.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::elector::Leadership;
use super::reload::Refusal;
use super::report;
use crate::clock::{Clock, Timestamp};
use crate::config::Loaded;
use crate::observe::Facts;
use crate::store::AnyRemote;
use crate::store::presence::Presence;

/// How long a standby may run another schedule than the leader before it says so: a new file
/// reaches instances at different times.
const GRACE: Duration = Duration::from_secs(120);
/// Instances that were silent for so long are forgotten.
const FORGOTTEN: Duration = Duration::from_secs(86_400);

/// The task that announces this instance.
pub struct Announcer<C> {
    /// The store.
    pub remote: AnyRemote,
    /// Everything but what changes.
    pub this: Presence,
    /// What this instance is.
    pub leadership: watch::Receiver<Leadership>,
    /// What it runs.
    pub schedule: watch::Receiver<Arc<Loaded>>,
    /// Why its last reload was refused.
    pub refused: watch::Receiver<Refusal>,
    /// How its messages are committed, once that is known.
    pub mode: watch::Receiver<Option<&'static str>>,
    /// What is known of this instance.
    pub facts: Arc<Facts>,
    /// End, and withdraw.
    pub stop: CancellationToken,
    /// The clocks.
    pub clock: C,
}

impl<C: Clock> Announcer<C> {
    /// Runs until stopped. Trouble with the store is the elector's to report.
    pub async fn run(mut self) {
        let mut differs_since: Option<Duration> = None;
        let mut said = false;
        let (mut dials, mut evicts) = (0, false);
        loop {
            self.describe();
            if let Ok(Some(replaced)) = self.remote.announce(&self.this).await {
                report::repaired(&[replaced]);
            }
            if std::mem::replace(&mut dials, self.remote.dials()) != self.remote.dials() {
                let policy = self.remote.eviction_policy().await.unwrap_or_default();
                if std::mem::replace(&mut evicts, policy.starts_with("allkeys-")) != evicts
                    && evicts
                {
                    report::evicting(&policy);
                }
            }
            if let Ok((leader, instances)) = self.remote.instances().await {
                let differs = self.differs(leader.as_deref(), &instances);
                let since = *differs_since.get_or_insert_with(|| self.clock.boot());
                if !differs {
                    differs_since = None;
                    said = false;
                    self.facts.mismatch_is(false);
                } else if !said && self.clock.boot() >= since + GRACE {
                    said = true;
                    self.facts.mismatch_is(true);
                    tracing::error!(
                        event = "schedule_mismatch",
                        name = self.schedule.borrow().settings.name.as_str(),
                        "the leader has run other entries for two minutes: an old file here or there, or two projects under one name"
                    );
                }
                self.forget(&instances).await;
            }
            let third = self.schedule.borrow().settings.lease_ttl / 3;
            tokio::select! {
                () = sleep(third) => {}
                _ = self.leadership.changed() => {}
                _ = self.schedule.changed() => {}
                _ = self.refused.changed() => {}
                Ok(()) = self.mode.changed() => {}
                () = self.stop.cancelled() => break,
            }
        }
        let _ = self
            .remote
            .withdraw(std::slice::from_ref(&self.this.instance))
            .await;
    }

    fn describe(&mut self) {
        let leadership = *self.leadership.borrow_and_update();
        let loaded = Arc::clone(&self.schedule.borrow_and_update());
        let role = if leadership.term().is_some() {
            "leader"
        } else {
            "standby"
        };
        role.clone_into(&mut self.this.role);
        self.this.digest = loaded.timetable.digest.to_string();
        self.this.loaded_at = loaded.timetable.loaded_at.to_rfc3339();
        self.this.entries = loaded.timetable.entries.len();
        self.this
            .reload_error
            .clone_from(&self.refused.borrow_and_update());
        self.this.mode = self
            .mode
            .borrow_and_update()
            .filter(|_| leadership.term().is_some())
            .map(str::to_owned);
        let millis = i32::try_from(self.facts.skew() / 1_000).unwrap_or(i32::MAX);
        self.this.clock_skew_s = f64::from(millis) / 1e3;
        self.this.warnings = self.facts.warnings();
        self.this.seen_at = self.clock.wall().to_rfc3339();
    }

    /// Whether the leader runs other entries than this instance.
    fn differs(&self, leader: Option<&str>, instances: &[Presence]) -> bool {
        let Some((leader, _)) = leader.and_then(|holder| holder.rsplit_once('/')) else {
            return false;
        };
        instances.iter().any(|other| {
            other.instance == leader && !other.digest.is_empty() && other.digest != self.this.digest
        })
    }

    async fn forget(&mut self, instances: &[Presence]) {
        let now = self.clock.wall();
        let gone: Vec<String> = instances
            .iter()
            .filter(|other| {
                let seen = other
                    .seen_at
                    .parse()
                    .map_or(Timestamp::EPOCH, Timestamp::from_datetime);
                now.since(seen) > FORGOTTEN
            })
            .map(|other| other.instance.clone())
            .collect();
        if !gone.is_empty() {
            let _ = self.remote.withdraw(&gone).await;
        }
    }
}
