//! Several instances of one scheduler.

use std::time::Duration;

use super::beat::{Beat, Launch};
use super::wait::wait_for;

/// Instances that share a schedule.
#[derive(Debug)]
pub struct Cluster(pub Vec<Beat>);

impl Cluster {
    /// Starts one instance for each launch and waits until one leads.
    pub fn start(launches: impl IntoIterator<Item = Launch>) -> Self {
        let mut cluster = Self(launches.into_iter().map(Launch::start).collect());
        cluster.wait_for_leader(Duration::from_secs(15));
        cluster
    }

    /// `count` instances with the same schedule and environment.
    pub fn of(count: usize, launch: &Launch) -> Self {
        Self::start((0..count).map(|_| launch.clone()))
    }

    /// The instance that was elected and has neither lost nor given up the lease since, nor ended.
    pub fn leader(&mut self) -> Option<usize> {
        (0..self.0.len()).find(|&index| {
            let beat = &mut self.0[index];
            let count = |event| beat.events(event).len();
            let lost = count("deposed") + count("resigned");
            count("elected") > lost && beat.is_alive()
        })
    }

    /// Waits until an instance leads.
    pub fn wait_for_leader(&mut self, timeout: Duration) -> usize {
        wait_for("a leader", timeout, || self.leader())
    }

    /// Kills the leader without warning and starts it again; returns its place.
    pub fn kill_leader(&mut self) -> usize {
        let leader = self.wait_for_leader(Duration::from_secs(10));
        let launch = self.0[leader].launch().clone();
        self.0[leader].kill9();
        // A log of its own, so that what the killed process had said is not taken for the new one's.
        self.0[leader] = launch.start();
        leader
    }
}
