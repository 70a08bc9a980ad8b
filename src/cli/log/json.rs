//! One JSON object a line: `timestamp`, `level`, then the event's own fields in their order.
//!
//! Written by hand because every fire writes one: no map is built of the fields, nothing allocated
//! for those that need no escapes.

use std::fmt::{self, Write as _};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use crate::clock::{Clock, SystemClock};

/// The format for machines.
pub struct Json;

impl<S, N> FormatEvent<S, N> for Json
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let time = SystemClock.wall();
        let level = event.metadata().level().as_str();
        write!(writer, r#"{{"timestamp":"{time}","level":"{level}""#)?;
        let mut fields = Fields {
            writer: &mut writer,
            result: Ok(()),
        };
        event.record(&mut fields);
        fields.result?;
        writer.write_str("}\n")
    }
}

struct Fields<'a, 'b> {
    writer: &'a mut Writer<'b>,
    result: fmt::Result,
}

impl Fields<'_, '_> {
    fn put(&mut self, field: &Field, write: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        let put = || {
            self.writer.write_str(",\"")?;
            self.writer.write_str(field.name())?;
            self.writer.write_str("\":")?;
            write(self.writer)
        };
        if self.result.is_ok() {
            self.result = put();
        }
    }
}

impl Visit for Fields<'_, '_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, |writer| {
            if value.is_finite() {
                write!(writer, "{value:?}")
            } else {
                writer.write_str("null")
            }
        });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, |writer| write!(writer, "{value}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, |writer| {
            writer.write_char('"')?;
            Escape(writer).write_str(value)?;
            writer.write_char('"')
        });
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, |writer| {
            writer.write_char('"')?;
            write!(Escape(writer), "{value:?}")?;
            writer.write_char('"')
        });
    }
}

/// Escapes what may not stand in a JSON string.
struct Escape<'a, 'b>(&'a mut Writer<'b>);

impl fmt::Write for Escape<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let Self(writer) = self;
        let mut rest = text;
        let special = |byte: u8| byte < b' ' || byte == b'"' || byte == b'\\';
        while let Some(at) = rest.bytes().position(special) {
            writer.write_str(&rest[..at])?;
            match rest.as_bytes()[at] {
                b'"' => writer.write_str("\\\"")?,
                b'\\' => writer.write_str("\\\\")?,
                b'\n' => writer.write_str("\\n")?,
                control => write!(writer, "\\u{control:04x}")?,
            }
            rest = &rest[at + 1..];
        }
        writer.write_str(rest)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn every_kind_of_field_is_read_back() {
        let lines: Arc<Mutex<Vec<u8>>> = Arc::default();
        let its = Arc::clone(&lines);
        let subscriber = tracing_subscriber::fmt()
            .event_format(Json)
            .with_writer(move || Tee(Arc::clone(&its)))
            .finish();
        tracing::subscriber::with_default(subscriber, || {
            let said = "a \"b\" \\ \n\t\u{1} 한";
            tracing::warn!(event = "x", said, debug = ?said, shown = %said, n = -1_i64, u = u64::MAX,
                big = i128::MAX, f = 1.5, whole = 1e3, none = f64::NAN, yes = true, "and a message");
        });
        let text = String::from_utf8(lines.lock().unwrap().clone()).unwrap();
        let mut read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(text.matches('\n').count(), 1);
        let time = read.as_object_mut().unwrap().remove("timestamp").unwrap();
        assert!(chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).is_ok());
        let said = "a \"b\" \\ \n\t\u{1} 한";
        let expected = json!({
            "level": "WARN", "message": "and a message", "event": "x", "said": said, "debug": format!("{said:?}"),
            "shown": said, "n": -1, "u": u64::MAX, "f": 1.5, "whole": 1000.0, "none": null, "yes": true,
        });
        let big = read.as_object_mut().unwrap().remove("big").unwrap();
        assert_eq!(big.to_string(), i128::MAX.to_string());
        assert_eq!(read, expected);
    }

    struct Tee(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Tee {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
}
