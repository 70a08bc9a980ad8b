//! `<state>.sock`: how other processes of this host ask the holder of a file.
//!
//! One request a connection: a line of JSON there, a line back. A request is an object of strings,
//! the fields of [`Request::fields`], or `{"version":"1","op":"status"}`. Only the holder's user may
//! connect.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::desk::Standing;
use super::with_suffix;
use crate::store::StoreError;
use crate::store::control::{Answer, Request, VERSION, Verb};

/// Longest request, bytes.
pub const MOST_ASKED: u64 = 8 << 10;
/// Longest answer, bytes: the state of 200 000 entries has room.
const MOST_ANSWERED: u64 = 256 << 20;
/// Longest wait for a status.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the holder of the state file `state` listens.
#[must_use]
pub fn socket_path(state: &Path) -> PathBuf {
    with_suffix(state, ".sock")
}

/// What a line asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// How things stand.
    Status,
    /// The fields of a request, names and values in turn.
    Request(Vec<String>),
}

impl Asked {
    /// Reads a line; anything may be in it.
    ///
    /// # Errors
    /// Why it is no request.
    pub fn read(line: &[u8]) -> Result<Self, String> {
        let fields: BTreeMap<String, String> = serde_json::from_slice(line)
            .map_err(|error| format!("a request is one JSON object of strings: {error}"))?;
        if fields.get("op").map(String::as_str) == Some("status") {
            return Ok(Self::Status);
        }
        Ok(Self::Request(
            fields
                .into_iter()
                .flat_map(|(name, value)| [name, value])
                .collect(),
        ))
    }
}

/// A process that asks the holder of a file.
#[derive(Debug, Clone)]
pub struct FileRemote {
    state: PathBuf,
}

impl FileRemote {
    /// Asks whoever holds `state`.
    #[must_use]
    pub fn new(state: &Path) -> Self {
        Self {
            state: state.to_owned(),
        }
    }

    /// How things stand.
    pub async fn standing(&self) -> Result<Standing, StoreError> {
        let asked = json!({ "version": VERSION.to_string(), "op": "status" });
        let line = self.exchange(&asked.to_string(), PATIENCE).await?;
        let line = line.ok_or_else(|| self.unavailable("no answer within 5 s"))?;
        serde_json::from_slice(&line).map_err(|_| self.foreign())
    }

    /// See [`crate::store::redis::Remote::ask`].
    pub async fn ask(
        &self,
        verb: Verb,
        entry: &str,
        reason: &str,
        by: &str,
        patience: Duration,
    ) -> Result<Option<Answer>, StoreError> {
        let fields = Request::fields(verb, entry, reason, by);
        let asked: BTreeMap<&str, &str> = fields
            .chunks_exact(2)
            .map(|pair| (pair[0].as_str(), pair[1].as_str()))
            .collect();
        let text = serde_json::to_string(&asked).unwrap_or_default();
        match self.exchange(&text, patience).await? {
            // Hanging up withdraws it.
            None => Ok(None),
            Some(line) => serde_json::from_slice(&line)
                .map_err(|_| self.foreign())
                .map(Some),
        }
    }

    /// One line there, one line back; `None` when there is none within `patience`.
    async fn exchange(
        &self,
        asked: &str,
        patience: Duration,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let path = socket_path(&self.state);
        let mut stream = UnixStream::connect(&path)
            .await
            .map_err(|error| match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => {
                    self.unavailable("no instance runs on this host that holds it")
                }
                _ => self.unavailable(&error.to_string()),
            })?;
        let talk = async {
            stream.write_all(format!("{asked}\n").as_bytes()).await?;
            let mut line = Vec::new();
            let mut answer = BufReader::new(stream.take(MOST_ANSWERED));
            answer.read_until(b'\n', &mut line).await?;
            Ok::<_, std::io::Error>(line)
        };
        match timeout(patience, talk).await {
            Err(_) => Ok(None),
            Ok(Ok(line)) if line.ends_with(b"\n") => Ok(Some(line)),
            Ok(Ok(_)) => Err(self.unavailable("the instance that holds it hung up")),
            Ok(Err(error)) => Err(self.unavailable(&error.to_string())),
        }
    }

    fn unavailable(&self, why: &str) -> StoreError {
        let path = socket_path(&self.state);
        StoreError::Unavailable(format!("{}: {why}", path.display()))
    }

    fn foreign(&self) -> StoreError {
        self.unavailable("the answer is not one of beat's")
    }
}
