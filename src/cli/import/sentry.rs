//! `--sentry`: the headers by which sentry-sdk in a worker reports runs to a Sentry cron monitor.
//!
//! Where Celery's own beat runs under sentry-sdk, it writes these headers at each fire, after a call
//! to Sentry; the worker reads nothing else of them (`sentry_sdk/integrations/celery/beat.py`, 2.75).
//! Sentry takes any 128 bits as the id of a check-in: here the fire time and the entry, so that a
//! repeat reports the same run.

use toml::{Table, Value};
use xxhash_rust::xxh3::xxh3_64;

use super::entry::{Around, Draft};
use super::read::{Exported, When};

/// Units of Sentry's intervals that are always as long, in seconds, largest first.
const UNITS: [(&str, i64); 3] = [("day", 86_400), ("hour", 3_600), ("minute", 60)];

/// Adds the headers to `draft`, or a note why Sentry cannot watch it.
pub fn monitor(exported: &Exported, around: &Around, draft: &mut Draft) {
    if !draft.refused.is_empty() {
        return;
    }
    let Some(schedule) = exported.schedule.as_ref().and_then(schedule) else {
        draft.notes.push(
            "no Sentry monitor: Sentry knows crontabs and intervals of whole minutes".to_owned(),
        );
        return;
    };
    let zone = match &exported.schedule {
        Some(When::Interval { timezone, .. } | When::Crontab { timezone, .. }) => timezone.clone(),
        _ => None,
    };
    let mut config = Table::new();
    config.insert("schedule".to_owned(), Value::Table(schedule));
    let zone = zone.unwrap_or_else(|| around.zone.clone());
    config.insert("timezone".to_owned(), zone.into());

    // 10 digits of seconds, 6 of microseconds, 16 of the entry: 32, as a UUID has them.
    let id = format!("{{fire_time:%s%6f}}{:016x}", xxh3_64(draft.name.as_bytes()));
    let headers = [
        ("slug", Value::from(exported.name.clone())),
        ("config", Value::Table(config)),
        ("check-in-id", id.into()),
        ("start-timestamp-s", "{fire_time:%s.%6f}".into()),
    ];
    draft.add_headers(
        headers
            .into_iter()
            .map(|(name, value)| (format!("sentry-monitor-{name}"), value))
            .collect(),
    );
}

fn schedule(when: &When) -> Option<Table> {
    let mut table = Table::new();
    match when {
        When::Interval { micros, .. } => {
            let (unit, size) = UNITS.into_iter().find(|(_, size)| {
                let size = size * 1_000_000;
                *micros >= size && micros % size == 0
            })?;
            table.insert("type".to_owned(), "interval".into());
            table.insert("value".to_owned(), (micros / 1_000_000 / size).into());
            table.insert("unit".to_owned(), unit.into());
        }
        When::Crontab { fields, .. } => {
            let field = |name: &str| match fields.get(name) {
                None => Some("*".to_owned()),
                Some(serde_json::Value::String(text)) => Some(text.replace(' ', "")),
                Some(serde_json::Value::Number(number)) => Some(number.to_string()),
                Some(serde_json::Value::Array(items)) => {
                    let items: Vec<String> = items.iter().map(ToString::to_string).collect();
                    Some(items.join(","))
                }
                Some(_) => None,
            };
            let value = [
                field("minute")?,
                field("hour")?,
                field("day_of_month")?,
                field("month_of_year")?,
                field("day_of_week")?,
            ];
            table.insert("type".to_owned(), "crontab".into());
            table.insert("value".to_owned(), value.join(" ").into());
        }
        When::Solar { .. } | When::Clocked { .. } | When::Rrule { .. } => return None,
    }
    Some(table)
}
