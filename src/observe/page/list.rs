//! The entries: what is wrong first, then by their next fire time.

use std::io::{self, Write};

use super::Asked;
use super::timeline::{QUARTERS, Timeline};
use super::words::{Html, due, foreign, lag, local, number};
use crate::clock::Timestamp;
use crate::observe::view::{Known, State, View};
use crate::schedule::Zone;
use crate::timetable::Entry;

/// Most rows of one page.
const ROWS: usize = 200;

/// What is late by so much is not being fired just now, µs.
const OVERDUE: i64 = 3_000_000;

/// How many entries are in which state, whatever is shown.
#[derive(Debug, Default)]
pub struct Counts {
    /// All.
    pub all: usize,
    /// Whose last attempt failed.
    pub failing: usize,
    /// By [`State`].
    pub states: [usize; State::ALL.len()],
}

/// What is shown of which entries.
pub struct List<'a> {
    rows: Vec<Row<'a>>,
    /// How many fit what was asked for.
    found: usize,
    /// Of all entries.
    pub counts: Counts,
    /// The entry that fires next, and when.
    pub next: Option<(&'a Entry, Timestamp)>,
}

struct Row<'a> {
    place: usize,
    entry: &'a Entry,
    known: Known,
    state: State,
    failing: bool,
}

impl Row<'_> {
    /// What is wrong first, what is over last.
    fn order(&self) -> (u8, Option<Timestamp>, usize) {
        let class = match (self.failing, self.state) {
            (true, _) => 0,
            (_, State::Paused) => 1,
            (_, State::Active) => 2,
            (_, State::Disabled | State::Finished) => 3,
        };
        let next = self.known.next.unwrap_or(Timestamp::MAX);
        (class, Some(next), self.place)
    }

    fn word(&self) -> &'static str {
        if self.failing {
            "failing"
        } else {
            self.state.as_str()
        }
    }

    fn fits(&self, search: &str) -> bool {
        search.is_empty()
            || self.word() == search
            || self.entry.name.to_lowercase().contains(search)
            || self.entry.task.to_lowercase().contains(search)
    }
}

impl<'a> List<'a> {
    /// Of the entries in `view`.
    #[must_use]
    pub fn of(view: &'a View, asked: &Asked) -> Self {
        let mut list = Self {
            rows: Vec::new(),
            found: 0,
            counts: Counts::default(),
            next: None,
        };
        for (place, entry) in view.entries() {
            let known = view.known(place, entry);
            let state = view.state(entry, &known);
            let failing = view.leads() && entry.tally.is_failing();
            list.counts.all += 1;
            list.counts.failing += usize::from(failing);
            list.counts.states[state as usize] += 1;
            // What is overdue is not what comes next.
            let comes = |next: &Timestamp| view.now.micros_since(*next) < OVERDUE;
            if let Some(next) = known.next.filter(comes)
                && state == State::Active
                && list.next.is_none_or(|(_, first)| next < first)
            {
                list.next = Some((entry, next));
            }
            let row = Row {
                place,
                entry,
                known,
                state,
                failing,
            };
            if row.fits(&asked.search) {
                list.rows.push(row);
            }
        }
        list.found = list.rows.len();
        list.rows.sort_unstable_by_key(Row::order);
        list.rows.truncate(ROWS);
        list
    }

    /// Writes the table, and how many are left out.
    pub fn write(
        &self,
        view: &View,
        timeline: &Timeline,
        asked: &Asked,
        out: &mut dyn Write,
    ) -> io::Result<()> {
        if self.rows.is_empty() {
            return write!(
                out,
                "<p class=\"none\">No entry has “{}” in its name or task. <a href=\"/\">Show all</a></p>",
                Html(&asked.search)
            );
        }
        self.write_found(asked, out)?;
        write!(
            out,
            "<table><thead><tr><th scope=\"col\">Entry</th><th scope=\"col\">Schedule</th>\
             <th scope=\"col\">Last fire</th><th scope=\"col\">Next fire</th>\
             <th scope=\"col\" class=\"lane\">"
        )?;
        write_axis(timeline, &view.loaded.settings.zone, 4, out)?;
        writeln!(
            out,
            "</th><th scope=\"col\" class=\"count\">Runs</th></tr></thead><tbody>"
        )?;
        for row in &self.rows {
            write_row(row, view, timeline, out)?;
        }
        write!(out, "</tbody></table>")
    }

    fn write_found(&self, asked: &Asked, out: &mut dyn Write) -> io::Result<()> {
        let left_out = self.found - self.rows.len();
        let found = number(self.found as u64);
        if !asked.search.is_empty() {
            write!(
                out,
                "<p class=\"found\">{found} of {} entries fit “{}”. <a href=\"/\">Show all</a></p>",
                number(self.counts.all as u64),
                Html(&asked.search)
            )?;
        }
        if left_out > 0 {
            write!(
                out,
                "<p class=\"found\">The first {} are shown; {} more can be found by searching.</p>",
                number(self.rows.len() as u64),
                number(left_out as u64)
            )?;
        }
        Ok(())
    }
}

fn write_row(
    row: &Row<'_>,
    view: &View,
    timeline: &Timeline,
    out: &mut dyn Write,
) -> io::Result<()> {
    let (entry, word) = (row.entry, row.word());
    write!(
        out,
        "<tr class=\"{word}\"><th scope=\"row\"><span class=\"name\">{}</span>",
        Html(&entry.name)
    )?;
    if word != "active" {
        write!(out, " <span class=\"chip {word}\">{word}</span>")?;
    }
    write!(out, "<span class=\"sub\">{}</span>", Html(&entry.task))?;
    if let Some(text) = &entry.description {
        write!(out, "<span class=\"sub\">{}</span>", foreign(text))?;
    }
    if let Some(error) = view.error(entry) {
        write!(out, "<span class=\"note\">{}</span>", foreign(&error))?;
    }
    // That all are paused is said above.
    let own = view.overview.paused.get(&*entry.name);
    if let Some(mark) = own.filter(|_| row.state == State::Paused) {
        let (by, reason) = (foreign(&mark.by), foreign(&mark.reason));
        let colon = if mark.reason.is_empty() { "" } else { ": " };
        write!(out, "<span class=\"note\">by {by}{colon}{reason}</span>")?;
    }
    write!(
        out,
        "</th><td class=\"when\">{}",
        Html(entry.schedule.describe())
    )?;
    // Crontabs name it themselves.
    let zone = entry.zone.name();
    if !entry.schedule.describe().contains(zone) {
        write!(out, "<span class=\"sub\">{}</span>", Html(zone))?;
    }
    write!(out, "</td>")?;
    write!(out, "<td class=\"last\" data-label=\"Last\">")?;
    match row.known.last {
        None => write!(out, "<span class=\"never\">never</span>")?,
        Some(last) => {
            write_time(last, &entry.zone, view.now, out)?;
            if let Some((_, late)) = row.known.sent {
                let slow = if late > 1_000_000 { " slow" } else { "" };
                write!(out, "<span class=\"sub{slow}\">{} late</span>", lag(late))?;
            }
        }
    }
    write!(out, "</td><td class=\"next\" data-label=\"Next\">")?;
    match row.known.next.filter(|_| row.state != State::Disabled) {
        None => write!(out, "<span class=\"never\">–</span>")?,
        Some(next) => {
            write_time(next, &entry.zone, view.now, out)?;
            let overdue = view.now.micros_since(next) >= OVERDUE;
            write!(
                out,
                "<span class=\"sub{}\" data-at=\"{}\">{}</span>",
                if overdue { " slow" } else { "" },
                next.as_micros() / 1_000,
                due(next, view.now)
            )?;
        }
    }
    write!(
        out,
        "</td><td class=\"lane\"><svg viewBox=\"0 0 {QUARTERS} 8\" preserveAspectRatio=\"none\" aria-hidden=\"true\">"
    )?;
    for (first, quarters) in timeline.lane(row.place) {
        write!(
            out,
            "<rect x=\"{first}\" width=\"{quarters}\" height=\"8\"/>"
        )?;
    }
    writeln!(
        out,
        "</svg></td><td class=\"count\" data-label=\"Runs\">{}</td></tr>",
        number(row.known.count)
    )
}

/// An instant in its zone; in UTC when pointed at.
pub(super) fn write_time(
    at: Timestamp,
    zone: &Zone,
    now: Timestamp,
    out: &mut dyn Write,
) -> io::Result<()> {
    let utc = at.to_rfc3339();
    let shown = local(at, zone, now);
    write!(
        out,
        "<time datetime=\"{utc}\" title=\"{utc}\">{shown}</time>"
    )
}

/// Hours along a day: `labels` of them, at equal distances.
pub(super) fn write_axis(
    timeline: &Timeline,
    zone: &Zone,
    labels: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "<span class=\"axis\">")?;
    let step = i64::try_from(QUARTERS / labels.max(1)).unwrap_or(1);
    for label in 0..i64::try_from(labels).unwrap_or(0) {
        let at = timeline
            .start
            .plus_micros(label * step * super::timeline::QUARTER);
        write!(out, "<span>{}</span>", zone.local(at).format("%H:%M"))?;
    }
    write!(out, "</span>")
}
