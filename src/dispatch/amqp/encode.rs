//! Neutral messages and declarations in lapin's types.

use std::collections::BTreeMap;

use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldTable, ShortString};

use crate::message::{AmqpMessage, Field};

/// A name or short property, which AMQP limits to 255 bytes.
pub fn short(text: &str) -> Result<ShortString, String> {
    ShortString::try_new(text).map_err(|_| {
        format!(
            "{} bytes are too long for an AMQP name, the limit is 255",
            text.len()
        )
    })
}

/// A header or argument table. The client library writes tables sorted by key.
pub fn table(pairs: &[(String, Field)]) -> Result<FieldTable, String> {
    let pairs = pairs
        .iter()
        .map(|(key, field)| Ok((short(key)?, value(field)?)))
        .collect::<Result<BTreeMap<_, _>, String>>()?;
    Ok(pairs.into())
}

fn value(field: &Field) -> Result<AMQPValue, String> {
    Ok(match field {
        Field::Void => AMQPValue::Void,
        Field::Bool(flag) => AMQPValue::Boolean(*flag),
        Field::Int(number) => AMQPValue::LongInt(*number),
        Field::Long(number) => AMQPValue::LongLongInt(*number),
        Field::Double(number) => AMQPValue::Double(*number),
        Field::Text(text) => AMQPValue::LongString(text.as_str().into()),
        Field::List(items) => {
            let items: Vec<_> = items.iter().map(value).collect::<Result<_, _>>()?;
            AMQPValue::FieldArray(items.into())
        }
        Field::Table(pairs) => AMQPValue::FieldTable(table(pairs)?),
        Field::Time(at) => AMQPValue::Timestamp(u64::try_from(at.timestamp()).map_err(|_| {
            "AMQP cannot carry a time before 1970; write it as a string".to_owned()
        })?),
    })
}

/// Sets one of the properties that are short texts.
type Set = fn(BasicProperties, ShortString) -> BasicProperties;

/// The properties of `message`, its headers among them.
pub fn properties(message: &AmqpMessage) -> Result<BasicProperties, String> {
    let given = &message.properties;
    let mut properties = BasicProperties::default()
        .with_content_type(short(&given.content_type)?)
        .with_content_encoding(short(&given.content_encoding)?)
        .with_headers(table(&message.headers)?)
        .with_delivery_mode(given.delivery_mode)
        .with_priority(given.priority);
    let texts: [(&Option<String>, Set); 8] = [
        (&given.correlation_id, BasicProperties::with_correlation_id),
        (&given.reply_to, BasicProperties::with_reply_to),
        (&given.expiration, BasicProperties::with_expiration),
        (&given.message_id, BasicProperties::with_message_id),
        (&given.kind, BasicProperties::with_type),
        (&given.user_id, BasicProperties::with_user_id),
        (&given.app_id, BasicProperties::with_app_id),
        (&given.cluster_id, BasicProperties::with_cluster_id),
    ];
    for (text, set) in texts {
        if let Some(text) = text {
            properties = set(properties, short(text)?);
        }
    }
    if let Some(timestamp) = given.timestamp {
        properties = properties.with_timestamp(timestamp);
    }
    Ok(properties)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::AmqpProperties;

    fn message(headers: Vec<(String, Field)>) -> AmqpMessage {
        AmqpMessage {
            exchange: String::new(),
            routing_key: "q".into(),
            mandatory: false,
            properties: AmqpProperties {
                correlation_id: Some("id".into()),
                timestamp: Some(7),
                ..AmqpProperties::default()
            },
            headers,
            body: Vec::new(),
        }
    }

    #[test]
    fn fields_keep_their_types() {
        let list = Field::List(vec![Field::Int(1), Field::Void]);
        let nested = vec![("list".to_owned(), list)];
        let headers = vec![
            ("long".to_owned(), Field::Long(1 << 40)),
            ("table".to_owned(), Field::Table(nested)),
        ];
        let properties = properties(&message(headers)).unwrap();
        let headers = properties.headers().as_ref().unwrap().inner();
        assert_eq!(headers["long"], AMQPValue::LongLongInt(1 << 40));
        let AMQPValue::FieldTable(table) = &headers["table"] else {
            panic!("{headers:?}")
        };
        let items = vec![AMQPValue::LongInt(1), AMQPValue::Void];
        assert_eq!(table.inner()["list"], AMQPValue::FieldArray(items.into()));
        assert_eq!(properties.timestamp(), &Some(7));
        assert_eq!(properties.correlation_id(), &Some("id".into()));
        assert_eq!(properties.reply_to(), &None);
    }

    #[test]
    fn what_amqp_cannot_carry_is_an_error_of_that_message() {
        let early = "1960-01-01T00:00:00Z".parse().unwrap();
        for headers in [
            vec![("k".repeat(256), Field::Void)],
            vec![("early".to_owned(), Field::Time(early))],
        ] {
            assert!(properties(&message(headers)).is_err());
        }
    }
}
