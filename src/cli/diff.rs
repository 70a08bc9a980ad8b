//! `beat diff`: what one schedule changes in another, and where fire times move.

use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::args::{DiffArgs, TextFormat};
use super::rows::{rfc3339, rfc3339_utc};
use super::{Io, code, misused, moment, nobody, refuse};
use crate::clock::Timestamp;
use crate::config::{Loaded, Purpose, Report, Sources, load};
use crate::timetable::Entry;

/// Fire times shown of each entry.
const SHOWN: usize = 3;

pub(super) fn run(args: &DiffArgs, io: &mut Io<'_>) -> io::Result<u8> {
    let now = io.clock.wall();
    let read = |path: &Path, io: &Io<'_>| -> Result<Loaded, Report> {
        load(
            &Sources::read(&[path.to_owned()])?,
            io.env,
            &nobody(),
            now,
            Purpose::Look,
        )
    };
    let old = match read(&args.old, io) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, io),
    };
    let new = match read(&args.new, io) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, io),
    };
    let from = match args.from.as_deref() {
        None => now,
        Some(text) => match moment::parse(text, &new.settings.zone) {
            Some(from) => from,
            None => return misused("--from takes a time such as 2026-03-29T00:00", io),
        },
    };
    match args.format {
        TextFormat::Json => {
            serde_json::to_writer_pretty(&mut *io.out, &to_json(&old, &new, from))?;
            writeln!(io.out)?;
        }
        TextFormat::Text => text(&old, &new, from, io)?,
    }
    Ok(code::OK)
}

fn to_json(old: &Loaded, new: &Loaded, from: Timestamp) -> Value {
    let (before, after) = (&old.timetable.entries, &new.timetable.entries);
    let difference = new.timetable.difference(&old.timetable);
    let one = |entry: &Entry| {
        json!({
            "entry": &*entry.name, "task": &*entry.task, "schedule": entry.schedule.describe(),
            "timezone": entry.zone.name(), "enabled": entry.policy.enabled, "next": next(entry, from),
        })
    };
    let changed = difference.changed.iter().filter_map(|name| {
        let (was, is) = (before.get(name)?, after.get(name)?);
        Some(json!({"entry": &**name, "what": what(was, is), "old": one(was), "new": one(is)}))
    });
    json!({
        "from": from.to_rfc3339(),
        "added": difference.added.iter().filter_map(|name| after.get(name)).map(|e| one(e)).collect::<Vec<_>>(),
        "removed": difference.removed.iter().filter_map(|name| before.get(name)).map(|e| one(e)).collect::<Vec<_>>(),
        "changed": changed.collect::<Vec<_>>(),
        "unchanged": after.len() - difference.added.len() - difference.changed.len(),
        "refused_by_reload": old.settings.refuses_reload_to(&new.settings),
    })
}

fn text(old: &Loaded, new: &Loaded, from: Timestamp, io: &mut Io<'_>) -> io::Result<()> {
    let (before, after) = (&old.timetable.entries, &new.timetable.entries);
    let difference = new.timetable.difference(&old.timetable);
    let out = &mut *io.out;
    for entry in difference.added.iter().filter_map(|name| after.get(name)) {
        writeln!(
            out,
            "+ {}: {}, {}",
            entry.name,
            entry.task,
            entry.schedule.describe()
        )?;
        writeln!(out, "    next {}", shown(entry, from))?;
    }
    for entry in difference
        .removed
        .iter()
        .filter_map(|name| before.get(name))
    {
        writeln!(
            out,
            "- {}: {}, {}",
            entry.name,
            entry.task,
            entry.schedule.describe()
        )?;
        writeln!(out, "    was next {}", shown(entry, from))?;
    }
    for name in &difference.changed {
        let (Some(was), Some(is)) = (before.get(name), after.get(name)) else {
            continue;
        };
        writeln!(out, "~ {name}: {}", what(was, is).join(", "))?;
        let (schedule_was, schedule_is) = (was.schedule.describe(), is.schedule.describe());
        if schedule_was != schedule_is {
            writeln!(out, "    {schedule_was}\n    -> {schedule_is}")?;
        }
        let (next_was, next_is) = (shown(was, from), shown(is, from));
        if next_was == next_is {
            writeln!(out, "    next {next_is}, as before")?;
        } else {
            writeln!(out, "    was next {next_was}\n    now next {next_is}")?;
        }
    }
    let unchanged = after.len() - difference.added.len() - difference.changed.len();
    writeln!(
        out,
        "{} added, {} removed, {} changed, {unchanged} unchanged",
        difference.added.len(),
        difference.removed.len(),
        difference.changed.len(),
    )?;
    for setting in old.settings.refuses_reload_to(&new.settings) {
        writeln!(
            out,
            "! a reload refuses the change of {setting}: stop all instances first"
        )?;
    }
    Ok(())
}

/// What about an entry changed, in words.
fn what(was: &Entry, is: &Entry) -> Vec<&'static str> {
    let policy = |e: &Entry| {
        let p = &e.policy;
        (
            p.misfire,
            p.starting_deadline,
            p.jitter,
            p.max_runs,
            p.run_on_start,
            p.delivery,
            p.backoff,
        )
    };
    let mut what = Vec::new();
    let mut note = |differs: bool, words: &'static str| {
        if differs {
            what.push(words);
        }
    };
    note(was.timing.grid != is.timing.grid, "schedule");
    note(
        was.timing.window != is.timing.window,
        "end_at, exclude or timezone",
    );
    note(was.task != is.task, "task");
    note(
        was.policy.enabled != is.policy.enabled,
        if is.policy.enabled {
            "enabled"
        } else {
            "disabled"
        },
    );
    note(policy(was) != policy(is), "policy");
    if what.is_empty() {
        what.push("message");
    }
    what
}

/// The next fire times; none of a disabled entry. Intervals count from `from`.
fn next(entry: &Entry, from: Timestamp) -> Vec<Value> {
    let mut next = Vec::new();
    let mut after = from;
    while next.len() < SHOWN
        && entry.policy.enabled
        && let Some(at) = entry.next_fire(from, after)
    {
        next.push(
            json!({"fire_time": rfc3339_utc(at), "local_time": rfc3339(&entry.zone.datetime(at))}),
        );
        after = at;
    }
    next
}

fn shown(entry: &Entry, from: Timestamp) -> String {
    let times: Vec<String> = next(entry, from)
        .iter()
        .filter_map(|at| at.get("local_time")?.as_str().map(str::to_owned))
        .collect();
    if times.is_empty() {
        "never".to_owned()
    } else {
        times.join(", ")
    }
}
