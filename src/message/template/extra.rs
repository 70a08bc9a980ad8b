//! What only some templates need: times that depend on the moment of publishing, placeholders,
//! bodies that are serialised at each fire.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Fire;
use super::placeholder::Filling;
use crate::clock::Timestamp;
use crate::message::routing::MAX_DELAY;
use crate::message::{
    Compression, Invalid, Route, Serializer, Value, json, moment, msgpack, saferepr, yaml,
};
use crate::schedule::Zone;

/// All of it.
#[derive(Debug)]
pub struct Extra {
    /// `timezone`, in which computed times are written.
    pub timezone: Zone,
    /// The `eta` header, when it is computed.
    pub eta: Instant,
    /// The `expires` header, when it is computed.
    pub expires: Instant,
    /// When the message expires, for the property in milliseconds; numeric `expires` needs none.
    pub expiration: Instant,
    /// With native delayed delivery, when it shall arrive.
    pub delay: Instant,
    /// For placeholders.
    pub filling: Option<Filling>,
    /// Header values with placeholders, and the like.
    pub live: Vec<Live>,
    /// The body, if it changes.
    pub body: Option<LiveBody>,
}

/// An instant that is known at the fire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Instant {
    /// There is none.
    #[default]
    None,
    /// This one.
    At(Timestamp),
    /// So many microseconds after the moment of publishing.
    After(i64),
    /// The next fire time.
    Next,
}

impl Instant {
    /// The instant at `fire`.
    pub fn of(self, fire: &Fire) -> Option<Timestamp> {
        match self {
            Self::None => None,
            Self::At(at) => Some(at),
            Self::After(micros) => Some(fire.now.plus_micros(micros)),
            Self::Next => fire.next_fire_time,
        }
    }

    /// Whether it is the next fire time.
    pub fn is_next(self) -> bool {
        self == Self::Next
    }
}

/// A value that is made at the fire.
#[derive(Debug, Clone)]
pub enum Live {
    /// Templates to fill in.
    Pattern(Value),
    /// `argsrepr` of arguments with templates: the arguments, the levels, the budget.
    ArgsRepr(Vec<Value>, usize, usize),
    /// `kwargsrepr`, the same.
    KwargsRepr(Vec<(String, Value)>, usize, usize),
}

/// Where a value comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// Constant, and probably the same for many entries.
    Fixed(Value),
    /// Constant, and the entry's own.
    Own(Value),
    /// The task id.
    TaskId,
    /// The fire time, RFC 3339 UTC.
    Scheduled,
    /// [`Extra::eta`], or null.
    Eta,
    /// [`Extra::expires`], or null.
    Expires,
    /// Of [`Extra::live`].
    Live(u16),
    /// Counter of events.
    Clock,
    /// Moment of publishing, seconds since the epoch as a float.
    Epoch,
    /// Exchange of the message, which native delayed delivery changes.
    Exchange,
    /// Its routing key.
    RoutingKey,
    /// The queue, of which there is none with native delayed delivery.
    Queue,
}

/// A body that is serialised at each fire.
#[derive(Debug)]
pub struct LiveBody {
    /// Protocol 1: the fields of the one object.
    pub fields: Vec<(&'static str, Source)>,
    /// Protocol 2: args, kwargs, callbacks and the like, with templates.
    pub triple: Option<Value>,
    /// How it is written.
    pub encoding: Encoding,
}

/// How a body is written.
#[derive(Debug, Clone, Copy)]
pub struct Encoding {
    /// Serialiser.
    pub serializer: Serializer,
    /// Compression.
    pub compression: Option<Compression>,
}

impl Encoding {
    /// Serialises and compresses `body`.
    ///
    /// # Errors
    /// What the serialiser cannot say; keys relative to `body`.
    pub fn write(self, body: &Value) -> Result<Vec<u8>, Invalid> {
        let mut out = Vec::new();
        match self.serializer {
            Serializer::Json => json::write_value(body, &mut out),
            Serializer::Msgpack => msgpack::write_value(body, &mut out)?,
            Serializer::Yaml => yaml::write_document(body, &mut out)?,
        }
        match self.compression {
            None => Ok(out),
            Some(compression) => compression
                .compress(&out)
                .map_err(|error| Invalid::new("", format!("cannot be compressed: {error}"))),
        }
    }

    /// Whether the result is text.
    pub fn is_text(self) -> bool {
        self.compression.is_none() && self.serializer != Serializer::Msgpack
    }
}

impl Extra {
    /// Whether anything depends on the moment of publishing.
    pub fn depends_on_now(&self) -> bool {
        let after = |instant| matches!(instant, Instant::After(_) | Instant::Next);
        after(self.eta)
            || after(self.expires)
            || self.expiration != Instant::None
            || self.delay != Instant::None
    }
}

/// What a rendering is made from.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    /// The fire.
    pub fire: &'a Fire,
    /// The template's extra.
    pub extra: Option<&'a Extra>,
    /// Where the message goes.
    pub route: &'a Route,
    /// Counter of events.
    pub clock: u64,
}

/// The exchange that takes delayed messages, declared by the workers.
const DELAYED_EXCHANGE: &str = "celery_delayed_27";

impl Context<'_> {
    /// Appends `eta` or `expires` in the zone of the settings; false when there is none.
    pub fn write_instant(&self, which: impl Fn(&Extra) -> Instant, out: &mut Vec<u8>) -> bool {
        let Some(extra) = self.extra else {
            return false;
        };
        let Some(at) = which(extra).of(self.fire) else {
            return false;
        };
        moment::write_aware(extra.timezone.datetime(at), b'T', out);
        true
    }

    /// The `expiration` property in whole milliseconds; zero once it has passed.
    pub fn expiration(&self) -> Option<i64> {
        let at = self.extra?.expiration.of(self.fire)?;
        Some((at.micros_since(self.fire.now) / 1_000).max(0))
    }

    /// Whole seconds of native delayed delivery, if it is used for this fire.
    pub fn delay(&self) -> Option<i64> {
        let at = self.extra?.delay.of(self.fire)?;
        let seconds = at.micros_since(self.fire.now) / 1_000_000;
        // Less than a second cannot be said: the worker waits for the eta then.
        (1..=MAX_DELAY).contains(&seconds).then_some(seconds)
    }

    /// Exchange, routing key and queue of this fire; a delayed message has no queue, and its key
    /// begins with the 28 bits of the delay.
    pub fn destination(&self) -> (&str, Cow<'_, str>, Option<&str>) {
        match (&self.route.delayed_key, self.delay()) {
            (Some(key), Some(seconds)) => {
                let mut delayed = String::with_capacity(56 + key.len());
                for bit in (0..28).rev() {
                    delayed.push(if seconds >> bit & 1 == 1 { '1' } else { '0' });
                    delayed.push('.');
                }
                delayed.push_str(key);
                (DELAYED_EXCHANGE, delayed.into(), None)
            }
            _ => (
                &self.route.exchange,
                self.route.routing_key.as_str().into(),
                self.route.queue.as_deref(),
            ),
        }
    }

    /// A value that is made at the fire.
    pub fn live(&self, index: u16) -> Value {
        let Some(extra) = self.extra else {
            return Value::Null;
        };
        match extra.live.get(usize::from(index)) {
            None => Value::Null,
            Some(Live::Pattern(value)) => self.fill(value),
            Some(Live::ArgsRepr(args, levels, budget)) => {
                let args: Vec<Value> = args.iter().map(|item| self.fill(item)).collect();
                Value::Str(saferepr::args_repr(&args, *levels, *budget))
            }
            Some(Live::KwargsRepr(kwargs, levels, budget)) => {
                let kwargs: Vec<_> = kwargs
                    .iter()
                    .map(|(key, item)| (key.clone(), self.fill(item)))
                    .collect();
                Value::Str(saferepr::kwargs_repr(&kwargs, *levels, *budget))
            }
        }
    }

    fn fill(&self, value: &Value) -> Value {
        match self.extra.and_then(|extra| extra.filling.as_ref()) {
            Some(filling) => filling.fill(value, self.fire),
            None => value.clone(),
        }
    }

    /// The value of a source, apart from those that only events have.
    pub fn value(&self, source: &Source) -> Value {
        let text = |out: Vec<u8>| Value::Str(String::from_utf8_lossy(&out).into_owned());
        let mut out = Vec::new();
        match source {
            Source::Fixed(value) | Source::Own(value) => value.clone(),
            Source::TaskId => Value::Str(self.fire.task_id.to_string()),
            Source::Scheduled => {
                moment::write_utc(self.fire.fire_time, &mut out);
                text(out)
            }
            Source::Eta if self.write_instant(|extra| extra.eta, &mut out) => text(out),
            Source::Expires if self.write_instant(|extra| extra.expires, &mut out) => text(out),
            Source::Live(index) => self.live(*index),
            _ => Value::Null,
        }
    }

    /// The serialised body, when it changes.
    pub fn body(&self) -> Vec<u8> {
        let Some(body) = self.extra.and_then(|extra| extra.body.as_ref()) else {
            return Vec::new();
        };
        let value = match &body.triple {
            Some(triple) => self.fill(triple),
            None => Value::Dict(
                body.fields
                    .iter()
                    .map(|(key, source)| ((*key).to_owned(), self.value(source)))
                    .collect(),
            ),
        };
        // What the serialiser cannot say was refused when the template was compiled.
        body.encoding.write(&value).unwrap_or_default()
    }
}

/// Appends `body` as the JSON string that an envelope holds.
pub fn write_body(body: &[u8], base64: bool, out: &mut Vec<u8>) {
    if base64 {
        out.push(b'"');
        let start = out.len();
        let length = base64::encoded_len(body.len(), true).unwrap_or(0);
        out.resize(start + length, 0);
        // The slice has exactly the length that is needed.
        let _ = STANDARD.encode_slice(body, &mut out[start..]);
        out.push(b'"');
    } else {
        json::write_str(&String::from_utf8_lossy(body), out);
    }
}
