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
const MAX_TOKENS: usize = 2_000_000;
/// The same with blanks, line ends and comments.
const MAX_ALL: usize = 4_000_000;
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
#[derive(Debug)]
struct Group<'t> {
    start: usize,
    tokens: usize,
    /// With blanks, line ends and comments.
    all: usize,
    /// The first two keys as they are written; none before the first header.
    keys: Option<(&'t str, Option<&'t str>)>,
}

impl Group<'_> {
    fn is_entry(&self) -> bool {
        matches!(self.keys, Some(("beat_schedule", Some(_))))
    }
}

/// Cuts `text` into sections, or reports why it is not parsed at all.
pub(super) fn sections(text: &str, file: u32, out: &mut Collector) -> Vec<Section> {
    let groups = match groups(text) {
        Ok(groups) => groups,
        Err((at, message, help)) => {
            let at = u32::try_from(at).unwrap_or(u32::MAX);
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
        if groups.iter().map(|g| g.tokens).sum::<usize>() > MAX_TOKENS
            || groups.iter().map(|g| g.all).sum::<usize>() > MAX_ALL
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
    let ends = groups.iter().skip(1).map(|g| g.start).chain([text.len()]);
    groups
        .iter()
        .zip(ends)
        .map(|(group, end)| Section {
            range: group.start..end,
            is_entry: group.is_entry(),
        })
        .collect()
}

/// A key without its quotes.
fn bare(key: &str) -> &str {
    key.trim_matches(['"', '\''])
}

/// Whether no two groups define parts of the same table.
fn are_separate(text: &str, groups: &[Group<'_>]) -> bool {
    // Escapes may spell one key in two ways; such files are parsed as a whole.
    let plain = |key: &str| !key.contains('\\');
    let mut seen = HashSet::with_capacity(groups.len());
    let mut firsts = HashSet::new();
    for (first, second) in groups.iter().filter_map(|g| g.keys) {
        let of_entries = bare(first) == "beat_schedule";
        if !plain(first)
            || second.is_some_and(|key| !plain(key))
            || (of_entries && (second.is_none() || first != "beat_schedule"))
            || !seen.insert((bare(first), second.map(bare)))
        {
            return false;
        }
        firsts.insert(bare(first));
    }
    // What stands before the first header may define a table that a header opens again.
    let end = groups
        .iter()
        .find(|g| g.keys.is_some())
        .map_or(0, |g| g.start);
    DeTable::parse(&text[..end]).ok().is_none_or(|head| {
        let mut keys = head.get_ref().iter().map(|(key, _)| key.get_ref());
        keys.all(|key| !firsts.contains(key.as_ref()))
    })
}

type Refusal = (usize, String, &'static str);

/// All table headers outside strings, arrays and inline tables, neighbours with the same keys as
/// one.
fn groups(text: &str) -> Result<Vec<Group<'_>>, Refusal> {
    let mut found = vec![Group {
        start: 0,
        tokens: 0,
        all: 0,
        keys: None,
    }];
    let mut depth = 0_usize;
    let mut line_start = Some(0);
    // Keys of the header being read: its start, and up to two of them.
    let mut header: Option<(usize, Vec<&str>)> = None;
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
                    open(&mut found, start, &keys);
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
                    keys.push(&text[span.start()..span.end()]);
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
fn open<'t>(groups: &mut Vec<Group<'t>>, start: usize, keys: &[&'t str]) {
    let first = keys.first().copied().unwrap_or("");
    let second = keys
        .get(1)
        .copied()
        .filter(|_| first.contains("beat_schedule"));
    let keys = Some((first, second));
    if groups.last().is_some_and(|last| last.keys != keys) {
        groups.push(Group {
            start,
            tokens: 0,
            all: 0,
            keys,
        });
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
