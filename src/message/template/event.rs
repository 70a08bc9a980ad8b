//! The `task-sent` event that follows a message.

use super::extra::{Context, Encoding, Source, write_body};
use super::pieces::{Builder, Pieces};
use super::plan::Plan;
use super::{Interner, Route};
use crate::message::{
    AmqpMessage, AmqpProperties, Conventions, EventConventions, Field, Serializer, Value, json,
};

/// Routing key of the event.
pub const ROUTING_KEY: &str = "task.sent";

/// A compiled event.
#[derive(Debug)]
pub struct Event {
    /// The event as JSON.
    text: Pieces,
    exchange: Box<str>,
    hostname: Box<str>,
    serializer: Serializer,
    base64: bool,
}

impl Event {
    /// The event of the message that `plan` describes.
    pub fn new(
        plan: &Plan,
        route: &Route,
        conventions: &Conventions,
        interner: &mut Interner,
    ) -> Self {
        let identity = &conventions.identity;
        let hostname = identity.origin();
        let fixed = |value| Source::Fixed(value);
        let mut fields = vec![
            ("hostname", fixed(Value::Str(hostname.clone()))),
            ("utcoffset", fixed(Value::Float(identity.utcoffset_hours))),
            ("pid", fixed(Value::Int(i64::from(identity.pid)))),
            ("clock", Source::Clock),
        ];
        fields.extend(plan.event.iter().cloned());
        if route.delayed_key.is_some() {
            fields.extend([
                ("queue", Source::Queue),
                ("exchange", Source::Exchange),
                ("routing_key", Source::RoutingKey),
            ]);
        } else {
            let queue = route.queue.clone().map_or(Value::Null, Value::Str);
            fields.extend([
                ("queue", fixed(queue)),
                ("exchange", fixed(Value::Str(route.exchange.clone()))),
                ("routing_key", fixed(Value::Str(route.routing_key.clone()))),
            ]);
        }
        fields.extend([
            ("timestamp", Source::Epoch),
            ("type", fixed(Value::from("task-sent"))),
        ]);
        let mut builder = Builder::default();
        builder.object(fields.iter().map(|(key, source)| (*key, source)));
        let events = conventions.events.clone().unwrap_or_default();
        let EventConventions {
            exchange,
            serializer,
        } = events;
        Self {
            text: Pieces::new(builder, interner),
            exchange: exchange.into(),
            hostname: hostname.into(),
            serializer,
            base64: conventions.redis.body_base64 || serializer == Serializer::Msgpack,
        }
    }

    fn body(&self, context: &Context<'_>) -> Vec<u8> {
        let mut text = Vec::with_capacity(512);
        self.text.render(context, &mut text);
        if self.serializer == Serializer::Json {
            return text;
        }
        let encoding = Encoding {
            serializer: self.serializer,
            compression: None,
        };
        Value::from_json_text(&String::from_utf8_lossy(&text))
            .and_then(|event| encoding.write(&event))
            .unwrap_or_default()
    }

    /// Appends the envelope.
    pub fn render_envelope(&self, context: &Context<'_>, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"body\": ");
        write_body(&self.body(context), self.base64, out);
        let encoding = self.serializer;
        let text = format!(
            ", \"content-encoding\": \"{}\", \"content-type\": \"{}\", \"headers\": {{\"hostname\": ",
            encoding.content_encoding(),
            encoding.content_type()
        );
        out.extend_from_slice(text.as_bytes());
        json::write_str(&self.hostname, out);
        out.extend_from_slice(
            b"}, \"properties\": {\"delivery_mode\": 1, \"delivery_info\": {\"exchange\": ",
        );
        json::write_str(&self.exchange, out);
        let text = format!(
            ", \"routing_key\": \"{ROUTING_KEY}\"}}, \"priority\": 0, \"body_encoding\": \"{}\", \"delivery_tag\": \"{}\"}}}}",
            if self.base64 { "base64" } else { "utf-8" },
            // The task's own tag would make a worker think it saw this one before.
            event_tag(context),
        );
        out.extend_from_slice(text.as_bytes());
    }

    /// The message.
    pub fn render_amqp(&self, context: &Context<'_>) -> AmqpMessage {
        AmqpMessage {
            exchange: self.exchange.to_string(),
            routing_key: ROUTING_KEY.to_owned(),
            mandatory: false,
            properties: AmqpProperties {
                content_type: self.serializer.content_type().to_owned(),
                content_encoding: self.serializer.content_encoding().to_owned(),
                delivery_mode: 1,
                ..AmqpProperties::default()
            },
            headers: vec![(
                "hostname".to_owned(),
                Field::Text(self.hostname.to_string()),
            )],
            body: self.body(context),
        }
    }
}

/// As random as the message's tag, and another.
fn event_tag(context: &Context<'_>) -> uuid::Uuid {
    let mut bytes = *context.fire.delivery_tag.as_bytes();
    if let Some(last) = bytes.last_mut() {
        *last ^= 0xff;
    }
    uuid::Uuid::from_bytes(bytes)
}
