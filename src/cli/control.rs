//! `beat trigger`, `pause` and `resume`: requests to the leader, through the store.

use std::io;
use std::time::Duration;

use super::{Cli, Io, code, remote};
use crate::store::control::Verb;

/// How long the leader may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks and prints the answer.
pub fn run(cli: &Cli, verb: Verb, entry: &str, reason: &str, io: &mut Io<'_>) -> io::Result<u8> {
    let by = format!(
        "{}@{}",
        io.env
            .get("USER")
            .or(io.env.get("LOGNAME"))
            .unwrap_or("unknown"),
        rustix::system::uname().nodename().to_string_lossy()
    );
    let asked = remote::with(cli, io, async |mut remote, _| {
        remote.ask(verb, entry, reason, &by, PATIENCE).await
    });
    match asked {
        Err(code) => Ok(code),
        Ok((Ok(Some(answer)), _)) if answer.ok => {
            writeln!(io.out, "{}", answer.message)?;
            Ok(code::OK)
        }
        Ok((Ok(Some(answer)), _)) => {
            writeln!(io.err, "error: {}", answer.message)?;
            Ok(code::FAILED)
        }
        Ok((Ok(None), _)) => {
            writeln!(
                io.err,
                "error: no leader answered within 5 s; the request is withdrawn"
            )?;
            Ok(code::FAILED)
        }
        Ok((Err(error), _)) => {
            writeln!(io.err, "error: {error}")?;
            Ok(code::FAILED)
        }
    }
}
