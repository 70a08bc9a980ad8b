//! Celery's own next fires against ours, and why they differ where they do.

use std::collections::BTreeMap;
use std::io;

use super::data::line;
use super::document::Imported;
use super::entry::Draft;
use super::read::{Export, Exported, Fires, When};
use super::report::plural;
use crate::clock::{FireTime, Timestamp};
use crate::config::Loaded;
use crate::timetable::Entry;

/// Times that differ by less are the same, µs.
const SAME: i64 = 1_000;
/// For solar events: this program's formula against ephem, µs.
const SAME_SUN: i64 = 120_000_000;
/// How far from a change of the UTC offset its effects are looked for, µs: 25 hours.
const NEAR: i64 = 90_000_000_000;
/// How far a change of the clocks moves a fire, µs.
const HOUR: i64 = 3_600_000_000;
/// Differences that are shown of an entry, of each kind.
const SHOWN: usize = 3;

/// Why fires differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    Dst,
    Offset,
    Relative,
    Overdue,
    StartTime,
    Nowfun,
    Solar,
    Drift,
    Unknown,
}

impl Reason {
    fn words(self) -> &'static str {
        match self {
            Self::Dst => {
                "daylight saving: a schedule of all 24 hours follows elapsed time, any other runs each named local time once, right after a gap"
            }
            Self::Offset => {
                "after the clocks change, Celery before 5.7 is off by that hour until it has run once"
            }
            Self::Relative => "relative: rounded as Celery 5.7 does, which other versions do not",
            Self::Overdue => {
                "its last run is overdue: Celery counts on from the late run, beat stays on its grid"
            }
            Self::StartTime => "django-celery-beat also fires at start_time itself",
            Self::Nowfun => "nowfun: this version of Celery reads the crontab in another zone",
            Self::Solar => "solar: near the poles the two formulas find other days",
            Self::Drift => "less than a second: Celery's floats",
            Self::Unknown => "not explained",
        }
    }

    fn short(self) -> &'static str {
        match self {
            Self::Dst => "daylight saving",
            Self::Offset => "an error of older Celery",
            Self::Relative => "relative",
            Self::Overdue => "an overdue last run",
            Self::StartTime => "start_time",
            Self::Nowfun => "nowfun",
            Self::Solar => "solar",
            Self::Drift => "rounding",
            Self::Unknown => "no known reason",
        }
    }
}

/// One entry's differences for one reason.
#[derive(Debug, Default)]
struct Difference {
    celery: Vec<FireTime>,
    ours: Vec<FireTime>,
}

/// What the comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    same: usize,
    fires: usize,
    /// By entry and reason, with the lines to show.
    different: BTreeMap<String, BTreeMap<Reason, Vec<String>>>,
    /// Entries whose fires Celery did not tell.
    silent: Vec<String>,
}

/// Compares every entry that is in the file and enabled.
pub fn compare(export: &Export, imported: &Imported, loaded: &Loaded) -> Compared {
    let mut compared = Compared::default();
    for (exported, draft) in export.entries.iter().zip(&imported.entries) {
        let Some(entry) = loaded.timetable.entries.get(exported.name.as_str()) else {
            continue;
        };
        if !draft.refused.is_empty() || !entry.policy.enabled {
            continue;
        }
        let Some(fires) = &exported.fires else {
            compared
                .silent
                .push(format!("{}: the export has no fires", exported.name));
            continue;
        };
        if let Some(error) = &fires.error {
            compared.silent.push(format!("{}: {error}", exported.name));
        }
        let differences = differences(exported, draft, entry, fires, &mut compared.fires);
        if differences.is_empty() {
            compared.same += usize::from(fires.error.is_none());
        } else {
            let lines = differences
                .into_iter()
                .map(|(reason, difference)| (reason, difference.lines(entry)));
            compared
                .different
                .insert(exported.name.clone(), lines.collect());
        }
    }
    compared
}

fn differences(
    exported: &Exported,
    draft: &Draft,
    entry: &Entry,
    fires: &Fires,
    count: &mut usize,
) -> BTreeMap<Reason, Difference> {
    let end = entry.policy.end_at.unwrap_or(Timestamp::MAX);
    let runs = entry.policy.max_runs.map_or(usize::MAX, |max| {
        usize::try_from(max.saturating_sub(exported.total_run_count)).unwrap_or(usize::MAX)
    });
    let told: Vec<FireTime> = fires.times.iter().map(|at| at.0).collect();
    let theirs: Vec<FireTime> = (told.iter().copied())
        .filter(|at| *at < end)
        .take(runs)
        .collect();
    let mut ours = ours(entry, fires, theirs.len() + 1, runs);
    // Where Celery told no more, nothing can be said about ours; where it ended, neither may go on.
    let ended = matches!(
        exported.schedule,
        Some(When::Clocked { .. } | When::Rrule { .. })
    ) && told.len() < 50;
    if !ended || fires.error.is_some() {
        let last = theirs.last().copied().unwrap_or(fires.after.0);
        let slack = tolerance(exported);
        ours.retain(|at| at.micros_since(last) <= slack);
    }
    *count += theirs.len();
    let mut found: BTreeMap<Reason, Difference> = BTreeMap::new();
    let told = Told {
        exported,
        nowfun: draft.approximated.iter().any(|why| why.contains("nowfun")),
        entry,
        fires,
        both: [&theirs, &ours],
    };
    let (mut left, mut right) = (theirs.iter().peekable(), ours.iter().peekable());
    loop {
        let (celery, own) = (left.peek().copied(), right.peek().copied());
        let gap = match (celery, own) {
            (Some(celery), Some(own)) => celery.micros_since(*own),
            (Some(_), None) => i64::MIN,
            (None, Some(_)) => i64::MAX,
            (None, None) => break,
        };
        if gap.saturating_abs() <= tolerance(exported) {
            left.next();
            right.next();
            continue;
        }
        let at = if gap < 0 { celery } else { own };
        let Some(at) = at.copied() else { break };
        let reason = told.reason(at, gap);
        let difference = found.entry(reason).or_default();
        if gap < 0 {
            left.next();
            difference.celery.push(at);
        } else {
            right.next();
            difference.ours.push(at);
        }
    }
    found
}

/// Our fires as if Celery's beat had been replaced at the instant of the export.
fn ours(entry: &Entry, fires: &Fires, count: usize, runs: usize) -> Vec<FireTime> {
    let (base, after) = (fires.base.0, fires.after.0);
    let mut ours = Vec::new();
    if fires.overdue && entry.next_fire(base, base).is_some_and(|at| at <= after) {
        // What is due already is fired at once, for the latest fire time of those.
        ours.push(after);
    }
    let mut cursor = after;
    while ours.len() < count.min(runs) {
        let Some(next) = entry.next_fire(base, cursor) else {
            break;
        };
        ours.push(next);
        cursor = next;
    }
    ours
}

fn tolerance(exported: &Exported) -> i64 {
    match exported.schedule {
        Some(When::Solar { .. }) => SAME_SUN,
        _ => SAME,
    }
}

/// What reasons are found from.
struct Told<'a> {
    exported: &'a Exported,
    /// Whether Celery reads the crontab in another zone.
    nowfun: bool,
    entry: &'a Entry,
    fires: &'a Fires,
    /// Celery's times and ours.
    both: [&'a [FireTime]; 2],
}

impl Told<'_> {
    /// Why only one of the two fires at `at`; the other's next one is `gap` away.
    fn reason(&self, at: FireTime, gap: i64) -> Reason {
        let when = self.exported.schedule.as_ref();
        let interval = matches!(when, Some(When::Interval { .. }));
        let relative = matches!(when, Some(When::Interval { relative: true, .. }));
        if self.nowfun {
            return Reason::Nowfun;
        }
        if !interval && self.exported.start_at.is_some_and(|start| start.0 == at) {
            return Reason::StartTime;
        }
        if self.fires.overdue && interval {
            return Reason::Overdue;
        }
        if gap.saturating_abs() < 1_000_000 {
            return Reason::Drift;
        }
        let changed = |from: Timestamp, until: Timestamp| {
            self.entry.zone.transitions(from, until).next().is_some()
        };
        if interval && !relative {
            return Reason::Unknown;
        }
        if changed(at.plus_micros(-NEAR), at.plus_micros(NEAR)) {
            return Reason::Dst;
        }
        match when {
            Some(When::Interval { .. }) => Reason::Relative,
            Some(When::Solar { .. }) => Reason::Solar,
            Some(When::Crontab { .. }) if self.has_shifted(at) && changed(self.before(at), at) => {
                Reason::Offset
            }
            _ => Reason::Unknown,
        }
    }

    /// Whether each has a fire within two hours of `at`.
    fn has_shifted(&self, at: FireTime) -> bool {
        let near = |other: &FireTime| other.micros_since(at).abs() <= 2 * HOUR;
        self.both.iter().all(|times| times.iter().any(near))
    }

    /// Celery's last fire well before `at`.
    fn before(&self, at: FireTime) -> Timestamp {
        let earlier = self.both[0].iter().rev();
        let mut earlier = earlier.filter(|other| at.micros_since(**other) > 3 * HOUR);
        earlier.next().copied().unwrap_or(self.fires.base.0)
    }
}

impl Difference {
    fn lines(&self, entry: &Entry) -> Vec<String> {
        let told = |who: &str, times: &[FireTime]| {
            let shown = times.iter().take(SHOWN);
            let shown: Vec<String> = shown
                .map(|at| entry.zone.datetime(*at).to_rfc3339())
                .collect();
            let rest = match times.len() {
                n if n > SHOWN => format!(" and {} more", n - SHOWN),
                _ => String::new(),
            };
            (!shown.is_empty()).then(|| format!("only {who}: {}{rest}", shown.join(", ")))
        };
        [told("Celery", &self.celery), told("beat", &self.ours)]
            .into_iter()
            .flatten()
            .collect()
    }
}

impl Compared {
    /// How many entries differ for no known reason.
    pub fn unexplained(&self) -> usize {
        let entries = self.different.values();
        entries.filter(|e| e.contains_key(&Reason::Unknown)).count()
    }

    /// Writes every difference.
    pub fn write(&self, out: &mut dyn io::Write) -> io::Result<()> {
        writeln!(
            out,
            "compared {} of Celery: {} the same",
            plural(self.fires, "fire", "fires"),
            plural(self.same, "entry is", "entries are")
        )?;
        for (name, reasons) in &self.different {
            for (reason, lines) in reasons {
                writeln!(out, "  {}: {}", line(name), reason.words())?;
                for text in lines {
                    writeln!(out, "    {text}")?;
                }
            }
        }
        for text in &self.silent {
            writeln!(out, "  Celery could not tell: {}", line(text))?;
        }
        Ok(())
    }

    /// One sentence to act on.
    pub fn advice(&self) -> String {
        let unknown = self.unexplained();
        if unknown > 0 {
            return format!(
                "Do not cut over yet: {} for no known reason; please look at what stands above under \"not explained\".",
                plural(unknown, "entry differs", "entries differ")
            );
        }
        if self.different.is_empty() {
            return format!(
                "{} fire as with Celery's beat: stop it, write the last runs, start beat.",
                plural(self.same, "entry will", "entries will")
            );
        }
        let mut reasons: Vec<&str> = (self.different.values())
            .flat_map(|reasons| reasons.keys().map(|reason| reason.short()))
            .collect();
        reasons.sort_unstable();
        reasons.dedup();
        format!(
            "{} only by {}: if that is right for you, stop Celery's beat, write the last runs, start beat.",
            plural(self.different.len(), "entry differs", "entries differ"),
            reasons.join(", ")
        )
    }
}
