//! What came of each entry, in words, on stderr.

use std::io;

use super::data::line;
use super::document::Imported;
use super::entry::Draft;
use super::read::Export;
use super::verify::Compared;
use crate::cli::Io;

/// Writes the report.
pub fn write(
    export: &Export,
    imported: &Imported,
    compared: Option<&Compared>,
    io: &mut Io<'_>,
) -> io::Result<()> {
    let entries = &imported.entries;
    let refused: Vec<&Draft> = entries.iter().filter(|e| !e.refused.is_empty()).collect();
    let taken = || entries.iter().filter(|e| e.refused.is_empty());
    let approximated: Vec<&Draft> = taken().filter(|e| !e.approximated.is_empty()).collect();
    let exact: Vec<&Draft> = taken().filter(|e| e.approximated.is_empty()).collect();
    let out = &mut *io.err;
    if !exact.is_empty() {
        writeln!(out, "exact:")?;
        for entry in &exact {
            writeln!(out, "  {}", line(&entry.name))?;
            notes(entry, out)?;
        }
    }
    if !approximated.is_empty() {
        writeln!(out, "approximated:")?;
        for entry in &approximated {
            writeln!(out, "  {}", line(&entry.name))?;
            for why in &entry.approximated {
                writeln!(out, "    {}", line(why))?;
            }
            notes(entry, out)?;
        }
    }
    if !refused.is_empty() {
        writeln!(out, "refused:")?;
        for entry in &refused {
            writeln!(out, "  {} ({})", line(&entry.name), line(&entry.task))?;
            for why in &entry.refused {
                writeln!(out, "    {}", line(why))?;
            }
        }
    }
    let settings = &imported.settings;
    for (what, said) in [
        ("settings approximated", &settings.approximated),
        ("settings refused", &settings.refused),
        ("from the application", &export.warnings),
    ] {
        if !said.is_empty() {
            writeln!(out, "{what}:")?;
            for text in said {
                writeln!(out, "  {}", line(text))?;
            }
        }
    }
    if export.cleanup.is_some() {
        writeln!(
            out,
            "celery.backend_cleanup, which Celery's beat adds by itself, is in the file as a comment"
        )?;
    }
    if let Some(compared) = compared {
        compared.write(out)?;
    }
    writeln!(
        out,
        "{} of {}: {} exact, {} approximated, {} refused",
        plural(entries.len(), "entry", "entries"),
        line(&export.app),
        exact.len(),
        approximated.len(),
        refused.len()
    )?;
    if imported.loaded.is_none() {
        writeln!(out, "error: nothing is left that makes a schedule")?;
        for why in &imported.trouble {
            writeln!(out, "  {}", line(why))?;
        }
    }
    if let Some(compared) = compared {
        writeln!(out, "{}", compared.advice())?;
    }
    Ok(())
}

fn notes(entry: &Draft, out: &mut dyn io::Write) -> io::Result<()> {
    for note in &entry.notes {
        writeln!(out, "    note: {}", line(note))?;
    }
    Ok(())
}

/// `1 entry`, `2 entries`.
pub fn plural(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
