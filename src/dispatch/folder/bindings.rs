//! The control folder: `<exchange>.exchange` holds `[[routing_key, pattern, queue], ...]`.
//!
//! Kombu reads such a file under a shared lock and rewrites it in place under an exclusive one, so
//! it is not renamed here either: others may wait for the lock of the file that is there.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{ErrorKind, Read as _, Seek as _, Write as _};
use std::path::PathBuf;

use rustix::fs::{FlockOperation, flock};

use crate::message::{Queue, RedisConventions};

/// Routing key, pattern of a topic exchange, queue.
type Row = (String, String, String);

/// What is bound to which exchange.
#[derive(Debug)]
pub struct Bindings {
    folder: PathBuf,
    conventions: RedisConventions,
    /// As read for this batch.
    tables: HashMap<String, Vec<Row>>,
}

impl Bindings {
    /// The exchanges of the control folder `folder`.
    pub fn new(folder: PathBuf, conventions: RedisConventions) -> Self {
        Self {
            folder,
            conventions,
            tables: HashMap::new(),
        }
    }

    /// Forgets what was read: others write, too.
    pub fn refresh(&mut self) {
        self.tables.clear();
    }

    /// Queues bound to a direct exchange, or the dead-letter queue.
    pub fn direct(&mut self, exchange: &str, routing_key: &str) -> Result<HashSet<String>, String> {
        self.matching(exchange, false, routing_key)
    }

    /// Queues bound to a topic exchange.
    pub fn topic(&mut self, exchange: &str, routing_key: &str) -> Result<HashSet<String>, String> {
        self.matching(exchange, true, routing_key)
    }

    /// All queues bound to an exchange.
    pub fn fanout(&mut self, exchange: &str) -> Result<HashSet<String>, String> {
        Ok(self
            .table(exchange)?
            .iter()
            .map(|row| row.2.clone())
            .collect())
    }

    fn matching(
        &mut self,
        exchange: &str,
        topic: bool,
        routing_key: &str,
    ) -> Result<HashSet<String>, String> {
        let separator = self.conventions.sep.clone();
        let members: Vec<String> = self
            .table(exchange)?
            .iter()
            .map(|(key, pattern, queue)| [key.as_str(), pattern, queue].join(&separator))
            .collect();
        let queues = self.conventions.bound_queues(&members, topic, routing_key);
        Ok(queues.into_iter().collect())
    }

    /// Binds `queue` to its exchange unless it is.
    pub fn declare(&mut self, queue: &Queue) -> Result<(), String> {
        let Some(declaration) = self.conventions.declaration(queue) else {
            return Ok(());
        };
        let mut parts = declaration.member.splitn(3, self.conventions.sep.as_str());
        let mut part = || parts.next().unwrap_or_default().to_owned();
        let row: Row = (part(), part(), part());
        let exchange = queue.exchange_name();
        if self.table(exchange)?.contains(&row) {
            return Ok(());
        }
        let path = self.path(exchange)?;
        let why = |error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir_all(&self.folder).map_err(why)?;
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(why)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| why(error.into()))?;
        let mut rows = read(&mut file).map_err(why)?;
        if !rows.contains(&row) {
            rows.insert(0, row);
            let text = serde_json::to_vec(&rows).map_err(|error| why(error.into()))?;
            file.rewind().map_err(why)?;
            file.write_all(&text).map_err(why)?;
            file.set_len(text.len() as u64).map_err(why)?;
        }
        self.tables.insert(exchange.to_owned(), rows);
        Ok(())
    }

    fn table(&mut self, exchange: &str) -> Result<&[Row], String> {
        if !self.tables.contains_key(exchange) {
            let path = self.path(exchange)?;
            let why = |error: std::io::Error| format!("{}: {error}", path.display());
            let rows = match File::open(&path) {
                Ok(mut file) => {
                    flock(&file, FlockOperation::LockShared).map_err(|error| why(error.into()))?;
                    read(&mut file).map_err(why)?
                }
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(why(error)),
            };
            self.tables.insert(exchange.to_owned(), rows);
        }
        Ok(self.tables.get(exchange).map_or(&[], Vec::as_slice))
    }

    /// Kombu's rule for the names of exchanges, which become names of files.
    fn path(&self, exchange: &str) -> Result<PathBuf, String> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let named = !exchange.is_empty() && exchange.chars().any(|c| c != '.');
        if named && exchange.chars().all(allowed) {
            Ok(self.folder.join(format!("{exchange}.exchange")))
        } else {
            Err(format!(
                "the exchange name {exchange:?} is not made of letters, digits, '.', '_' and '-' alone"
            ))
        }
    }
}

/// An empty file is one that Kombu has just created.
fn read(file: &mut File) -> std::io::Result<Vec<Row>> {
    let mut text = Vec::new();
    file.read_to_end(&mut text)?;
    if text.is_empty() {
        return Ok(Vec::new());
    }
    serde_json::from_slice(&text).map_err(std::io::Error::from)
}
