//! A row of a table in `docs/POLICIES.md`, read as a script.

use std::collections::BTreeMap;
use std::sync::Arc;

use beat::clock::Timestamp;

use super::stage::{Seen, Stage};

const DAY: &str = "2026-11-20";

/// One row.
pub struct Story {
    pub row: String,
    keys: Vec<String>,
    events: Vec<(Timestamp, Event)>,
    until: Timestamp,
    expected: Seen,
}

enum Event {
    /// A line of the entry replaces the one of the same key.
    Set(String),
    /// A key leaves the entry.
    Drop(String),
    /// A line of the file, above the entries.
    File(String),
    Remove,
    Return,
    Rename,
    Pause,
    Resume,
    StoreDown,
    StoreUp,
    /// Nobody leads any more.
    End,
    /// A process starts and is elected.
    Start,
    /// A standby is elected.
    TakeOver,
}

/// Every row of the tables headed `keys | story | fires | skipped`.
pub fn stories(document: &str) -> Vec<Story> {
    let mut found = Vec::new();
    let mut inside = false;
    for line in document.lines() {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        match cells.as_slice() {
            ["keys", "story", "fires", "skipped", ..] => inside = true,
            [first, ..] if first.starts_with("--") => {}
            [keys, story, fires, skipped, ..] if inside => {
                found.push(Story::read(line, keys, story, fires, skipped));
            }
            _ => inside = false,
        }
    }
    found
}

fn at(time: &str) -> Timestamp {
    let text = format!("{DAY}T{time}:00Z");
    Timestamp::from_datetime(text.parse().unwrap_or_else(|e| panic!("{time:?}: {e}")))
}

fn clock_time(at: Timestamp) -> String {
    at.to_rfc3339()[11..16].to_owned()
}

fn quoted(text: &str) -> Vec<String> {
    let pieces = text.split('`').skip(1).step_by(2);
    pieces.map(str::to_owned).collect()
}

impl Story {
    fn read(row: &str, keys: &str, story: &str, fires: &str, skipped: &str) -> Self {
        let mut events = Vec::new();
        let mut until = at("13:00");
        for part in story.split("; ").filter(|part| *part != "steady") {
            let words: Vec<&str> = part.split(' ').collect();
            let mut span = |begin, end| {
                let (from, to) = words[words.len() - 1].split_once('–').unwrap();
                events.extend([(at(from), begin), (at(to), end)]);
            };
            match words.as_slice() {
                ["until", time] => until = at(time),
                ["down", _] => span(Event::End, Event::Start),
                ["fail-over", _] => span(Event::End, Event::TakeOver),
                ["no", "store", _] => span(Event::StoreDown, Event::StoreUp),
                [time, verb, ..] => {
                    let what = || quoted(part).swap_remove(0);
                    let event = match *verb {
                        "set" => Event::Set(what()),
                        "drop" => Event::Drop(what()),
                        "file" => Event::File(what()),
                        "remove" => Event::Remove,
                        "return" => Event::Return,
                        "rename" => Event::Rename,
                        "pause" => Event::Pause,
                        "resume" => Event::Resume,
                        _ => panic!("what is {part:?}?"),
                    };
                    events.push((at(time), event));
                }
                _ => panic!("what is {part:?}?"),
            }
        }
        events.sort_by_key(|(at, _)| *at);
        let nothing = |text: &&str| !matches!(*text, "–" | "");
        Self {
            row: row.to_owned(),
            keys: quoted(keys),
            events,
            until,
            expected: Seen {
                fires: fires.split(' ').filter(nothing).map(at).collect(),
                skipped: (skipped.split(", ").filter(nothing))
                    .map(|pair| pair.split_once(' ').unwrap())
                    .map(|(reason, count)| (reason.to_owned(), count.parse().unwrap()))
                    .collect(),
            },
        }
    }

    /// Plays the story; what differs from the row.
    pub fn play(&self) -> Result<(), String> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        let seen = runtime.block_on(self.run());
        if seen == self.expected {
            return Ok(());
        }
        let fires: Vec<String> = seen.fires.iter().map(|at| clock_time(*at)).collect();
        let skipped = seen.skipped.iter();
        let skipped: Vec<String> = skipped.map(|(why, n)| format!("{why} {n}")).collect();
        Err(format!(
            "{}\n    seen | {} | {}",
            self.row,
            fires.join(" "),
            skipped.join(", ")
        ))
    }

    async fn run(&self) -> Seen {
        let mut file = File::with(&self.keys);
        let mut stage = Stage::new(at("12:00"));
        let (before, after): (Vec<_>, Vec<_>) = self
            .events
            .iter()
            .partition(|(time, _)| *time <= at("12:00"));
        for (_, event) in before {
            file.edit(event);
        }
        let mut loaded = stage.load(&file.toml());
        stage.elect(&loaded).await;
        for (time, event) in after {
            stage.until(*time).await;
            match event {
                Event::Pause => stage.set_paused(true),
                Event::Resume => stage.set_paused(false),
                Event::StoreDown => stage.set_store_up(false),
                Event::StoreUp => stage.set_store_up(true),
                Event::End => stage.end().await,
                Event::TakeOver => stage.elect(&loaded).await,
                Event::Start => {
                    loaded = stage.load(&file.toml());
                    stage.elect(&loaded).await;
                }
                edit => {
                    file.edit(edit);
                    loaded = stage.load(&file.toml());
                    stage.reload(&Arc::clone(&loaded));
                }
            }
        }
        stage.until(self.until.plus_micros(500_000)).await;
        stage.seen()
    }
}

/// The schedule file as it is edited.
struct File {
    name: &'static str,
    present: bool,
    keys: BTreeMap<String, String>,
    settings: BTreeMap<String, String>,
}

/// `key = value` by its key.
fn line(text: &str) -> (String, String) {
    let (key, _) = text.split_once('=').unwrap();
    (key.trim().to_owned(), text.to_owned())
}

impl File {
    fn with(keys: &[String]) -> Self {
        let mut all = BTreeMap::from([line("schedule = \"10m\""), line("task = \"t\"")]);
        all.extend(keys.iter().map(|text| line(text)));
        Self {
            name: "entry",
            present: true,
            keys: all,
            settings: BTreeMap::new(),
        }
    }

    fn edit(&mut self, event: &Event) {
        match event {
            Event::Set(text) => self.keys.extend([line(text)]),
            Event::File(text) => self.settings.extend([line(text)]),
            Event::Drop(key) => drop(self.keys.remove(key).unwrap()),
            Event::Remove => self.present = false,
            Event::Return => self.present = true,
            Event::Rename => self.name = "renamed",
            _ => panic!("not an edit, or not before noon"),
        }
    }

    fn toml(&self) -> String {
        let lines = |map: &BTreeMap<String, String>| {
            let lines: Vec<&str> = map.values().map(String::as_str).collect();
            lines.join("\n")
        };
        let mut parts = vec![
            lines(&self.settings),
            // A schedule has at least one entry.
            "[beat_schedule.idle]\ntask = \"t\"\nschedule = { at = 2099-01-01T00:00:00Z }"
                .to_owned(),
        ];
        if self.present {
            parts.push(format!("[beat_schedule.{}]", self.name));
            parts.push(lines(&self.keys));
        }
        parts.join("\n")
    }
}
