//! The command line: what users type, and one file for each command.
//!
//! | file | command |
//! |---|---|
//! | `args`, `help` | clap's definition of all of them; examples and the rest of `--help` |
//! | `man` | the man page |
//! | `daemon`, `log` | `beat run` |
//! | `check` | `beat check` |
//! | `preview`, `rows`, `timeline` | `beat preview` and `--dry-run` |
//! | `diff` | `beat diff` |
//! | `status`, `control`, `remote` | `beat status`, `trigger`, `pause`, `resume` |
//! | `health` | `beat health` |
//! | `import` | `beat import` |
//! | `shadow` | `beat shadow` |
//! | `moment` | instants as they are typed |
//!
//! Data goes to stdout, everything else to stderr. Commands write to what [`Io`] holds and return
//! an exit code, so that they run in tests and `main` only connects them.

mod args;
mod check;
mod control;
mod daemon;
mod diff;
mod health;
mod help;
mod import;
mod log;
mod man;
mod moment;
mod preview;
mod remote;
mod rows;
mod shadow;
mod status;
mod timeline;

use std::io::{self, Write};
use std::path::PathBuf;

use clap::FromArgMatches as _;
use uuid::Uuid;

pub use args::{Cli, Command, LogFormat, PreviewArgs, RunArgs, StatusFormat, Target};

use crate::clock::Clock;
use crate::config::{Env, Loaded, Purpose, Report, Sources, load};
use crate::message::Identity;
use crate::store::control::Verb;

/// Exit codes: done; failed at run time; wrong usage or an invalid schedule.
pub mod code {
    /// Done.
    pub const OK: u8 = 0;
    /// Failed at run time.
    pub const FAILED: u8 = 1;
    /// Wrong usage, or a schedule that is not valid.
    pub const INVALID: u8 = 2;
}

/// What a command works with.
pub struct Io<'a> {
    /// Data.
    pub out: &'a mut dyn Write,
    /// Messages.
    pub err: &'a mut dyn Write,
    /// Whether stdout takes colours.
    pub colour_out: bool,
    /// Whether stderr takes colours.
    pub colour_err: bool,
    /// The environment.
    pub env: &'a Env,
    /// Where "now" comes from.
    pub clock: &'a dyn Clock,
}

/// Parses `args` and carries them out; returns the exit code.
pub fn execute(args: impl IntoIterator<Item = std::ffi::OsString>, io: &mut Io<'_>) -> u8 {
    let parsed = help::command()
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            let usage = error.use_stderr();
            let text = error.render();
            let (to, colour): (&mut dyn Write, bool) = if usage {
                (io.err, io.colour_err)
            } else {
                (io.out, io.colour_out)
            };
            let _ = if colour {
                write!(to, "{}", text.ansi())
            } else {
                write!(to, "{text}")
            };
            return if usage { code::INVALID } else { code::OK };
        }
    };
    let dry_run = match &cli.command {
        None => cli.run.dry_run,
        Some(Command::Run(run)) => run.dry_run,
        Some(_) => true,
    };
    if let Some(misuse) = cli.shadow_misused(dry_run) {
        return misused(misuse, io).unwrap_or(code::INVALID);
    }
    if !dry_run {
        return daemon::run(&cli, io);
    }
    let done = match &cli.command {
        None => preview::run(&cli, &cli.run.preview, io),
        Some(Command::Run(run)) => preview::run(&cli, &run.preview, io),
        Some(Command::Preview(args)) => preview::run(&cli, args, io),
        Some(Command::Check(args)) => check::run(&cli, args, io),
        Some(Command::Diff(args)) => diff::run(args, io),
        Some(Command::Status { format, .. }) => status::run(&cli, *format, io),
        Some(Command::Health { ready }) => health::run(&cli, *ready, io),
        Some(Command::Trigger { entry, .. }) => control::run(&cli, Verb::Trigger, entry, "", io),
        Some(Command::Pause { what, reason, .. }) => {
            control::run(&cli, Verb::Pause, what.name(), reason, io)
        }
        Some(Command::Resume { what, .. }) => control::run(&cli, Verb::Resume, what.name(), "", io),
        Some(Command::Import(args)) => import::run(&cli, args, io),
        Some(Command::Shadow { what }) => shadow::run(&cli, what, io),
        Some(Command::Completions { shell }) => {
            clap_complete::generate(*shell, &mut help::command(), "beat", &mut io.out);
            Ok(code::OK)
        }
        Some(Command::Man) => man::write(&help::command(), io.out).map(|()| code::OK),
    };
    match done.and_then(|code| io.out.flush().map(|()| code)) {
        Ok(code) => code,
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => code::OK,
        Err(error) => {
            let _ = writeln!(io.err, "error: cannot write: {error}");
            code::FAILED
        }
    }
}

impl Cli {
    /// The schedule's paths: `--schedule`, else `BEAT_SCHEDULE`.
    #[must_use]
    pub fn schedule_paths(&self, env: &Env) -> Vec<PathBuf> {
        if !self.schedule.is_empty() {
            return self.schedule.clone();
        }
        let listed = env.get("BEAT_SCHEDULE").unwrap_or_default();
        listed
            .split(':')
            .filter(|path| !path.is_empty())
            .map(PathBuf::from)
            .collect()
    }

    /// What the schedule is loaded for by commands that lead, ask or look: the scheduler itself, or
    /// its shadow.
    #[must_use]
    pub fn purpose(&self) -> Purpose {
        let shadow = match &self.command {
            Some(Command::Run(run)) => run.shadow,
            Some(Command::Import(import)) => import.shadow,
            Some(
                Command::Status { whose, .. }
                | Command::Trigger { whose, .. }
                | Command::Pause { whose, .. }
                | Command::Resume { whose, .. },
            ) => whose.shadow,
            _ => false,
        };
        if shadow || self.run.shadow {
            Purpose::Shadow
        } else {
            Purpose::Run
        }
    }

    /// Why `--shadow` has no meaning where it stands; clap does not see what stands before a command.
    fn shadow_misused(&self, dry_run: bool) -> Option<&'static str> {
        let leads_or_looks = match &self.command {
            None => true,
            Some(Command::Run(_)) if dry_run => false,
            Some(command) => {
                matches!(
                    command,
                    Command::Run(_)
                        | Command::Status { .. }
                        | Command::Trigger { .. }
                        | Command::Pause { .. }
                        | Command::Resume { .. }
                ) || matches!(command, Command::Import(import) if import.last_runs)
            }
        };
        (self.run.shadow && !leads_or_looks).then_some(
            "--shadow is for run, status, trigger, pause, resume and import --last-runs; the other commands publish nothing anyway",
        )
    }

    /// Reads and compiles the schedule.
    ///
    /// # Errors
    /// All that is wrong with it, or that none was named.
    pub fn load(
        &self,
        env: &Env,
        identity: &Identity,
        clock: &dyn Clock,
        purpose: Purpose,
    ) -> Result<Loaded, Report> {
        let paths = self.schedule_paths(env);
        if paths.is_empty() {
            return Err(Report::of(
                "which schedule? Give --schedule PATH, or set BEAT_SCHEDULE",
            ));
        }
        load(
            &Sources::read(&paths)?,
            env,
            identity,
            clock.wall(),
            purpose,
        )
    }
}

/// An identity for commands that publish nothing.
fn nobody() -> Identity {
    Identity {
        pid: 0,
        hostname: "localhost".to_owned(),
        reply_to: Uuid::nil(),
        utcoffset_hours: 0.0,
    }
}

/// Draws a refused schedule.
fn refuse(report: &Report, io: &mut Io<'_>) -> io::Result<u8> {
    io.err.write_all(report.draw(io.colour_err).as_bytes())?;
    Ok(code::INVALID)
}

/// Reports wrong usage that clap cannot see.
fn misused(message: &str, io: &mut Io<'_>) -> io::Result<u8> {
    writeln!(
        io.err,
        "error: {message}\n\nFor more information, try '--help'."
    )?;
    Ok(code::INVALID)
}
