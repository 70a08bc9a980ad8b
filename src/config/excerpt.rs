//! The source line under a diagnostic: cut around the column, escaped, without secrets.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use super::diagnose::Place;

/// Characters shown before and after the start of the marked range.
const BEFORE: usize = 60;
const AFTER: usize = 90;
/// Bytes before the window that are searched for the key of a secret.
const LOOK_BACK: usize = 64 << 10;

/// A line, or the part of it around a range, fit for a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Excerpt {
    pub text: String,
    /// Byte range of `text` that is marked.
    pub mark: Range<usize>,
}

impl Excerpt {
    pub(super) fn cut(text: &str, place: Place) -> Self {
        let start = floor(text, place.start as usize);
        let end = floor(text, (place.end as usize).max(start));
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let line_end = line_end - usize::from(text[line_start..line_end].ends_with('\r'));
        let start = start.min(line_end);
        let end = end.clamp(start, line_end);

        let from = back(text, line_start, start, BEFORE);
        let to = forward(text, start, line_end, AFTER);
        let masked = if place.secret {
            let line = &text[line_start..line_end];
            let value = line.find('=').map_or(0, |at| at + 1);
            let blank = line[value..].len() - line[value..].trim_start().len();
            std::iter::once(line_start + value + blank..line_end).collect()
        } else {
            let look = floor(text, line_start.max(from.saturating_sub(LOOK_BACK)));
            mask(&text[look..to.max(end.min(to))], look)
        };

        let mut shown = String::new();
        if from > line_start {
            shown.push('…');
        }
        let mut mark = None;
        let mut mark_end = None;
        let mut hidden = false;
        for (at, c) in text[from..to].char_indices() {
            let at = from + at;
            if at >= start && mark.is_none() {
                // Inside a masked range the mark points at its stars.
                mark = Some(shown.len() - if hidden { STARS.len() } else { 0 });
            }
            if at >= end && mark_end.is_none() {
                mark_end = Some(shown.len());
            }
            if masked.iter().any(|r| r.contains(&at)) {
                if !hidden {
                    shown.push_str(STARS);
                }
                hidden = true;
            } else {
                hidden = false;
                push_escaped(&mut shown, c);
            }
        }
        let text_end = shown.len();
        if to < line_end {
            shown.push('…');
        }
        let first = mark.unwrap_or(text_end);
        let last = mark_end.unwrap_or(text_end).max(first);
        Self {
            text: shown,
            mark: first..last,
        }
    }
}

const STARS: &str = "***";

fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn back(text: &str, line_start: usize, at: usize, chars: usize) -> usize {
    text[line_start..at]
        .char_indices()
        .rev()
        .take(chars)
        .last()
        .map_or(at, |(i, _)| line_start + i)
}

fn forward(text: &str, at: usize, line_end: usize, chars: usize) -> usize {
    text[at..line_end]
        .char_indices()
        .nth(chars)
        .map_or(line_end, |(i, _)| at + i)
}

/// Ranges of `part`, moved by `offset`, that may hold a credential: what follows a key that sounds
/// like one, to the end of the line, and what follows `://`, to the end of the string.
fn mask(part: &str, offset: usize) -> Vec<Range<usize>> {
    static KEY: LazyLock<Option<Regex>> = LazyLock::new(|| {
        Regex::new(
            r#"(?i)[\w.-]*(?:url|passw|passphrase|secret|token|credential|api_?key|private|sentinel_kwargs|user(?:name)?\b)[\w.-]*["']?\s*[=:]"#,
        )
        .ok()
    });
    static URL: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r#"://[^\s"'/\\]*(?:[^\s"'@]*@)?[^\s"']*"#).ok());
    let mut found = Vec::new();
    if let Some(key) = KEY.as_ref().and_then(|re| re.find(part)) {
        let blank = part[key.end()..].len() - part[key.end()..].trim_start().len();
        found.push(offset + key.end() + blank..offset + part.len());
    }
    if let Some(url) = URL.as_ref() {
        found.extend(
            url.find_iter(part)
                .map(|m| offset + m.start() + 3..offset + m.end()),
        );
    }
    found
}

/// Whether `c` could forge a line, move the cursor or reorder the text around it.
pub(super) fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

fn push_escaped(out: &mut String, c: char) {
    if c == '\t' {
        out.push_str("    ");
    } else if is_unsafe(c) {
        out.extend(c.escape_unicode());
    } else {
        out.push(c);
    }
}

/// `text` without anything that a terminal or a log would take for more than text, at most 120
/// characters of it.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::new();
    for (n, c) in text.chars().enumerate() {
        if n == 120 {
            out.push('…');
            break;
        }
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}
