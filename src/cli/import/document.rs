//! The file as a whole: written, read by the loader, and written again without what it refuses.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::data;
use super::entry::{Draft, draft};
use super::read::Export;
use super::sentry;
use super::settings::{self, Drafts, Line};
use crate::cli::nobody;
use crate::clock::Timestamp;
use crate::config::{Diagnostic, Env, Loaded, Purpose, Report, Sources, escaped, load};

/// What came of an export.
#[derive(Debug)]
pub struct Imported {
    /// The schedule file.
    pub text: String,
    /// The same, compiled; `None` when nothing is left that could be loaded.
    pub loaded: Option<Loaded>,
    /// Its entries, the refused ones too.
    pub entries: Vec<Draft>,
    /// Its settings.
    pub settings: Drafts,
    /// Why it could not be loaded, when it could not.
    pub trouble: Vec<String>,
}

impl Imported {
    /// How much was refused, settings included.
    pub fn refused(&self) -> usize {
        let entries = self.entries.iter().filter(|e| !e.refused.is_empty());
        entries.count() + self.settings.refused.len()
    }
}

/// Translates `export`. The loader has the last word: what it refuses is taken out, with its reason.
/// `monitored`: with the headers of Sentry's cron monitors.
pub fn import(export: &Export, now: Timestamp, monitored: bool) -> Imported {
    let around = settings::around(export);
    let mut settings = settings::drafts(export, &around);
    let mut entries: Vec<Draft> = export.entries.iter().map(|e| draft(e, &around)).collect();
    if monitored {
        for (exported, draft) in export.entries.iter().zip(&mut entries) {
            sentry::monitor(exported, &around, draft);
        }
    }
    loop {
        let text = render(export, &settings, &entries);
        let loaded = check(&text, now);
        let report = match loaded {
            Ok(loaded) => {
                return Imported {
                    text,
                    loaded: Some(loaded),
                    entries,
                    settings,
                    trouble: Vec::new(),
                };
            }
            Err(report) => report,
        };
        // Each round takes something out, so this ends.
        if !take_out(&report, &mut settings, &mut entries) {
            return Imported {
                text,
                loaded: None,
                entries,
                settings,
                trouble: report.errors.iter().map(said).collect(),
            };
        }
    }
}

fn check(text: &str, now: Timestamp) -> Result<Loaded, Report> {
    let sources = Sources::from_text("imported.toml", text);
    // Without the environment: what is accepted now is accepted everywhere.
    load(&sources, &Env::default(), &nobody(), now, Purpose::Run)
}

/// Takes out what the loader named; false when it named nothing that can be.
fn take_out(report: &Report, settings: &mut Drafts, entries: &mut [Draft]) -> bool {
    // In diagnostics names are shown as a terminal may have them.
    let places: HashMap<String, usize> = (entries.iter().enumerate())
        .filter(|(_, e)| e.refused.is_empty())
        .flat_map(|(place, e)| [(escaped(&e.name), place), (e.name.clone(), place)])
        .collect();
    let mut changed = false;
    for error in &report.errors {
        if let Some(place) = error.entry.as_ref().and_then(|name| places.get(name)) {
            refuse(&mut entries[*place], error);
            changed = true;
            continue;
        }
        let key = error.key.as_deref().unwrap_or_default();
        let under = |line: &Line| {
            let rest = key.strip_prefix(line.path.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        // A name that diagnostics show in another way: then all of its kind go.
        let kin = |line: &Line| line.path.split('.').next() == key.split('.').next();
        let exact = settings.lines.iter().any(under);
        let before = settings.lines.len();
        settings
            .lines
            .retain(|line| !if exact { under(line) } else { kin(line) });
        if settings.lines.len() < before {
            settings.refused.push(format!("{key}: {}", said(error)));
            changed = true;
        }
    }
    changed
}

fn refuse(entry: &mut Draft, error: &Diagnostic) {
    let lone = error.message.contains("Celery would ignore it");
    for option in ["exchange", "routing_key"] {
        if lone && error.message.starts_with(option) && entry.drop_option(option) {
            entry.notes.push(format!(
                "options.{option} is left out: by itself it has no effect, in Celery neither"
            ));
            return;
        }
    }
    let key = error.key.as_deref().unwrap_or_default();
    let own = key
        .strip_prefix("beat_schedule.")
        .and_then(|rest| rest.strip_prefix(entry.name.as_str())?.strip_prefix('.'));
    entry.refused.push(match own {
        Some(own) => format!("{own}: {}", said(error)),
        None => said(error),
    });
}

fn said(error: &Diagnostic) -> String {
    match &error.help {
        Some(help) => format!("{} ({help})", error.message),
        None => error.message.clone(),
    }
}

fn render(export: &Export, settings: &Drafts, entries: &[Draft]) -> String {
    let mut out = String::new();
    let from = data::line(&export.app);
    let celery = data::line(&export.celery);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "# Imported from {from} (Celery {celery}, {}) as it was at {}.\n\
         # Look it over, then: beat check --schedule FILE, beat preview --schedule FILE\n",
        data::line(&export.scheduler),
        export.exported_at.0
    );
    let (tables, values): (Vec<&Line>, Vec<&Line>) =
        settings.lines.iter().partition(|line| is_section(line));
    for line in values {
        comment(&mut out, line.comment.as_deref());
        let _ = writeln!(out, "{} = {}", line.name, line.value);
    }
    for line in tables {
        out.push('\n');
        comment(&mut out, line.comment.as_deref());
        let _ = writeln!(out, "[{}]", line.name);
        for (key, value) in line.value.as_table().into_iter().flatten() {
            let _ = writeln!(out, "{} = {value}", data::key(key));
        }
    }
    for entry in entries {
        out.push('\n');
        if !entry.refused.is_empty() {
            let (name, task) = (data::line(&entry.name), data::line(&entry.task));
            let _ = writeln!(out, "# refused: {name} ({task})");
            for why in &entry.refused {
                comment(&mut out, Some(&format!("  {why}")));
            }
            continue;
        }
        for text in &entry.comments {
            comment(&mut out, Some(text));
        }
        for why in &entry.approximated {
            comment(&mut out, Some(&format!("approximated: {why}")));
        }
        for note in &entry.notes {
            comment(&mut out, Some(&format!("note: {note}")));
        }
        let _ = writeln!(out, "[beat_schedule.{}]", data::key(&entry.name));
        for (key, value) in &entry.keys {
            let _ = writeln!(out, "{key} = {value}");
        }
    }
    if let Some(cleanup) = &export.cleanup {
        let schedule = toml::Value::String(data::line(&cleanup.schedule));
        let task = toml::Value::String(data::line(&cleanup.task));
        let _ = write!(
            out,
            "\n# Celery's beat adds this entry by itself, for result backends that do not expire results.\n\
             # [beat_schedule.{}]\n# task = {task}\n# schedule = {{ crontab = {schedule} }}\n\
             # options = {{ expires = {} }}\n",
            data::key(&data::line(&cleanup.task)),
            cleanup.expires
        );
    }
    out
}

/// Tables of the file; the other settings stand in one line.
fn is_section(line: &Line) -> bool {
    let section = line.name.starts_with("task_queues.") || line.name == "task_routes";
    section && line.value.is_table()
}

fn comment(out: &mut String, text: Option<&str>) {
    if let Some(text) = text {
        let _ = writeln!(out, "# {}", data::line(text));
    }
}
