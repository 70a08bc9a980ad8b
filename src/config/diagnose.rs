//! What is wrong with a schedule: errors and warnings with their place in the source.
//!
//! Every part of the loader reports into one [`Collector`] and goes on, so that a user sees all
//! errors at once. [`Collector::finish`] turns byte offsets into lines and columns and cuts the
//! source lines that will be drawn; the sources can be dropped after it.

use std::path::Path;

use serde::Serialize;

use super::excerpt::Excerpt;
use super::lint::Lint;
use super::source::Source;

/// Diagnostics of each severity that are kept; the rest are only counted.
const KEPT: usize = 1_000;
/// Diagnostics of each severity that keep their source line.
pub(super) const DRAWN: usize = 50;

/// Whether a diagnostic stops the schedule from taking effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The schedule is refused.
    Error,
    /// The schedule is accepted.
    Warning,
}

/// One error or warning.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    #[serde(skip)]
    pub severity: Severity,
    /// The file, as the user named it.
    pub file: Option<String>,
    /// Line, from 1.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// The entry concerned.
    pub entry: Option<String>,
    /// Path of the key concerned, such as `beat_schedule.report.schedule.hour`.
    pub key: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// The lint that a warning belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lint: Option<Lint>,
    #[serde(skip)]
    pub(super) excerpt: Option<Excerpt>,
}

/// All errors and warnings of one load.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// The errors, in the order of files and lines.
    pub errors: Vec<Diagnostic>,
    /// The warnings, likewise.
    pub warnings: Vec<Diagnostic>,
    /// How many errors there are, kept or not.
    pub error_count: usize,
    /// How many warnings there are, kept or not.
    pub warning_count: usize,
}

impl Report {
    /// A report of one error that has no place in a file.
    #[must_use]
    pub fn of(message: impl Into<String>) -> Self {
        let mut out = Collector::default();
        out.push(Finding::error(message));
        out.finish(&[])
    }
}

/// A byte range of a source file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub file: u32,
    pub start: u32,
    pub end: u32,
    /// The value there may hold a credential: its line is drawn without it.
    pub secret: bool,
}

/// A diagnostic on its way into a [`Collector`].
#[derive(Debug, Clone)]
pub(super) struct Finding {
    severity: Severity,
    place: Option<Place>,
    file: Option<String>,
    entry: Option<String>,
    key: Option<String>,
    message: String,
    help: Option<String>,
    lint: Option<Lint>,
    /// Another place that the message ends with.
    other: Option<Place>,
}

impl Finding {
    pub(super) fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            place: None,
            file: None,
            entry: None,
            key: None,
            message: message.into(),
            help: None,
            lint: None,
            other: None,
        }
    }

    pub(super) fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    pub(super) fn lint(lint: Lint, message: impl Into<String>) -> Self {
        Self {
            lint: Some(lint),
            ..Self::warning(message)
        }
    }

    pub(super) fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub(super) fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    pub(super) fn entry(mut self, entry: Option<impl Into<String>>) -> Self {
        self.entry = entry.map(Into::into);
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Appends ` FILE:LINE` of `place` to the message.
    pub(super) fn naming(mut self, place: Place) -> Self {
        self.other = Some(place);
        self
    }
}

/// Gathers findings while the loader goes on.
#[derive(Debug, Default)]
pub(super) struct Collector {
    findings: Vec<Finding>,
    errors: usize,
    warnings: usize,
}

impl Collector {
    pub(super) fn push(&mut self, finding: Finding) {
        let count = match finding.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        *count += 1;
        if *count <= KEPT {
            self.findings.push(finding);
        }
    }

    pub(super) fn file_error(&mut self, path: &Path, message: impl Into<String>) {
        let mut finding = Finding::error(message);
        finding.file = Some(path.display().to_string());
        self.push(finding);
    }

    pub(super) fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether further errors are only counted; a costly help is not worth its time then.
    pub(super) fn is_full(&self) -> bool {
        self.errors >= KEPT
    }

    /// Errors so far; a caller compares two readings to see whether a step was clean.
    pub(super) fn error_count(&self) -> usize {
        self.errors
    }

    /// Resolves places against the files that they were taken from.
    pub(super) fn finish(self, files: &[Source]) -> Report {
        let Self {
            mut findings,
            errors,
            warnings,
        } = self;
        findings.sort_by_key(|f| (f.place.map(|p| (p.file, p.start)), f.severity));
        let mut report = Report {
            error_count: errors,
            warning_count: warnings,
            ..Report::default()
        };
        let mut cursor = Cursor::default();
        // What has no place of its own concerns the schedule, which most often is one file.
        let only = match files {
            [one] => Some(one.path.display().to_string()),
            _ => None,
        };
        for finding in findings {
            let list = match finding.severity {
                Severity::Error => &mut report.errors,
                Severity::Warning => &mut report.warnings,
            };
            let drawn = list.len() < DRAWN;
            let mut resolved = resolve(finding, files, &mut cursor, drawn);
            if resolved.file.is_none() {
                resolved.file.clone_from(&only);
            }
            list.push(resolved);
        }
        report
    }
}

fn resolve(finding: Finding, files: &[Source], cursor: &mut Cursor, drawn: bool) -> Diagnostic {
    let mut message = finding.message;
    if let Some((place, file)) = finding
        .other
        .and_then(|p| Some((p, files.get(p.file as usize)?)))
    {
        let before = file
            .text
            .as_bytes()
            .get(..place.start as usize)
            .unwrap_or(&[]);
        let line = before.split(|&b| b == b'\n').count();
        message = format!("{message} {}:{line}", file.path.display());
    }
    let mut resolved = Diagnostic {
        severity: finding.severity,
        file: finding.file,
        line: None,
        column: None,
        entry: finding.entry,
        key: finding.key,
        message,
        help: finding.help,
        lint: finding.lint,
        excerpt: None,
    };
    if let Some((place, file)) = finding
        .place
        .and_then(|p| Some((p, files.get(p.file as usize)?)))
    {
        let (line, column) = cursor.advance(place.file, &file.text, place.start as usize);
        resolved.file = Some(file.path.display().to_string());
        resolved.line = Some(line);
        resolved.column = Some(column);
        if drawn {
            resolved.excerpt = Some(Excerpt::cut(&file.text, place));
        }
    }
    resolved
}

/// Line and column of ascending offsets in one pass over each file.
#[derive(Debug, Default)]
struct Cursor {
    file: u32,
    offset: usize,
    line: usize,
    column: usize,
}

impl Cursor {
    fn advance(&mut self, file: u32, text: &str, to: usize) -> (usize, usize) {
        if self.file != file || to < self.offset || self.line == 0 {
            *self = Self {
                file,
                offset: 0,
                line: 1,
                column: 1,
            };
        }
        let to = (0..=to.min(text.len()))
            .rev()
            .find(|&at| text.is_char_boundary(at))
            .unwrap_or(0);
        let passed = text.get(self.offset..to).unwrap_or("");
        match passed.rfind('\n') {
            Some(last) => {
                self.line += passed.bytes().filter(|&b| b == b'\n').count();
                self.column = 1 + passed[last + 1..].chars().count();
            }
            None => self.column += passed.chars().count(),
        }
        self.offset = to;
        (self.line, self.column)
    }
}
