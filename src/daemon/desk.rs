//! Serves `<state>.sock` while this instance holds the file.

use std::io;
use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::elector::Leadership;
use crate::clock::Clock;
use crate::store::control::Answer;
use crate::store::file::FileStore;
use crate::store::file::socket::{Asked, MOST_ASKED};

/// Connections served at once; further ones wait.
const MOST: usize = 16;
/// Longest wait for a request, and for its answer to be taken.
const PATIENCE: Duration = Duration::from_secs(2);
/// Longest wait for the loop: whoever asks has given up by then.
const ANSWER: Duration = Duration::from_secs(6);

/// The task that answers other processes of this host.
pub struct Desk<C> {
    /// The file that is held.
    pub store: FileStore,
    /// Where it listens.
    pub path: PathBuf,
    /// Only the holder listens.
    pub leadership: watch::Receiver<Leadership>,
    /// Changes whenever requests wait.
    pub requests: watch::Sender<()>,
    /// End.
    pub stop: CancellationToken,
    /// The clocks.
    pub clock: C,
}

impl<C: Clock + Clone + Send + Sync + 'static> Desk<C> {
    /// Runs until stopped.
    pub async fn run(mut self) {
        loop {
            if !self.until_it_leads(true).await {
                return;
            }
            match listen(&self.path) {
                Ok(listener) => {
                    self.serve(&listener).await;
                    // It is this process's: nobody else binds it while the file is held.
                    let _ = std::fs::remove_file(&self.path);
                }
                Err(error) => tracing::warn!(
                    event = "warning",
                    socket = %self.path.display(),
                    %error,
                    "status, trigger, pause and resume will not reach this instance"
                ),
            }
            if !self.until_it_leads(false).await {
                return;
            }
        }
    }

    /// Waits until this instance leads, or does no longer; false when it is to end.
    async fn until_it_leads(&mut self, leads: bool) -> bool {
        let stop = self.stop.clone();
        let changed = self
            .leadership
            .wait_for(|now| now.term().is_some() == leads);
        tokio::select! {
            changed = changed => changed.is_ok(),
            () = stop.cancelled() => false,
        }
    }

    /// Answers until this instance no longer leads or is to end.
    async fn serve(&mut self, listener: &UnixListener) {
        let room = Arc::new(Semaphore::new(MOST));
        let mut over = self.leadership.clone();
        let over = async { over.wait_for(|now| now.term().is_none()).await.map(drop) };
        tokio::pin!(over);
        loop {
            let next = async {
                let permit = Arc::clone(&room).acquire_owned().await;
                (permit, listener.accept().await)
            };
            tokio::select! {
                (permit, Ok((stream, _))) = next => {
                    let visit = visit(stream, self.store.clone(), self.requests.clone(), self.clock.clone());
                    tokio::spawn(async move {
                        let _ = visit.await;
                        drop(permit);
                    });
                }
                _ = &mut over => return,
                () = self.stop.cancelled() => return,
                // Out of descriptors, say.
                else => tokio::time::sleep(PATIENCE).await,
            }
        }
    }
}

/// Binds `path` for this user alone. A socket that is left there is one of a process that is gone:
/// its file is held here.
fn listen(path: &Path) -> io::Result<UnixListener> {
    match std::fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => std::fs::remove_file(path)?,
        Ok(_) => {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "the path is taken by something that is no socket",
            ));
        }
        Err(_) => {}
    }
    // Nobody may connect between the two steps, so it gets its name last.
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    let _ = std::fs::remove_file(&new);
    let listener = UnixListener::bind(&new)?;
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600))?;
    std::fs::rename(&new, path)?;
    Ok(listener)
}

/// One request and its answer.
async fn visit(
    stream: UnixStream,
    store: FileStore,
    requests: watch::Sender<()>,
    clock: impl Clock,
) -> io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut line = Vec::new();
    let mut read = BufReader::new(read.take(MOST_ASKED));
    timeout(PATIENCE, read.read_until(b'\n', &mut line)).await??;
    let refusal = |message: String| Answer { ok: false, message }.to_json();
    let asked = if line.ends_with(b"\n") {
        Asked::read(&line)
    } else {
        Err(format!(
            "a request is one line of at most {MOST_ASKED} bytes"
        ))
    };
    let mut answer = match asked {
        Err(why) => refusal(why),
        Ok(Asked::Status) => match store.standing() {
            Some(standing) => serde_json::to_string(&standing)?,
            None => refusal("this instance does not lead".to_owned()),
        },
        Ok(Asked::Request(fields)) => match store.submit(&fields, clock.wall()) {
            Err(why) => refusal(why),
            Ok(answered) => {
                requests.send_replace(());
                // Whoever hangs up withdraws the request.
                let gone = async {
                    let mut rest = Vec::new();
                    let _ = read.read_to_end(&mut rest).await;
                };
                let answered = async { timeout(ANSWER, answered).await };
                tokio::select! {
                    answer = answered => match answer {
                        Ok(Ok(answer)) => answer,
                        _ => refusal("the leader did not carry it out in time".to_owned()),
                    },
                    () = gone => return Ok(()),
                }
            }
        },
    };
    answer.push('\n');
    timeout(PATIENCE, write.write_all(answer.as_bytes())).await??;
    write.shutdown().await
}
