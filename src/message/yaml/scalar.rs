//! How `PyYAML` writes a string: plain where it would be read back as that string, else in single
//! quotes, else in double quotes with escapes.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use super::Writer;

/// Column after which text is folded at the next space.
const WIDTH: usize = 80;

/// Plain text that YAML 1.1 reads as something else than a string.
static NOT_A_STRING: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(concat!(
        r"^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF",
        r"|[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?",
        r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)",
        r"|[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+",
        r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+|<<|~|null|Null|NULL|=|!|&|\*",
        r"|[0-9]{4}-[0-9]{2}-[0-9]{2}",
        r"|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?",
        r"(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?)\n?$",
    ))
    .ok()
});

/// The style that a string needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scalar {
    /// As it is.
    Plain,
    /// `'…'`, quotes doubled.
    Single {
        /// Holds line breaks.
        multiline: bool,
    },
    /// `"…"` with escapes.
    Double,
}

impl Scalar {
    /// Analyses `text`.
    pub fn of(text: &str) -> Self {
        let single = Self::Single {
            multiline: text.contains('\n'),
        };
        let Some(first) = text.chars().next() else {
            return single;
        };
        let special = |ch: char| ch != '\n' && !(' '..='~').contains(&ch);
        if text.contains(special) || text.contains(" \n") || text.contains("\n ") {
            return Self::Double;
        }
        let mut plain = !text.contains('\n')
            && !text.starts_with(' ')
            && !text.ends_with(' ')
            && !text.starts_with("---")
            && !text.starts_with("...")
            && !"#,[]{}&*!|>'\"%@`".contains(first)
            && !text.contains(": ")
            && !text.ends_with(':')
            && !text.contains(" #");
        if "?-".contains(first) {
            plain &= text.len() > 1 && !text[1..].starts_with(' ');
        }
        let plain = plain && NOT_A_STRING.as_ref().is_some_and(|r| !r.is_match(text));
        if plain { Self::Plain } else { single }
    }

    /// Whether `text` can be followed by a colon on its line.
    pub fn is_simple_key(text: &str, limit: usize) -> bool {
        !text.is_empty()
            && !text.contains(['\n', '\u{85}', '\u{2028}', '\u{2029}'])
            && text.chars().count() < limit
    }

    /// Appends `text`, folded at `indent` unless it is a key.
    pub fn write(self, text: &str, indent: Option<usize>, to: &mut Writer) {
        match self {
            Self::Plain => folded(text, "", indent, to),
            Self::Single { multiline: true } if indent.is_none() => double(text, indent, to),
            Self::Single { .. } => {
                to.out.push('\'');
                folded(text, "'", indent, to);
                to.out.push('\'');
            }
            Self::Double => double(text, indent, to),
        }
    }
}

/// Plain or single-quoted text: a single space beyond the width becomes a line break, a line
/// break becomes two.
fn folded(text: &str, doubled: &str, indent: Option<usize>, to: &mut Writer) {
    let chars: Vec<char> = text.chars().collect();
    let mut at = 0;
    while at < chars.len() {
        let ch = chars[at];
        let run = chars[at..].iter().take_while(|c| **c == ch).count();
        match (ch, indent) {
            (' ', Some(indent))
                if run == 1 && to.column() > WIDTH && at != 0 && at + 1 != chars.len() =>
            {
                to.break_line(indent);
                at += 1;
            }
            (' ', _) => {
                to.out.extend(std::iter::repeat_n(' ', run));
                at += run;
            }
            ('\n', _) => {
                for _ in 0..=run {
                    to.break_line(0);
                }
                to.out.extend(std::iter::repeat_n(' ', indent.unwrap_or(0)));
                at += run;
            }
            ('\'', _) => {
                to.out.push_str(doubled);
                to.out.push('\'');
                at += 1;
            }
            _ => {
                to.out.push(ch);
                at += 1;
            }
        }
    }
}

/// Double-quoted text: escapes, and beyond the width a backslash before the line break.
fn double(text: &str, indent: Option<usize>, to: &mut Writer) {
    to.out.push('"');
    let chars: Vec<char> = text.chars().collect();
    // Characters from `start` are read but not yet written, as in `PyYAML`: the width is checked
    // against them, and a fold may fall between them and what follows.
    let mut start = 0;
    for end in 0..=chars.len() {
        let ch = chars.get(end).copied();
        let escaped = ch.is_none_or(|c| c == '"' || c == '\\' || !(' '..='~').contains(&c));
        if escaped {
            to.out.extend(&chars[start..end]);
            start = end;
            if let Some(ch) = ch {
                escape(ch, &mut to.out);
                start = end + 1;
            }
        }
        let inside = end > 0 && end + 1 < chars.len();
        let pending = end.saturating_sub(start);
        let Some(indent) = indent else { continue };
        let column = if start > end {
            // `PyYAML` counts the escaped character as one that is still to come, less one.
            (to.column()).saturating_sub(1)
        } else {
            to.column() + pending
        };
        if inside && (ch == Some(' ') || start >= end) && column > WIDTH {
            if start < end {
                to.out.extend(&chars[start..end]);
                start = end;
            }
            to.out.push('\\');
            to.break_line(indent);
            if chars[start] == ' ' {
                to.out.push('\\');
            }
        }
    }
    to.out.push('"');
}

fn escape(ch: char, out: &mut String) {
    let short = match ch {
        '\0' => '0',
        '\x07' => 'a',
        '\x08' => 'b',
        '\t' => 't',
        '\n' => 'n',
        '\x0b' => 'v',
        '\x0c' => 'f',
        '\r' => 'r',
        '\x1b' => 'e',
        '"' => '"',
        '\\' => '\\',
        '\u{85}' => 'N',
        '\u{a0}' => '_',
        '\u{2028}' => 'L',
        '\u{2029}' => 'P',
        _ => {
            let code = u32::from(ch);
            // Writing to a String cannot fail.
            let _ = match code {
                0..0x100 => write!(out, "\\x{code:02X}"),
                0x100..0x1_0000 => write!(out, "\\u{code:04X}"),
                _ => write!(out, "\\U{code:08X}"),
            };
            return;
        }
    };
    out.push('\\');
    out.push(short);
}
