//! `beat preview --timeline`: a span of time drawn in the terminal.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;

use super::Io;
use super::preview::Span;
use crate::clock::{FireTime, Timestamp};
use crate::schedule::Zone;
use crate::timetable::Entry;

/// Most rows that are drawn; the rest is summed up in the load.
const ROWS: usize = 50;
/// Widest column of names, in characters.
const NAMES: usize = 30;
/// Instants that are named as the busiest.
const BUSIEST: usize = 3;
const BARS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];

/// What is counted in one pass over all fire times.
struct Tally<'a> {
    columns: usize,
    load: Vec<u64>,
    rows: BTreeMap<&'a str, Vec<u64>>,
    busiest: Vec<(FireTime, Vec<&'a str>, usize)>,
}

pub(super) fn draw(span: &Span<'_>, zone: &Zone, io: &mut Io<'_>) -> io::Result<()> {
    let zone = span.display.as_ref().unwrap_or(zone);
    let wide = io
        .env
        .get("COLUMNS")
        .and_then(|c| c.parse().ok())
        .unwrap_or(100_usize)
        .clamp(60, 240);
    let names = span
        .entries
        .iter()
        .map(|e| e.name.chars().count())
        .max()
        .unwrap_or(0)
        .clamp(6, NAMES);
    let columns = wide - names - 4;
    let tally = tally(span, columns);
    let out = &mut *io.out;

    let day = zone.local(span.from).date();
    writeln!(
        out,
        "{} to {}, {}",
        local(zone, span.from),
        local(zone, span.until),
        zone.name()
    )?;
    writeln!(out, "{:names$}  {}", "", scale(span, zone, columns, day))?;
    let mut rest = 0;
    for (n, (name, cells)) in tally.rows.iter().enumerate() {
        if n >= ROWS {
            rest += 1;
            continue;
        }
        let drawn: String = cells.iter().map(|fires| cell(*fires)).collect();
        let total: u64 = cells.iter().sum();
        writeln!(out, "{:names$}  {drawn} {total}", cut(name, names))?;
    }
    if rest > 0 {
        writeln!(out, "{:names$}  and {rest} more entries", "")?;
    }
    let peak = tally.load.iter().copied().max().unwrap_or(0);
    let bars: String = tally.load.iter().map(|fires| bar(*fires, peak)).collect();
    let total: u64 = tally.load.iter().sum();
    writeln!(out, "{:names$}  {bars} {total}", "load")?;
    if !tally.busiest.is_empty() {
        writeln!(out, "\nbusiest instants:")?;
    }
    for (at, some, count) in &tally.busiest {
        let more = count - some.len();
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        let noun = if *count == 1 { "entry" } else { "entries" };
        writeln!(
            out,
            "  {}  {count} {noun}: {}{more}",
            local(zone, *at),
            some.join(", ")
        )?;
    }
    Ok(())
}

fn tally<'a>(span: &Span<'a>, columns: usize) -> Tally<'a> {
    let mut tally = Tally {
        columns,
        load: vec![0; columns],
        rows: BTreeMap::new(),
        busiest: Vec::new(),
    };
    for entry in span.entries.iter().take(ROWS) {
        tally.rows.insert(&entry.name, vec![0; columns]);
    }
    let mut instant: Option<(FireTime, Vec<&str>, usize)> = None;
    for fire in span.fires() {
        tally.count(span, fire.entry, fire.at);
        match &mut instant {
            Some((at, some, count)) if *at == fire.at => {
                *count += 1;
                if some.len() < 5 {
                    some.push(&fire.entry.name);
                }
            }
            _ => {
                let before = instant.replace((fire.at, vec![&fire.entry.name], 1));
                tally.rank(before);
            }
        }
    }
    tally.rank(instant);
    tally
}

impl<'a> Tally<'a> {
    fn count(&mut self, span: &Span<'_>, entry: &'a Entry, at: FireTime) {
        let whole = span.until.micros_since(span.from).max(1);
        let into =
            i128::from(at.micros_since(span.from)) * self.columns as i128 / i128::from(whole);
        let column = usize::try_from(into).unwrap_or(0).min(self.columns - 1);
        self.load[column] += 1;
        if let Some(cells) = self.rows.get_mut(&*entry.name) {
            cells[column] += 1;
        } else if !self.rows.contains_key(&*entry.name) && self.rows.len() >= ROWS {
            // Counted as one of "more" by its presence, without cells.
            self.rows.entry(&entry.name).or_default();
        }
    }

    /// Keeps an instant if it is one of the busiest; of equals the earliest.
    fn rank(&mut self, instant: Option<(FireTime, Vec<&'a str>, usize)>) {
        let Some(instant) = instant else { return };
        let place = self
            .busiest
            .partition_point(|(.., count)| *count >= instant.2);
        if place < BUSIEST {
            self.busiest.insert(place, instant);
            self.busiest.truncate(BUSIEST);
        }
    }
}

fn cell(fires: u64) -> char {
    match fires {
        0 => '·',
        1 => '│',
        2..=9 => '┃',
        _ => '█',
    }
}

fn bar(fires: u64, peak: u64) -> char {
    // Rounded up: a single fire among thousands is still seen.
    let step = if peak == 0 {
        0
    } else {
        (fires * 8).div_ceil(peak)
    };
    BARS[usize::try_from(step).unwrap_or(0).min(8)]
}

/// Local times above the columns, about every ten of them.
fn scale(span: &Span<'_>, zone: &Zone, columns: usize, day: chrono::NaiveDate) -> String {
    let whole = span.until.micros_since(span.from);
    let mut line = String::new();
    let mut column = 0;
    while column + 6 <= columns {
        let into = i128::from(whole) * column as i128 / columns as i128;
        let at = zone.local(span.from.plus_micros(i64::try_from(into).unwrap_or(0)));
        let form = if whole > 2 * 86_400_000_000 {
            "%m-%d"
        } else {
            "%H:%M"
        };
        let label = if at.date() == day || form != "%H:%M" {
            at.format(form)
        } else {
            at.format("%H:%M")
        };
        let _ = write!(line, "{label:<12}");
        column += 12;
    }
    line.trim_end().to_owned()
}

fn cut(name: &str, width: usize) -> String {
    if name.chars().count() <= width {
        return name.to_owned();
    }
    name.chars().take(width - 1).chain(['…']).collect()
}

fn local(zone: &Zone, at: Timestamp) -> String {
    zone.datetime(at)
        .format("%Y-%m-%d %H:%M:%S %:z")
        .to_string()
}
