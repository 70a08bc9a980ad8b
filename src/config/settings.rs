//! The settings of a schedule, typed, with Celery's defaults.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::Lint;
use super::env::SecretFile;
use super::rotation::Rotation;
use super::url::{Broker, StoreLocation, UrlContext};
use crate::message::{Conventions, Routing};
use crate::schedule::Zone;
use crate::timetable::{Backoff, Delivery};

/// All settings of one loaded schedule. `Debug` and `Display` of its parts show no credential.
#[derive(Debug)]
pub struct Settings {
    /// `name`: of this scheduler; part of every key of the store and of every task id.
    pub name: String,
    /// Whether it runs beside the scheduler that it is named after, and publishes nothing.
    pub shadow: bool,
    /// `timezone`.
    pub zone: Zone,
    /// `broker_url`, `broker_write_url`, or the environment's.
    pub broker: Broker,
    /// `broker_connection_timeout`.
    pub broker_connection_timeout: Duration,
    /// `state_url`, or what the broker implies.
    pub store: StoreLocation,
    /// `state_key_prefix`.
    pub state_key_prefix: String,
    /// `lease_ttl`, 1 s to 5 min.
    pub lease_ttl: Duration,
    /// `delivery`.
    pub delivery: Delivery,
    /// `store_wait_replicas`.
    pub store_wait_replicas: u32,
    /// `enabled`; also in the policy of every entry.
    pub enabled: bool,
    /// `http_listen`.
    pub http_listen: Option<SocketAddr>,
    /// `metrics_per_entry`.
    pub metrics_per_entry: bool,
    /// `beat_cron_starting_deadline`; also in the policy of every entry that has none of its own.
    pub starting_deadline: Option<Duration>,
    /// `task_publish_retry_policy`: the pauses between attempts.
    pub backoff: Backoff,
    /// What changes the bytes of messages.
    pub conventions: Conventions,
    /// What decides where they go.
    pub routing: Routing,
    /// `allow`.
    pub allow: BTreeSet<Lint>,
    pub(super) links: Links,
}

/// What it takes to read the URLs of secret files again.
#[derive(Debug, Default)]
pub(super) struct Links {
    pub broker_file: Option<SecretFile>,
    pub state_file: Option<SecretFile>,
    pub broker: UrlContext,
    pub state: UrlContext,
}

/// What the name of a shadow ends with, and the path of its file if its store is one.
const SHADOW: &str = ".shadow";

impl Settings {
    /// The settings of a scheduler that does everything as this one would, with a store of its own
    /// and without publishing.
    #[must_use]
    pub fn into_shadow(mut self) -> Self {
        if !self.shadow {
            self.shadow = true;
            self.name.push_str(SHADOW);
            if let StoreLocation::File(path) = &mut self.store {
                path.as_mut_os_string().push(SHADOW);
            }
        }
        self
    }

    /// The name that task ids are made from: a shadow logs those that would be published.
    #[must_use]
    pub fn publishing_name(&self) -> &str {
        match self.name.strip_suffix(SHADOW) {
            Some(name) if self.shadow => name,
            _ => &self.name,
        }
    }

    /// The settings that differ between this schedule and `new` although a reload cannot change
    /// them: stores are moved by stopping all instances.
    #[must_use]
    pub fn refuses_reload_to(&self, new: &Self) -> Vec<&'static str> {
        [
            ("name", self.name == new.name),
            ("state_url", self.store.same_place(&new.store)),
            (
                "state_key_prefix",
                self.state_key_prefix == new.state_key_prefix,
            ),
            ("http_listen", self.http_listen == new.http_listen),
        ]
        .into_iter()
        .filter_map(|(name, same)| (!same).then_some(name))
        .collect()
    }

    /// Where the credentials of the broker are read anew at each dial, if they came from a file.
    #[must_use]
    pub fn broker_rotation(&self) -> Option<Rotation> {
        let file = self.links.broker_file.as_ref()?;
        Some(Rotation::new("broker_url_file", file, &self.links.broker))
    }

    /// Likewise for the store; where it is the broker's Redis, its password rotates with the
    /// broker's.
    #[must_use]
    pub fn store_rotation(&self) -> Option<Rotation> {
        let links = &self.links;
        if let Some(file) = &links.state_file {
            return Some(Rotation::new("state_url_file", file, &links.state));
        }
        match (&self.broker, &self.store) {
            (Broker::Redis(broker), StoreLocation::Redis(store)) if broker == store => {
                self.broker_rotation()
            }
            _ => None,
        }
    }
}

impl Broker {
    /// The store of a schedule without `state_url`; `None` where there is no default.
    pub(super) fn default_store(&self, name: &str) -> Option<StoreLocation> {
        match self {
            Self::Redis(servers) => Some(StoreLocation::Redis(servers.clone())),
            Self::Filesystem(folders) => {
                let path: PathBuf = folders.data_out.join(format!("{name}.state"));
                Some(StoreLocation::File(path))
            }
            Self::Amqp(_) => None,
        }
    }
}
