//! `beat import`: from what the export script printed to TOML, a report, a comparison, last runs.
//!
//! The script runs where the application's Python code is, and resolves there what only that code
//! knows. Everything else is decided here.
//!
//! | file | holds |
//! |---|---|
//! | `script/*.py` | the export script, one text in four parts |
//! | `read` | its JSON as types, with limits |
//! | `entry`, `schedule`, `options`, `signature`, `data` | one exported entry to the keys of one `[beat_schedule.NAME]` |
//! | `sentry` | the headers of Sentry's cron monitors |
//! | `settings`, `queues` | the settings that change messages |
//! | `document` | the whole file, tried with the loader until it accepts it |
//! | `report` | what came of each entry, in words |
//! | `verify` | Celery's next fires against ours |
//! | `last_runs` | last runs into the store |

mod data;
mod document;
mod entry;
mod last_runs;
mod options;
mod queues;
mod read;
mod report;
mod schedule;
mod sentry;
mod settings;
mod signature;
mod verify;

use std::io::{self, Read};
use std::path::Path;

use super::args::ImportArgs;
use super::{Cli, Io, code};
use read::{Export, MAX_BYTES};

/// The export script.
const SCRIPT: &str = concat!(
    include_str!("script/1_values.py"),
    "\n\n",
    include_str!("script/2_app.py"),
    "\n\n",
    include_str!("script/3_schedules.py"),
    "\n\n",
    include_str!("script/4_sources.py"),
);

pub(super) fn run(cli: &Cli, args: &ImportArgs, io: &mut Io<'_>) -> io::Result<u8> {
    let Some(file) = &args.file else {
        io.out.write_all(SCRIPT.as_bytes())?;
        return Ok(code::OK);
    };
    let export = match text_of(file).and_then(|text| Export::parse(&text)) {
        Ok(export) => export,
        Err(why) => {
            writeln!(io.err, "error: {}: {why}", file.display())?;
            return Ok(code::INVALID);
        }
    };
    if args.last_runs {
        return last_runs::run(cli, &export, io);
    }
    let imported = document::import(&export, io.clock.wall(), args.sentry);
    let compared = match &imported.loaded {
        Some(loaded) if args.verify => Some(verify::compare(&export, &imported, loaded)),
        _ => None,
    };
    report::write(&export, &imported, compared.as_ref(), io)?;
    if imported.loaded.is_none() {
        return Ok(code::FAILED);
    }
    io.out.write_all(imported.text.as_bytes())?;
    let refused = imported.refused() > 0 && !args.skip_refused;
    let differs = compared.is_some_and(|compared| compared.unexplained() > 0);
    Ok(if refused || differs {
        code::FAILED
    } else {
        code::OK
    })
}

/// The file's text, or stdin's for `-`.
fn text_of(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let read = if path == Path::new("-") {
        io::stdin().take(MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(path).and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(format!(
            "is larger than {} MiB; the script takes --fires 0, which makes it smaller",
            MAX_BYTES >> 20
        ));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::SCRIPT;

    /// Whatever encoding a terminal or a pipe has, Python reads the same.
    #[test]
    fn the_script_is_ascii() {
        assert!(SCRIPT.is_ascii());
        assert!(SCRIPT.starts_with("\"\"\"Prints a Celery application's"));
    }
}
