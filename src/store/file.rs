//! Lease and ledger in files of one host: `<state>` is an embedded database, `<state>.lock` the lease.
//!
//! Whoever holds the lock is the only one to write, so its memory is as good as the file: when the
//! disk is full it goes on, says so once, and writes everything down as soon as that works again.
//! A database that cannot be read is set aside, never deleted.

pub mod desk;
pub mod socket;

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redb::{Database, DatabaseError, ReadableTable, StorageError, TableDefinition};
use rustix::fs::{FlockOperation, flock};
use tokio::task::spawn_blocking;

use super::tables::{Table, Tables};
use super::{
    Campaign, Claim, Lease, Ledger, Loaded, Paused, Renewal, Reservation, Settlement, StoreError,
    Term, Unmarked, Write,
};
use crate::plan::Outcome;
use crate::timetable::EntryName;

/// How often a standby looks whether the lock is free.
const POLL: Duration = Duration::from_millis(200);

/// The files of one scheduler on this host; clones share them.
#[derive(Debug, Clone)]
pub struct FileStore {
    path: PathBuf,
    open: Arc<Mutex<Option<Open>>>,
    desk: Arc<Mutex<desk::Desk>>,
}

/// What the holder of the lock has in hand.
#[derive(Debug)]
struct Open {
    term: Term,
    tables: Tables,
    /// `None` after an error: opened again at the next write.
    database: Option<Database>,
    failing: bool,
    _lock: File,
}

impl FileStore {
    /// The store in `path`; its folder is created when it is missing.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            open: Arc::default(),
            desk: Arc::default(),
        }
    }

    /// Where the holder of the file listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        socket::socket_path(&self.path)
    }

    /// Both halves of the store.
    #[must_use]
    pub fn split(self) -> (FileLease, FileLedger) {
        (FileLease(self.clone()), FileLedger(self))
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn campaign(&self, seen: Term) -> Result<Campaign, StoreError> {
        let mut open = self.open();
        if let Some(held) = &*open {
            return Ok(Campaign::Won(held.term));
        }
        let Some(lock) = self.lock()? else {
            return Ok(Campaign::Held {
                holder: String::new(),
                term: Term(0),
                ends_in: None,
            });
        };
        let (database, mut tables) = self
            .read()
            .map_err(|error| unavailable(&self.path, &error))?;
        tables.mark_if_new(seen);
        let stored = tables
            .get(Table::Meta, "term")
            .and_then(|term| term.parse().ok())
            .unwrap_or(0);
        let term = Term(seen.0.max(stored) + 1);
        tables.set(Table::Meta, "term", term.to_string());
        let mut held = Open {
            term,
            tables,
            database: Some(database),
            failing: false,
            _lock: lock,
        };
        held.write_down(&self.path);
        *open = Some(held);
        Ok(Campaign::Won(term))
    }

    /// The lock, unless another process has it.
    fn lock(&self) -> Result<Option<File>, StoreError> {
        if let Some(folder) = self
            .path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| unavailable(folder, &error))?;
        }
        let path = with_suffix(&self.path, ".lock");
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| unavailable(&path, &error))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(unavailable(&path, &error)),
        }
    }

    /// Opens the database and reads it whole; one that cannot be read is set aside.
    fn read(&self) -> Result<(Database, Tables), DatabaseError> {
        match read_database(&self.path) {
            Err(error) if is_damaged(&error) => {
                let aside = with_suffix(&self.path, ".damaged");
                tracing::error!(
                    event = "state_repaired",
                    file = %self.path.display(),
                    kept_as = %aside.display(),
                    %error,
                    "the state file cannot be read and was set aside; nothing past will be fired"
                );
                std::fs::rename(&self.path, &aside)
                    .map_err(|error| DatabaseError::Storage(StorageError::Io(error)))?;
                read_database(&self.path)
            }
            read => read,
        }
    }

    fn release(&self) {
        *self.open() = None;
    }

    fn with<T>(&self, term: Term, work: impl FnOnce(&mut Tables) -> T) -> Result<T, StoreError> {
        let mut open = self.open();
        let held = open
            .as_mut()
            .filter(|held| held.term == term)
            .ok_or(StoreError::Deposed)?;
        let result = work(&mut held.tables);
        held.write_down(&self.path);
        Ok(result)
    }
}

impl Open {
    /// Makes all changes durable. While that fails the changes wait in memory.
    fn write_down(&mut self, path: &Path) {
        match self.try_write_down(path) {
            Ok(()) => {
                self.tables.written();
                if std::mem::take(&mut self.failing) {
                    tracing::info!(event = "store_up", file = %path.display(), "the state file is written again");
                }
            }
            Err(error) => {
                // redb refuses everything after an I/O error until it is opened again.
                self.database = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::error!(
                        event = "store_down",
                        file = %path.display(),
                        %error,
                        "the state file cannot be written; going on from memory"
                    );
                }
            }
        }
    }

    fn try_write_down(&mut self, path: &Path) -> Result<(), Box<dyn std::error::Error>> {
        let database = match &mut self.database {
            Some(database) => database,
            closed => closed.insert(Database::create(path)?),
        };
        let transaction = database.begin_write()?;
        for (table, key, value) in self.tables.changes() {
            let mut table = transaction.open_table(definition(table))?;
            match value {
                Some(value) => table.insert(key, value).map(drop)?,
                None => table.remove(key).map(drop)?,
            }
        }
        transaction.commit()?;
        Ok(())
    }
}

fn definition(table: Table) -> TableDefinition<'static, &'static str, &'static str> {
    TableDefinition::new(table.name())
}

fn read_database(path: &Path) -> Result<(Database, Tables), DatabaseError> {
    let database = Database::create(path)?;
    let mut tables = Tables::default();
    let read = |tables: &mut Tables| -> Result<(), redb::Error> {
        // A transaction that writes creates the tables of a new file.
        let transaction = database.begin_write()?;
        for table in Table::ALL {
            for row in transaction.open_table(definition(table))?.iter()? {
                let (key, value) = row?;
                tables.read(table, key.value().to_owned(), value.value().to_owned());
            }
        }
        transaction.commit()?;
        Ok(())
    };
    match read(&mut tables) {
        Ok(()) => Ok((database, tables)),
        Err(redb::Error::Io(error)) => Err(DatabaseError::Storage(StorageError::Io(error))),
        Err(error) => Err(DatabaseError::Storage(StorageError::Corrupted(
            error.to_string(),
        ))),
    }
}

fn is_damaged(error: &DatabaseError) -> bool {
    match error {
        DatabaseError::RepairAborted
        | DatabaseError::UpgradeRequired(_)
        | DatabaseError::Storage(StorageError::Corrupted(_)) => true,
        // A file of another format.
        DatabaseError::Storage(StorageError::Io(error)) => {
            matches!(
                error.kind(),
                io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
            )
        }
        _ => false,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

fn unavailable(path: &Path, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}

/// Runs work that may wait for the disk away from the loop.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(StoreError::Ambiguous(format!(
            "the write was interrupted: {error}"
        )))
    })
}

/// The lock of a [`FileStore`]; it ends with the process that holds it.
#[derive(Debug)]
pub struct FileLease(FileStore);

impl Lease for FileLease {
    async fn campaign(&mut self, _ttl: Duration, seen: Term) -> Result<Campaign, StoreError> {
        let store = self.0.clone();
        blocking(move || store.campaign(seen)).await
    }

    async fn renew(&mut self, term: Term, _ttl: Duration) -> Result<Renewal, StoreError> {
        let held = self.0.open().as_ref().is_some_and(|held| held.term == term);
        Ok(if held {
            Renewal::Held(None)
        } else {
            Renewal::Lost
        })
    }

    async fn resign(&mut self, _term: Term) -> Result<(), StoreError> {
        let store = self.0.clone();
        blocking(move || {
            store.release();
            Ok(())
        })
        .await
    }

    async fn wait(&mut self, limit: Duration) {
        tokio::time::sleep(limit.min(POLL)).await;
    }
}

/// The tables of a [`FileStore`].
#[derive(Debug)]
pub struct FileLedger(FileStore);

impl Ledger for FileLedger {
    async fn load(&mut self, names: &[EntryName]) -> Result<Loaded, StoreError> {
        let open = self.0.open();
        Ok(open.as_ref().ok_or(StoreError::Deposed)?.tables.load(names))
    }

    async fn others(
        &mut self,
        names: &[EntryName],
    ) -> Result<Vec<(EntryName, String)>, StoreError> {
        Ok(self
            .0
            .open()
            .as_ref()
            .ok_or(StoreError::Deposed)?
            .tables
            .others(names))
    }

    async fn enrol(
        &mut self,
        term: Term,
        birth: Option<&str>,
        writes: &[Write],
    ) -> Result<Vec<usize>, StoreError> {
        let (store, birth, writes) = (self.0.clone(), birth.map(str::to_owned), writes.to_vec());
        blocking(move || store.with(term, |tables| tables.enrol(birth.as_deref(), &writes))).await
    }

    async fn pause(&mut self, term: Term, marks: &Paused) -> Result<(), StoreError> {
        let (store, marks) = (self.0.clone(), marks.clone());
        blocking(move || store.with(term, |tables| tables.pause(&marks))).await
    }

    async fn claim(&mut self, term: Term, items: &[Settlement]) -> Result<Vec<Claim>, StoreError> {
        let open = self.0.open();
        let held = open
            .as_ref()
            .filter(|held| held.term == term)
            .ok_or(StoreError::Deposed)?;
        Ok(held.tables.claim(items))
    }

    async fn reserve(
        &mut self,
        term: Term,
        items: &[Reservation],
    ) -> Result<Vec<Claim>, StoreError> {
        let (store, items) = (self.0.clone(), items.to_vec());
        blocking(move || store.with(term, |tables| tables.reserve(term, &items))).await
    }

    async fn unmarked(&mut self, term: Term) -> Result<Vec<Unmarked>, StoreError> {
        let open = self.0.open();
        let held = open.as_ref().filter(|held| held.term == term);
        Ok(held.ok_or(StoreError::Deposed)?.tables.unmarked(term))
    }

    async fn abandon(&mut self, term: Term, reservations: &[Unmarked]) -> Result<(), StoreError> {
        let (store, reservations) = (self.0.clone(), reservations.to_vec());
        blocking(move || store.with(term, |tables| tables.abandon(&reservations))).await
    }

    async fn commit(
        &mut self,
        term: Term,
        items: &[Settlement],
    ) -> Result<Vec<Outcome>, StoreError> {
        let (store, items) = (self.0.clone(), items.to_vec());
        blocking(move || store.with(term, |tables| tables.commit(term, &items))).await
    }

    async fn repair(&mut self, term: Term) -> Result<Vec<String>, StoreError> {
        self.0.with(term, |_| Vec::new())
    }
}
