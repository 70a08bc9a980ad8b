//! What a message says, in Celery's order, before it is turned into text or tables.

use super::extra::{Encoding, Extra, Instant, Live, LiveBody, Source};
use super::placeholder::{self, Filling};
use super::{Job, Route};
use crate::message::conventions::Protocol;
use crate::message::{
    Compression, Conventions, Invalid, Options, Serializer, Value, check, moment, saferepr,
};

/// Options that Celery passes on as message properties, whatever they are for.
const LEAKED: &[&str] = &[
    "origin",
    "argsrepr",
    "kwargsrepr",
    "message_id",
    "app_id",
    "type",
    "timestamp",
    "user_id",
    "cluster_id",
];

/// Without a limit, as protocol 1 has its events' reprs.
const NO_BUDGET: usize = usize::MAX;

/// A message.
#[derive(Debug)]
pub struct Plan {
    pub headers: Vec<(Box<str>, Source)>,
    /// Fields of the `task-sent` event between `clock` and `queue`.
    pub event: Vec<(&'static str, Source)>,
    pub correlation_id: Source,
    pub reply_to: Value,
    /// Properties that only Redis shows, in the order of the options.
    pub leaked: Vec<(Box<str>, Value)>,
    /// Milliseconds of numeric `expires`.
    pub expiration: Option<i64>,
    pub priority: u8,
    pub mandatory: bool,
    pub encoding: Encoding,
    pub body: Body,
    /// Boxed into the template when there is any.
    pub extra: Option<Extra>,
}

/// The body.
#[derive(Debug)]
pub enum Body {
    /// The same at each fire.
    Fixed(Vec<u8>),
    /// Of [`Extra::body`].
    Live,
}

impl Plan {
    /// Plans what `job` publishes with `options`, which are its own over its route's.
    pub fn new(
        job: &Job<'_>,
        options: &Options,
        route: &Route,
        conventions: &Conventions,
    ) -> Result<Self, Vec<Invalid>> {
        let errors = checked_placeholders(job);
        if !errors.is_empty() {
            return Err(errors);
        }
        let mut draft = Draft::new(job, options, route, conventions);
        let encoding = draft.encoding().map_err(|error| vec![error])?;
        let body = draft.body(encoding).map_err(|error| vec![error])?;
        let protocol1 = conventions.protocol == Protocol::V1;
        let mut headers = if protocol1 {
            Vec::new()
        } else {
            draft.headers()
        };
        draft.add_headers(&mut headers, encoding.compression);
        let event = if conventions.events.is_some() {
            draft.event()
        } else {
            Vec::new()
        };
        let text = |name: &str| options.get(name).cloned();
        Ok(Self {
            correlation_id: text("correlation_id").map_or(Source::TaskId, Source::Fixed),
            reply_to: text("reply_to")
                .unwrap_or_else(|| Value::Str(conventions.identity.reply_to.to_string())),
            leaked: options
                .iter()
                .filter(|(name, _)| LEAKED.contains(name))
                .map(|(name, value)| (name.into(), value.clone()))
                .collect(),
            expiration: expiration(options),
            priority: match options.get("priority") {
                Some(Value::Int(priority)) => u8::try_from(*priority).unwrap_or(u8::MAX),
                _ => 0,
            },
            mandatory: options.get("mandatory") == Some(&Value::Bool(true)),
            headers,
            event,
            encoding,
            body,
            extra: draft.used.then_some(draft.extra),
        })
    }

    /// Whether the expiration is computed at each fire.
    pub fn expires_live(&self) -> bool {
        self.extra
            .as_ref()
            .is_some_and(|extra| extra.expiration != Instant::None)
    }
}

/// A plan in the making.
struct Draft<'a> {
    job: &'a Job<'a>,
    options: &'a Options,
    conventions: &'a Conventions,
    extra: Extra,
    /// Whether anything is in `extra`.
    used: bool,
    /// Args or kwargs hold placeholders.
    patterns: bool,
    eta: Source,
    expires: Source,
}

impl<'a> Draft<'a> {
    fn new(
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

    fn encoding(&self) -> Result<Encoding, Invalid> {
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
        let envelope = self.conventions.transport != crate::message::Transport::Amqp;
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
    fn body(&mut self, encoding: Encoding) -> Result<Body, Invalid> {
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
        let trial = triple.clone().unwrap_or_else(|| {
            Value::List(vec![
                Value::List(self.job.args.to_vec()),
                Value::Dict(self.job.kwargs.to_vec()),
                Value::Dict(
                    self.job
                        .options
                        .iter()
                        .map(|(k, v)| (k.to_owned(), v.clone()))
                        .collect(),
                ),
            ])
        });
        let written = encoding.write(&trial).map_err(in_entry)?;
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

    /// The one object of protocol 1.
    fn fields(&mut self) -> Vec<(&'static str, Source)> {
        let args = Value::List(self.job.args.to_vec());
        let kwargs = Value::Dict(self.job.kwargs.to_vec());
        let (args, kwargs) = if self.patterns {
            (
                self.live(Live::Pattern(args)),
                self.live(Live::Pattern(kwargs)),
            )
        } else {
            (Source::Own(args), Source::Own(kwargs))
        };
        let option = |name: &str| Source::Fixed(self.options.or_null(name));
        vec![
            ("task", Source::Own(Value::from(self.job.task))),
            ("id", Source::TaskId),
            ("args", args),
            ("kwargs", kwargs),
            ("group", option("group_id")),
            ("group_index", option("group_index")),
            ("retries", self.retries()),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
            (
                "utc",
                Source::Fixed(Value::Bool(self.conventions.enable_utc)),
            ),
            ("callbacks", option("link")),
            ("errbacks", option("link_error")),
            ("timelimit", self.time_limits()),
            ("taskset", option("group_id")),
            ("chord", option("chord")),
        ]
    }

    /// The headers of protocol 2, before the user's.
    fn headers(&mut self) -> Vec<(Box<str>, Source)> {
        let args = self.args_repr("argsrepr");
        let kwargs = self.kwargs_repr("kwargsrepr");
        let options = self.options;
        let option = |name: &str| Source::Fixed(options.or_null(name));
        let stamps = options
            .stamp_names()
            .into_iter()
            .map(|name| (name.to_owned(), options.or_null(name)))
            .collect();
        let origin = options
            .get("origin")
            .cloned()
            .unwrap_or_else(|| Value::Str(self.conventions.identity.origin()));
        [
            ("lang", Source::Fixed(Value::from("py"))),
            ("task", Source::Own(Value::from(self.job.task))),
            ("id", Source::TaskId),
            ("shadow", option("shadow")),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
            ("group", option("group_id")),
            ("group_index", option("group_index")),
            ("retries", self.retries()),
            ("timelimit", self.time_limits()),
            ("root_id", self.root_id()),
            ("parent_id", option("parent_id")),
            ("argsrepr", args),
            ("kwargsrepr", kwargs),
            ("origin", Source::Fixed(origin)),
            ("ignore_result", option("ignore_result")),
            ("replaced_task_nesting", Source::Fixed(Value::Int(0))),
            ("stamped_headers", option("stamped_headers")),
            ("stamps", Source::Fixed(Value::Dict(stamps))),
        ]
        .into_iter()
        .map(|(key, source)| (key.into(), source))
        .collect()
    }

    /// The user's headers, which override what is there, then ours and beat's. A route's headers
    /// are lost, as in Celery, whose beat always sets headers of its own.
    fn add_headers(
        &mut self,
        headers: &mut Vec<(Box<str>, Source)>,
        compression: Option<Compression>,
    ) {
        let ours = [
            (
                "periodic_task_name",
                Source::Own(Value::from(self.job.entry)),
            ),
            ("scheduled_time", Source::Scheduled),
            ("celery_beat_task", Source::Fixed(Value::Bool(true))),
        ];
        if let Some(Value::Dict(pairs)) = self.job.options.get("headers") {
            for (key, value) in pairs {
                if key == "celery_beat_task" {
                    for (key, source) in ours.clone() {
                        put(headers, key, source);
                    }
                    continue;
                }
                let source = if placeholder::any(value) {
                    self.live(Live::Pattern(value.clone()))
                } else {
                    Source::Fixed(value.clone())
                };
                put(headers, key, source);
            }
        }
        for (key, source) in ours {
            put(headers, key, source);
        }
        if let Some(compression) = compression {
            let name = Value::from(compression.content_type());
            put(headers, "compression", Source::Fixed(name));
        }
    }

    fn event(&mut self) -> Vec<(&'static str, Source)> {
        let protocol1 = self.conventions.protocol == Protocol::V1;
        let (args, kwargs) = if protocol1 {
            (self.repr_args(3, NO_BUDGET), self.repr_kwargs(3, NO_BUDGET))
        } else {
            (self.args_repr("argsrepr"), self.kwargs_repr("kwargsrepr"))
        };
        let mut event = vec![("uuid", Source::TaskId)];
        if !protocol1 {
            event.push(("root_id", self.root_id()));
            event.push((
                "parent_id",
                Source::Fixed(self.options.or_null("parent_id")),
            ));
        }
        event.extend([
            ("name", Source::Own(Value::from(self.job.task))),
            ("args", args),
            ("kwargs", kwargs),
            ("retries", self.retries()),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
        ]);
        event
    }

    fn live(&mut self, live: Live) -> Source {
        // Far fewer than 65 536: each is a header, or one of four reprs.
        let index = u16::try_from(self.extra.live.len()).unwrap_or(u16::MAX);
        self.extra.live.push(live);
        Source::Live(index)
    }

    fn args_repr(&mut self, option: &str) -> Source {
        match self.options.get(option) {
            Some(given) => Source::Own(given.clone()),
            None => self.repr_args(self.conventions.repr_maxlevels, saferepr::BUDGET),
        }
    }

    fn kwargs_repr(&mut self, option: &str) -> Source {
        match self.options.get(option) {
            Some(given) => Source::Own(given.clone()),
            None => self.repr_kwargs(self.conventions.repr_maxlevels, saferepr::BUDGET),
        }
    }

    fn repr_args(&mut self, levels: usize, budget: usize) -> Source {
        if self.job.args.iter().any(placeholder::any) {
            return self.live(Live::ArgsRepr(self.job.args.to_vec(), levels, budget));
        }
        let text = Value::Str(saferepr::args_repr(self.job.args, levels, budget));
        if self.job.args.is_empty() {
            Source::Fixed(text)
        } else {
            Source::Own(text)
        }
    }

    fn repr_kwargs(&mut self, levels: usize, budget: usize) -> Source {
        if self
            .job
            .kwargs
            .iter()
            .any(|(_, item)| placeholder::any(item))
        {
            return self.live(Live::KwargsRepr(self.job.kwargs.to_vec(), levels, budget));
        }
        let text = Value::Str(saferepr::kwargs_repr(self.job.kwargs, levels, budget));
        if self.job.kwargs.is_empty() {
            Source::Fixed(text)
        } else {
            Source::Own(text)
        }
    }

    fn root_id(&self) -> Source {
        let root = self.options.get("root_id").cloned();
        root.map_or(Source::TaskId, Source::Fixed)
    }

    fn retries(&self) -> Source {
        Source::Fixed(
            self.options
                .get("retries")
                .cloned()
                .unwrap_or(Value::Int(0)),
        )
    }

    fn time_limits(&self) -> Source {
        Source::Fixed(Value::List(vec![
            self.options.or_null("time_limit"),
            self.options.or_null("soft_time_limit"),
        ]))
    }
}

/// Sets a header, in its place when it is there already.
fn put(headers: &mut Vec<(Box<str>, Source)>, key: &str, source: Source) {
    match headers.iter_mut().find(|(k, _)| &**k == key) {
        Some(slot) => slot.1 = source,
        None => headers.push((key.into(), source)),
    }
}

fn checked_placeholders(job: &Job<'_>) -> Vec<Invalid> {
    let mut errors = Vec::new();
    for (position, item) in job.args.iter().enumerate() {
        placeholder::check(item, &format!("args.{position}"), &mut errors);
    }
    for (key, item) in job.kwargs {
        placeholder::check(item, &format!("kwargs.{key}"), &mut errors);
    }
    if let Some(headers) = job.options.get("headers") {
        placeholder::check(headers, "options.headers", &mut errors);
    }
    errors
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

/// `str(int(expires * 1000))` of numeric `expires`.
fn expiration(options: &Options) -> Option<i64> {
    match options.get("expires")? {
        Value::Int(seconds) => Some(seconds * 1000),
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seconds are limited to a hundred years; kombu cuts off the rest"
        )]
        Value::Float(seconds) => Some((seconds * 1000.0) as i64),
        _ => None,
    }
}

/// A datetime or its text as an instant; a naive one is UTC.
fn instant(value: &Value) -> Option<crate::clock::Timestamp> {
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
