//! What was measured: a table for people, JSON for whoever compares runs.

use std::fmt::Write as _;

use serde_json::{Value, json};

/// One line.
#[derive(Debug)]
pub struct Row {
    /// What was done: `burst of 1 000, Redis`.
    pub what: String,
    /// Who did it: `beat`, `celery`, `redbeat`, `redis-rs LPUSH`.
    pub who: &'static str,
    /// What was counted, with its unit: `messages/s`.
    pub unit: &'static str,
    /// How much.
    pub value: f64,
    /// `1.9 × …`, a bar, or nothing.
    pub note: String,
}

/// All of them.
#[derive(Debug, Default)]
pub struct Table(Vec<Row>);

impl Table {
    /// Adds a line.
    pub fn add(
        &mut self,
        what: impl Into<String>,
        who: &'static str,
        value: f64,
        unit: &'static str,
        note: impl Into<String>,
    ) {
        self.0.push(Row {
            what: what.into(),
            who,
            unit,
            value,
            note: note.into(),
        });
    }

    /// For people.
    pub fn draw(&self) -> String {
        let mut text = String::new();
        let mut before = "";
        for row in &self.0 {
            let what = if row.what == before { "" } else { &row.what };
            before = &row.what;
            let _ = writeln!(
                text,
                "{what:<44} {who:<16} {value:>11} {unit:<14} {note}",
                who = row.who,
                value = figure(row.value),
                unit = row.unit,
                note = row.note
            );
        }
        text
    }

    /// For the documents: one line for each thing measured, a column for each scheduler.
    pub fn markdown(&self) -> String {
        const SCHEDULERS: [&str; 3] = ["beat", "celery beat", "redbeat"];
        let mut text = String::from(
            "| what | unit | beat | celery beat | redbeat | for comparison | bar, remarks |\n\
             |---|---|---|---|---|---|---|\n",
        );
        let mut keys: Vec<(&str, &str)> = Vec::new();
        for row in &self.0 {
            if !keys.contains(&(&row.what, row.unit)) {
                keys.push((&row.what, row.unit));
            }
        }
        for (what, unit) in keys {
            let rows = || {
                self.0
                    .iter()
                    .filter(|row| row.what == what && row.unit == unit)
            };
            let _ = write!(text, "| {what} | {unit} |");
            for who in SCHEDULERS {
                let cell = rows().find(|row| row.who == who);
                let _ = write!(
                    text,
                    " {} |",
                    cell.map_or(String::new(), |row| figure(row.value))
                );
            }
            let others = rows().filter(|row| !SCHEDULERS.contains(&row.who));
            let others: Vec<String> = others
                .map(|row| format!("{} {}", row.who, figure(row.value)))
                .collect();
            let notes: Vec<&str> = rows()
                .map(|row| row.note.as_str())
                .filter(|note| !note.is_empty())
                .collect();
            let _ = writeln!(text, " {} | {} |", others.join(", "), notes.join("; "));
        }
        text
    }

    /// For programs.
    pub fn json(&self) -> Value {
        let rows = self.0.iter().map(|row| {
            json!({
                "what": row.what, "who": row.who, "value": row.value, "unit": row.unit, "note": row.note,
            })
        });
        rows.collect()
    }
}

/// Three digits that count, thousands apart.
fn figure(value: f64) -> String {
    if !value.is_finite() {
        return "-".to_owned();
    }
    if value < 99.95 {
        return format!("{value:.*}", if value < 9.995 { 2 } else { 1 });
    }
    let digits = format!("{value:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// The middle one.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

/// The value that a share of `part` does not exceed.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "an index of a short list"
)]
pub fn quantile(values: &[f64], part: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * part).ceil() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
