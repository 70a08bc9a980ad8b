//! YAML as `PyYAML`'s `safe_dump` writes it: block style, keys sorted, ASCII, folded at 80 columns.

mod scalar;

use super::number::python_float;
use super::{Invalid, Value, moment};
use scalar::Scalar;

/// Keys of this length or more are written as `? key`: 128 less the five of `!!str`, which `PyYAML`
/// counts although it does not write them.
const SIMPLE_KEY: usize = 123;

/// Appends the document that holds `value`.
///
/// # Errors
/// Times of day, which `PyYAML` refuses too; keys are relative to `value`.
pub fn write_document(value: &Value, out: &mut Vec<u8>) -> Result<(), Invalid> {
    let mut writer = Writer {
        out: String::new(),
        line: 0,
    };
    match value {
        Value::List(items) if !items.is_empty() => writer.list(items, 0, true)?,
        Value::Dict(pairs) if !pairs.is_empty() => writer.dict(pairs, 0, true)?,
        _ => writer.flow(value, 0)?,
    }
    writer.out.push('\n');
    out.extend_from_slice(writer.out.as_bytes());
    Ok(())
}

/// The text so far and where its last line begins.
pub(super) struct Writer {
    out: String,
    line: usize,
}

impl Writer {
    fn column(&self) -> usize {
        // Everything written is ASCII: a byte is a column.
        self.out.len() - self.line
    }

    fn break_line(&mut self, indent: usize) {
        self.out.push('\n');
        self.line = self.out.len();
        self.out.extend(std::iter::repeat_n(' ', indent));
    }

    /// A block sequence at `indent`; the first item goes on the current line when `inline`.
    fn list(&mut self, items: &[Value], indent: usize, inline: bool) -> Result<(), Invalid> {
        for (position, item) in items.iter().enumerate() {
            if position > 0 || !inline {
                self.break_line(indent);
            }
            self.out.push('-');
            self.member(item, indent, true)
                .map_err(|e| e.under(&position.to_string()))?;
        }
        Ok(())
    }

    fn dict(
        &mut self,
        pairs: &[(String, Value)],
        indent: usize,
        inline: bool,
    ) -> Result<(), Invalid> {
        let mut sorted: Vec<_> = pairs.iter().collect();
        sorted.sort_by(|a, b| a.0.cmp(&b.0));
        for (position, (key, item)) in sorted.into_iter().enumerate() {
            if position > 0 || !inline {
                self.break_line(indent);
            }
            let simple = Scalar::is_simple_key(key, SIMPLE_KEY);
            if simple {
                Scalar::of(key).write(key, None, self);
            } else {
                self.out.push_str("? ");
                Scalar::of(key).write(key, Some(indent + 2), self);
                self.break_line(indent);
            }
            self.out.push(':');
            self.member(item, indent, !simple)
                .map_err(|e| e.under(key))?;
        }
        Ok(())
    }

    /// What follows `-` or `key:`; `inline` where a collection begins on the same line. A sequence
    /// under a simple key is not indented further.
    fn member(&mut self, item: &Value, indent: usize, inline: bool) -> Result<(), Invalid> {
        match item {
            Value::List(items) if !items.is_empty() && inline => {
                self.out.push(' ');
                self.list(items, indent + 2, true)
            }
            Value::List(items) if !items.is_empty() => self.list(items, indent, false),
            Value::Dict(pairs) if !pairs.is_empty() && inline => {
                self.out.push(' ');
                self.dict(pairs, indent + 2, true)
            }
            Value::Dict(pairs) if !pairs.is_empty() => self.dict(pairs, indent + 2, false),
            _ => {
                self.out.push(' ');
                self.flow(item, indent + 2)
            }
        }
    }

    /// A scalar, or a collection without members; long text goes on at `indent`.
    fn flow(&mut self, item: &Value, indent: usize) -> Result<(), Invalid> {
        match item {
            Value::Null => self.out.push_str("null"),
            Value::Bool(flag) => self.out.push_str(if *flag { "true" } else { "false" }),
            Value::Int(number) => self.out.push_str(&number.to_string()),
            Value::BigInt(digits) => self.out.push_str(digits),
            Value::Float(number) => self.out.push_str(&float(*number)),
            Value::Str(text) => Scalar::of(text).write(text, Some(indent), self),
            Value::List(_) => self.out.push_str("[]"),
            Value::Dict(_) => self.out.push_str("{}"),
            Value::DateTime(at) => self.moment(|out| moment::write_aware(*at, b' ', out)),
            Value::LocalDateTime(at) => self.moment(|out| moment::write_naive(*at, b' ', out)),
            Value::Date(date) => self.moment(|out| moment::write_date(*date, out)),
            Value::Time(_) => {
                return Err(Invalid::new("", "a time cannot be written in yaml")
                    .help("write it as a string, or use the json serializer"));
            }
        }
        Ok(())
    }

    fn moment(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let mut text = Vec::new();
        write(&mut text);
        self.out.push_str(&String::from_utf8_lossy(&text));
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        return ".nan".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let text = python_float(number);
    // YAML's floats need a point: 1e+16 would be read as a string.
    if text.contains('.') {
        text
    } else {
        text.replacen('e', ".0e", 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of `[value, yaml.safe_dump(value)]` as `PyYAML` wrote them.
    const CAPTURED: &str = include_str!("../../tests/data/yaml.jsonl");

    #[test]
    fn is_what_pyyaml_wrote() {
        for line in CAPTURED.lines() {
            let case = Value::from_json_text(line).unwrap();
            let Value::List(case) = &case else {
                panic!("{line}");
            };
            let mut out = Vec::new();
            write_document(&case[0], &mut out).unwrap();
            assert_eq!(
                String::from_utf8(out).unwrap(),
                case[1].as_str().unwrap(),
                "{line}"
            );
        }
    }

    #[test]
    fn what_json_cannot_say() {
        let at = chrono::DateTime::parse_from_rfc3339("2031-05-06T07:08:09.5+02:00").unwrap();
        for (value, text) in [
            (Value::Float(f64::NAN), "- .nan\n"),
            (Value::Float(f64::NEG_INFINITY), "- -.inf\n"),
            (Value::DateTime(at), "- 2031-05-06 07:08:09.500000+02:00\n"),
            (
                Value::LocalDateTime(at.naive_local()),
                "- 2031-05-06 07:08:09.500000\n",
            ),
            (Value::Date(at.date_naive()), "- 2031-05-06\n"),
        ] {
            let mut out = Vec::new();
            write_document(&Value::List(vec![value]), &mut out).unwrap();
            assert_eq!(String::from_utf8(out).unwrap(), text);
        }
        let time = Value::List(vec![Value::Time(at.time())]);
        assert_eq!(write_document(&time, &mut Vec::new()).unwrap_err().key, "0");
    }
}
