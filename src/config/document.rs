//! A schedule file in sections, each parsed on its own.
//!
//! A parsed document takes some twenty times the bytes of its text, and a syntax error anywhere
//! hides everything after it. So a file is cut at its table headers: everything that belongs to one
//! entry (or to one setting) is parsed, compiled and dropped before the next. A file whose tables
//! are interleaved, as TOML allows, is parsed as a whole.

use std::collections::HashSet;
use std::ops::Range;

use toml::de::DeTable;
use toml_parser::Source;
use toml_parser::lexer::TokenKind;

use super::diagnose::{Collector, Finding, Place};
use super::walk::{MAX_DEPTH, MAX_ENTRIES};

/// Most tokens in what is parsed at once: bounds its memory to some 200 MiB.
const MAX_TOKENS: u32 = 2_000_000;
/// The same with blanks, line ends and comments.
const MAX_ALL: u32 = 4_000_000;
/// Longest section whose syntax errors are all reported, in bytes; of a longer one the first.
const RECOVERED: usize = 4 << 10;

/// A part of a file that is parsed by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Section {
    pub range: Range<usize>,
    /// It holds one entry and nothing else.
    pub is_entry: bool,
}

/// The tables that stand together under one key, or one entry's.
///
/// In few bytes: there are as many as entries, and what is freed below them stays with the process.
#[derive(Debug)]
struct Group {
    start: u32,
    tokens: u32,
    /// With blanks, line ends and comments.
    all: u32,
    /// Where the first two keys are written, and nothing where there are none.
    keys: [(u32, u32); 2],
}

impl Group {
    fn is_entry(&self, text: &str) -> bool {
        matches!(self.keys(text), Some(("beat_schedule", Some(_))))
    }

    /// The first two keys as they are written; none before the first header.
    fn keys<'t>(&self, text: &'t str) -> Option<(&'t str, Option<&'t str>)> {
        let [first, second] = self.keys.map(|(start, end)| {
            let key = &text[start as usize..end as usize];
            (!key.is_empty()).then_some(key)
        });
        Some((first?, second))
    }
}

/// An offset into a file, which is below [`super::MAX_FILE`].
fn offset(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

/// Cuts `text` into sections, or reports why it is not parsed at all.
pub(super) fn sections(text: &str, file: u32, out: &mut Collector) -> Vec<Section> {
    let groups = match groups(text) {
        Ok(groups) => groups,
        Err((at, message, help)) => {
            let at = offset(at);
            let place = Place {
                file,
                start: at,
                end: at.saturating_add(1),
                secret: true,
            };
            out.push(Finding::error(message).help(help).at(place));
            return Vec::new();
        }
    };
    if !are_separate(text, &groups) {
        if groups.iter().map(|g| g.tokens).sum::<u32>() > MAX_TOKENS
            || groups.iter().map(|g| g.all).sum::<u32>() > MAX_ALL
        {
            let finding = Finding::error(
                "the tables of one entry or setting are scattered over a large file",
            );
            out.push(
                finding
                    .help("keep the tables of an entry together")
                    .at(Place {
                        file,
                        start: 0,
                        end: 0,
                        secret: false,
                    }),
            );
            return Vec::new();
        }
        return vec![Section {
            range: 0..text.len(),
            is_entry: false,
        }];
    }
    let ends = groups.iter().skip(1).map(|g| g.start as usize);
    groups
        .iter()
        .zip(ends.chain([text.len()]))
        .map(|(group, end)| Section {
            range: group.start as usize..end,
            is_entry: group.is_entry(text),
        })
        .collect()
}

/// A key without its quotes.
fn bare(key: &str) -> &str {
    key.trim_matches(['"', '\''])
}

/// Whether no two groups define parts of the same table.
fn are_separate(text: &str, groups: &[Group]) -> bool {
    // Escapes may spell one key in two ways; such files are parsed as a whole.
    let plain = |key: &str| !key.contains('\\');
    let mut entries = HashSet::with_capacity(groups.len());
    let mut firsts = HashSet::new();
    for (first, second) in groups.iter().filter_map(|g| g.keys(text)) {
        let is_new = match second {
            // Of a key that only resembles it.
            Some(_) if first != "beat_schedule" => false,
            Some(second) => plain(second) && entries.insert(bare(second)),
            None => bare(first) != "beat_schedule" && plain(first) && firsts.insert(bare(first)),
        };
        if !is_new {
            return false;
        }
    }
    if !entries.is_empty() {
        firsts.insert("beat_schedule");
    }
    // What stands before the first header may define a table that a header opens again.
    let end = groups
        .iter()
        .find(|g| g.keys(text).is_some())
        .map_or(0, |g| g.start as usize);
    DeTable::parse(&text[..end]).ok().is_none_or(|head| {
        let mut keys = head.get_ref().iter().map(|(key, _)| key.get_ref());
        keys.all(|key| !firsts.contains(key.as_ref()))
    })
}

type Refusal = (usize, String, &'static str);

/// All table headers outside strings, arrays and inline tables, neighbours with the same keys as
/// one.
fn groups(text: &str) -> Result<Vec<Group>, Refusal> {
    let mut found = vec![Group {
        start: 0,
        tokens: 0,
        all: 0,
        keys: [(0, 0); 2],
    }];
    let mut depth = 0_usize;
    let mut line_start = Some(0);
    // Keys of the header being read: its start, and up to two of them.
    let mut header: Option<(usize, Vec<(u32, u32)>)> = None;
    for token in Source::new(text).lex() {
        let span = token.span();
        if let Some(last) = found.last_mut() {
            last.all += 1;
            if last.all > MAX_ALL {
                return Err(too_many(span.start()));
            }
        }
        match token.kind() {
            TokenKind::Whitespace | TokenKind::Comment | TokenKind::Eof => continue,
            TokenKind::Newline => {
                line_start = Some(span.end());
                header = None;
                continue;
            }
            TokenKind::LeftSquareBracket if depth == 0 && line_start.is_some() => {
                header = line_start.map(|start| (start, Vec::new()));
                depth = 1;
            }
            TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => {
                depth += 1;
                if depth > MAX_DEPTH {
                    let message = format!("nested deeper than {MAX_DEPTH} levels");
                    return Err((span.start(), message, "is a closing bracket missing?"));
                }
            }
            TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => {
                depth = depth.saturating_sub(1);
                if depth == 0
                    && let Some((start, keys)) = header.take()
                {
                    open(text, &mut found, start, &keys);
                    if found.len() > MAX_ENTRIES + 1_000 {
                        let message = format!("more than {MAX_ENTRIES} entries");
                        return Err((
                            span.start(),
                            message,
                            "split the schedule between schedulers",
                        ));
                    }
                }
            }
            TokenKind::Dot => {}
            _ => {
                if let Some((_, keys)) = &mut header
                    && keys.len() < 2
                {
                    keys.push((offset(span.start()), offset(span.end())));
                }
            }
        }
        line_start = None;
        if let Some(last) = found.last_mut() {
            last.tokens += 1;
            if last.tokens > MAX_TOKENS {
                return Err(too_many(span.start()));
            }
        }
    }
    Ok(found)
}

fn too_many(at: usize) -> Refusal {
    let message = format!("one table holds more than {MAX_TOKENS} values and signs");
    (
        at,
        message,
        "give each entry a [beat_schedule.NAME] table of its own",
    )
}

/// Begins a group at a header, unless it continues the last one.
fn open(text: &str, groups: &mut Vec<Group>, start: usize, keys: &[(u32, u32)]) {
    let key = |place: usize| keys.get(place).copied().unwrap_or_default();
    let mut group = Group {
        start: offset(start),
        tokens: 0,
        all: 0,
        keys: [key(0), key(1)],
    };
    let of_entries = |(first, _): (&str, _)| first.contains("beat_schedule");
    if !group.keys(text).is_some_and(of_entries) {
        group.keys[1] = (0, 0);
    }
    if groups
        .last()
        .is_some_and(|last| last.keys(text) != group.keys(text))
    {
        groups.push(group);
    }
}

/// Parses a section; syntax errors are reported and what can be understood is returned.
pub(super) fn parse<'t>(
    text: &'t str,
    section: &Section,
    file: u32,
    out: &mut Collector,
) -> DeTable<'t> {
    let part = &text[section.range.clone()];
    let (table, errors) = match DeTable::parse(part) {
        Ok(table) => (table, Vec::new()),
        // Each error holds a copy of its input: only from a short text all of them are taken.
        Err(_) if part.len() <= RECOVERED => DeTable::parse_recoverable(part),
        Err(first) => (toml::Spanned::new(0..0, DeTable::new()), vec![first]),
    };
    let whole = errors.is_empty();
    report(text, section, file, errors, out);
    // Half an entry would only lead to complaints about the other half.
    if section.is_entry && !whole {
        DeTable::new()
    } else {
        table.into_inner()
    }
}

fn report(
    text: &str,
    section: &Section,
    file: u32,
    errors: Vec<toml::de::Error>,
    out: &mut Collector,
) {
    for error in errors {
        let span = error.span().unwrap_or(0..0);
        let at = |offset: usize| u32::try_from(section.range.start + offset).unwrap_or(u32::MAX);
        let message = match error.message() {
            "duplicate key" => "defined twice in this file".to_owned(),
            message => format!(
                "not valid TOML: {}",
                message.lines().collect::<Vec<_>>().join(", ")
            ),
        };
        out.push(Finding::error(message).at(Place {
            file,
            start: at(span.start),
            end: at(span.end),
            secret: may_be_secret(&text[..at(span.start) as usize]),
        }));
    }
}

/// Whether what follows `before` may be part of a connection setting: a line that cannot be parsed
/// may be any piece of a URL. Entries hold none.
fn may_be_secret(before: &str) -> bool {
    let header = before.rfind("\n[").map_or(before, |at| &before[at + 1..]);
    !header.starts_with("[beat_schedule")
        && !before
            .rsplit('\n')
            .next()
            .unwrap_or("")
            .trim_start()
            .starts_with('[')
}
