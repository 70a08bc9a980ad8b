//! `beat status`: what the store knows, and what the schedule makes of it.

use std::io;
use std::sync::Arc;

use super::{Cli, Io, StatusFormat, code, remote};
use crate::clock::Timestamp;
use crate::config::escaped;
use crate::observe::status;
use crate::observe::view::{Known, View};
use crate::store::StoreError;
use crate::timetable::EntryName;

/// Prints the state of the scheduler.
pub fn run(cli: &Cli, format: StatusFormat, io: &mut Io<'_>) -> io::Result<u8> {
    let looked = remote::with(cli, io, async |mut remote, loaded| {
        let names: Vec<EntryName> = loaded.timetable.entries.keys().cloned().collect();
        let overview = remote.overview().await?;
        Ok::<_, StoreError>((overview, remote.recorded(&names).await?))
    });
    let ((overview, recorded), loaded) = match looked {
        Ok((Ok(looked), loaded)) => (looked, loaded),
        Ok((Err(error), _)) => {
            writeln!(io.err, "error: {error}")?;
            return Ok(code::FAILED);
        }
        Err(code) => return Ok(code),
    };
    let now = io.clock.wall();
    let known = Known::all(&loaded.timetable, &recorded, now);
    let view = View {
        loaded: Arc::new(loaded),
        overview: Arc::new(overview),
        store_up: true,
        known: Some(Arc::new(known)),
        own: None,
        now,
    };
    match format {
        StatusFormat::Json => status::write(&view, true, &mut io.out)?,
        StatusFormat::Table => table(&view, io.out)?,
    }
    Ok(code::OK)
}

fn table(view: &View, out: &mut dyn io::Write) -> io::Result<()> {
    let text = |value: Option<&str>| escaped(value.unwrap_or("-"));
    let (leader, term) = view.leader();
    writeln!(
        out,
        "{}  leader {}  term {}  {}",
        escaped(&view.loaded.settings.name),
        text(leader),
        term.map_or_else(|| "-".to_owned(), |term| term.to_string()),
        text(view.mode())
    )?;
    for one in view.instances() {
        let error = one.reload_error.as_deref();
        let error = error.map_or_else(String::new, |e| format!("  reload refused: {}", escaped(e)));
        writeln!(
            out,
            "  {:<8} {}  pid {}  {}  digest {}  seen {}{error}",
            escaped(&one.role),
            escaped(&one.instance),
            one.pid,
            escaped(&one.version),
            escaped(&one.digest),
            escaped(&one.seen_at)
        )?;
    }
    for warning in view.warnings() {
        writeln!(out, "  warning: {}", escaped(&warning))?;
    }
    let names = view.entries().map(|(_, entry)| escaped(&entry.name));
    let width = names.map(|name| name.chars().count()).max().unwrap_or(0);
    let width = width.max(5);
    writeln!(
        out,
        "\n{:<width$}  {:<27}  {:<27}  {:>8}  STATE",
        "ENTRY", "LAST", "NEXT", "COUNT"
    )?;
    let instant = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
    for (place, entry) in view.entries() {
        let known = view.known(place, entry);
        let state = view.mark(entry).map_or_else(String::new, |mark| {
            format!("paused by {}: {}", escaped(&mark.by), escaped(&mark.reason))
        });
        let next = known.next.filter(|_| entry.policy.enabled);
        writeln!(
            out,
            "{:<width$}  {:<27}  {:<27}  {:>8}  {state}",
            escaped(&entry.name),
            instant(known.last),
            instant(next),
            known.count,
        )?;
    }
    Ok(())
}
