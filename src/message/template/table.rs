//! Messages for AMQP: headers with holes.

use std::sync::Arc;

use super::Interner;
use super::extra::{Context, Live, Source};
use super::pieces::Builder;
use super::plan::{Body, Plan};
use crate::message::{AmqpMessage, AmqpProperties, Field, Invalid, Route, Value};

/// A compiled message.
#[derive(Debug)]
pub struct AmqpTemplate {
    shared: Arc<Shared>,
    /// Header values of the entry's own, in order.
    own: Box<[Field]>,
    /// The body, unless it is live.
    body: Option<Box<[u8]>>,
}

/// What entries have in common.
#[derive(Debug)]
pub struct Shared {
    headers: Box<[(Box<str>, Header)]>,
    properties: AmqpProperties,
    mandatory: bool,
    /// `correlation_id` is the task id.
    correlated: bool,
}

/// Where a header's value comes from.
#[derive(Debug)]
enum Header {
    Fixed(Field),
    /// The next of the entry's own.
    Own,
    Made(Source),
}

impl AmqpTemplate {
    /// Compiles `plan`.
    ///
    /// # Errors
    /// Headers that AMQP cannot carry; keys relative to the entry.
    pub fn new(plan: &Plan, route: &Route, interner: &mut Interner) -> Result<Self, Invalid> {
        let field = |key: &str, value: &Value| {
            Field::from_value(value).map_err(|error| error.under(&format!("options.headers.{key}")))
        };
        // What placeholders are within is a header as well.
        for (key, source) in &plan.headers {
            let live = match source {
                Source::Live(index) => usize::from(*index),
                _ => continue,
            };
            if let Some(Live::Pattern(value)) =
                plan.extra.as_ref().and_then(|extra| extra.live.get(live))
            {
                field(key, value)?;
            }
        }
        let own = plan
            .headers
            .iter()
            .filter_map(|(key, source)| match source {
                Source::Own(value) => Some(field(key, value)),
                _ => None,
            })
            .collect::<Result<_, _>>()?;
        // The same JSON means the same table: what the JSON leaves open is in the shape's steps.
        let mut key = Builder::default();
        key.object(plan.headers.iter().map(|(key, source)| {
            let marked = if matches!(source, Source::Own(_)) {
                &OWN
            } else {
                source
            };
            (&**key, marked)
        }));
        let properties = properties(plan, route);
        key.text(&format!("{properties:?} {}", plan.mandatory));
        let correlated = matches!(plan.correlation_id, Source::TaskId);
        let shared = interner.table(key.finish().0, || {
            let headers = plan
                .headers
                .iter()
                .map(|(key, source)| {
                    let header = match source {
                        Source::Fixed(value) => Header::Fixed(field(key, value)?),
                        Source::Own(_) => Header::Own,
                        made => Header::Made(made.clone()),
                    };
                    Ok((key.as_ref().into(), header))
                })
                .collect::<Result<_, Invalid>>()?;
            Ok(Shared {
                headers,
                properties,
                mandatory: plan.mandatory,
                correlated,
            })
        })?;
        Ok(Self {
            shared,
            own,
            body: match &plan.body {
                Body::Fixed(body) => Some(body.as_slice().into()),
                Body::Live => None,
            },
        })
    }

    /// The message with its holes filled.
    pub fn render(&self, context: &Context<'_>) -> AmqpMessage {
        let mut own = self.own.iter();
        let headers = self
            .shared
            .headers
            .iter()
            .map(|(key, header)| {
                let field = match header {
                    Header::Fixed(field) => field.clone(),
                    Header::Own => own.next().cloned().unwrap_or(Field::Void),
                    // What placeholders make are strings and nulls, which AMQP can carry.
                    Header::Made(source) => {
                        Field::from_value(&context.value(source)).unwrap_or(Field::Void)
                    }
                };
                (key.to_string(), field)
            })
            .collect();
        let mut properties = self.shared.properties.clone();
        if self.shared.correlated {
            properties.correlation_id = Some(context.fire.task_id.to_string());
        }
        if let Some(millis) = context.expiration() {
            properties.expiration = Some(millis.to_string());
        }
        let (exchange, routing_key, _) = context.destination();
        AmqpMessage {
            exchange: exchange.to_owned(),
            routing_key: routing_key.into_owned(),
            mandatory: self.shared.mandatory,
            properties,
            headers,
            body: match &self.body {
                Some(body) => body.to_vec(),
                None => context.body(),
            },
        }
    }

    /// About the bytes of a message: its body, keys and texts.
    pub fn size(&self, context: &Context<'_>) -> usize {
        let body = self
            .body
            .as_ref()
            .map_or_else(|| context.body().len(), |body| body.len());
        let own: usize = self.own.iter().map(weight).sum();
        let shared = self.shared.headers.iter().map(|(key, header)| {
            key.len()
                + match header {
                    Header::Fixed(field) => weight(field),
                    Header::Own => 0,
                    Header::Made(_) => 40,
                }
        });
        body + own + shared.sum::<usize>() + 128
    }
}

/// Stands for every value of an entry's own.
static OWN: Source = Source::Own(Value::Null);

fn weight(field: &Field) -> usize {
    match field {
        Field::Text(text) => text.len() + 5,
        Field::List(items) => items.iter().map(weight).sum::<usize>() + 5,
        Field::Table(pairs) => pairs
            .iter()
            .map(|(key, field)| key.len() + weight(field))
            .sum::<usize>(),
        _ => 9,
    }
}

fn properties(plan: &Plan, route: &Route) -> AmqpProperties {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let leaked = |name: &str| {
        plan.leaked
            .iter()
            .find(|(key, _)| &**key == name)
            .map(|(_, value)| value)
    };
    AmqpProperties {
        content_type: plan.encoding.serializer.content_type().to_owned(),
        content_encoding: plan.encoding.serializer.content_encoding().to_owned(),
        delivery_mode: route.delivery_mode.number(),
        priority: plan.priority,
        correlation_id: match &plan.correlation_id {
            Source::Fixed(value) => text(value),
            _ => None,
        },
        reply_to: text(&plan.reply_to),
        expiration: plan.expiration.map(|millis| millis.to_string()),
        message_id: leaked("message_id").and_then(text),
        timestamp: leaked("timestamp").and_then(|at| match at {
            Value::Int(seconds) => u64::try_from(*seconds).ok(),
            Value::DateTime(at) => u64::try_from(at.timestamp()).ok(),
            Value::LocalDateTime(at) => u64::try_from(at.and_utc().timestamp()).ok(),
            _ => None,
        }),
        kind: leaked("type").and_then(text),
        user_id: leaked("user_id").and_then(text),
        app_id: leaked("app_id").and_then(text),
        cluster_id: leaked("cluster_id").and_then(text),
    }
}
