//! What a log says was sent: Celery's lines, its events, or this program's own records.

use std::collections::HashMap;
use std::io::BufRead;

use serde_json::Value;

use super::lines::each_line;
use super::stamp::{self, Stamp};
use crate::schedule::Zone;
use crate::timetable::Timetable;

/// What Celery's beat logs, at level INFO, before it sends.
const SENDING: &str = "Scheduler: Sending due task ";
/// What it logs when it starts.
const STARTING: &str = "beat: Starting...";

/// Sends that are held; more are an error, so that memory is bounded.
pub const MOST_SENDS: usize = 4_000_000;
/// Names that are held, as many as a schedule can have and some; further ones count as the last.
const MOST_NAMES: usize = 201_000;
/// Starts of Celery's beat that are held.
const MOST_STARTS: usize = 100_000;

/// Who sent: an entry of the schedule, or one that it does not have.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Name {
    /// Entry; of events, which do not say it, none.
    pub entry: Option<Box<str>>,
    /// Task.
    pub task: Box<str>,
}

#[derive(Debug, Clone, Copy)]
struct Send {
    name: u32,
    at: Stamp,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Log {
    /// Who sent, in the order of their first send.
    pub names: Vec<Name>,
    index: HashMap<Name, u32>,
    sends: Vec<Send>,
    starts: Vec<Stamp>,
    /// Earliest and latest time of any line, for times that say their zone and those that do not.
    ends: [Option<(i64, i64)>; 2],
    /// Lines.
    pub lines: u64,
    /// Lines that say that something was sent and not when, and the first of them.
    pub undated: u64,
    /// Number of the first of them.
    pub first_undated: Option<u64>,
    /// Lines of Celery's log that say that something was sent.
    pub logged: u64,
    /// `task-sent` events.
    pub events: u64,
    /// Records of this program.
    pub own: u64,
    /// More was sent than is held.
    pub too_many: bool,
}

impl Log {
    /// Reads Celery's log or events; entries are those of `timetable` where it has them.
    pub fn read(&mut self, timetable: &Timetable, log: impl BufRead) -> std::io::Result<()> {
        each_line(log, |line| self.take(timetable, line))
    }

    /// Number of sends.
    pub fn len(&self) -> usize {
        self.sends.len()
    }

    /// Whether a time without zone was met.
    pub fn has_local_times(&self) -> bool {
        self.ends[1].is_some()
    }

    fn take(&mut self, timetable: &Timetable, line: &str) {
        self.lines += 1;
        if line.starts_with('{')
            && let Ok(record) = serde_json::from_str::<Value>(line)
        {
            self.take_record(timetable, line, &record);
            return;
        }
        let (head, rest) = match line.find(SENDING) {
            Some(at) => (&line[..at], Some(&line[at + SENDING.len()..])),
            None => (line, None),
        };
        // A format may put the time last.
        let at = stamp::of_text(head).or_else(|| stamp::of_text(rest?));
        if let Some(at) = at {
            self.pass(at);
            if rest.is_none() && line.contains(STARTING) {
                self.start(at);
            }
        }
        if let Some(rest) = rest {
            self.logged += 1;
            self.send(parse_sending(timetable, rest), at);
        }
    }

    fn take_record(&mut self, timetable: &Timetable, line: &str, record: &Value) {
        let at = stamp::of_record(record).or_else(|| stamp::of_text(line));
        if let Some(at) = at {
            self.pass(at);
        }
        if record["type"] == "task-sent" {
            self.events += 1;
            if let Some(task) = record["name"].as_str() {
                let name = Name {
                    entry: None,
                    task: cut(task),
                };
                self.send(name, at);
            }
            return;
        }
        if record["event"] == "fired" && record["entry"].is_string() {
            self.own += 1;
            self.take_own(record);
            return;
        }
        if let Some(text) = text_with(record, SENDING, 3) {
            self.logged += 1;
            // Celery's own line inside a collector's record: its time is the record's, if that has one.
            let rest = &text[text.find(SENDING).map_or(0, |at| at + SENDING.len())..];
            self.send(parse_sending(timetable, rest), at);
        } else if let (Some(_), Some(at)) = (text_with(record, STARTING, 3), at) {
            self.start(at);
        }
    }

    /// A fire of this program, by its fire time: Celery has no jitter, and what a shadow made up for
    /// when it started was sent by Celery in time.
    fn take_own(&mut self, record: &Value) {
        let Some(entry) = record["entry"].as_str() else {
            return;
        };
        if !matches!(record["outcome"].as_str(), Some("shadow" | "sent")) {
            return;
        }
        let name = Name {
            entry: Some(cut(entry)),
            task: cut(record["task"].as_str().unwrap_or_default()),
        };
        let at = record["fire_time"].as_str().and_then(stamp::of_text);
        self.send(name, at);
    }

    fn pass(&mut self, at: Stamp) {
        let ends = &mut self.ends[usize::from(at.local)];
        let (first, last) = ends.unwrap_or((at.micros, at.micros));
        *ends = Some((first.min(at.micros), last.max(at.micros)));
    }

    fn start(&mut self, at: Stamp) {
        if self.starts.len() < MOST_STARTS {
            self.starts.push(at);
        }
    }

    fn send(&mut self, name: Name, at: Option<Stamp>) {
        let Some(at) = at else {
            self.undated += 1;
            self.first_undated.get_or_insert(self.lines);
            return;
        };
        if self.sends.len() >= MOST_SENDS {
            self.too_many = true;
            return;
        }
        let next = u32::try_from(self.names.len()).unwrap_or(u32::MAX);
        let known = self.index.get(&name).copied();
        let name = known.unwrap_or_else(|| {
            if self.names.len() >= MOST_NAMES {
                return next - 1;
            }
            self.names.push(name.clone());
            self.index.insert(name, next);
            next
        });
        self.sends.push(Send { name, at });
    }

    /// Send instants by name, ascending, where local times are those of `zone`.
    pub fn sends(&self, zone: &Zone) -> Vec<Vec<i64>> {
        let mut by_name = vec![Vec::new(); self.names.len()];
        let mut previous = i64::MIN;
        for send in &self.sends {
            previous = send.at.instant(zone, previous);
            if let Some(list) = by_name.get_mut(send.name as usize) {
                list.push(previous);
            }
        }
        for list in &mut by_name {
            list.sort_unstable();
        }
        by_name
    }

    /// When Celery's beat started, ascending.
    pub fn starts(&self, zone: &Zone) -> Vec<i64> {
        let mut starts: Vec<i64> = self
            .starts
            .iter()
            .map(|at| at.instant(zone, i64::MIN))
            .collect();
        starts.sort_unstable();
        starts
    }

    /// From the first to the last line.
    pub fn period(&self, zone: &Zone) -> Option<(i64, i64)> {
        let [absolute, local] = self.ends;
        let local = local.map(|(first, last)| {
            let instant = |micros| {
                Stamp {
                    micros,
                    local: true,
                }
                .instant(zone, i64::MIN)
            };
            (instant(first), instant(last))
        });
        match (absolute, local) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
            (one, other) => one.or(other),
        }
    }
}

/// `NAME (TASK)` and whatever a format puts after it. Names may hold blanks and brackets: an entry of
/// the schedule is known by its name and task, a stranger ends at the last bracket.
fn parse_sending(timetable: &Timetable, rest: &str) -> Name {
    let named = |entry: &str, task: &str| Name {
        entry: Some(cut(entry)),
        task: cut(task),
    };
    for (at, _) in rest.match_indices(" (") {
        let Some(entry) = timetable.entries.get(&rest[..at]) else {
            continue;
        };
        let after = &rest[at + 2..];
        if after
            .strip_prefix(&*entry.task)
            .is_some_and(|after| after.starts_with(')'))
        {
            return named(&entry.name, &entry.task);
        }
    }
    let end = rest.rfind(')').unwrap_or(rest.len());
    match rest[..end].rfind(" (") {
        Some(at) => named(&rest[..at], &rest[at + 2..end]),
        None => named(rest.trim_end(), ""),
    }
}

/// The text in `record` that holds `what`, so deep.
fn text_with<'r>(record: &'r Value, what: &str, depth: u8) -> Option<&'r str> {
    match record {
        Value::String(text) => text.contains(what).then_some(text.as_str()),
        Value::Object(fields) if depth > 0 => fields
            .values()
            .find_map(|field| text_with(field, what, depth - 1)),
        _ => None,
    }
}

/// A name, which may be anything, at a bearable length.
fn cut(name: &str) -> Box<str> {
    name.chars().take(255).collect::<String>().into()
}
