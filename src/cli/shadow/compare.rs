//! Puts what was sent beside what would have been sent. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::log::{Log, MOST_SENDS};
use super::pair::{Pairing, Rule, pair};
use crate::clock::Timestamp;
use crate::schedule::{Schedule, Zone};
use crate::timetable::{Entry, Timetable};

/// How late Celery may send without the log's end being to blame, µs.
const AFTERWARDS: i64 = 1_000_000;

/// What is compared.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The schedule.
    pub timetable: &'a Timetable,
    /// What Celery's beat sent.
    pub celery: &'a Log,
    /// What a shadow would have sent; computed from the schedule without it.
    pub shadow: Option<&'a Log>,
    /// Only from here, µs.
    pub from: Option<i64>,
    /// Only until here, µs.
    pub until: Option<i64>,
    /// How far a send may be from its fire time, µs.
    pub tolerance: i64,
}

/// One row: an entry, or with events, which do not name it, a task.
#[derive(Debug)]
pub struct Row<'a> {
    /// Entry; the task where there is none.
    pub name: String,
    /// Task.
    pub task: String,
    /// The entries of the schedule that it stands for; none for a stranger.
    pub entries: Vec<&'a Entry>,
    /// What was sent, µs.
    pub seen: Vec<i64>,
    /// How they pair.
    pub pairing: Pairing,
    /// The interval whose phase is not the schedule's to decide, µs.
    pub drifting: Option<i64>,
    /// Entries with phases of their own share the task: only numbers could be compared.
    pub only_counted: bool,
}

/// The whole comparison.
#[derive(Debug)]
pub struct Comparison<'a> {
    /// From when to when, µs.
    pub period: (i64, i64),
    /// Rows with something in them.
    pub rows: Vec<Row<'a>>,
    /// Entries of which nothing was sent and nothing due.
    pub idle: usize,
    /// Tasks of events that no entry has: sent by others.
    pub foreign_tasks: usize,
    /// When Celery's beat started.
    pub starts: Vec<i64>,
    /// The zone of times that do not say theirs.
    pub zone: Zone,
}

/// Why there is nothing to compare.
#[derive(Debug, thiserror::Error)]
pub enum Hopeless {
    /// No line has a time.
    #[error("no line of the log has a time")]
    Undated,
    /// The periods of two logs, or the one asked for, have nothing in common.
    #[error("the logs have no time in common, or none that --from and --until leave")]
    Apart,
    /// Memory is bounded.
    #[error(
        "more than {MOST_SENDS} sends or fire times; compare a shorter time with --from and --until"
    )]
    TooMany,
}

/// Compares, reading times without a zone as those of the zone among `zones` by which most match,
/// and nothing is later than `now`, µs.
pub fn compare<'a>(
    question: &Question<'a>,
    zones: &[Zone],
    now: i64,
) -> Result<Comparison<'a>, Hopeless> {
    let mut best: Option<((u64, u64, bool), Comparison<'a>)> = None;
    let mut hopeless = Hopeless::Undated;
    for zone in zones {
        let comparison = match question.compare(zone) {
            Ok(comparison) => comparison,
            Err(why) => {
                hopeless = why;
                continue;
            }
        };
        // Intervals fit any zone when their phase is taken from the log.
        let (mut fixed, mut all) = (0, 0);
        for row in &comparison.rows {
            all += row.pairing.matched;
            if row.drifting.is_none() && !row.only_counted {
                fixed += row.pairing.matched;
            }
        }
        // No log is written ahead of time.
        let past = comparison.period.1 <= now;
        if best
            .as_ref()
            .is_none_or(|(most, _)| (fixed, all, past) > *most)
        {
            best = Some(((fixed, all, past), comparison));
        }
    }
    best.map(|(_, comparison)| comparison).ok_or(hopeless)
}

impl<'a> Question<'a> {
    fn compare(&self, zone: &Zone) -> Result<Comparison<'a>, Hopeless> {
        let period = self.period(zone)?;
        let by_task = self.celery.events > 0;
        let mut rows: BTreeMap<String, Row<'a>> = BTreeMap::new();
        for entry in self.timetable.entries.values() {
            let name = if by_task { &entry.task } else { &entry.name };
            let row = rows
                .entry(name.to_string())
                .or_insert_with(|| Row::new(name, &entry.task));
            row.entries.push(Arc::as_ref(entry));
        }
        let mut foreign_tasks = 0;
        for (name, sends) in self.celery.names.iter().zip(self.celery.sends(zone)) {
            let key = name.entry.as_deref().unwrap_or(&name.task);
            if by_task && !rows.contains_key(key) {
                foreign_tasks += 1;
                continue;
            }
            let row = rows
                .entry(key.to_owned())
                .or_insert_with(|| Row::new(key, &name.task));
            let inside = sends
                .into_iter()
                .filter(|at| (period.0..=period.1).contains(at));
            row.seen.extend(inside);
        }
        let mut shadow = self.shadow.map(|log| by_name(log, by_task));
        let mut room = MOST_SENDS;
        for row in rows.values_mut() {
            row.seen.sort_unstable();
            let expected = match &mut shadow {
                Some(sends) => sends.remove(&row.name).unwrap_or_default(),
                None => row.computed(period, self.tolerance, &mut room)?,
            };
            row.settle(&expected, period, self.tolerance);
        }
        let (rows, idle): (Vec<_>, Vec<_>) = rows
            .into_values()
            .partition(|row| row.pairing != Pairing::default());
        Ok(Comparison {
            period,
            rows,
            idle: idle.iter().map(|row| row.entries.len()).sum(),
            foreign_tasks,
            starts: self.celery.starts(zone),
            zone: zone.clone(),
        })
    }

    fn period(&self, zone: &Zone) -> Result<(i64, i64), Hopeless> {
        let (mut from, mut until) = self.celery.period(zone).ok_or(Hopeless::Undated)?;
        if let Some(shadow) = self.shadow {
            let (first, last) = shadow.period(zone).ok_or(Hopeless::Undated)?;
            (from, until) = (from.max(first), until.min(last));
        }
        from = self.from.map_or(from, |asked| asked.max(from));
        until = self.until.map_or(until, |asked| asked.min(until));
        if from < until {
            Ok((from, until))
        } else {
            Err(Hopeless::Apart)
        }
    }
}

/// Sends of a shadow by what rows are called.
fn by_name(log: &Log, by_task: bool) -> BTreeMap<String, Vec<i64>> {
    let mut all: BTreeMap<String, Vec<i64>> = BTreeMap::new();
    for (name, sends) in log.names.iter().zip(log.sends(&Zone::utc())) {
        let key = match &name.entry {
            Some(entry) if !by_task => entry,
            _ => &name.task,
        };
        all.entry(key.to_string()).or_default().extend(sends);
    }
    for list in all.values_mut() {
        list.sort_unstable();
    }
    all
}

impl Row<'_> {
    fn new(name: &str, task: &str) -> Self {
        Self {
            name: name.to_owned(),
            task: task.to_owned(),
            entries: Vec::new(),
            seen: Vec::new(),
            pairing: Pairing::default(),
            drifting: None,
            only_counted: false,
        }
    }

    /// Fire times by the schedule, without jitter, which Celery does not have. An interval counts
    /// from its first send in the log.
    fn computed(
        &self,
        (from, until): (i64, i64),
        tolerance: i64,
        room: &mut usize,
    ) -> Result<Vec<i64>, Hopeless> {
        let mut all = Vec::new();
        for entry in self.entries.iter().filter(|entry| entry.policy.enabled) {
            let anchor = match (floating(entry), self.seen.first()) {
                (Some(period), Some(first)) => first.saturating_sub(period),
                _ => from,
            };
            // What is due just outside may have been sent just inside.
            let mut after = match floating(entry) {
                Some(_) => from - 1,
                None => from.saturating_sub(tolerance),
            };
            while let Some(next) = entry.next_fire(
                Timestamp::from_micros(anchor),
                Timestamp::from_micros(after),
            ) {
                after = next.as_micros();
                if after > until.saturating_add(tolerance) {
                    break;
                }
                *room = room.checked_sub(1).ok_or(Hopeless::TooMany)?;
                all.push(after);
            }
        }
        all.sort_unstable();
        Ok(all)
    }

    fn settle(&mut self, expected: &[i64], (from, until): (i64, i64), tolerance: i64) {
        self.drifting = match self.entries[..] {
            [one] => floating(one),
            _ => None,
        };
        self.only_counted = self.drifting.is_none()
            && self
                .entries
                .iter()
                .any(|entry| entry.schedule.needs_anchor() && entry.start_at.is_none());
        if self.only_counted {
            let inside = expected.iter().filter(|at| (from..=until).contains(*at));
            let inside: Vec<i64> = inside.copied().collect();
            let matched = inside.len().min(self.seen.len());
            self.pairing.matched = matched as u64;
            // One more or less of each is what the ends of the period make of a phase.
            if inside.len().abs_diff(self.seen.len()) > self.entries.len() {
                self.pairing.missing = inside[matched..].to_vec();
                self.pairing.extra = self.seen[matched..].to_vec();
            }
            return;
        }
        let rule = self.drifting.map_or(Rule::Fixed(tolerance), Rule::Drifting);
        self.pairing = pair(expected, &self.seen, rule);
        // What is due with the last line may have been sent right after it.
        let last = until.saturating_sub(AFTERWARDS);
        // Where an interval began is not for the schedule to say.
        let begun = match (self.drifting, self.seen.first()) {
            (Some(_), Some(first)) => *first,
            _ => from,
        };
        self.pairing
            .missing
            .retain(|at| (from.max(begun)..=last).contains(at));
        if self.drifting.is_some() {
            // By the other phase it may be due when the shadow no longer, or not yet, ran.
            let phase = self.pairing.last;
            self.pairing
                .extra
                .retain(|at| (from..=last).contains(&(at - phase)));
        }
    }
}

/// The interval of an entry whose phase comes from when it was first recorded.
fn floating(entry: &Entry) -> Option<i64> {
    match entry.schedule {
        Schedule::Every(_) if entry.start_at.is_none() => entry.schedule.period(),
        _ => None,
    }
}
