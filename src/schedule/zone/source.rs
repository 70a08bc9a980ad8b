//! Where zone data comes from: `TZDIR`, then the system's zoneinfo, then the compiled-in copy.
//!
//! Operators update their system, not this binary, so the host's files win. The only place that
//! knows which source is in use.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::Span;
use super::tables::{from_compiled_in, from_tzif};

const SYSTEM: &str = "/usr/share/zoneinfo";
/// The largest zone file of any release is below 4 KiB.
const MAX_FILE: u64 = 256 * 1024;
const MAX_NAME: usize = 64;
/// In zoneinfo directories, yet no IANA names: links and copies that depend on the machine, and
/// tables that count leap seconds.
const NOT_IANA: &[&str] = &["localtime", "posixrules", "Factory", "posix", "right"];

/// The zone data in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneSource {
    /// The zoneinfo directory; `None`: the compiled-in copy.
    pub directory: Option<PathBuf>,
    /// IANA release such as `2026f`, or `unknown`.
    pub version: String,
}

impl fmt::Display for ZoneSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.directory {
            Some(path) => write!(f, "{} ({})", self.version, path.display()),
            None => write!(f, "{} (built in)", self.version),
        }
    }
}

/// No zone has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{}` is not an IANA time zone", super::super::invalid::shown(.name))]
pub struct UnknownZone {
    /// What was asked for.
    pub name: String,
    /// Names that may have been meant, the likeliest first.
    pub near: Vec<&'static str>,
}

impl UnknownZone {
    /// What to write instead.
    #[must_use]
    pub fn help(&self) -> String {
        match self.near.split_first() {
            None => "write an IANA name such as \"Asia/Seoul\" or \"UTC\"".to_owned(),
            Some((first, [])) => format!("did you mean \"{first}\"?"),
            Some((first, rest)) => {
                format!("did you mean \"{first}\" or \"{}\"?", rest.join("\", \""))
            }
        }
    }
}

static SOURCE: LazyLock<ZoneSource> = LazyLock::new(|| {
    let named = std::env::var_os("TZDIR").map(PathBuf::from);
    choose(named.into_iter().chain([PathBuf::from(SYSTEM)]))
});

/// The zone data in use, chosen at the first call and kept.
///
/// A single zone that is missing or damaged there is taken from the compiled-in copy.
#[must_use]
pub fn zone_source() -> &'static ZoneSource {
    &SOURCE
}

/// The first of `directories` that holds zone files.
pub(super) fn choose(directories: impl Iterator<Item = PathBuf>) -> ZoneSource {
    for directory in directories {
        if read_zone(&directory, "UTC").is_some()
            || read_zone(&directory, "Europe/London").is_some()
        {
            let version = version_of(&directory).unwrap_or_else(|| "unknown".to_owned());
            return ZoneSource {
                directory: Some(directory),
                version,
            };
        }
    }
    ZoneSource {
        directory: None,
        version: chrono_tz::IANA_TZDB_VERSION.to_owned(),
    }
}

/// `# version 2026f` at the head of `tzdata.zi`, or BSD's one-line `+VERSION`.
fn version_of(directory: &Path) -> Option<String> {
    let head = |name: &str| {
        let text = read_limited(&directory.join(name), 4 * MAX_FILE, 64).ok()?;
        let line = text.split(|b| *b == b'\n').next()?;
        String::from_utf8(line.to_vec()).ok()
    };
    let version = head("tzdata.zi")
        .and_then(|line| line.strip_prefix("# version ").map(str::to_owned))
        .or_else(|| head("+VERSION"))?;
    let version = version.trim();
    let plain = version
        .chars()
        .all(|c| c.is_ascii_alphanumeric() || "-.".contains(c));
    (plain && (1..=24).contains(&version.len())).then(|| version.to_owned())
}

/// Spans of the zone `name`.
pub(super) fn spans_of(name: &str) -> Result<Box<[Span]>, UnknownZone> {
    spans_from(zone_source(), name)
}

pub(super) fn spans_from(source: &ZoneSource, name: &str) -> Result<Box<[Span]>, UnknownZone> {
    let known = || {
        if !is_name(name) {
            return None;
        }
        let host = source.directory.as_deref();
        host.and_then(|directory| read_zone(directory, name))
            .or_else(|| from_compiled_in(name.parse().ok()?))
    };
    known().ok_or_else(|| UnknownZone {
        name: name.to_owned(),
        near: near(name),
    })
}

/// True for what can be an IANA name: never a path out of the directory, never a file beside the zones.
pub(super) fn is_name(name: &str) -> bool {
    let part = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_alphanumeric())
            && part
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || "_+-".contains(c))
    };
    name.len() <= MAX_NAME
        && name.split('/').all(part)
        && !NOT_IANA.contains(&name.split('/').next().unwrap_or_default())
}

fn read_zone(directory: &Path, name: &str) -> Option<Box<[Span]>> {
    let path = directory.join(name);
    let bytes = read_limited(&path, MAX_FILE, MAX_FILE).ok()?;
    from_tzif(name, &bytes)
}

/// The first `take` bytes of a regular file of at most `largest` bytes.
fn read_limited(path: &Path, largest: u64, take: u64) -> io::Result<Vec<u8>> {
    // Looked at before it is opened: opening a pipe would wait for a writer.
    let found = std::fs::metadata(path)?;
    if !found.is_file() || found.len() > largest {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(take).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// At most three known names near to `name`.
fn near(name: &str) -> Vec<&'static str> {
    if name.len() > MAX_NAME {
        return Vec::new();
    }
    let lower = name.to_lowercase().replace(' ', "_");
    let mut ranked: Vec<(usize, &'static str)> = chrono_tz::TZ_VARIANTS
        .iter()
        .map(|tz| tz.name())
        .filter_map(|known| {
            let key = known.to_lowercase();
            let city = key.rsplit('/').next().unwrap_or_default();
            let far = strsim::damerau_levenshtein(&key, &lower)
                .min(1 + strsim::damerau_levenshtein(city, &lower));
            (far <= 1 + lower.len() / 6).then_some((far, known))
        })
        .collect();
    ranked.sort_unstable();
    let only_case = ranked.first().is_some_and(|(far, _)| *far == 0);
    let names = ranked.into_iter().map(|(_, known)| known);
    names.take(if only_case { 1 } else { 3 }).collect()
}
