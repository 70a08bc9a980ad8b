//! Fire times as a table, JSON or CSV, written as they come.

use std::borrow::Cow;
use std::io::{self, Write};

use chrono::{DateTime, FixedOffset, SecondsFormat};
use serde::Serialize;

use super::args::PreviewFormat;
use super::preview::{Fire, Span};
use crate::clock::FireTime;

/// Widest column of names in a table, in characters.
const WIDEST: usize = 40;

/// One fire time with the columns of JSON and CSV.
#[derive(Serialize)]
struct Row<'a> {
    entry: &'a str,
    task: &'a str,
    fire_time: String,
    local_time: String,
    timezone: &'a str,
    jitter_s: f64,
    note: Option<String>,
}

impl<'a> Row<'a> {
    fn of(fire: &Fire<'a>, span: &'a Span<'a>) -> Self {
        let zone = span.zone_of(fire.entry);
        Self {
            entry: &fire.entry.name,
            task: &fire.entry.task,
            fire_time: rfc3339_utc(fire.at),
            local_time: rfc3339(&zone.datetime(fire.at)),
            timezone: zone.name(),
            #[expect(clippy::cast_precision_loss, reason = "below 100 years in µs")]
            jitter_s: fire.entry.jitter_micros(fire.at) as f64 / 1e6,
            note: fire.note(),
        }
    }
}

pub(super) fn write(span: &Span<'_>, format: PreviewFormat, out: &mut dyn Write) -> io::Result<()> {
    match format {
        PreviewFormat::Table => table(span, out),
        PreviewFormat::Json => json(span, out),
        PreviewFormat::Csv => csv(span, out),
    }
}

fn json(span: &Span<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut separator = "[\n  ";
    for fire in span.fires() {
        out.write_all(separator.as_bytes())?;
        serde_json::to_writer(&mut *out, &Row::of(&fire, span))?;
        separator = ",\n  ";
    }
    out.write_all(if separator.starts_with('[') {
        b"[]\n"
    } else {
        b"\n]\n"
    })
}

fn csv(span: &Span<'_>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "entry,task,fire_time,local_time,timezone,jitter_s,note"
    )?;
    for fire in span.fires() {
        let row = Row::of(&fire, span);
        writeln!(
            out,
            "{},{},{},{},{},{:?},{}",
            quoted(row.entry),
            quoted(row.task),
            row.fire_time,
            row.local_time,
            row.timezone,
            row.jitter_s,
            quoted(row.note.as_deref().unwrap_or("")),
        )?;
    }
    Ok(())
}

/// A field of RFC 4180.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        Cow::Owned(format!("\"{}\"", text.replace('"', "\"\"")))
    } else {
        Cow::Borrowed(text)
    }
}

fn table(span: &Span<'_>, out: &mut dyn Write) -> io::Result<()> {
    let width = |text: &str| text.chars().count().min(WIDEST);
    let names = span
        .entries
        .iter()
        .map(|e| width(&e.name))
        .max()
        .unwrap_or(0)
        .max(5);
    let tasks = span
        .entries
        .iter()
        .map(|e| width(&e.task))
        .max()
        .unwrap_or(0)
        .max(4);
    let zones = span
        .entries
        .iter()
        .map(|e| width(span.zone_of(e).name()))
        .max()
        .unwrap_or(0)
        .max(8);
    writeln!(
        out,
        "{:<25}  {:<zones$}  {:<names$}  {:<tasks$}  NOTE",
        "LOCAL TIME", "TIMEZONE", "ENTRY", "TASK"
    )?;
    for fire in span.fires() {
        let row = Row::of(&fire, span);
        let mut note = row.note.unwrap_or_default();
        if row.jitter_s > 0.0 {
            let gap = if note.is_empty() { "" } else { "; " };
            note = format!("{note}{gap}sent {} s later", row.jitter_s);
        }
        let line = format!(
            "{:<25}  {:<zones$}  {:<names$}  {:<tasks$}  {note}",
            row.local_time, row.timezone, row.entry, row.task
        );
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// RFC 3339 in UTC with a `Z`, likewise.
pub(super) fn rfc3339_utc(at: FireTime) -> String {
    shortest(at.to_rfc3339())
}

/// RFC 3339 with the offset written out; the fraction as short as it can be.
pub(super) fn rfc3339(at: &DateTime<FixedOffset>) -> String {
    let form = if at.timestamp_subsec_micros() == 0 {
        SecondsFormat::Secs
    } else {
        SecondsFormat::Micros
    };
    shortest(at.to_rfc3339_opts(form, false))
}

/// A time without the zeros that end its fraction.
fn shortest(text: String) -> String {
    let Some((whole, rest)) = text.split_once('.') else {
        return text;
    };
    let zone = rest.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = rest[..rest.len() - zone.len()].trim_end_matches('0');
    format!("{whole}.{digits}{zone}")
}
