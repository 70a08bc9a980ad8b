//! JSON text as Python's `json.dumps` writes it through kombu's encoder.

use super::Value;
use super::moment;
use super::number::python_float;

/// Appends `value`.
pub fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Value::BigInt(digits) => out.extend_from_slice(digits.as_bytes()),
        Value::Float(number) => out.extend_from_slice(float(*number).as_bytes()),
        Value::Str(text) => write_str(text, out),
        Value::List(items) => write_list(items, out),
        Value::Dict(pairs) => write_dict(pairs, out),
        Value::DateTime(at) => typed("datetime", out, |out| moment::write_aware(*at, b'T', out)),
        Value::LocalDateTime(at) => {
            typed("datetime", out, |out| moment::write_naive(*at, b'T', out));
        }
        Value::Date(date) => typed("date", out, |out| moment::write_date(*date, out)),
        Value::Time(time) => typed("time", out, |out| moment::write_time(*time, out)),
    }
}

/// Appends a list.
pub fn write_list(items: &[Value], out: &mut Vec<u8>) {
    out.push(b'[');
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_value(item, out);
    }
    out.push(b']');
}

/// Appends an object, keys in their order.
pub fn write_dict(pairs: &[(String, Value)], out: &mut Vec<u8>) {
    out.push(b'{');
    for (position, (key, item)) in pairs.iter().enumerate() {
        if position > 0 {
            out.extend_from_slice(b", ");
        }
        write_str(key, out);
        out.extend_from_slice(b": ");
        write_value(item, out);
    }
    out.push(b'}');
}

/// Appends a string: ASCII only, lower-case escapes, surrogate pairs.
pub fn write_str(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    let mut rest = text;
    let special = |byte: &u8| !matches!(byte, b' '..=b'~') || matches!(byte, b'"' | b'\\');
    while let Some(at) = rest.as_bytes().iter().position(special) {
        out.extend_from_slice(&rest.as_bytes()[..at]);
        let mut chars = rest[at..].chars();
        if let Some(ch) = chars.next() {
            escape(ch, out);
        }
        rest = chars.as_str();
    }
    out.extend_from_slice(rest.as_bytes());
    out.push(b'"');
}

fn escape(ch: char, out: &mut Vec<u8>) {
    match ch {
        '"' => out.extend_from_slice(b"\\\""),
        '\\' => out.extend_from_slice(b"\\\\"),
        '\n' => out.extend_from_slice(b"\\n"),
        '\r' => out.extend_from_slice(b"\\r"),
        '\t' => out.extend_from_slice(b"\\t"),
        '\u{8}' => out.extend_from_slice(b"\\b"),
        '\u{c}' => out.extend_from_slice(b"\\f"),
        _ => {
            for unit in ch.encode_utf16(&mut [0; 2]) {
                out.extend_from_slice(b"\\u");
                for shift in [12, 8, 4, 0] {
                    out.push(b"0123456789abcdef"[usize::from(*unit >> shift & 15)]);
                }
            }
        }
    }
}

fn float(number: f64) -> String {
    if number.is_nan() {
        "NaN".to_owned()
    } else if number.is_infinite() {
        if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned()
    } else {
        python_float(number)
    }
}

fn typed(kind: &str, out: &mut Vec<u8>, text: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(b"{\"__type__\": \"");
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(b"\", \"__value__\": \"");
    text(out);
    out.extend_from_slice(b"\"}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value) -> String {
        let mut out = Vec::new();
        write_value(value, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn strings_are_escaped_as_python_does() {
        assert_eq!(
            text(&"h\u{e9}\u{1d11e}\u{8}\u{c}\n\r\t\"\\/\x00\x1f\x7f".into()),
            "\"h\\u00e9\\ud834\\udd1e\\b\\f\\n\\r\\t\\\"\\\\/\\u0000\\u001f\\u007f\""
        );
    }

    #[test]
    fn what_json_text_says_comes_back_in_python_spacing() {
        for (written, expected) in [
            ("[1,2.50,1e3,1e-7]", "[1, 2.5, 1000.0, 1e-07]"),
            ("-0", "0"),
            (
                "[123456789012345678901234567890,-9223372036854775809]",
                "[123456789012345678901234567890, -9223372036854775809]",
            ),
            (
                "{\"b\":null,\"a\":{\"__type__\":\"uuid\",\"__value__\":{}}}",
                "{\"b\": null, \"a\": {\"__type__\": \"uuid\", \"__value__\": {}}}",
            ),
            ("1e999", "Infinity"),
        ] {
            assert_eq!(text(&Value::from_json_text(written).unwrap()), expected);
        }
        assert_eq!(text(&Value::Float(f64::NAN)), "NaN");
        assert_eq!(text(&Value::Float(f64::NEG_INFINITY)), "-Infinity");
        for refused in ["NaN", "[1,]", "{'a': 1}", "01", "", "[1] 2"] {
            assert!(Value::from_json_text(refused).is_err(), "{refused}");
        }
    }
}
