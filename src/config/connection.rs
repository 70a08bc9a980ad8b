//! Connection settings: URLs, TLS, transport options, and what the environment says instead.
//!
//! Lines of these settings are drawn without their values, and no message quotes one.

use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::DeValue;

use super::diagnose::{Collector, Finding, Place};
use super::env::{Env, SecretFile};
use super::scalar::duration_in;
use super::secret::Secret;
use super::settings::Links;
use super::url::{
    Broker, Failover, LoginMethod, StoreLocation, TlsSettings, UrlContext, UrlError, verification,
};
use super::walk::Item;
use crate::message::RedisConventions;

/// Connection settings as the files give them.
#[derive(Default)]
pub(super) struct Connection {
    urls: [Option<Given>; 5],
    /// A URL was given and refused.
    refused: bool,
    broker_tls: TlsSettings,
    state_tls: TlsSettings,
    transport: UrlContext,
    /// `broker_connection_timeout`.
    pub timeout: Option<Duration>,
    /// What `broker_transport_options` says about the layout of Redis.
    pub redis: RedisConventions,
}

const URLS: [&str; 5] = [
    "broker_url",
    "broker_write_url",
    "broker_url_file",
    "state_url",
    "state_url_file",
];

/// A value with its place.
struct Given {
    text: String,
    place: Place,
}

/// What a connection is made from.
pub(super) struct Connected {
    pub broker: Broker,
    pub store: StoreLocation,
    pub links: Links,
}

/// A string with its `${VAR}`s filled in.
pub(super) fn filled(item: &Item<'_>, env: &Env, out: &mut Collector) -> Option<String> {
    let text = item.text(out)?;
    match env.fill(text) {
        Ok(text) => Some(text),
        Err(why) => {
            item.error_help(out, why, "${VAR:-default} gives a default");
            None
        }
    }
}

fn path(item: &Item<'_>, env: &Env, out: &mut Collector) -> Option<PathBuf> {
    let text = filled(item, env, out)?;
    if text.is_empty() {
        item.error(out, "is empty");
        return None;
    }
    Some(env.credential_path(&text))
}

impl Connection {
    /// Takes a connection setting; false when `item` is none.
    pub(super) fn take(&mut self, item: &Item<'_>, env: &Env, out: &mut Collector) -> bool {
        let item = &item.secret();
        let name = item.name();
        if let Some(index) = URLS.iter().position(|url| *url == name) {
            self.urls[index] = url_text(item, env, out).map(|text| Given {
                text,
                place: item.place(),
            });
            self.refused |= self.urls[index].is_none();
            return true;
        }
        if let Some(key) = name.strip_prefix("broker_tls_") {
            return take_tls(&mut self.broker_tls, key, item, env, out);
        }
        if let Some(key) = name.strip_prefix("state_tls_") {
            return take_tls(&mut self.state_tls, key, item, env, out);
        }
        match name {
            "broker_use_ssl" => self.take_use_ssl(item, env, out),
            "broker_transport_options" => {
                super::transport::take(item, env, &mut self.transport, &mut self.redis, out);
            }
            "broker_connection_timeout" => {
                let words = "a duration of 10 ms to 1 hour";
                self.timeout = duration_in(item, out, (10_000, 3_600_000_000), words);
            }
            "broker_heartbeat" => {
                let seconds = match item.as_number() {
                    Some(seconds) if (0.0..=65_535.0).contains(&seconds) => seconds,
                    _ => {
                        item.wrong_type(out, "a number of seconds from 0 to 65535");
                        return true;
                    }
                };
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "in range"
                )]
                let seconds = seconds.ceil() as u16;
                self.transport.heartbeat = Some(seconds);
            }
            "broker_failover_strategy" => {
                if let Some(word) = item.one_of(out, &["round-robin", "shuffle"]) {
                    self.transport.failover = match word {
                        "shuffle" => Failover::Shuffle,
                        _ => Failover::RoundRobin,
                    };
                }
            }
            "broker_login_method" => {
                if let Some(method) = item
                    .one_of(out, LoginMethod::NAMES)
                    .and_then(LoginMethod::from_name)
                {
                    self.transport.login_method = method;
                }
            }
            _ => return false,
        }
        true
    }

    /// `broker_use_ssl`: true, or the table of redis-py or py-amqp.
    fn take_use_ssl(&mut self, item: &Item<'_>, env: &Env, out: &mut Collector) {
        let tls = &mut self.broker_tls;
        if let DeValue::Boolean(on) = item.value {
            tls.enabled = *on;
            return;
        }
        let Some(fields) = item.fields(out) else {
            return;
        };
        tls.enabled = true;
        for field in fields {
            match field.name() {
                "ssl_ca_certs" | "ca_certs" => tls.ca_file = path(&field, env, out),
                "ssl_certfile" | "certfile" => tls.cert_file = path(&field, env, out),
                "ssl_keyfile" | "keyfile" => tls.key_file = path(&field, env, out),
                "server_hostname" => tls.server_name = filled(&field, env, out),
                "ssl_cert_reqs" | "cert_reqs" => {
                    // Python's ssl.CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED are 0, 1, 2.
                    let verified = match field.value {
                        DeValue::String(text) => verification(text),
                        _ => field
                            .as_integer()
                            .filter(|n| (0..=2).contains(n))
                            .map(|n| n > 0),
                    };
                    match verified {
                        Some(verified) => tls.unverified |= !verified,
                        None => field.wrong_type(out, "\"required\", \"optional\" or \"none\""),
                    }
                }
                "ssl_check_hostname" | "check_hostname" => {
                    tls.unverified |= field.flag(out) == Some(false);
                }
                _ => field.unknown_key(
                    out,
                    "key of TLS",
                    &[
                        "ssl_ca_certs",
                        "ssl_certfile",
                        "ssl_keyfile",
                        "ssl_cert_reqs",
                        "ssl_check_hostname",
                        "server_hostname",
                    ],
                ),
            }
        }
    }

    /// Puts files and environment together. `required`: a missing broker is an error; otherwise
    /// it is taken to be a Redis on this host.
    pub(super) fn finish(
        self,
        name: &str,
        env: &Env,
        required: bool,
        out: &mut Collector,
    ) -> Option<Connected> {
        let [broker_url, write_url, broker_file, state_url, state_file] = self.urls;
        exclusive(
            "broker_url",
            broker_url.as_ref().or(write_url.as_ref()),
            broker_file.as_ref(),
            out,
        );
        exclusive("state_url", state_url.as_ref(), state_file.as_ref(), out);
        let broker_context = UrlContext {
            tls: self.broker_tls,
            ..self.transport.clone()
        };
        let state_context = UrlContext {
            tls: self.state_tls,
            ..self.transport
        };
        let (mut broker_link, mut state_link) = (None, None);

        let from_env = ["BEAT_BROKER_URL", "CELERY_BROKER_URL"]
            .into_iter()
            .find_map(|var| Some((var, env.get(var)?)));
        let broker = if let Some((var, url)) = from_env {
            checked(var, None, Broker::parse(url, &broker_context), out)?
        } else if let Some(file) = broker_file {
            let url = read_secret("broker_url_file", &file, env, &mut broker_link, out)?;
            checked(
                "broker_url_file",
                Some(&file),
                Broker::parse(url.expose(), &broker_context),
                out,
            )?
        } else if let Some(url) = write_url {
            checked(
                "broker_write_url",
                Some(&url),
                Broker::parse(&url.text, &broker_context),
                out,
            )?
        } else if let Some(url) = broker_url {
            checked(
                "broker_url",
                Some(&url),
                Broker::parse(&url.text, &broker_context),
                out,
            )?
        } else {
            if self.refused {
                return None;
            }
            if required {
                out.push(
                    Finding::error("no broker: broker_url is not set")
                        .key("broker_url")
                        .help("set broker_url in the file, or the variable BEAT_BROKER_URL or CELERY_BROKER_URL"),
                );
                return None;
            }
            checked(
                "broker_url",
                None,
                Broker::parse("redis://localhost:6379/0", &broker_context),
                out,
            )?
        };

        let store = if let Some(url) = env.get("BEAT_STATE_URL") {
            checked(
                "BEAT_STATE_URL",
                None,
                StoreLocation::parse(url, &state_context),
                out,
            )?
        } else if let Some(file) = state_file {
            let url = read_secret("state_url_file", &file, env, &mut state_link, out)?;
            let parsed = StoreLocation::parse(url.expose(), &state_context);
            checked("state_url_file", Some(&file), parsed, out)?
        } else if let Some(url) = state_url {
            checked(
                "state_url",
                Some(&url),
                StoreLocation::parse(&url.text, &state_context),
                out,
            )?
        } else if let Some(store) = broker.default_store(name) {
            store
        } else if self.refused {
            return None;
        } else if required {
            out.push(
                Finding::error("state_url is not set, and an AMQP broker cannot hold the state")
                    .key("state_url")
                    .help("RabbitMQ needs a Redis, or file:// for a single instance"),
            );
            return None;
        } else {
            StoreLocation::File(Path::new("state").to_owned())
        };
        Some(Connected {
            broker,
            store,
            links: Links {
                broker_file: broker_link,
                state_file: state_link,
                broker: broker_context,
                state: state_context,
            },
        })
    }
}

/// The text of a URL setting; Celery takes an array of URLs, too.
fn url_text(item: &Item<'_>, env: &Env, out: &mut Collector) -> Option<String> {
    if !matches!(item.value, DeValue::Array(_)) || item.name().ends_with("_file") {
        return filled(item, env, out);
    }
    let all: Option<Vec<String>> = item
        .elements(out)?
        .map(|url| filled(&url, env, out))
        .collect();
    all.map(|all| all.join(";"))
}

fn take_tls(
    tls: &mut TlsSettings,
    key: &str,
    item: &Item<'_>,
    env: &Env,
    out: &mut Collector,
) -> bool {
    match key {
        "ca_file" => tls.ca_file = path(item, env, out),
        "cert_file" => tls.cert_file = path(item, env, out),
        "key_file" => tls.key_file = path(item, env, out),
        "server_name" => tls.server_name = filled(item, env, out),
        "dangerously_skip_verification" => tls.skip_verification = item.flag(out).unwrap_or(false),
        _ => return false,
    }
    true
}

fn exclusive(name: &str, url: Option<&Given>, file: Option<&Given>, out: &mut Collector) {
    if let (Some(url), Some(file)) = (url, file) {
        let message = format!("{name} and {name}_file are both set; the other one is at");
        out.push(
            Finding::error(message)
                .at(file.place)
                .key(format!("{name}_file"))
                .naming(url.place),
        );
    }
}

fn read_secret(
    name: &str,
    given: &Given,
    env: &Env,
    link: &mut Option<SecretFile>,
    out: &mut Collector,
) -> Option<Secret> {
    if given.text.contains("://") {
        // A URL where its file belongs must not be told as a path would be.
        out.push(
            Finding::error(format!(
                "{name} takes the path of a file that holds the URL"
            ))
            .at(given.place)
            .key(name)
            .help(format!(
                "the URL itself belongs to `{}`",
                name.trim_end_matches("_file")
            )),
        );
        return None;
    }
    let file = SecretFile(env.credential_path(&given.text));
    match file.read() {
        Ok(secret) => {
            *link = Some(file);
            Some(secret)
        }
        Err(why) => {
            out.push(
                Finding::error(format!("{name}: {why}"))
                    .at(given.place)
                    .key(name),
            );
            None
        }
    }
}

/// Reports a refused URL under the name it was given by, a setting or a variable.
fn checked<T>(
    name: &str,
    given: Option<&Given>,
    parsed: Result<T, UrlError>,
    out: &mut Collector,
) -> Option<T> {
    match parsed {
        Ok(parsed) => Some(parsed),
        Err(error) => {
            let mut finding = Finding::error(format!("{name} {error}")).key(name);
            if let Some(help) = error.help {
                finding = finding.help(help);
            }
            if let Some(given) = given {
                finding = finding.at(given.place);
            }
            out.push(finding);
            None
        }
    }
}
