//! `beat preview` and `--dry-run`: the next fire times, offline.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;

use regex::Regex;

use super::args::PreviewArgs;
use super::{Cli, Io, code, misused, moment, nobody, refuse, rows, timeline};
use crate::clock::{FireTime, Timestamp};
use crate::config::Purpose;
use crate::schedule::Zone;
use crate::timetable::{Entry, Timetable};

/// Fire times of each entry when neither a count nor an end is given.
const DEFAULT_COUNT: usize = 5;

/// What is looked at.
pub(super) struct Span<'a> {
    /// Enabled entries that were asked for, by name.
    pub entries: Vec<&'a Entry>,
    /// Fire times are later than this; intervals are anchored here.
    pub from: Timestamp,
    /// The last instant that counts.
    pub until: Timestamp,
    /// Fire times of each entry.
    pub count: usize,
    /// The zone of local times, if not each entry's own.
    pub display: Option<Zone>,
}

/// One fire time of one entry.
#[derive(Clone, Copy)]
pub(super) struct Fire<'a> {
    pub entry: &'a Entry,
    pub at: FireTime,
}

pub(super) fn run(cli: &Cli, args: &PreviewArgs, io: &mut Io<'_>) -> io::Result<u8> {
    let loaded = match cli.load(io.env, &nobody(), io.clock, Purpose::Look) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, io),
    };
    let zone = &loaded.settings.zone;
    let display = match args.timezone.as_deref().map(Zone::load).transpose() {
        Ok(display) => display,
        Err(unknown) => return misused(&format!("--timezone: {unknown} ({})", unknown.help()), io),
    };
    let from = match args.from.as_deref() {
        None => Some(io.clock.wall()),
        Some(text) => moment::parse(text, zone),
    };
    let Some(from) = from else {
        return misused(
            "--from takes a time such as 2026-03-29T00:00 or 2026-03-29T00:00:00Z",
            io,
        );
    };
    let until = match args.until.as_deref() {
        None if args.timeline => Some(from.plus_micros(86_400_000_000)),
        None => Some(Timestamp::MAX),
        Some(text) => moment::parse_after(text, zone, from),
    };
    let Some(until) = until else {
        return misused(
            "--until takes a time such as 2026-03-30T00:00, or a duration such as 24h",
            io,
        );
    };
    let unlimited = args.until.is_some() || args.timeline;
    let count = args
        .count
        .unwrap_or(if unlimited { usize::MAX } else { DEFAULT_COUNT });
    let entries = selected(&loaded.timetable, args.entry.as_deref());
    if entries.is_empty() {
        writeln!(
            io.err,
            "no enabled entry {}",
            if args.entry.is_some() {
                "has such a name"
            } else {
                "to show"
            }
        )?;
    }
    let span = Span {
        entries,
        from,
        until,
        count,
        display,
    };
    if args.timeline {
        timeline::draw(&span, zone, io)?;
    } else {
        rows::write(&span, args.format, &mut io.out)?;
    }
    Ok(code::OK)
}

/// Enabled entries whose names match `glob`, by name.
fn selected<'t>(timetable: &'t Timetable, glob: Option<&str>) -> Vec<&'t Entry> {
    let pattern = glob.and_then(glob_pattern);
    timetable
        .entries
        .values()
        .map(AsRef::as_ref)
        .filter(|entry: &&Entry| entry.policy.enabled)
        .filter(|entry| {
            pattern
                .as_ref()
                .is_none_or(|pattern| pattern.is_match(&entry.name))
        })
        .collect()
}

fn glob_pattern(glob: &str) -> Option<Regex> {
    let mut pattern = String::from("(?s)^");
    for c in glob.chars() {
        match c {
            '*' => pattern.push_str(".*"),
            '?' => pattern.push('.'),
            c => pattern.push_str(&regex::escape(c.encode_utf8(&mut [0; 4]))),
        }
    }
    pattern.push('$');
    Regex::new(&pattern).ok()
}

impl<'a> Span<'a> {
    /// Every fire time, by time, then by name. One pending fire time an entry is held at a time.
    pub(super) fn fires(&self) -> impl Iterator<Item = Fire<'a>> {
        let (from, until, count) = (self.from, self.until, self.count);
        let entries = self.entries.clone();
        // The position in the list stands for the name: the list is sorted.
        let mut pending: BinaryHeap<Reverse<(FireTime, usize, usize)>> = BinaryHeap::new();
        if count > 0 {
            let first = entries.iter().enumerate().filter_map(|(position, entry)| {
                Some(Reverse((entry.next_fire(from, from)?, position, 1)))
            });
            pending.extend(first.filter(|Reverse((at, ..))| *at <= until));
        }
        std::iter::from_fn(move || {
            let mut top = pending.peek_mut()?;
            let Reverse((at, position, shown)) = *top;
            let entry = *entries.get(position)?;
            let next = if shown < count {
                entry.next_fire(from, at)
            } else {
                None
            };
            match next.filter(|next| *next <= until) {
                Some(next) => *top = Reverse((next, position, shown + 1)),
                None => {
                    std::collections::binary_heap::PeekMut::pop(top);
                }
            }
            Some(Fire { entry, at })
        })
    }

    /// The zone in which `entry`'s local times are shown.
    pub(super) fn zone_of<'z>(&'z self, entry: &'z Entry) -> &'z Zone {
        self.display.as_ref().unwrap_or(&entry.zone)
    }
}

impl Fire<'_> {
    /// What is remarkable about this fire time, in words; `assumed_anchor` alone is a word for
    /// programs, too.
    pub(super) fn note(&self) -> Option<String> {
        if let Some(note) = self.entry.schedule.note(self.at) {
            return Some(note.to_string());
        }
        let assumed = self.entry.start_at.is_none() && self.entry.schedule.needs_anchor();
        assumed.then(|| "assumed_anchor".to_owned())
    }
}
