//! Typed reading of parsed TOML that reports what does not fit, with its place, and goes on.
//!
//! The document is walked by hand and not by serde: a derive stops at the first error, and here
//! every key has a span, a path and often a rule of its own.

use std::fmt::Write as _;
use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::diagnose::{Collector, Finding, Place};
use super::excerpt::{escaped, is_unsafe};

/// Deepest nesting of tables and arrays below an entry or a setting.
pub(super) const MAX_DEPTH: usize = 64;
/// Most entries of a schedule.
pub(super) const MAX_ENTRIES: usize = 200_000;

/// One step of a key path.
#[derive(Debug, Clone, Copy)]
enum Part<'a> {
    Key(&'a str),
    Index(usize),
}

/// A value of the document with its path and place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Item<'a> {
    parent: Option<&'a Item<'a>>,
    part: Part<'a>,
    key_span: (usize, usize),
    span: (usize, usize),
    file: u32,
    /// Where the parsed section begins in its file.
    base: usize,
    secret: bool,
    pub value: &'a DeValue<'a>,
}

/// The fields of a whole section, as items without a parent.
pub(super) fn top_level<'a>(
    table: &'a DeTable<'a>,
    file: u32,
    base: usize,
) -> impl Iterator<Item = Item<'a>> {
    table.iter().map(move |(key, value)| Item {
        parent: None,
        part: Part::Key(key.get_ref()),
        key_span: (key.span().start, key.span().end),
        span: (value.span().start, value.span().end),
        file,
        base,
        secret: false,
        value: value.get_ref(),
    })
}

impl<'a> Item<'a> {
    /// The last key of the path; empty for the element of an array.
    pub(super) fn name(&self) -> &'a str {
        match self.part {
            Part::Key(key) => key,
            Part::Index(_) => "",
        }
    }

    /// The same item, whose line is drawn without its value.
    pub(super) fn secret(mut self) -> Self {
        self.secret = true;
        self
    }

    /// Place of the value.
    pub(super) fn place(&self) -> Place {
        self.place_of(self.span)
    }

    /// Place of the key; of the value for the element of an array.
    pub(super) fn key_place(&self) -> Place {
        self.place_of(self.key_span)
    }

    fn place_of(&self, (start, end): (usize, usize)) -> Place {
        let at = |offset: usize| u32::try_from(self.base + offset).unwrap_or(u32::MAX);
        Place {
            file: self.file,
            start: at(start),
            end: at(end),
            secret: self.secret,
        }
    }

    /// The path from the top of the file, such as `beat_schedule.report.args[0]`.
    pub(super) fn path(&self) -> String {
        let mut text = match self.parent {
            Some(parent) => parent.path(),
            None => String::new(),
        };
        match self.part {
            Part::Key(key) => {
                if !text.is_empty() {
                    text.push('.');
                }
                text.push_str(&key_text(key));
            }
            Part::Index(index) => {
                let _ = write!(text, "[{index}]");
            }
        }
        text
    }

    /// The entry that this item belongs to.
    fn entry(&self) -> Option<&'a str> {
        let parent = self.parent?;
        if parent.parent.is_none() {
            (parent.name() == "beat_schedule").then(|| self.name())
        } else {
            parent.entry()
        }
    }

    fn describe(&self, finding: Finding, place: Place) -> Finding {
        finding
            .at(place)
            .key(self.path())
            .entry(self.entry().map(escaped))
    }

    /// Reports `finding` at the value.
    pub(super) fn report(&self, out: &mut Collector, finding: Finding) {
        out.push(self.describe(finding, self.place()));
    }

    /// Reports `finding` at the key.
    pub(super) fn report_key(&self, out: &mut Collector, finding: Finding) {
        out.push(self.describe(finding, self.key_place()));
    }

    /// Reports an error at the value.
    pub(super) fn error(&self, out: &mut Collector, message: impl Into<String>) {
        self.report(out, Finding::error(message));
    }

    /// Reports an error at the value, with what to do about it.
    pub(super) fn error_help(&self, out: &mut Collector, message: impl Into<String>, help: &str) {
        self.report(out, Finding::error(message).help(help));
    }

    /// Reports that this key is none of `known`.
    pub(super) fn unknown_key(&self, out: &mut Collector, what: &str, known: &[&str]) {
        let name = self.name();
        let finding = Finding::error(format!("unknown {what} `{}`", escaped(name)));
        let near = if out.is_full() {
            None
        } else {
            nearest(name, known)
        };
        let finding = match near {
            Some(best) => finding.help(format!("did you mean `{best}`?")),
            None => finding.help(format!("known: {}", list(known))),
        };
        self.report_key(out, finding);
    }

    /// Reports that the value has another type than the `expected` one.
    pub(super) fn wrong_type(&self, out: &mut Collector, expected: &str) {
        let name = self.name();
        let subject = if name.is_empty() {
            "this element".to_owned()
        } else {
            format!("`{}`", escaped(name))
        };
        let found = type_name(self.value);
        self.error(out, format!("{subject} takes {expected}, not {found}"));
    }

    /// A string.
    pub(super) fn text(&self, out: &mut Collector) -> Option<&'a str> {
        if let DeValue::String(text) = self.value {
            return Some(text);
        }
        self.wrong_type(out, "a string");
        None
    }

    /// A boolean.
    pub(super) fn flag(&self, out: &mut Collector) -> Option<bool> {
        if let DeValue::Boolean(flag) = self.value {
            return Some(*flag);
        }
        self.wrong_type(out, "true or false");
        None
    }

    /// An integer within `range`.
    pub(super) fn integer(&self, out: &mut Collector, range: RangeInclusive<i64>) -> Option<i64> {
        let (low, high) = (*range.start(), *range.end());
        let bounds = match (low, high) {
            (i64::MIN, i64::MAX) => "an integer".to_owned(),
            (low, i64::MAX) => format!("an integer of {low} or more"),
            (low, high) => format!("an integer from {low} to {high}"),
        };
        let Some(value) = self.as_integer() else {
            self.wrong_type(out, &bounds);
            return None;
        };
        if !range.contains(&value) {
            self.error(
                out,
                format!("`{}` takes {bounds}, not {value}", escaped(self.name())),
            );
            return None;
        }
        Some(value)
    }

    /// The value as an integer of 64 bits, if it is one.
    pub(super) fn as_integer(&self) -> Option<i64> {
        match self.value {
            DeValue::Integer(int) => i64::from_str_radix(int.as_str(), int.radix()).ok(),
            _ => None,
        }
    }

    /// The value as a number, if it is a finite one.
    pub(super) fn as_number(&self) -> Option<f64> {
        match self.value {
            #[expect(clippy::cast_precision_loss, reason = "a number of seconds or degrees")]
            DeValue::Integer(_) => self.as_integer().map(|int| int as f64),
            DeValue::Float(float) => float.as_str().parse().ok().filter(|f: &f64| f.is_finite()),
            _ => None,
        }
    }

    /// A finite number.
    pub(super) fn number(&self, out: &mut Collector) -> Option<f64> {
        let number = self.as_number();
        if number.is_none() {
            self.wrong_type(out, "a finite number");
        }
        number
    }

    /// One of a few words.
    pub(super) fn one_of(
        &self,
        out: &mut Collector,
        words: &[&'static str],
    ) -> Option<&'static str> {
        let text = self.text(out)?;
        if let Some(word) = words.iter().find(|w| **w == text) {
            return Some(word);
        }
        let finding = Finding::error(format!(
            "`{}` is none of {}: {}",
            escaped(self.name()),
            list(words),
            quoted(text)
        ));
        let finding = match nearest(text, words) {
            Some(best) => finding.help(format!("did you mean \"{best}\"?")),
            None => finding,
        };
        self.report(out, finding);
        None
    }

    /// A string that can be a name: 1 to 255 bytes, not blank, nothing that could forge a log line.
    pub(super) fn name_text(&self, out: &mut Collector) -> Option<&'a str> {
        let text = self.text(out)?;
        match bad_name(text) {
            None => Some(text),
            Some(why) => {
                self.error(out, format!("`{}` {why}", escaped(self.name())));
                None
            }
        }
    }

    /// A table, as its fields.
    pub(super) fn fields<'s>(
        &'s self,
        out: &mut Collector,
    ) -> Option<impl ExactSizeIterator<Item = Item<'s>> + use<'s, 'a>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_type(out, "a table");
            return None;
        };
        Some(table.iter().map(move |(key, value)| {
            let span = key.span();
            self.child(Part::Key(key.get_ref()), (span.start, span.end), value)
        }))
    }

    /// An array, as its elements.
    pub(super) fn elements<'s>(
        &'s self,
        out: &mut Collector,
    ) -> Option<impl ExactSizeIterator<Item = Item<'s>> + use<'s, 'a>> {
        let DeValue::Array(array) = self.value else {
            self.wrong_type(out, "an array");
            return None;
        };
        Some(array.iter().enumerate().map(move |(index, value)| {
            let span = value.span();
            self.child(Part::Index(index), (span.start, span.end), value)
        }))
    }

    /// An array's elements, or the value itself where it is none.
    pub(super) fn one_or_many(&self) -> Vec<Item<'_>> {
        match self.value {
            DeValue::Array(array) => array
                .iter()
                .enumerate()
                .map(|(index, value)| {
                    let span = value.span();
                    self.child(Part::Index(index), (span.start, span.end), value)
                })
                .collect(),
            _ => vec![*self],
        }
    }

    fn child<'s>(
        &'s self,
        part: Part<'s>,
        key_span: (usize, usize),
        value: &'s Spanned<DeValue<'a>>,
    ) -> Item<'s> {
        let span = value.span();
        Item {
            parent: Some(self),
            part,
            key_span,
            span: (span.start, span.end),
            file: self.file,
            base: self.base,
            secret: self.secret,
            value: value.get_ref(),
        }
    }
}

/// A key as it is written in a path: bare, or in quotes.
pub(super) fn key_text(key: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !key.is_empty() && key.chars().all(bare) {
        key.to_owned()
    } else {
        format!("\"{}\"", escaped(key))
    }
}

/// Why `text` cannot name an entry, a task, a queue; `None` when it can.
pub(super) fn bad_name(text: &str) -> Option<String> {
    if text.len() > 255 {
        Some(format!(
            "is {} bytes long, at most 255 are allowed",
            text.len()
        ))
    } else if text.trim().is_empty() {
        Some("must not be blank".to_owned())
    } else {
        text.chars()
            .find(|&c| is_unsafe(c))
            .map(|c| format!("contains the control character {}", c.escape_unicode()))
    }
}

/// `text` in quotes, escaped and cut.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// The word of `known` that was most likely meant.
pub(super) fn nearest<'k>(name: &str, known: &[&'k str]) -> Option<&'k str> {
    if name.len() > 64 {
        return None;
    }
    let name = name.to_lowercase();
    known
        .iter()
        .map(|k| (strsim::damerau_levenshtein(&name, k), *k))
        .filter(|(distance, k)| *distance <= (k.len().max(name.len()) / 3).clamp(1, 4))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, k)| k)
}

fn list(words: &[&str]) -> String {
    words.join(", ")
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(float) if float.as_str().contains("nan") => "nan",
        DeValue::Float(float) if float.as_str().contains("inf") => "infinity",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a datetime",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
