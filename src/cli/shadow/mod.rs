//! `beat shadow`: compares what Celery's beat sent with what this one would have sent.
//!
//! | file | holds |
//! |---|---|
//! | `args` | what it is told |
//! | `lines`, `stamp` | lines of any length, and the times in them |
//! | `log` | what a log or a recording says was sent |
//! | `pair` | which send belongs to which fire time |
//! | `compare` | entry by entry, or task by task |
//! | `explain` | why a send or a fire time is alone |
//! | `report` | table, JSON, and the sentence at the end |
//! | `recorder.py` | writes Celery's `task-sent` events down |
//!
//! Where no shadow ran, fire times are computed. An interval's phase is then taken from its first
//! send: what is compared is its beat, not where it began.

mod args;
mod compare;
mod explain;
mod lines;
mod log;
mod pair;
mod report;
mod stamp;

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use super::{Cli, Io, code, misused, moment, nobody, refuse};
use crate::config::Purpose;
use crate::schedule::{Zone, parse_duration};
use crate::timetable::Timetable;
use compare::Question;
use log::Log;
use report::Report;

pub use args::{CompareArgs, CompareFormat, ShadowCommand};

/// Most zones that are tried for times without one.
const MOST_ZONES: usize = 8;

/// Runs `beat shadow`.
pub fn run(cli: &Cli, what: &ShadowCommand, io: &mut Io<'_>) -> io::Result<u8> {
    match what {
        ShadowCommand::Compare(args) => compare(cli, args, io),
        ShadowCommand::Recorder => {
            io.out.write_all(include_bytes!("recorder.py"))?;
            Ok(code::OK)
        }
    }
}

fn compare(cli: &Cli, args: &CompareArgs, io: &mut Io<'_>) -> io::Result<u8> {
    let loaded = match cli.load(io.env, &nobody(), io.clock, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, io),
    };
    let given = match args.timezone.as_deref().map(Zone::load).transpose() {
        Ok(given) => given,
        Err(unknown) => return misused(&format!("--timezone: {unknown} ({})", unknown.help()), io),
    };
    let zone = given.as_ref().unwrap_or(&loaded.settings.zone);
    let mut ends = [None, None];
    for (end, (flag, text)) in ends
        .iter_mut()
        .zip([("--from", &args.from), ("--until", &args.until)])
    {
        let Some(text) = text else { continue };
        let Some(at) = moment::parse(text, zone) else {
            let message =
                format!("{flag} takes a time such as 2026-11-20T00:00 or 2026-11-20T00:00:00Z");
            return misused(&message, io);
        };
        *end = Some(at.as_micros());
    }
    let tolerance = match parse_duration(&args.tolerance) {
        Ok(tolerance) if tolerance > 0 => tolerance,
        _ => return misused("--tolerance takes a duration such as 60s", io),
    };
    let timetable = &loaded.timetable;
    let (celery, shadow) = match (
        read(timetable, &args.logs),
        read(timetable, &args.shadow_log),
    ) {
        (Ok(celery), Ok(shadow)) => (celery, shadow),
        (Err(why), _) | (_, Err(why)) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(code::INVALID);
        }
    };
    if let Some(why) = confused(&celery, &shadow, args) {
        return misused(why, io);
    }
    let question = Question {
        timetable,
        celery: &celery,
        shadow: (!args.shadow_log.is_empty()).then_some(&shadow),
        from: ends[0],
        until: ends[1],
        tolerance,
    };
    let zones = match &given {
        Some(zone) => vec![zone.clone()],
        None if celery.has_local_times() => likely(zone, timetable),
        None => vec![Zone::utc()],
    };
    let comparison = match compare::compare(&question, &zones, io.clock.wall().as_micros()) {
        Ok(comparison) => comparison,
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(code::INVALID);
        }
    };
    let report = Report {
        comparison: &comparison,
        log: &celery,
        shadow: question.shadow.is_some(),
        guessed_zone: given.is_none(),
    };
    match args.format {
        CompareFormat::Table => io.out.write_all(report.table().as_bytes())?,
        CompareFormat::Json => {
            writeln!(io.out, "{}", serde_json::to_string_pretty(&report.json())?)?;
        }
    }
    Ok(if report.all_matched() {
        code::OK
    } else {
        code::FAILED
    })
}

/// Reads all files as one log; `-` is standard input.
fn read(timetable: &Timetable, paths: &[PathBuf]) -> Result<Log, String> {
    let mut log = Log::default();
    for path in paths {
        let done = if path == Path::new("-") {
            log.read(timetable, io::stdin().lock())
        } else {
            File::open(path)
                .and_then(|file| log.read(timetable, BufReader::with_capacity(1 << 16, file)))
        };
        done.map_err(|error| format!("{}: {error}", path.display()))?;
        if log.too_many {
            return Err(format!(
                "{}: more than {} sends; give a part of the log at a time",
                path.display(),
                log::MOST_SENDS
            ));
        }
    }
    Ok(log)
}

/// What was given in each other's place.
fn confused(celery: &Log, shadow: &Log, args: &CompareArgs) -> Option<&'static str> {
    if celery.own > 0 {
        return Some(
            "LOG holds records of beat: give those with --shadow-log, and Celery's log as LOG",
        );
    }
    if celery.logged > 0 && celery.events > 0 {
        return Some(
            "LOG holds both Celery's log and its events: one send would count twice, give one of them",
        );
    }
    if !args.shadow_log.is_empty() && shadow.own == 0 {
        return Some(
            "--shadow-log holds no `fired` record: it takes what `beat --shadow --log-format json` logs",
        );
    }
    None
}

/// Zones that a log's times may be of: UTC as in most containers, the schedule's as in Django.
fn likely(schedule: &Zone, timetable: &Timetable) -> Vec<Zone> {
    let mut zones = vec![Zone::utc(), schedule.clone()];
    for entry in timetable.entries.values() {
        if zones.len() < MOST_ZONES && !zones.contains(&entry.zone) {
            zones.push(entry.zone.clone());
        }
    }
    zones.dedup();
    zones
}
