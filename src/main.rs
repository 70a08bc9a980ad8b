//! The `beat` command.

use std::io::{self, BufWriter, IsTerminal};
use std::process::ExitCode;

use beat::cli::{self, Io};
use beat::clock::SystemClock;
use beat::config::Env;

fn main() -> ExitCode {
    let env = Env::of_process();
    let plain = env.get("NO_COLOR").is_some();
    let (out, err) = (io::stdout(), io::stderr());
    let (colour_out, colour_err) = (!plain && out.is_terminal(), !plain && err.is_terminal());
    let mut io = Io {
        out: &mut BufWriter::with_capacity(64 << 10, out.lock()),
        // Not locked: the log is written by other threads.
        err: &mut &err,
        colour_out,
        colour_err,
        env: &env,
        clock: &SystemClock,
    };
    ExitCode::from(cli::execute(std::env::args_os(), &mut io))
}
