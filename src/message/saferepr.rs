//! Celery's shortened `repr` for the `argsrepr` and `kwargsrepr` headers.
//!
//! Lengths are code points. The budget shrinks with every token; a string or other scalar that
//! reaches it is cut, and once it is used up one `, ...` is written and only brackets that are
//! already open are closed.

use super::Value;
use super::number::python_float;
use super::objects::{
    Object, aware_repr, bytes_repr, date_repr, naive_repr, python_object, time_repr,
};

/// Characters that Celery allows each of the two headers.
pub const BUDGET: usize = 1024;

/// `saferepr(args, budget, maxlevels)`: no arguments are `()`, otherwise a list.
#[must_use]
pub fn args_repr(args: &[Value], max_levels: usize, budget: usize) -> String {
    if args.is_empty() {
        return "()".to_owned();
    }
    let mut writer = Writer::new(budget, max_levels);
    writer.list(args, 0);
    writer.out
}

/// `saferepr(kwargs, budget, maxlevels)`.
#[must_use]
pub fn kwargs_repr(kwargs: &[(String, Value)], max_levels: usize, budget: usize) -> String {
    let mut writer = Writer::new(budget, max_levels);
    writer.dict(kwargs, 0);
    writer.out
}

struct Writer {
    out: String,
    /// Code points left; Celery's goes below zero, which means the same.
    left: usize,
    max_levels: usize,
    /// Set by the first token after the budget was used up.
    over: bool,
    /// Brackets opened since then, which are not written and so not closed.
    unwritten: usize,
}

impl Writer {
    fn new(budget: usize, max_levels: usize) -> Self {
        Self {
            out: String::new(),
            left: budget,
            max_levels,
            over: false,
            unwritten: 0,
        }
    }

    fn value(&mut self, value: &Value, level: usize) {
        match value {
            Value::Str(text) => {
                if let Some(left) = self.allowance() {
                    let shown = format!("'{}'", cut(text, left).replace('\'', "\\'"));
                    self.emit(&shown);
                }
            }
            Value::List(items) => self.list(items, level),
            Value::Dict(pairs) => match python_object(value) {
                Some(Object::Repr(text)) => self.scalar(&text),
                Some(Object::Bytes(bytes)) => {
                    if let Some(left) = self.allowance() {
                        let shown = bytes_repr(&bytes, left);
                        self.emit(&shown);
                    }
                }
                None => self.dict(pairs, level),
            },
            Value::Null => self.scalar("None"),
            Value::Bool(true) => self.scalar("True"),
            Value::Bool(false) => self.scalar("False"),
            Value::Int(number) => self.scalar(&number.to_string()),
            Value::BigInt(digits) => self.scalar(digits),
            Value::Float(number) => self.scalar(&python_float(*number)),
            Value::DateTime(at) => self.scalar(&aware_repr(*at)),
            Value::LocalDateTime(at) => self.scalar(&naive_repr(*at, None)),
            Value::Date(date) => self.scalar(&date_repr(*date)),
            Value::Time(time) => self.scalar(&time_repr(*time)),
        }
    }

    fn list(&mut self, items: &[Value], level: usize) {
        if self.too_deep(level, "[...]") {
            return;
        }
        self.open("[");
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.literal(", ");
            }
            self.value(item, level + 1);
        }
        self.close("]");
    }

    fn dict(&mut self, pairs: &[(String, Value)], level: usize) {
        if self.too_deep(level, "{...}") {
            return;
        }
        self.open("{");
        for (position, (key, item)) in pairs.iter().enumerate() {
            if position > 0 {
                self.literal(", ");
            }
            if let Some(left) = self.allowance() {
                // A key is a repr of its own, within what is left.
                let shown = format!("'{}'", cut(key, left).replace('\'', "\\'"));
                self.emit(&shown);
            }
            self.literal(": ");
            self.value(item, level + 1);
        }
        self.close("}");
    }

    fn too_deep(&mut self, level: usize, shown: &str) -> bool {
        let deep = self.max_levels > 0 && level >= self.max_levels;
        if deep {
            self.literal(shown);
        }
        deep
    }

    fn scalar(&mut self, text: &str) {
        if let Some(left) = self.allowance() {
            let shown = cut(text, left);
            self.emit(&shown);
        }
    }

    fn literal(&mut self, text: &str) {
        if self.allowance().is_some() {
            self.emit(text);
        }
    }

    fn open(&mut self, bracket: &str) {
        if self.allowance().is_some() {
            self.emit(bracket);
        } else {
            self.unwritten += 1;
        }
    }

    fn close(&mut self, bracket: &str) {
        if self.unwritten > 0 {
            self.unwritten -= 1;
        } else if self.left == 0 || self.over {
            self.out.push_str(bracket);
        } else {
            self.emit(bracket);
        }
    }

    /// What the next token may take; `None` once nothing is left, said once in the output.
    fn allowance(&mut self) -> Option<usize> {
        if self.left > 0 {
            return Some(self.left);
        }
        if !self.over {
            self.over = true;
            self.out.push_str(", ...");
        }
        None
    }

    fn emit(&mut self, text: &str) {
        self.out.push_str(text);
        self.left = self.left.saturating_sub(text.chars().count());
    }
}

/// `text` if it is shorter than `left`, else cut there, then back to the last space.
fn cut(text: &str, left: usize) -> std::borrow::Cow<'_, str> {
    // Bytes are at least as many as code points: most strings need no counting.
    if text.len() < left {
        return text.into();
    }
    let Some((end, _)) = text.char_indices().nth(left.saturating_sub(1)) else {
        return text.into();
    };
    let end = end + text[end..].chars().next().map_or(0, char::len_utf8);
    let head = &text[..end];
    let head = head.rfind(' ').map_or(head, |space| &head[..space]);
    format!("{head}...").into()
}

#[cfg(test)]
mod tests;
