//! `{fire_time}`, `{last_fire_time}` and `{entry}` in strings of args, kwargs and headers.

use chrono::format::{Item, StrftimeItems};

use super::Fire;
use crate::clock::Timestamp;
use crate::message::{Invalid, Value, moment};
use crate::schedule::Zone;

/// What placeholders are filled with.
#[derive(Debug)]
pub struct Filling {
    /// Name of the entry.
    pub entry: Box<str>,
    /// Its zone.
    pub zone: Zone,
}

/// Whether a string is a template: only then are its braces anything but braces.
fn is_template(text: &str) -> bool {
    ["{fire_time", "{last_fire_time", "{entry}"]
        .iter()
        .any(|mark| text.contains(mark))
}

/// Whether any string within `value` is one.
pub fn any(value: &Value) -> bool {
    match value {
        Value::Str(text) => is_template(text),
        Value::List(items) => items.iter().any(any),
        Value::Dict(pairs) => pairs.iter().any(|(_, item)| any(item)),
        _ => false,
    }
}

/// Checks every template within `value`; keys relative to it.
pub fn check(value: &Value, at: &str, errors: &mut Vec<Invalid>) {
    match value {
        Value::Str(text) if is_template(text) => {
            errors.extend(parse(text).err().map(|error| error.under(at)));
        }
        Value::List(items) => {
            for (position, item) in items.iter().enumerate() {
                check(item, &format!("{at}.{position}"), errors);
            }
        }
        Value::Dict(pairs) => {
            for (key, item) in pairs {
                check(item, &format!("{at}.{key}"), errors);
            }
        }
        _ => {}
    }
}

impl Filling {
    /// `value` with all its templates filled in.
    pub fn fill(&self, value: &Value, fire: &Fire) -> Value {
        match value {
            Value::Str(text) if is_template(text) => self.fill_text(text, fire),
            Value::List(items) => {
                Value::List(items.iter().map(|item| self.fill(item, fire)).collect())
            }
            Value::Dict(pairs) => Value::Dict(
                pairs
                    .iter()
                    .map(|(key, item)| (key.clone(), self.fill(item, fire)))
                    .collect(),
            ),
            other => other.clone(),
        }
    }

    fn fill_text(&self, text: &str, fire: &Fire) -> Value {
        // Checked when it was compiled.
        let parts = parse(text).unwrap_or_default();
        if let [Part::Last(None)] = parts.as_slice()
            && fire.last_fire_time.is_none()
        {
            return Value::Null;
        }
        let mut filled = String::with_capacity(text.len() + 16);
        for part in parts {
            match part {
                Part::Text(text) => filled.push_str(&text),
                Part::Entry => filled.push_str(&self.entry),
                Part::Fire(form) => self.write(fire.fire_time, form.as_deref(), &mut filled),
                Part::Last(form) => {
                    if let Some(last) = fire.last_fire_time {
                        self.write(last, form.as_deref(), &mut filled);
                    }
                }
            }
        }
        Value::Str(filled)
    }

    fn write(&self, at: Timestamp, form: Option<&str>, out: &mut String) {
        let local = self.zone.datetime(at);
        if let Some(form) = form {
            out.push_str(&local.format(form).to_string());
        } else {
            let mut text = Vec::with_capacity(32);
            moment::write_aware(local, b'T', &mut text);
            out.push_str(&String::from_utf8_lossy(&text));
        }
    }
}

#[derive(Debug, PartialEq)]
enum Part {
    Text(String),
    Entry,
    Fire(Option<String>),
    Last(Option<String>),
}

fn parse(text: &str) -> Result<Vec<Part>, Invalid> {
    let mut parts = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(brace) = rest.find(['{', '}']) {
        literal.push_str(&rest[..brace]);
        let at = &rest[brace..];
        if at.starts_with("{{") || at.starts_with("}}") {
            literal.push_str(&at[..1]);
            rest = &at[2..];
            continue;
        }
        let end = at.find('}').filter(|_| at.starts_with('{'));
        let Some(end) = end else {
            return Err(braces(format!("{text:?} has a single brace")));
        };
        if !literal.is_empty() {
            parts.push(Part::Text(std::mem::take(&mut literal)));
        }
        parts.push(placeholder(&at[1..end])?);
        rest = &at[end + 1..];
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        parts.push(Part::Text(literal));
    }
    Ok(parts)
}

fn placeholder(inside: &str) -> Result<Part, Invalid> {
    let (name, form) = match inside.split_once(':') {
        Some((name, form)) => (name, Some(strftime(form)?)),
        None => (inside, None),
    };
    match (name, form) {
        ("entry", None) => Ok(Part::Entry),
        ("fire_time", form) => Ok(Part::Fire(form)),
        ("last_fire_time", form) => Ok(Part::Last(form)),
        _ => Err(braces(format!(
            "unknown placeholder {{{inside}}}; there are {{fire_time}}, {{last_fire_time}} and {{entry}}"
        ))),
    }
}

fn braces(message: String) -> Invalid {
    Invalid::new("", message).help("beside a placeholder, literal braces are written {{ and }}")
}

/// The format in chrono's words: Python's `%f` is six digits.
fn strftime(form: &str) -> Result<String, Invalid> {
    let mut translated = String::with_capacity(form.len() + 2);
    let mut chars = form.chars();
    while let Some(ch) = chars.next() {
        translated.push(ch);
        if ch == '%' {
            match chars.next() {
                Some('f') => translated.push_str("6f"),
                Some(next) => translated.push(next),
                None => {}
            }
        }
    }
    if form.is_empty() || StrftimeItems::new(&translated).any(|item| item == Item::Error) {
        return Err(Invalid::new(
            "",
            format!("{form:?} is not a strftime format"),
        ));
    }
    Ok(translated)
}
