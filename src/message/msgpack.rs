//! Plain msgpack, as `msgpack.packb(use_bin_type=True)` packs it.

use super::{Invalid, Value};

/// Appends `value`.
///
/// # Errors
/// Datetimes and integers beyond 64 bit, which msgpack for Python refuses too; keys are relative
/// to `value`.
pub fn write_value(value: &Value, out: &mut Vec<u8>) -> Result<(), Invalid> {
    match value {
        Value::Null => out.push(0xc0),
        Value::Bool(false) => out.push(0xc2),
        Value::Bool(true) => out.push(0xc3),
        Value::Int(number) => write_int(*number, out),
        Value::BigInt(digits) => {
            let number: u64 = digits.parse().map_err(|_| {
                Invalid::new(
                    "",
                    format!("{digits} does not fit msgpack, which holds 64 bit"),
                )
            })?;
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Float(number) => {
            out.push(0xcb);
            out.extend_from_slice(&number.to_be_bytes());
        }
        Value::Str(text) => write_str(text, out),
        Value::List(items) => {
            write_len(items.len(), 0x90, 0xdc, out);
            for (position, item) in items.iter().enumerate() {
                write_value(item, out).map_err(|e| e.under(&position.to_string()))?;
            }
        }
        Value::Dict(pairs) => {
            write_len(pairs.len(), 0x80, 0xde, out);
            for (key, item) in pairs {
                write_str(key, out);
                write_value(item, out).map_err(|e| e.under(key))?;
            }
        }
        Value::DateTime(_) | Value::LocalDateTime(_) | Value::Date(_) | Value::Time(_) => {
            return Err(Invalid::new(
                "",
                format!("a {} cannot be written in msgpack", value.kind()),
            )
            .help("write it as a string, or use the json serializer"));
        }
    }
    Ok(())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "each arm's range makes its cast exact, or keeps the low bits on purpose"
)]
fn write_int(number: i64, out: &mut Vec<u8>) {
    match number {
        -32..=0x7f => out.push(number as u8),
        0x80..=0xff => out.extend_from_slice(&[0xcc, number as u8]),
        0x100..=0xffff => {
            out.push(0xcd);
            out.extend_from_slice(&(number as u16).to_be_bytes());
        }
        0x1_0000..=0xffff_ffff => {
            out.push(0xce);
            out.extend_from_slice(&(number as u32).to_be_bytes());
        }
        0x1_0000_0000.. => {
            out.push(0xcf);
            out.extend_from_slice(&number.to_be_bytes());
        }
        -0x80..-32 => out.extend_from_slice(&[0xd0, number as u8]),
        -0x8000..-0x80 => {
            out.push(0xd1);
            out.extend_from_slice(&(number as i16).to_be_bytes());
        }
        -0x8000_0000..-0x8000 => {
            out.push(0xd2);
            out.extend_from_slice(&(number as i32).to_be_bytes());
        }
        _ => {
            out.push(0xd3);
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "each arm's range makes its cast exact; a message is at most 16 MiB"
)]
fn write_str(text: &str, out: &mut Vec<u8>) {
    match text.len() {
        len @ ..32 => out.push(0xa0 | len as u8),
        len @ ..0x100 => out.extend_from_slice(&[0xd9, len as u8]),
        len @ ..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        len => {
            out.push(0xdb);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// The head of a list or dict: `fixed` up to 15 members, `wide` with 16 bit, the next with 32.
#[expect(
    clippy::cast_possible_truncation,
    reason = "each arm's range makes its cast exact; a message is at most 16 MiB"
)]
fn write_len(len: usize, fixed: u8, wide: u8, out: &mut Vec<u8>) {
    match len {
        0..16 => out.push(fixed | len as u8),
        16..0x1_0000 => {
            out.push(wide);
            out.extend_from_slice(&(len as u16).to_be_bytes());
        }
        _ => {
            out.push(wide + 1);
            out.extend_from_slice(&(len as u32).to_be_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(json: &str) -> String {
        let mut out = Vec::new();
        write_value(&Value::from_json_text(json).unwrap(), &mut out).unwrap();
        crate::message::objects::hex(&out)
    }

    #[test]
    fn integers_take_the_shortest_form() {
        for (json, hex) in [
            ("0", "00"),
            ("127", "7f"),
            ("128", "cc80"),
            ("255", "ccff"),
            ("256", "cd0100"),
            ("65536", "ce00010000"),
            ("4294967296", "cf0000000100000000"),
            ("18446744073709551615", "cfffffffffffffffff"),
            ("-1", "ff"),
            ("-32", "e0"),
            ("-33", "d0df"),
            ("-128", "d080"),
            ("-129", "d1ff7f"),
            ("-32769", "d2ffff7fff"),
            ("-2147483649", "d3ffffffff7fffffff"),
        ] {
            assert_eq!(packed(json), hex, "{json}");
        }
    }

    #[test]
    fn the_rest_is_plain() {
        assert_eq!(
            packed(r#"[null, true, false, 1.5, "é"]"#),
            "95c0c3c2cb3ff8000000000000a2c3a9"
        );
        assert_eq!(packed(r#"{"a": []}"#), "81a16190");
        assert!(packed(&format!("\"{}\"", "x".repeat(32))).starts_with("d920"));
        assert!(packed(&format!("[{}0]", "0,".repeat(15))).starts_with("dc0010"));
    }

    #[test]
    fn what_python_refuses_is_refused() {
        let mut out = Vec::new();
        let big = Value::from_json_text("{\"a\": [18446744073709551616]}").unwrap();
        assert_eq!(write_value(&big, &mut out).unwrap_err().key, "a.0");
        let date = Value::Date(chrono::NaiveDate::default());
        assert!(write_value(&date, &mut out).is_err());
    }
}
