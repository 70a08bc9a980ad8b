//! What the commands that talk to the store have in common.

use std::time::Duration;

use super::{Cli, Io, code, nobody, refuse};
use crate::config::{Loaded, StoreLocation};
use crate::store::AnyRemote;
use crate::store::file::socket::FileRemote;
use crate::store::redis::{Keys, Remote, server::Dialer};

/// Each call to the store ends within this.
const DEADLINE: Duration = Duration::from_secs(3);

/// Loads the schedule, connects to its store and runs `work`; the error is an exit code, and what
/// is wrong has been said.
pub fn with<T>(
    cli: &Cli,
    io: &mut Io<'_>,
    work: impl AsyncFnOnce(AnyRemote, &Loaded) -> T,
) -> Result<(T, Loaded), u8> {
    let loaded = cli
        .load(io.env, &nobody(), io.clock, cli.purpose())
        .map_err(|report| refuse(&report, io).unwrap_or(code::INVALID))?;
    let remote = match &loaded.settings.store {
        StoreLocation::File(path) => AnyRemote::There(FileRemote::new(path)),
        StoreLocation::Redis(servers) => {
            let _ = rustls::crypto::ring::default_provider().install_default();
            let keys = Keys::new(&loaded.settings.state_key_prefix, &loaded.settings.name);
            let remote = Remote::new(Dialer::new(servers), keys, DEADLINE);
            AnyRemote::Redis(Box::new(remote))
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| {
            let _ = writeln!(io.err, "error: {error}");
            code::FAILED
        })?;
    let done = runtime.block_on(work(remote, &loaded));
    Ok((done, loaded))
}
