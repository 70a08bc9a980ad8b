//! A plan in the making: times, encoding and body.

use super::super::extra::{Encoding, Extra, Instant, LiveBody, Source};
use super::super::placeholder::{self, Filling};
use super::super::{Job, Route};
use super::Body;
use crate::clock::Timestamp;
use crate::message::conventions::Protocol;
use crate::message::{
    Compression, Conventions, Invalid, Options, Serializer, Transport, Value, check, moment,
};

/// A plan in the making.
pub(super) struct Draft<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) options: &'a Options,
    pub(super) conventions: &'a Conventions,
    pub(super) extra: Extra,
    /// Whether anything is in `extra`.
    pub(super) used: bool,
    /// Args or kwargs hold placeholders.
    pub(super) patterns: bool,
    pub(super) eta: Source,
    pub(super) expires: Source,
}

impl<'a> Draft<'a> {
    pub(super) fn new(
        job: &'a Job<'a>,
        options: &'a Options,
        route: &Route,
        conventions: &'a Conventions,
    ) -> Self {
        let patterns = job.args.iter().any(placeholder::any)
            || job.kwargs.iter().any(|(_, item)| placeholder::any(item));
        let headers = job.options.get("headers").is_some_and(placeholder::any);
        let filling = (patterns || headers).then(|| Filling {
            entry: job.entry.into(),
            zone: job.zone.clone(),
        });
        let mut draft = Self {
            used: filling.is_some(),
            extra: Extra {
                timezone: conventions.timezone.clone(),
                eta: Instant::None,
                expires: Instant::None,
                expiration: Instant::None,
                delay: Instant::None,
                filling,
                live: Vec::new(),
                body: None,
            },
            job,
            options,
            conventions,
            patterns,
            eta: Source::Fixed(Value::Null),
            expires: Source::Fixed(Value::Null),
        };
        draft.times(route.delayed_key.is_some());
        draft
    }

    /// `eta`, `expires`, the expiration and the delay.
    fn times(&mut self, delayed: bool) {
        let eta = self.options.get("eta");
        match self.options.get("countdown").and_then(micros) {
            Some(countdown) if countdown > 0 => {
                self.extra.eta = Instant::After(countdown);
                self.eta = Source::Eta;
                self.used = true;
            }
            _ => {
                if let Some(eta) = eta {
                    self.eta = Source::Own(iso_text(eta));
                }
            }
        }
        if delayed {
            // Celery turns an eta into a countdown and writes it anew, in the zone of the settings.
            if let Some(at) = eta.and_then(instant) {
                self.extra.eta = Instant::At(at);
                self.eta = Source::Eta;
            }
            self.extra.delay = self.extra.eta;
            self.used = true;
        }
        let Some(expires) = self.options.get("expires") else {
            return;
        };
        if let Some(after) = micros(expires) {
            self.extra.expires = Instant::After(after);
            self.expires = Source::Expires;
        } else if expires.as_str() == Some("auto") {
            self.extra.expires = Instant::Next;
            self.extra.expiration = Instant::Next;
            self.expires = Source::Expires;
        } else {
            self.extra.expiration = instant(expires).map_or(Instant::None, Instant::At);
            self.expires = Source::Own(iso_text(expires));
        }
        self.used = true;
    }

    pub(super) fn encoding(&self) -> Result<Encoding, Invalid> {
        let serializer = match self.options.text("serializer") {
            Some(name) => Serializer::from_name(name).map_err(|e| e.under("options.serializer"))?,
            None => self.conventions.serializer,
        };
        let compression = match self.options.text("compression") {
            Some(name) => {
                Some(Compression::from_name(name).map_err(|e| e.under("options.compression"))?)
            }
            None => self.conventions.compression,
        };
        let encoding = Encoding {
            serializer,
            compression,
        };
        let envelope = self.conventions.transport != Transport::Amqp;
        if envelope && !self.conventions.redis.body_base64 && !encoding.is_text() {
            return Err(Invalid::new(
                "options",
                "body_encoding = \"utf-8\" cannot hold a body that is compressed or in msgpack",
            )
            .help("use body_encoding = \"base64\""));
        }
        Ok(encoding)
    }

    /// The body, written now if it never changes, and once as a trial if it does.
    pub(super) fn body(&mut self, encoding: Encoding) -> Result<Body, Invalid> {
        let protocol1 = self.conventions.protocol == Protocol::V1;
        let triple = (!protocol1).then(|| {
            Value::List(vec![
                Value::List(self.job.args.to_vec()),
                Value::Dict(self.job.kwargs.to_vec()),
                Value::Dict(vec![
                    ("callbacks".to_owned(), self.options.or_null("link")),
                    ("errbacks".to_owned(), self.options.or_null("link_error")),
                    ("chain".to_owned(), self.options.or_null("chain")),
                    ("chord".to_owned(), self.options.or_null("chord")),
                ]),
            ])
        });
        let single = protocol1.then(|| {
            Value::List(vec![
                Value::List(self.job.args.to_vec()),
                Value::Dict(self.job.kwargs.to_vec()),
                Value::Dict(
                    self.job
                        .options
                        .iter()
                        // The others are text and numbers there, times as well.
                        .filter(|(k, _)| matches!(*k, "link" | "link_error" | "chord"))
                        .map(|(k, v)| (k.to_owned(), v.clone()))
                        .collect(),
                ),
            ])
        });
        let trial = triple.as_ref().or(single.as_ref()).unwrap_or(&Value::Null);
        let written = encoding.write(trial).map_err(in_entry)?;
        if !protocol1 && !self.patterns {
            return Ok(Body::Fixed(written));
        }
        let fields = if protocol1 { self.fields() } else { Vec::new() };
        self.extra.body = Some(LiveBody {
            fields,
            triple,
            encoding,
        });
        self.used = true;
        Ok(Body::Live)
    }
}

/// A complaint about the body, moved to where the entry says it.
fn in_entry(error: Invalid) -> Invalid {
    let (part, rest) = error.key.split_once('.').unwrap_or((&error.key, ""));
    let place = match part {
        "0" => "args",
        "1" => "kwargs",
        _ => "options",
    };
    let rest = match rest.split_once('.').unwrap_or((rest, "")) {
        ("callbacks", rest) if place == "options" => format!("link.{rest}"),
        ("errbacks", rest) if place == "options" => format!("link_error.{rest}"),
        _ => rest.to_owned(),
    };
    Invalid { key: rest, ..error }.under(place)
}

/// Seconds as Python's `timedelta` takes them: whole microseconds, ties to even.
fn micros(value: &Value) -> Option<i64> {
    if !matches!(value, Value::Int(_) | Value::Float(_)) {
        return None;
    }
    let seconds = check::seconds(value, "").ok()?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "seconds are limited to a hundred years"
    )]
    let micros = (seconds * 1e6).round_ties_even() as i64;
    Some(micros)
}

/// A datetime or its text as an instant; a naive one is UTC.
fn instant(value: &Value) -> Option<Timestamp> {
    match iso_text(value) {
        Value::Str(text) => moment::parse_iso(&text).ok(),
        _ => None,
    }
}

/// `isoformat()` of a datetime; text stays as it is.
fn iso_text(value: &Value) -> Value {
    let mut out = Vec::new();
    match value {
        Value::DateTime(at) => moment::write_aware(*at, b'T', &mut out),
        Value::LocalDateTime(at) => moment::write_naive(*at, b'T', &mut out),
        Value::Date(date) => moment::write_date(*date, &mut out),
        other => return other.clone(),
    }
    Value::Str(String::from_utf8_lossy(&out).into_owned())
}
