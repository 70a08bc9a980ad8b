//! `beat check`.

use std::io;

use super::args::{CheckArgs, TextFormat};
use super::{Cli, Io, code, nobody};
use crate::config::Purpose;
use crate::schedule::zone_source;

pub(super) fn run(cli: &Cli, args: &CheckArgs, io: &mut Io<'_>) -> io::Result<u8> {
    let (report, entries) = match cli.load(io.env, &nobody(), io.clock, Purpose::Check) {
        Ok(loaded) => (loaded.report, Some(loaded.timetable.entries.len())),
        Err(report) => (report, None),
    };
    match (args.format, entries) {
        (TextFormat::Json, _) => {
            serde_json::to_writer_pretty(&mut *io.out, &report.to_json())?;
            writeln!(io.out)?;
        }
        (TextFormat::Text, entries) => {
            if report.error_count + report.warning_count > 0 {
                io.err.write_all(report.draw(io.colour_err).as_bytes())?;
            }
            if let Some(entries) = entries {
                let noun = if entries == 1 { "entry" } else { "entries" };
                writeln!(
                    io.out,
                    "ok: {entries} {noun}, {}; zone data: {}",
                    report.summary(),
                    zone_source()
                )?;
            }
        }
    }
    Ok(match entries {
        None => code::INVALID,
        Some(_) if args.strict && report.warning_count > 0 => code::FAILED,
        Some(_) => code::OK,
    })
}
