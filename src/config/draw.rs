//! A [`Report`] for people and for programs.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use serde_json::json;

use super::diagnose::{DRAWN, Diagnostic, Report, Severity};
use super::excerpt::escaped;

/// Most bytes of drawn text.
const MAX_TEXT: usize = 64 << 10;

impl Report {
    /// Every diagnostic drawn on its source line: errors first, at most 50 of each severity, then
    /// how many more there are. Never more than 64 KiB. `colour` adds terminal colours.
    #[must_use]
    pub fn draw(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut text = String::new();
        for (list, total, what) in [
            (&self.errors, self.error_count, "error"),
            (&self.warnings, self.warning_count, "warning"),
        ] {
            let mut drawn = 0;
            for diagnostic in list.iter().take(DRAWN) {
                let one = draw_one(&renderer, diagnostic);
                // Room is left for the warnings' share and the closing lines.
                if text.len() + one.len() + 1_024 > MAX_TEXT {
                    break;
                }
                text.push_str(&one);
                text.push_str("\n\n");
                drawn += 1;
            }
            if total > drawn {
                let more = total - drawn;
                let _ = write!(text, "... and {more} more {what}s\n\n");
            }
        }
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// `2 errors, 1 warning`.
    #[must_use]
    pub fn summary(&self) -> String {
        match (self.error_count, self.warning_count) {
            (0, 0) => "no errors, no warnings".to_owned(),
            (0, w) => format!("no errors, {}", counted(w, "warning")),
            (e, 0) => counted(e, "error"),
            (e, w) => format!("{}, {}", counted(e, "error"), counted(w, "warning")),
        }
    }

    /// The form of `check --format json`.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        let mut errors = json!(self.errors);
        // Counted here and not in a key of its own, so that the shape never changes.
        if let (Some(list), more @ 1..) =
            (errors.as_array_mut(), self.error_count - self.errors.len())
        {
            list.push(json!({
                "file": null, "line": null, "column": null, "entry": null, "key": null,
                "message": format!("{} more", counted(more, "error")), "help": null,
            }));
        }
        json!({"ok": self.error_count == 0, "errors": errors, "warnings": self.warnings})
    }
}

impl Diagnostic {
    /// One line: place, message, help.
    #[must_use]
    pub fn one_line(&self) -> String {
        let mut text = String::new();
        if let Some(file) = &self.file {
            text.push_str(&escaped(file));
            if let (Some(line), Some(column)) = (self.line, self.column) {
                let _ = write!(text, ":{line}:{column}");
            }
            text.push_str(": ");
        }
        text.push_str(&self.message);
        if let Some(help) = &self.help {
            let _ = write!(text, " ({help})");
        }
        text
    }
}

fn draw_one(renderer: &Renderer, diagnostic: &Diagnostic) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut title = level.primary_title(diagnostic.message.as_str());
    if let Some(lint) = diagnostic.lint {
        title = title.id(lint.name());
    }
    let mut group = Group::with_title(title);
    // A snippet counts its column itself, which is wrong where the line was cut or escaped.
    let own_column = diagnostic.excerpt.as_ref().is_some_and(|excerpt| {
        let column = excerpt
            .text
            .get(..excerpt.mark.start)
            .map_or(0, |t| t.chars().count() + 1);
        Some(column) == diagnostic.column
    });
    if let (Some(file), false) = (&diagnostic.file, own_column) {
        let mut origin = Origin::path(escaped(file));
        if let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) {
            origin = origin.line(line).char_column(column);
        }
        group = group.element(origin);
    }
    if let Some(excerpt) = &diagnostic.excerpt {
        let mut snippet = Snippet::source(excerpt.text.as_str())
            .line_start(diagnostic.line.unwrap_or(1))
            .annotation(AnnotationKind::Primary.span(excerpt.mark.clone()));
        if let (Some(file), true) = (&diagnostic.file, own_column) {
            snippet = snippet.path(escaped(file));
        }
        group = group.element(snippet);
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    renderer.render(&[group])
}

fn counted(n: usize, what: &str) -> String {
    if n == 1 {
        format!("1 {what}")
    } else {
        format!("{n} {what}s")
    }
}
