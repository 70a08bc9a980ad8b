//! Text with holes: envelopes and events.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use super::extra::{Context, Source, write_body};
use super::plan::{Body, Plan};
use super::{Interner, Route};
use crate::message::number::python_float;
use crate::message::{Conventions, Value, json, moment};

/// Text that entries have in common, and what stands between it.
#[derive(Debug, PartialEq, Eq)]
pub struct Shape {
    text: Box<[u8]>,
    steps: Box<[Step]>,
}

/// By its text, in one go: each entry of a schedule looks its shape up.
impl Hash for Shape {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(xxh3_64(&self.text));
    }
}

/// What is written next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// So many bytes of the common text.
    Text(u32),
    /// The next piece of the entry's own.
    Own,
    TaskId,
    DeliveryTag,
    Scheduled,
    Eta,
    Expires,
    /// `"expiration": "…", ` or nothing.
    Expiration,
    Live(u16),
    /// The body, serialised now; in base64 or as text.
    Body {
        base64: bool,
    },
    Clock,
    Epoch,
    Exchange,
    RoutingKey,
    Queue,
}

/// A shape and the entry's own text for it, each piece after its length: one byte, or [`LONG`] and
/// 32 bit little-endian.
#[derive(Debug)]
pub struct Pieces {
    shape: Arc<Shape>,
    own: Box<[u8]>,
}

/// Collects steps.
#[derive(Debug)]
pub struct Builder {
    text: Vec<u8>,
    /// Text up to here belongs to a step.
    taken: usize,
    steps: Vec<Step>,
    own: Vec<u8>,
}

/// The end of the JSON body of a task without callbacks, chain and chord.
const NO_MORE: &[u8] =
    b", {\"callbacks\": null, \"errbacks\": null, \"chain\": null, \"chord\": null}]";

/// Says that the length of an own piece follows in four bytes.
const LONG: u8 = u8::MAX;

/// Enough for most envelopes.
const USUAL: usize = 2_048;

impl Default for Builder {
    fn default() -> Self {
        Self {
            text: Vec::with_capacity(USUAL),
            taken: 0,
            steps: Vec::with_capacity(32),
            own: Vec::with_capacity(USUAL / 4),
        }
    }
}

impl Builder {
    pub fn text(&mut self, text: &str) {
        self.text.extend_from_slice(text.as_bytes());
    }

    /// A constant JSON value.
    pub fn json(&mut self, value: &Value) {
        json::write_value(value, &mut self.text);
    }

    fn step(&mut self, step: Step) {
        let length = self.text.len() - self.taken;
        if length > 0 {
            self.steps
                .push(Step::Text(u32::try_from(length).unwrap_or(u32::MAX)));
            self.taken = self.text.len();
        }
        self.steps.push(step);
    }

    fn own(&mut self, piece: &[u8]) {
        match u8::try_from(piece.len()) {
            Ok(length) if length < LONG => self.own.push(length),
            _ => {
                let length = u32::try_from(piece.len()).unwrap_or(u32::MAX);
                self.own.push(LONG);
                self.own.extend_from_slice(&length.to_le_bytes());
            }
        }
        self.own.extend_from_slice(piece);
        self.step(Step::Own);
    }

    /// A body that never changes: its own begin, and the end that most have in common.
    fn body(&mut self, body: &[u8], base64: bool) {
        let end = body.strip_suffix(NO_MORE).map_or(body.len(), <[u8]>::len);
        // Base64 turns three bytes into four characters, whatever stands before and after them.
        let (own, common) = body.split_at(end.next_multiple_of(3).min(body.len()));
        let mut piece = Vec::new();
        write_body(own, base64, &mut piece);
        if common.is_empty() {
            return self.own(&piece);
        }
        piece.pop();
        self.own(&piece);
        piece.clear();
        write_body(common, base64, &mut piece);
        self.text.extend_from_slice(&piece[1..]);
    }

    pub fn source(&mut self, source: &Source) {
        match source {
            Source::Fixed(value) => self.json(value),
            Source::Own(value) => {
                let mut piece = Vec::new();
                json::write_value(value, &mut piece);
                self.own(&piece);
            }
            Source::TaskId => {
                self.text("\"");
                self.step(Step::TaskId);
                self.text("\"");
            }
            Source::Scheduled => {
                self.text("\"");
                self.step(Step::Scheduled);
                self.text("\"");
            }
            Source::Eta => self.step(Step::Eta),
            Source::Expires => self.step(Step::Expires),
            Source::Live(index) => self.step(Step::Live(*index)),
            Source::Clock => self.step(Step::Clock),
            Source::Epoch => self.step(Step::Epoch),
            Source::Exchange => self.step(Step::Exchange),
            Source::RoutingKey => self.step(Step::RoutingKey),
            Source::Queue => self.step(Step::Queue),
        }
    }

    /// An object, keys in order.
    pub fn object<'a>(&mut self, fields: impl IntoIterator<Item = (&'a str, &'a Source)>) {
        for (position, (key, source)) in fields.into_iter().enumerate() {
            self.text(if position == 0 { "{" } else { ", " });
            json::write_str(key, &mut self.text);
            self.text(": ");
            self.source(source);
        }
        self.text("}");
    }

    pub fn finish(mut self) -> (Shape, Box<[u8]>) {
        let length = self.text.len() - self.taken;
        if length > 0 {
            self.steps
                .push(Step::Text(u32::try_from(length).unwrap_or(u32::MAX)));
        }
        let shape = Shape {
            text: self.text.into(),
            steps: self.steps.into(),
        };
        (shape, self.own.into())
    }
}

impl Pieces {
    /// What `builder` collected.
    pub fn new(builder: Builder, interner: &mut Interner) -> Self {
        let (shape, own) = builder.finish();
        Self {
            shape: interner.shape(shape),
            own,
        }
    }

    /// The envelope of a message for Redis and folders.
    pub fn envelope(
        plan: &Plan,
        route: &Route,
        conventions: &Conventions,
        interner: &mut Interner,
    ) -> Self {
        let base64 = conventions.redis.body_base64;
        let mut builder = Builder::default();
        builder.text("{\"body\": ");
        match &plan.body {
            Body::Fixed(body) => builder.body(body, base64),
            Body::Live => builder.step(Step::Body { base64 }),
        }
        builder.text(", \"content-encoding\": \"");
        builder.text(plan.encoding.serializer.content_encoding());
        builder.text("\", \"content-type\": \"");
        builder.text(plan.encoding.serializer.content_type());
        builder.text("\", \"headers\": ");
        builder.object(plan.headers.iter().map(|(key, source)| (&**key, source)));
        builder.text(", \"properties\": {");
        properties(&mut builder, plan, route, base64);
        builder.text("}}");
        Self::new(builder, interner)
    }

    /// The bytes of a rendering.
    pub fn size(&self, context: &Context<'_>) -> usize {
        let mut rendered = Vec::with_capacity(USUAL);
        self.render(context, &mut rendered);
        rendered.len()
    }

    /// Whether both use one copy of what they have in common.
    #[cfg(test)]
    pub fn shares_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shape, &other.shape)
    }

    /// Bytes of the entry's own.
    #[cfg(test)]
    pub fn own_size(&self) -> usize {
        self.own.len()
    }

    /// Appends the text with its holes filled.
    pub fn render(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        let mut text = &*self.shape.text;
        let mut own = &*self.own;
        for step in &self.shape.steps {
            match *step {
                Step::Text(length) => {
                    let length = usize::try_from(length).unwrap_or(usize::MAX);
                    let (head, rest) = text.split_at(length.min(text.len()));
                    out.extend_from_slice(head);
                    text = rest;
                }
                Step::Own => own = write_own(own, out),
                ref step => step.write(context, out),
            }
        }
    }
}

/// Appends the first piece and returns the rest.
fn write_own<'a>(own: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let (length, rest) = match own {
        [LONG, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]), rest),
        [length, rest @ ..] => (u32::from(*length), rest),
        [] => return own,
    };
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let (piece, rest) = rest.split_at(length.min(rest.len()));
    out.extend_from_slice(piece);
    rest
}

impl Step {
    fn write(self, context: &Context<'_>, out: &mut Vec<u8>) {
        let fire = context.fire;
        match self {
            Self::Text(_) | Self::Own => {}
            Self::TaskId => write_uuid(fire.task_id, out),
            Self::DeliveryTag => write_uuid(fire.delivery_tag, out),
            Self::Scheduled => moment::write_utc(fire.fire_time, out),
            Self::Eta => quoted(out, |out| context.write_instant(|extra| extra.eta, out)),
            Self::Expires => quoted(out, |out| context.write_instant(|extra| extra.expires, out)),
            Self::Expiration => {
                if let Some(millis) = context.expiration() {
                    out.extend_from_slice(format!("\"expiration\": \"{millis}\", ").as_bytes());
                }
            }
            Self::Live(index) => json::write_value(&context.live(index), out),
            Self::Body { base64 } => write_body(&context.body(), base64, out),
            Self::Clock => out.extend_from_slice(context.clock.to_string().as_bytes()),
            Self::Epoch => out.extend_from_slice(python_float(epoch(context)).as_bytes()),
            Self::Exchange => json::write_str(context.destination().0, out),
            Self::RoutingKey => json::write_str(&context.destination().1, out),
            Self::Queue => match context.destination().2 {
                Some(queue) => json::write_str(queue, out),
                None => out.extend_from_slice(b"null"),
            },
        }
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Python's time.time() is a double as well"
)]
fn epoch(context: &Context<'_>) -> f64 {
    context.fire.now.as_micros() as f64 / 1e6
}

fn quoted(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>) -> bool) {
    out.push(b'"');
    if write(out) {
        out.push(b'"');
    } else {
        out.pop();
        out.extend_from_slice(b"null");
    }
}

fn write_uuid(id: uuid::Uuid, out: &mut Vec<u8>) {
    let mut buffer = [0; uuid::fmt::Hyphenated::LENGTH];
    out.extend_from_slice(id.hyphenated().encode_lower(&mut buffer).as_bytes());
}

/// The inside of `properties`, in kombu's order.
fn properties(builder: &mut Builder, plan: &Plan, route: &Route, base64: bool) {
    builder.text("\"correlation_id\": ");
    builder.source(&plan.correlation_id);
    builder.text(", \"reply_to\": ");
    builder.json(&plan.reply_to);
    for (key, value) in &plan.leaked {
        builder.text(", ");
        json::write_str(key, &mut builder.text);
        builder.text(": ");
        builder.json(value);
    }
    builder.text(", \"delivery_mode\": ");
    builder.text(&route.delivery_mode.number().to_string());
    builder.text(", ");
    match &plan.expiration {
        Some(millis) => builder.text(&format!("\"expiration\": \"{millis}\", ")),
        None if plan.expires_live() => builder.step(Step::Expiration),
        None => {}
    }
    builder.text("\"delivery_info\": {\"exchange\": ");
    json::write_str(&route.exchange, &mut builder.text);
    builder.text(", \"routing_key\": ");
    json::write_str(&route.routing_key, &mut builder.text);
    builder.text("}, \"priority\": ");
    builder.text(&plan.priority.to_string());
    builder.text(", \"body_encoding\": \"");
    builder.text(if base64 { "base64" } else { "utf-8" });
    builder.text("\", \"delivery_tag\": \"");
    builder.step(Step::DeliveryTag);
    builder.text("\"");
}
