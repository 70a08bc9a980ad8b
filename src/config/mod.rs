//! The schedule file: from paths to [`Settings`] and a [`Timetable`], or to all errors at once.
//!
//! [`Sources::read`] reads files, [`load`] compiles them. `check`, `preview`, `diff` and the daemon
//! all go through these two, so what `check` accepts is what runs.
//!
//! | file | holds |
//! |---|---|
//! | `source`, `document` | files, and their text cut into sections that are parsed one by one |
//! | `walk`, `scalar`, `value` | typed reading of parsed TOML that reports and goes on |
//! | `diagnose`, `excerpt`, `draw` | [`Report`]: errors with line and column, drawn or as JSON |
//! | `env`, `secret` | `${VAR}`, `*_file`, text that is never shown |
//! | `url` | broker and store URLs as plain types |
//! | `draft`, `connection`, `transport`, `messages`, `celery_settings` | the settings, key by key |
//! | `listen` | `http_listen`, for probes too |
//! | `settings` | [`Settings`], what came of them |
//! | `entry`, `keys`, `timing`, `crontab_fields`, `fingerprint` | one `[beat_schedule.NAME]` to one [`Entry`] |
//! | `lint`, `lints` | what is allowed and still probably not meant |
//!
//! May depend on `timetable`, `message`, `schedule`, `clock`. Reads files, opens no connection.

mod celery_settings;
mod connection;
mod crontab_fields;
mod diagnose;
mod document;
mod draft;
mod draw;
mod entry;
mod env;
mod excerpt;
mod fingerprint;
mod keys;
mod lint;
mod lints;
mod listen;
mod messages;
mod rotation;
mod scalar;
mod secret;
mod settings;
mod source;
mod timing;
mod transport;
mod url;
mod value;
mod walk;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::collections::hash_map;
use std::sync::Arc;

use toml::de::DeTable;

pub use diagnose::{Diagnostic, Report, Severity};
pub use env::{Env, SecretFile};
pub use excerpt::escaped;
pub use lint::Lint;
pub use listen::http_listen;
pub use rotation::Rotation;
pub use secret::Secret;
pub use settings::Settings;
pub use source::{MAX_FILE, Source, Sources};
pub use url::{
    AmqpServer, AmqpServers, Broker, Failover, Folders, LoginMethod, RedisEndpoint, RedisServer,
    StoreLocation, Tls, UrlError,
};

use diagnose::{Collector, Finding, Place};
use document::{Section, parse, sections};
use draft::{Draft, Surroundings};
use entry::Compiler;
use fingerprint::Printer;
use lints::Linted;
use scalar::Zones;
use walk::{Item, MAX_ENTRIES, top_level};

use crate::clock::Timestamp;
use crate::message::{Identity, Interner};
use crate::timetable::{Entry, EntryName, Timetable};

/// What a schedule is loaded for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be run.
    Run,
    /// To be run beside the real one, publishing nothing: [`Settings::into_shadow`].
    Shadow,
    /// To be run, with lints: `check`.
    Check,
    /// To look at fire times: a broker need not be set.
    Look,
}

/// A schedule that compiled.
#[derive(Debug)]
pub struct Loaded {
    /// Its settings.
    pub settings: Settings,
    /// Its entries.
    pub timetable: Timetable,
    /// Warnings; no errors.
    pub report: Report,
}

/// Compiles `sources`. `identity` goes into messages; `now` is when the schedule counts as loaded
/// and where lints look from.
///
/// # Errors
/// A report with every error and warning; the schedule is valid as a whole or not at all.
pub fn load(
    sources: &Sources,
    env: &Env,
    identity: &Identity,
    now: Timestamp,
    purpose: Purpose,
) -> Result<Loaded, Report> {
    load_after(None, sources, env, identity, now, purpose)
}

/// The same, to replace `old`: what did not change is shared with it, see [`Timetable::follow`].
///
/// # Errors
/// Those of [`load`].
pub fn reload(
    old: &Timetable,
    sources: &Sources,
    env: &Env,
    identity: &Identity,
    now: Timestamp,
    purpose: Purpose,
) -> Result<Loaded, Report> {
    let mut loaded = load_after(Some(old), sources, env, identity, now, purpose)?;
    loaded.timetable.follow(old);
    Ok(loaded)
}

fn load_after(
    old: Option<&Timetable>,
    sources: &Sources,
    env: &Env,
    identity: &Identity,
    now: Timestamp,
    purpose: Purpose,
) -> Result<Loaded, Report> {
    let mut out = Collector::default();
    let result = compile(old, sources, env, identity, now, purpose, &mut out);
    let failed = out.has_errors();
    let report = out.finish(sources.files());
    match result {
        Some((settings, timetable)) if !failed => Ok(Loaded {
            settings: if purpose == Purpose::Shadow {
                settings.into_shadow()
            } else {
                settings
            },
            timetable,
            report,
        }),
        _ => Err(report),
    }
}

/// A section with the table that was parsed from it.
struct Parsed<'t> {
    file: u32,
    base: usize,
    table: DeTable<'t>,
}

impl Parsed<'_> {
    fn items(&self) -> impl Iterator<Item = Item<'_>> {
        top_level(&self.table, self.file, self.base)
    }
}

fn compile(
    old: Option<&Timetable>,
    sources: &Sources,
    env: &Env,
    identity: &Identity,
    now: Timestamp,
    purpose: Purpose,
    out: &mut Collector,
) -> Option<(Settings, Timetable)> {
    // Settings may stand after entries and in another file: they are read first. What holds
    // neither more nor less than an entry waits as text.
    let mut held: Vec<Parsed<'_>> = Vec::new();
    let mut entries: Vec<(u32, &str, Vec<Section>)> = Vec::new();
    for (file, source) in (0_u32..).zip(sources.files()) {
        let mut sections = sections(&source.text, file, out);
        sections.retain(|section| {
            if !section.is_entry {
                let table = parse(&source.text, section, file, out);
                held.push(Parsed {
                    file,
                    base: section.range.start,
                    table,
                });
            }
            section.is_entry
        });
        entries.push((file, &source.text, sections));
    }
    let many = entries.iter().map(|(.., sections)| sections.len()).sum();
    // After a syntax error nothing is said about what seems to be missing.
    let readable = !out.has_errors();
    let mut draft = Draft::default();
    let mut zones = Zones::default();
    for parsed in &held {
        for item in parsed.items().filter(|item| item.name() != "beat_schedule") {
            draft.take(&item, env, &mut zones, out);
        }
    }
    let retry = draft.retry();
    let around = Surroundings {
        env,
        identity,
        first_path: sources.first_path(),
        required: purpose != Purpose::Look && readable,
    };
    let mut settings = draft.finish(&around, out);
    let clean = settings.is_some();
    if settings.is_none() {
        // Entries are read all the same, by settings that only lack what was refused.
        settings = Draft::default().finish(
            &Surroundings {
                required: false,
                ..around
            },
            &mut Collector::default(),
        );
    }
    let settings = settings?;

    let mut gathered = Gathered {
        compiler: Compiler {
            settings: &settings,
            zones,
            interner: Interner::default(),
            printer: Printer::new(&settings),
            retry,
            policy: None,
            lint: purpose == Purpose::Check,
        },
        old,
        entries: Vec::with_capacity(many),
        places: HashMap::with_capacity(many),
        linted: Vec::new(),
    };
    for parsed in &held {
        for item in parsed.items().filter(|item| item.name() == "beat_schedule") {
            gathered.take_all(&item, out);
        }
    }
    for (file, text, sections) in entries {
        for section in sections {
            let table = parse(text, &section, file, out);
            let parsed = Parsed {
                file,
                base: section.range.start,
                table,
            };
            for item in parsed.items() {
                gathered.take_all(&item, out);
            }
        }
    }
    let Gathered {
        entries,
        places,
        mut linted,
        ..
    } = gathered;
    if places.is_empty() && readable && many == 0 {
        let help = "an entry is a table: [beat_schedule.NAME] with task and schedule";
        out.push(
            Finding::error("the schedule has no entries")
                .key("beat_schedule")
                .help(help),
        );
    }
    // Only now a map: made from all at once it has no half empty nodes.
    let timetable = Timetable::new(entries.into_iter().collect(), now);
    if clean && purpose != Purpose::Look {
        lints::of_files(&settings, sources.files(), out);
    }
    if clean && purpose == Purpose::Check {
        linted.sort_by_key(|linted| linted.place);
        lints::of_entries(&settings, &timetable, &linted, now, out);
    }
    clean.then_some((settings, timetable))
}

/// The entries so far.
struct Gathered<'s> {
    compiler: Compiler<'s>,
    /// What the entries replace.
    old: Option<&'s Timetable>,
    entries: Vec<(EntryName, Arc<Entry>)>,
    /// Where each name was first used, compiled or not. One block of memory: it leaves no gaps
    /// between the entries when it is freed.
    places: HashMap<EntryName, Place>,
    linted: Vec<Linted>,
}

impl Gathered<'_> {
    fn take_all(&mut self, item: &Item<'_>, out: &mut Collector) {
        for entry in item.fields(out).into_iter().flatten() {
            self.take(&entry, out);
        }
    }

    fn take(&mut self, item: &Item<'_>, out: &mut Collector) {
        if self.places.len() >= MAX_ENTRIES {
            if self.places.len() == MAX_ENTRIES {
                item.report_key(
                    out,
                    Finding::error(format!("more than {MAX_ENTRIES} entries")),
                );
                self.places.insert("".into(), item.key_place());
            }
            return;
        }
        let before = self.old.and_then(|old| old.entries.get(item.name()));
        let name = before.map_or_else(|| item.name().into(), |entry| Arc::clone(&entry.name));
        match self.places.entry(Arc::clone(&name)) {
            hash_map::Entry::Vacant(free) => {
                free.insert(item.key_place());
            }
            hash_map::Entry::Occupied(first) => {
                let name = escaped(item.name());
                let message = format!("the entry \"{name}\" is defined twice; first at");
                item.report_key(out, Finding::error(message).naming(*first.get()));
                return;
            }
        }
        let Some(compiled) = self.compiler.compile(item, &name, out) else {
            return;
        };
        if self.compiler.lint {
            self.linted.push(Linted {
                name: Arc::clone(&name),
                place: item.key_place(),
                allow: compiled.allow,
                expires: compiled.expires,
                countdown: compiled.countdown,
            });
        }
        // Shared at once: a second copy of every entry would leave its memory behind.
        let entry = match before {
            Some(before) => compiled.entry.follow(before),
            None => Arc::new(compiled.entry),
        };
        self.entries.push((name, entry));
    }
}
