//! `beat run`: identity, log, runtime, and then the daemon.

use rustls::crypto::ring;
use uuid::Uuid;

use super::{Cli, Io, code, log, refuse};
use crate::config::{Report, Sources, load};
use crate::daemon::{self, Loader, Options};
use crate::message::Identity;

/// Runs the daemon until it is told to end; returns the exit code.
pub fn run(cli: &Cli, io: &mut Io<'_>) -> u8 {
    let identity = this_process();
    let paths = cli.schedule_paths(io.env);
    if paths.is_empty() {
        let why = Report::of("which schedule? Give --schedule PATH, or set BEAT_SCHEDULE");
        return refuse(&why, io).unwrap_or(code::INVALID);
    }
    let loader = match Loader::start() {
        Ok(loader) => loader,
        Err(error) => {
            let _ = writeln!(io.err, "error: no thread to load the schedule: {error}");
            return code::FAILED;
        }
    };
    let (now, purpose) = (io.clock.wall(), cli.purpose());
    let (its_paths, env, its_identity) = (paths.clone(), io.env.clone(), identity.clone());
    let loaded = loader.run(move || {
        let sources = Sources::read(&its_paths)?;
        let loaded = load(&sources, &env, &its_identity, now, purpose)?;
        Ok((loaded, sources.digest()))
    });
    let (loaded, digest) = match loaded.blocking_recv() {
        Ok(Ok(loaded)) => loaded,
        Ok(Err(report)) => return refuse(&report, io).unwrap_or(code::INVALID),
        // It panicked, and said so.
        Err(_) => return code::FAILED,
    };
    let _log = match log::start(cli.log_format, io.env) {
        Ok(log) => log,
        Err(why) => {
            let _ = writeln!(io.err, "error: {why}");
            return code::INVALID;
        }
    };
    for warning in &loaded.report.warnings {
        tracing::warn!(event = "warning", message = warning.one_line());
    }
    if rustix::process::geteuid().is_root() {
        tracing::warn!(event = "warning", "runs as root, which it never needs");
    }
    // Both clients find this one; a second provider in the tree could otherwise make it a panic.
    let _ = ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(event = "stopped", %error, "no runtime");
            return code::FAILED;
        }
    };
    let options = Options {
        paths,
        env: io.env.clone(),
        identity,
        loader,
        digest,
        loaded,
    };
    let ended = runtime.block_on(daemon::run(options));
    // Whatever still waits for a disk or a name server is left behind.
    runtime.shutdown_background();
    match ended {
        Ok(()) => code::OK,
        Err(error) => {
            tracing::error!(event = "stopped", %error);
            code::FAILED
        }
    }
}

fn this_process() -> Identity {
    Identity {
        pid: std::process::id(),
        hostname: rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned(),
        reply_to: Uuid::new_v4(),
        utcoffset_hours: 0.0,
    }
}
