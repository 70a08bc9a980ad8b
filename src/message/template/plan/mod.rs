//! What a message says, in Celery's order, before it is turned into text or tables.

mod draft;
mod fields;

use std::borrow::Cow;

use super::extra::{Encoding, Extra, Instant, Source};
use super::{Job, Route, placeholder};
use crate::message::conventions::Protocol;
use crate::message::{Conventions, Invalid, Options, Value};
use draft::Draft;

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

/// A message.
#[derive(Debug)]
pub struct Plan {
    pub headers: Vec<(Cow<'static, str>, Source)>,
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
