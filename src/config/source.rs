//! Reading schedule files: which ones, that they are safe to open, and their text.
//!
//! A path may name a device, a pipe or a file of any size; nothing is read before `fstat` says
//! that it is a regular file within [`MAX_FILE`].

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use xxhash_rust::xxh3::Xxh3;

use super::diagnose::{Collector, Report};

/// Largest schedule file, in bytes.
pub const MAX_FILE: u64 = 64 << 20;

/// One schedule file as it was read.
#[derive(Debug)]
pub struct Source {
    /// The path as given, or the directory given joined with the file's name.
    pub path: PathBuf,
    /// Its content.
    pub text: String,
    /// Whether users other than owner and group may write to it.
    pub world_writable: bool,
}

/// The files of one schedule, in the order in which they were named.
#[derive(Debug)]
pub struct Sources {
    files: Vec<Source>,
    first_path: PathBuf,
    digest: u64,
}

impl Sources {
    /// Reads every file that `paths` name: a file, or a directory of `*.toml` (sorted by name, not
    /// recursive, no dotfiles).
    ///
    /// # Errors
    /// A report with every path that cannot be read, is no regular file, is too large or is not
    /// UTF-8.
    pub fn read(paths: &[PathBuf]) -> Result<Self, Report> {
        let mut out = Collector::default();
        let mut files: Vec<Source> = Vec::new();
        for path in paths {
            match expand(path) {
                Ok(found) => {
                    for path in found {
                        if files.iter().any(|f| f.path == path) {
                            continue;
                        }
                        match read_one(&path) {
                            Ok(source) => files.push(source),
                            Err(error) => out.file_error(&path, error.to_string()),
                        }
                    }
                }
                Err(error) => out.file_error(path, error.to_string()),
            }
        }
        if out.has_errors() {
            return Err(out.finish(&[]));
        }
        let mut sources = Self::from_files(files);
        // The name of a directory, not of a file in it, names the scheduler.
        sources.first_path = paths.first().cloned().unwrap_or_default();
        Ok(sources)
    }

    /// A schedule that is already in memory.
    #[must_use]
    pub fn from_files(files: Vec<Source>) -> Self {
        let mut hash = Xxh3::new();
        for file in &files {
            hash.update(file.path.as_os_str().as_encoded_bytes());
            hash.update(&file.text.len().to_le_bytes());
            hash.update(file.text.as_bytes());
        }
        Self {
            first_path: files
                .first()
                .map(|file| file.path.clone())
                .unwrap_or_default(),
            files,
            digest: hash.digest(),
        }
    }

    /// One schedule file in memory, named `path` in messages.
    #[must_use]
    pub fn from_text(path: impl Into<PathBuf>, text: impl Into<String>) -> Self {
        Self::from_files(vec![Source {
            path: path.into(),
            text: text.into(),
            world_writable: false,
        }])
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[Source] {
        &self.files
    }

    /// The first path that was named; its stem is the scheduler's default name.
    pub(super) fn first_path(&self) -> &Path {
        &self.first_path
    }

    /// Of names and contents: equal digests need no second look.
    #[must_use]
    pub fn digest(&self) -> u64 {
        self.digest
    }
}

/// The files that `path` stands for.
fn expand(path: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let meta = std::fs::metadata(path)?;
    if !meta.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut found = Vec::new();
    for item in std::fs::read_dir(path)? {
        let name = item?.file_name();
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if !hidden && Path::new(&name).extension().is_some_and(|e| e == "toml") {
            found.push(path.join(name));
        }
    }
    if found.is_empty() {
        return Err(Unreadable::EmptyDirectory);
    }
    found.sort();
    Ok(found)
}

fn read_one(path: &Path) -> Result<Source, Unreadable> {
    let (mut file, meta) = open_regular(path, MAX_FILE)?;
    let mut bytes = Vec::with_capacity(room(meta.len()));
    // The file may grow while it is read: the limit holds for what is read, too.
    (&mut file).take(MAX_FILE + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(Unreadable::TooLarge { limit: MAX_FILE });
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..good].split(|&b| b == b'\n').count();
        Unreadable::NotUtf8 { line }
    })?;
    Ok(Source {
        path: path.to_owned(),
        text,
        world_writable: meta.mode() & 0o002 != 0,
    })
}

/// How much room to take for a file of `length` bytes, and the one that tells its end.
///
/// The allocator maps large blocks one by one and gives them back at once, but each one that it
/// frees teaches it to keep blocks of that size, up to 32 MiB: from then on tens of megabytes that
/// are needed for a moment stay for good. Room beyond that is never touched and costs nothing.
fn room(length: u64) -> usize {
    const LARGE: usize = 1 << 20;
    const NEVER_KEPT: usize = 33 << 20;
    let needed = usize::try_from(length).unwrap_or(0).saturating_add(1);
    if needed < LARGE {
        needed
    } else {
        needed.max(NEVER_KEPT)
    }
}

/// Opens a regular file of at most `limit` bytes. `O_NONBLOCK`, so that a pipe without a writer
/// does not hang the open.
pub(super) fn open_regular(
    path: &Path,
    limit: u64,
) -> Result<(File, std::fs::Metadata), Unreadable> {
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or(0))
        .open(path)?;
    let meta = file.metadata()?;
    if !meta.is_file() {
        return Err(Unreadable::NotRegular);
    }
    if meta.len() > limit {
        return Err(Unreadable::TooLarge { limit });
    }
    Ok((file, meta))
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("cannot be read: {}", plain(.0))]
    Io(#[from] io::Error),
    #[error("is not a regular file")]
    NotRegular,
    #[error("is larger than {} bytes", limit)]
    TooLarge { limit: u64 },
    #[error("is not UTF-8 (line {line})")]
    NotUtf8 { line: usize },
    #[error("the directory holds no *.toml file")]
    EmptyDirectory,
}

/// The system's words without "(os error 2)".
fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_lowercase(),
        None => text,
    }
}
