//! Settings as the files say them, one key at a time.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use super::celery_settings::{Known, look_up};
use super::connection::{Connection, filled};
use super::diagnose::{Collector, Finding, Place};
use super::env::Env;
use super::lint::Lint;
use super::listen;
use super::messages::MessageDraft;
use super::scalar::{Zones, duration, duration_in};
use super::settings::Settings;
use super::url::Broker;
use super::walk::{Item, nearest};
use crate::message::{Identity, RetryPolicy, Transport};
use crate::schedule::Zone;
use crate::timetable::Delivery;

/// Every top-level key.
pub(super) const SETTINGS: &[&str] = &[
    "allow",
    "beat_cron_starting_deadline",
    "beat_schedule",
    "broker_connection_timeout",
    "broker_failover_strategy",
    "broker_heartbeat",
    "broker_login_method",
    "broker_tls_ca_file",
    "broker_tls_cert_file",
    "broker_tls_dangerously_skip_verification",
    "broker_tls_key_file",
    "broker_tls_server_name",
    "broker_transport_options",
    "broker_url",
    "broker_url_file",
    "broker_use_ssl",
    "broker_write_url",
    "delivery",
    "enable_utc",
    "enabled",
    "event_exchange",
    "event_serializer",
    "http_listen",
    "lease_ttl",
    "metrics_per_entry",
    "name",
    "state_key_prefix",
    "state_tls_ca_file",
    "state_tls_cert_file",
    "state_tls_dangerously_skip_verification",
    "state_tls_key_file",
    "state_tls_server_name",
    "state_url",
    "state_url_file",
    "store_wait_replicas",
    "task_compression",
    "task_create_missing_queue_exchange_type",
    "task_create_missing_queue_type",
    "task_create_missing_queues",
    "task_default_delivery_mode",
    "task_default_exchange",
    "task_default_exchange_type",
    "task_default_priority",
    "task_default_queue",
    "task_default_queue_type",
    "task_default_routing_key",
    "task_protocol",
    "task_publish_retry",
    "task_publish_retry_policy",
    "task_queue_max_priority",
    "task_queues",
    "task_repr_maxlevels",
    "task_routes",
    "task_send_sent_event",
    "task_serializer",
    "timezone",
];

/// What the environment knows that no file can say.
pub(super) struct Surroundings<'a> {
    pub env: &'a Env,
    pub identity: &'a Identity,
    /// The first path of the schedule; its stem is the default name.
    pub first_path: &'a Path,
    /// Whether the schedule will be run, and so needs a broker.
    pub required: bool,
}

/// Settings on their way into [`Settings`].
#[derive(Default)]
pub(super) struct Draft {
    seen: HashMap<String, Place>,
    name: Option<(String, Place)>,
    zone: Option<Zone>,
    connection: Connection,
    messages: MessageDraft,
    state_key_prefix: Option<String>,
    lease_ttl: Option<Duration>,
    delivery: Delivery,
    store_wait_replicas: u32,
    enabled: Option<bool>,
    http_listen: Option<SocketAddr>,
    metrics_per_entry: Option<bool>,
    starting_deadline: Option<Duration>,
    pub allow: BTreeSet<Lint>,
}

impl Draft {
    /// Takes one top-level key, `beat_schedule` apart.
    pub(super) fn take(
        &mut self,
        item: &Item<'_>,
        env: &Env,
        zones: &mut Zones,
        out: &mut Collector,
    ) {
        let name = item.name();
        if let Some(first) = self.seen.insert(name.to_owned(), item.key_place()) {
            let message = format!("`{}` is set twice; first at", super::escaped(name));
            item.secret()
                .report_key(out, Finding::error(message).naming(first));
            return;
        }
        match name {
            "name" => {
                self.name = filled(&item.secret(), env, out).map(|name| (name, item.place()));
            }
            "timezone" => self.zone = zones.get(item, out),
            "state_key_prefix" => {
                let prefix = item.name_text(out);
                if prefix.is_some_and(|p| p.contains(['{', '}'])) {
                    item.error(
                        out,
                        "`state_key_prefix` must not contain braces: they are the hash tag",
                    );
                }
                self.state_key_prefix = prefix.map(str::to_owned);
            }
            "lease_ttl" => {
                let range = (1_000_000, 300_000_000);
                self.lease_ttl = duration_in(item, out, range, "a duration of 1 s to 5 min");
            }
            "delivery" => self.delivery = delivery(item, out).unwrap_or_default(),
            "store_wait_replicas" => {
                let replicas = item.integer(out, 0..=1_000).unwrap_or(0);
                self.store_wait_replicas = u32::try_from(replicas).unwrap_or(0);
            }
            "enabled" => self.enabled = item.flag(out),
            "http_listen" => {
                if let Some(text) = filled(&item.secret(), env, out) {
                    match listen::address(&text) {
                        Ok(address) => self.http_listen = address,
                        Err(why) => item.secret().error_help(out, why, listen::HELP),
                    }
                }
            }
            "metrics_per_entry" => self.metrics_per_entry = item.flag(out),
            "beat_cron_starting_deadline" => self.starting_deadline = duration(item, out),
            "allow" => self.allow = allow(item, out),
            _ => {
                if !self.connection.take(item, env, out) && !self.messages.take(item, out) {
                    unknown_setting(item, out);
                }
            }
        }
    }

    /// `task_publish_retry` and its policy, which entries may refine.
    pub(super) fn retry(&self) -> RetryPolicy {
        self.messages.retry
    }

    /// Puts files, environment and defaults together. `None` after an error without which nothing
    /// can be said about the entries, either.
    pub(super) fn finish(
        mut self,
        around: &Surroundings<'_>,
        out: &mut Collector,
    ) -> Option<Settings> {
        let env = around.env;
        let name = self.scheduler_name(around, out);
        if let Some(text) = env.get("BEAT_HTTP_LISTEN") {
            match listen::address(text) {
                Ok(address) => self.http_listen = address,
                Err(why) => out.push(
                    Finding::error(why.replace("http_listen", "BEAT_HTTP_LISTEN"))
                        .key("http_listen")
                        .help(listen::HELP),
                ),
            }
        }
        let enabled = match env
            .get("BEAT_ENABLED")
            .map(str::to_ascii_lowercase)
            .as_deref()
        {
            None => self.enabled.unwrap_or(true),
            Some("1" | "true" | "yes" | "on") => true,
            Some("0" | "false" | "no" | "off") => false,
            Some(_) => {
                let help = "true or false, 1 or 0, yes or no, on or off";
                out.push(
                    Finding::error("BEAT_ENABLED is neither true nor false")
                        .key("enabled")
                        .help(help),
                );
                true
            }
        };
        let broker_connection_timeout = self.connection.timeout.unwrap_or(Duration::from_secs(4));
        let mut redis = std::mem::take(&mut self.connection.redis);
        let connected = self.connection.finish(&name, env, around.required, out)?;
        let transport = match &connected.broker {
            Broker::Redis(servers) => {
                redis.db = servers.first().map_or(0, |server| server.database);
                Transport::Redis
            }
            Broker::Amqp(_) => Transport::Amqp,
            Broker::Filesystem(_) => Transport::Filesystem,
        };
        let zone = self.zone.unwrap_or_else(Zone::utc);
        let messages = self
            .messages
            .finish(transport, redis, &zone, around.identity);
        Some(Settings {
            name,
            shadow: false,
            zone,
            broker: connected.broker,
            broker_connection_timeout,
            store: connected.store,
            state_key_prefix: self.state_key_prefix.unwrap_or_else(|| "beat:".to_owned()),
            lease_ttl: self.lease_ttl.unwrap_or(Duration::from_secs(10)),
            delivery: self.delivery,
            store_wait_replicas: self.store_wait_replicas,
            enabled,
            http_listen: self.http_listen,
            metrics_per_entry: self.metrics_per_entry.unwrap_or(true),
            starting_deadline: self.starting_deadline,
            backoff: messages.backoff,
            conventions: messages.conventions,
            routing: messages.routing,
            allow: self.allow,
            links: connected.links,
        })
    }

    fn scheduler_name(&mut self, around: &Surroundings<'_>, out: &mut Collector) -> String {
        const RULE: &str = "1 to 64 of A-Z a-z 0-9 . _ -";
        let fits = |name: &str| {
            (1..=64).contains(&name.len())
                && name
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        };
        let refused = |message: &str| Finding::error(message.to_owned()).key("name").help(RULE);
        if let Some(name) = around.env.get("BEAT_NAME") {
            if !fits(name) {
                out.push(refused(
                    "BEAT_NAME has characters that a name cannot have, or too many",
                ));
            }
            return name.to_owned();
        }
        if let Some((name, place)) = self.name.take() {
            if !fits(&name) {
                out.push(
                    refused("`name` has characters that a name cannot have, or too many").at(place),
                );
            }
            return name;
        }
        let stem = around.first_path.file_stem().and_then(|stem| stem.to_str());
        match stem.filter(|stem| fits(stem)) {
            Some(stem) => stem.to_owned(),
            None if around.required => {
                let message =
                    "the name of the first schedule path cannot name a scheduler: set `name`";
                out.push(refused(message));
                "beat".to_owned()
            }
            None => "beat".to_owned(),
        }
    }
}

/// `delivery`, of the file or of an entry.
pub(super) fn delivery(item: &Item<'_>, out: &mut Collector) -> Option<Delivery> {
    item.one_of(out, &["at_least_once", "at_most_once"])
        .map(|word| match word {
            "at_most_once" => Delivery::AtMostOnce,
            _ => Delivery::AtLeastOnce,
        })
}

/// `allow`, of the file or of an entry.
pub(super) fn allow(item: &Item<'_>, out: &mut Collector) -> BTreeSet<Lint> {
    let mut allowed = BTreeSet::new();
    for element in item.elements(out).into_iter().flatten() {
        let Some(name) = element.text(out) else {
            continue;
        };
        let Some(lint) = Lint::from_name(name) else {
            let finding = Finding::error(format!("unknown lint {}", super::walk::quoted(name)));
            let help = match nearest(name, Lint::NAMES) {
                Some(best) => format!("did you mean \"{best}\"?"),
                None => format!("lints: {}", Lint::NAMES.join(", ")),
            };
            element.report(out, finding.help(help));
            continue;
        };
        allowed.insert(lint);
    }
    allowed
}

fn unknown_setting(item: &Item<'_>, out: &mut Collector) {
    if out.is_full() {
        out.push(Finding::error("unknown setting"));
        return;
    }
    let name = item.name();
    let shown = super::escaped(name);
    // A key that nobody knows may be a misspelt connection setting: its value is not drawn.
    let known = look_up(name);
    let item = &item.secret();
    let near = nearest(name, SETTINGS);
    let finding = match (known, near) {
        (Some(Known::Celery), _) => Finding::warning(format!(
            "`{shown}` does not concern publishing and has no effect here"
        )),
        (Some(Known::OldNameOf(new)), _) if SETTINGS.contains(&new) => {
            Finding::error(format!("unknown setting `{shown}`")).help(format!("use `{new}`"))
        }
        (Some(Known::OldNameOf(new)), _) => Finding::error(format!("unknown setting `{shown}`"))
            .help(format!(
                "this is `{new}`, which does not concern publishing: leave it out"
            )),
        (_, Some(best)) => Finding::error(format!("unknown setting `{shown}`"))
            .help(format!("did you mean `{best}`?")),
        (Some(Known::Like(celery)), None) => Finding::error(format!("unknown setting `{shown}`"))
            .help(format!(
                "did you mean `{celery}`? It does not concern publishing: leave it out"
            )),
        (None, None) => Finding::error(format!("unknown setting `{shown}`"))
            .help("entries are tables [beat_schedule.NAME]; settings have Celery's names"),
    };
    item.report_key(out, finding);
}
