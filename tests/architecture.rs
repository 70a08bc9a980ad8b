//! Holds the source tree against the house's table: which module may know which, and which crate is named where.
//!
//! The paths are read from the text, so a module that is new to the tree has to be given its place here first.

#![allow(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use regex::Regex;

/// From the top of the house to its ground. A module may use those below it and, on its own floor, those that do not
/// use it.
const FLOORS: &[&[&str]] = &[
    &["main"],
    &["cli"],
    &["daemon", "observe"],
    &["dispatch", "store"],
    &["plan", "timetable", "config", "testing"],
    &["message", "schedule"],
    &["clock"],
];

/// Arithmetic and encoding: nothing here waits or talks.
const PURE: &[&str] = &["schedule", "plan", "timetable", "message", "clock"];

/// Crates that mean waiting or talking.
const IMPURE_CRATES: &[&str] = &[
    "tokio",
    "tokio_util",
    "futures_util",
    "redis",
    "lapin",
    "notify",
    "redb",
];

/// Crates that only part of the tree may name.
const CRATES: &[(&str, &[&str])] = &[
    ("redis", &["store/redis", "dispatch"]),
    ("lapin", &["dispatch/amqp"]),
    ("redb", &["store/file"]),
    ("notify", &["daemon/reload"]),
    ("cron", &["schedule"]),
    ("rrule", &["schedule"]),
    ("axum", &["observe"]),
    ("sd_notify", &["observe/systemd"]),
    ("toml", &["config", "cli"]),
    ("toml_edit", &["config", "cli"]),
    ("annotate_snippets", &["config"]),
    ("clap", &["cli", "main"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
];

/// Reading a clock; only `clock.rs` does. (clippy forbids the two of std as well.)
const CLOCKS: &str =
    r"\b(SystemTime::now|Instant::now|Utc::now|Local::now|clock_gettime|OffsetDateTime::now)\b";

/// Lines of a file, whatever it holds.
const LONGEST: usize = 500;

static USE: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\buse\s+([^;]+);").unwrap());
static PATH: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"(?:^|[^\w:$])((?:\w+::)+\w+)").unwrap());
static CHILD: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\bmod\s+(\w+)").unwrap());
static NOISE: LazyLock<Regex> = LazyLock::new(|| {
    let noise = r##"(?s)//[^\n]*|/\*.*?\*/|\bb?r#".*?"#|\bb?r"[^"]*"|"(?:\\.|[^"\\])*"|'(?:\\[^']+|\\'|[^'\\])'"##;
    Regex::new(noise).unwrap()
});

struct Source {
    /// Path below `src` without `.rs` and `/mod`: `store/redis/lease`.
    place: String,
    file: PathBuf,
    /// The text without comments and literals.
    code: String,
    /// What it names, each path by its segments, `super` and `self` resolved: `["crate", "clock", "Timestamp"]`.
    paths: Vec<Vec<String>>,
}

impl Source {
    fn module(&self) -> &str {
        self.place.split('/').next().unwrap()
    }

    fn is_in(&self, place: &str) -> bool {
        let rest = self.place.strip_prefix(place);
        rest.is_some_and(|r| r.is_empty() || r.starts_with('/'))
    }
}

#[test]
fn modules_use_only_what_lies_below_them() {
    let sources = sources();
    let floor = |module: &str| FLOORS.iter().position(|floor| floor.contains(&module));
    let modules: BTreeSet<&str> = sources
        .iter()
        .map(Source::module)
        .filter(|m| *m != "lib")
        .collect();
    let mut wrong = String::new();
    let mut level: BTreeMap<(&str, &str), &Path> = BTreeMap::new();
    for source in sources.iter().filter(|s| s.place != "lib") {
        let from = source.module();
        let Some(own) = floor(from) else {
            writeln!(
                wrong,
                "{}: `{from}` has no floor in tests/architecture.rs",
                source.file.display()
            )
            .unwrap();
            continue;
        };
        for used in source.paths.iter().filter(|p| p[0] == "crate") {
            let Some(to) = used.get(1).and_then(|name| modules.get(name.as_str())) else {
                continue;
            };
            match floor(to) {
                Some(other) if other < own => {
                    writeln!(
                        wrong,
                        "{}: `{from}` uses `{to}`, which lies above it",
                        source.file.display()
                    )
                    .unwrap();
                }
                Some(other) if other == own && *to != from => {
                    level.insert((from, to), &source.file);
                }
                _ => {}
            }
        }
    }
    for ((from, to), file) in &level {
        if level.contains_key(&(*to, *from)) {
            writeln!(
                wrong,
                "{}: `{from}` and `{to}` use each other",
                file.display()
            )
            .unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn crates_are_named_where_they_belong() {
    let mut wrong = String::new();
    for source in &sources() {
        for (name, places) in CRATES {
            if names_crate(source, name) && !places.iter().any(|p| source.is_in(p)) {
                writeln!(
                    wrong,
                    "{}: `{name}` belongs to {places:?}",
                    source.file.display()
                )
                .unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn pure_modules_neither_wait_nor_talk() {
    let waits = Regex::new(r"\basync\b|\.await\b|\bstd::(net|process|thread|fs)\b").unwrap();
    let mut wrong = String::new();
    for source in sources().iter().filter(|s| PURE.contains(&s.module())) {
        for name in IMPURE_CRATES
            .iter()
            .filter(|name| names_crate(source, name))
        {
            writeln!(wrong, "{}: names `{name}`", source.file.display()).unwrap();
        }
        // Where time zones come from is the one thing that is read from a disk, once.
        let zones = source.is_in("schedule/zone");
        for found in waits
            .find_iter(&source.code)
            .filter(|f| !(zones && f.as_str() == "std::fs"))
        {
            writeln!(wrong, "{}: `{}`", source.file.display(), found.as_str()).unwrap();
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn one_file_reads_the_clock() {
    let clocks = Regex::new(CLOCKS).unwrap();
    let sources = sources();
    let readers: Vec<_> = sources
        .iter()
        .filter(|s| clocks.is_match(&s.code))
        .map(|s| s.place.as_str())
        .collect();
    assert_eq!(readers, ["clock"]);
}

#[test]
fn files_stay_short() {
    let mut wrong = String::new();
    for dir in ["src", "tests", "benches", "examples"] {
        for file in rust_files(&root().join(dir)) {
            let lines = std::fs::read_to_string(&file).unwrap().lines().count();
            if lines > LONGEST {
                writeln!(wrong, "{}: {lines} lines, limit {LONGEST}", file.display()).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn paths_are_read_as_the_compiler_would() {
    let code = "use crate::{clock::{self, Timestamp}, plan as p};\nuse super::link::Link;\nuse tokio::net;\n\
                fn f(x: net::TcpStream) { super::super::super::daemon::run(); <redis::Client>::open(); a::b() }";
    let paths: Vec<_> = paths(code, "store/redis/lease", &[])
        .into_iter()
        .map(|p| p.join("::"))
        .collect();
    assert_eq!(
        paths,
        [
            "crate::clock",
            "crate::clock::Timestamp",
            "crate::plan",
            "crate::store::redis::link::Link",
            "tokio::net",
            "crate::daemon::run",
            "redis::Client",
            "a::b",
        ]
    );
    assert_eq!(
        strip("a // b\n\"c // d\" 'e' '\\'' r#\"f\"# 'g h: /* i */ &'g str")
            .split_whitespace()
            .collect::<Vec<_>>(),
        ["a", "'g", "h:", "&'g", "str"]
    );
}

fn names_crate(source: &Source, name: &str) -> bool {
    source.paths.iter().any(|path| path[0] == name)
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut files = Vec::new();
    for path in entries.map(|e| e.unwrap().path()) {
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let read = |file: PathBuf| {
        let below = file.strip_prefix(&src).unwrap().with_extension("");
        let place = below.to_str().unwrap().trim_end_matches("/mod").to_owned();
        let code = strip(&std::fs::read_to_string(&file).unwrap());
        // A child module may be called like a crate: `mod redis;`.
        let children: Vec<String> = CHILD
            .captures_iter(&code)
            .map(|c| c[1].to_owned())
            .collect();
        let paths = paths(&code, &place, &children);
        Source {
            place,
            file,
            code,
            paths,
        }
    };
    let sources: Vec<_> = rust_files(&src).into_iter().map(read).collect();
    assert!(
        sources.iter().any(|s| s.place == "clock"),
        "the tree is read"
    );
    sources
}

/// Takes comments and literals out of `text`.
fn strip(text: &str) -> String {
    NOISE.replace_all(text, " ").into_owned()
}

/// The paths that `code` at `place` names: those of its `use` lines, taken apart, and those written in full. What begins
/// with a name that the file itself has brought in, or that is a child module's, is not a crate's.
fn paths(code: &str, place: &str, children: &[String]) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for captured in USE.captures_iter(code) {
        let tree: String = captured[1].split_whitespace().collect::<Vec<_>>().join(" ");
        expand("", &tree, &mut found);
    }
    let imported: BTreeSet<String> = found
        .iter()
        .filter_map(|p| p.rsplit("::").next())
        .map(str::to_owned)
        .collect();
    let rest = USE.replace_all(code, " ");
    let written = PATH.captures_iter(&rest).map(|c| c[1].to_owned());
    found.extend(written.filter(|p| !imported.contains(p.split("::").next().unwrap())));
    let resolved = found.iter().map(|path| resolve(path, place));
    resolved.filter(|p| !children.contains(&p[0])).collect()
}

/// Takes `a::{b, c::d as e}` apart.
fn expand(prefix: &str, tree: &str, found: &mut Vec<String>) {
    let tree = tree.trim();
    if let Some((head, group)) = tree.split_once('{') {
        let group = group.trim_end().trim_end_matches('}');
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices().chain([(group.len(), ',')]) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth <= 0 => {
                    expand(
                        &format!("{prefix}{}", head.trim()),
                        &group[start..at],
                        found,
                    );
                    start = at + 1;
                    depth = 0;
                }
                _ => {}
            }
        }
        return;
    }
    let path = tree.split(" as ").next().unwrap().trim();
    match path {
        "" => {}
        "self" => found.push(prefix.trim_end_matches("::").to_owned()),
        path => found.push(format!("{prefix}{path}")),
    }
}

/// With `self`, `super` and the library's own name as paths from `crate`.
fn resolve(path: &str, place: &str) -> Vec<String> {
    let mut segments: Vec<&str> = path.split("::").filter(|s| !s.is_empty()).collect();
    let mut at: Vec<&str> = place.split('/').filter(|s| *s != "lib").collect();
    match segments[0] {
        "beat" => segments[0] = "crate",
        "self" | "super" => {
            while matches!(segments.first(), Some(&("self" | "super"))) {
                if segments.remove(0) == "super" {
                    at.pop();
                }
            }
            at.insert(0, "crate");
            at.append(&mut segments);
            segments = at;
        }
        _ => {}
    }
    segments.into_iter().map(str::to_owned).collect()
}
