//! From the settings to store and broker.

use std::time::Duration;

use uuid::Uuid;

use crate::config::{Broker, RedisServer, Settings, StoreLocation};
use crate::dispatch::{
    AmqpPublisher, AnyPublisher, Confirmed, Dispatcher, Folder, RedisDispatcher, RedisPublisher,
    Shadow,
};
use crate::store::file::FileStore;
use crate::store::redis::{Keys, Link, RedisLease, RedisLedger, Remote, server::Dialer};
use crate::store::{AnyLease, AnyLedger, AnyRemote};

/// How this instance reaches its store; the same files and the same identity for its whole life.
#[derive(Debug, Clone)]
pub struct Links {
    instance: String,
    /// Open once: the lease and every ledger share it.
    file: Option<FileStore>,
}

impl Links {
    /// Links of an instance on `hostname`.
    #[must_use]
    pub fn new(settings: &Settings, hostname: &str) -> Self {
        let label: String = hostname
            .chars()
            .filter(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
            .take(63)
            .collect();
        let file = match &settings.store {
            StoreLocation::File(path) => Some(FileStore::new(path.clone())),
            StoreLocation::Redis(_) => None,
        };
        Self {
            instance: format!("{label}-{}", Uuid::new_v4().simple()),
            file,
        }
    }

    /// This instance's name in the store: host and 128 random bits.
    #[must_use]
    pub fn instance(&self) -> &str {
        &self.instance
    }

    /// The lease that `settings` name.
    #[must_use]
    pub fn lease(&self, settings: &Settings) -> AnyLease {
        match (&settings.store, &self.file) {
            (StoreLocation::Redis(servers), _) => AnyLease::Redis(Box::new(RedisLease::new(
                store_dialer(settings, servers),
                keys(settings),
                self.instance.clone(),
                deadline(settings),
            ))),
            (StoreLocation::File(path), None) => {
                AnyLease::File(FileStore::new(path.clone()).split().0)
            }
            (StoreLocation::File(_), Some(file)) => AnyLease::File(file.clone().split().0),
        }
    }

    fn redis_ledger(&self, settings: &Settings, dialer: Dialer) -> RedisLedger {
        RedisLedger::new(
            dialer,
            keys(settings),
            self.instance.clone(),
            deadline(settings),
        )
        .wait_for(settings.store_wait_replicas)
    }

    /// What is recorded where `settings` say; shares the file with the lease.
    #[must_use]
    pub fn ledger(&self, settings: &Settings) -> AnyLedger {
        match (&settings.store, &self.file) {
            (StoreLocation::Redis(servers), _) => AnyLedger::Redis(Box::new(
                self.redis_ledger(settings, store_dialer(settings, servers)),
            )),
            (StoreLocation::File(path), None) => {
                AnyLedger::File(FileStore::new(path.clone()).split().1)
            }
            (StoreLocation::File(_), Some(file)) => AnyLedger::File(file.clone().split().1),
        }
    }

    fn redis_publisher(settings: &Settings, servers: &[RedisServer]) -> RedisPublisher {
        let link = Link::new(broker_dialer(settings, servers), deadline(settings));
        RedisPublisher::new(link, &settings.conventions)
    }

    /// What talks to the store without leading, where it is a Redis.
    #[must_use]
    pub fn remote(&self, settings: &Settings) -> Option<Remote> {
        match &settings.store {
            StoreLocation::Redis(servers) => Some(Remote::new(
                store_dialer(settings, servers),
                keys(settings),
                deadline(settings),
            )),
            StoreLocation::File(_) => None,
        }
    }

    /// The same for whatever store there is, and for itself alone where it is a file.
    #[must_use]
    pub fn any_remote(&self, settings: &Settings) -> AnyRemote {
        match (self.remote(settings), &self.file, &settings.store) {
            (Some(remote), ..) => AnyRemote::Redis(Box::new(remote)),
            (None, Some(file), _) => AnyRemote::Here(file.clone()),
            (None, None, StoreLocation::File(path)) => {
                AnyRemote::Here(FileStore::new(path.clone()))
            }
            (None, None, StoreLocation::Redis(servers)) => AnyRemote::Redis(Box::new(Remote::new(
                store_dialer(settings, servers),
                keys(settings),
                deadline(settings),
            ))),
        }
    }

    /// The file that is the store.
    #[must_use]
    pub fn file(&self) -> Option<&FileStore> {
        self.file.as_ref()
    }

    /// What publishes and records as `settings` say.
    #[must_use]
    pub fn dispatcher(&self, settings: &Settings) -> Dispatcher {
        if settings.shadow {
            return Dispatcher::Confirmed(Box::new(Confirmed::new(
                AnyPublisher::Shadow(Shadow),
                self.ledger(settings),
            )));
        }
        match (&settings.broker, &settings.store) {
            (Broker::Redis(brokers), StoreLocation::Redis(stores)) => {
                let ledger = self.redis_ledger(settings, store_dialer(settings, stores));
                let publisher = Self::redis_publisher(settings, brokers);
                let queues = broker_dialer(settings, brokers).database();
                Dispatcher::Redis(Box::new(RedisDispatcher::new(ledger, publisher, queues)))
            }
            (Broker::Redis(brokers), StoreLocation::File(_)) => {
                let publisher =
                    AnyPublisher::Redis(Box::new(Self::redis_publisher(settings, brokers)));
                Dispatcher::Confirmed(Box::new(Confirmed::new(publisher, self.ledger(settings))))
            }
            (Broker::Filesystem(folders), _) => Dispatcher::Confirmed(Box::new(Confirmed::new(
                AnyPublisher::Folder(Folder::new(folders, &settings.conventions)),
                self.ledger(settings),
            ))),
            (Broker::Amqp(servers), _) => {
                let patience = settings.broker_connection_timeout;
                let publisher = AmqpPublisher::new(servers, deadline(settings), patience)
                    .rotating(settings.broker_rotation());
                Dispatcher::Confirmed(Box::new(Confirmed::new(
                    AnyPublisher::Amqp(Box::new(publisher)),
                    self.ledger(settings),
                )))
            }
        }
    }
}

/// Whether both settings lead to the same store and broker in the same way.
#[must_use]
pub fn same(old: &Settings, new: &Settings) -> bool {
    old.broker == new.broker
        && old.broker_connection_timeout == new.broker_connection_timeout
        && old.store == new.store
        && old.lease_ttl == new.lease_ttl
        && old.store_wait_replicas == new.store_wait_replicas
        && old.conventions.redis == new.conventions.redis
        && old.conventions.events == new.conventions.events
}

fn store_dialer(settings: &Settings, servers: &[RedisServer]) -> Dialer {
    Dialer::new(servers).rotating(settings.store_rotation())
}

fn broker_dialer(settings: &Settings, servers: &[RedisServer]) -> Dialer {
    Dialer::new(servers).rotating(settings.broker_rotation())
}

fn keys(settings: &Settings) -> Keys {
    Keys::new(&settings.state_key_prefix, &settings.name)
}

/// Every call to the store ends within a third of the lease, so that a renewal can be repeated.
fn deadline(settings: &Settings) -> Duration {
    settings.lease_ttl / 3
}
