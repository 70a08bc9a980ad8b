//! The keys of a `[beat_schedule.NAME]` table, read one by one.

use std::time::Duration;

use chrono::NaiveDate;
use toml::de::DeValue;

use super::diagnose::{Collector, Finding};
use super::draft::delivery;
use super::scalar::{duration, instant};
use super::settings::Settings;
use super::timing::{Beside, schedule};
use super::value::{Civil, civil, report_invalid, to_pairs, to_value};
use super::walk::Item;
use crate::clock::Timestamp;
use crate::message::{Invalid, Options, Value};
use crate::schedule::{Crontab, Schedule, Zone};
use crate::timetable::{Exclude, Misfire, Policy};

const KEYS: &[&str] = &[
    "allow",
    "args",
    "args_json",
    "delivery",
    "description",
    "enabled",
    "end_at",
    "exclude",
    "jitter",
    "kwargs",
    "kwargs_json",
    "max_runs",
    "misfire",
    "options",
    "relative",
    "run_on_start",
    "schedule",
    "start_at",
    "starting_deadline",
    "task",
    "timezone",
];

/// The keys of an entry that were found.
#[derive(Default)]
pub(super) struct Keys<'a> {
    pub task: Option<Item<'a>>,
    pub schedule: Option<Item<'a>>,
    pub relative: Option<Item<'a>>,
    pub timezone: Option<Item<'a>>,
    pub args: Option<Item<'a>>,
    pub args_json: Option<Item<'a>>,
    pub kwargs: Option<Item<'a>>,
    pub kwargs_json: Option<Item<'a>>,
    pub options: Option<Item<'a>>,
    pub start_at: Option<Item<'a>>,
    pub end_at: Option<Item<'a>>,
    pub exclude: Option<Item<'a>>,
    pub description: Option<Item<'a>>,
    pub allow: Option<Item<'a>>,
    pub policy: Policy,
}

/// Reads the table of an entry; what `settings` say stands where it says nothing.
pub(super) fn read_keys<'i>(
    item: &'i Item<'_>,
    settings: &Settings,
    out: &mut Collector,
) -> Option<Keys<'i>> {
    let mut keys = Keys {
        policy: Policy {
            enabled: settings.enabled,
            starting_deadline: settings.starting_deadline,
            delivery: settings.delivery,
            backoff: settings.backoff,
            ..Policy::default()
        },
        ..Keys::default()
    };
    for field in item.fields(out)? {
        let policy = &mut keys.policy;
        match field.name() {
            "task" => keys.task = Some(field),
            "schedule" => keys.schedule = Some(field),
            "relative" => keys.relative = Some(field),
            "timezone" => keys.timezone = Some(field),
            "args" => keys.args = Some(field),
            "args_json" => keys.args_json = Some(field),
            "kwargs" => keys.kwargs = Some(field),
            "kwargs_json" => keys.kwargs_json = Some(field),
            "options" => keys.options = Some(field),
            "start_at" => keys.start_at = Some(field),
            "end_at" => keys.end_at = Some(field),
            "exclude" => keys.exclude = Some(field),
            "description" => keys.description = Some(field),
            "allow" => keys.allow = Some(field),
            "enabled" => policy.enabled &= field.flag(out).unwrap_or(true),
            "misfire" => {
                policy.misfire = match field.one_of(out, &["latest", "all", "skip"]) {
                    Some("all") => Misfire::All,
                    Some("skip") => Misfire::Skip,
                    _ => Misfire::Latest,
                };
            }
            "starting_deadline" => policy.starting_deadline = duration(&field, out),
            "jitter" => policy.jitter = duration(&field, out).unwrap_or(Duration::ZERO),
            "max_runs" => {
                let runs = field.integer(out, 1..=i64::MAX);
                policy.max_runs = runs.and_then(|runs| u64::try_from(runs).ok());
            }
            "run_on_start" => policy.run_on_start = field.flag(out).unwrap_or(false),
            "delivery" => policy.delivery = delivery(&field, out).unwrap_or_default(),
            _ => field.unknown_key(out, "key", KEYS),
        }
    }
    Some(keys)
}

/// A key that every entry has.
pub(super) fn required<'i>(
    entry: &Item<'_>,
    key: Option<&'i Item<'i>>,
    name: &str,
    example: &str,
    out: &mut Collector,
) -> Option<&'i Item<'i>> {
    if key.is_none() {
        let message = format!(
            "entry {} has no `{name}`",
            super::walk::quoted(entry.name())
        );
        entry.report_key(out, Finding::error(message).help(example));
    }
    key
}

/// `start_at`, and the policy with the keys that depend on the zone.
pub(super) fn policy(
    keys: &Keys<'_>,
    zone: &Zone,
    out: &mut Collector,
) -> (Option<Timestamp>, Policy) {
    let mut policy = keys.policy.clone();
    let start_at = keys.start_at.and_then(|at| instant(&at, zone, out));
    policy.end_at = keys.end_at.and_then(|at| instant(&at, zone, out));
    if let (Some(start), Some(end), Some(item)) = (start_at, policy.end_at, &keys.end_at)
        && end <= start
    {
        item.error(out, "`end_at` is not later than `start_at`");
    }
    if let Some(item) = &keys.exclude {
        policy.exclude = exclude(item, zone, out).unwrap_or_default();
    }
    (start_at, policy)
}

/// `args` or `args_json`.
pub(super) fn args(keys: &Keys<'_>, out: &mut Collector) -> Option<Vec<Value>> {
    match (&keys.args, &keys.args_json) {
        (None, None) => Some(Vec::new()),
        (Some(_), Some(json)) => {
            json.error(out, "`args` and `args_json` are both set");
            None
        }
        (Some(item), None) => {
            let list: Vec<Option<Value>> =
                item.elements(out)?.map(|one| to_value(&one, out)).collect();
            list.into_iter().collect()
        }
        (None, Some(item)) => match from_json(item, out)? {
            Value::List(list) => Some(list),
            other => {
                item.error(
                    out,
                    format!("`args_json` holds a JSON array, not {}", other.kind()),
                );
                None
            }
        },
    }
}

/// `kwargs` or `kwargs_json`.
pub(super) fn kwargs(keys: &Keys<'_>, out: &mut Collector) -> Option<Vec<(String, Value)>> {
    match (&keys.kwargs, &keys.kwargs_json) {
        (None, None) => Some(Vec::new()),
        (Some(_), Some(json)) => {
            json.error(out, "`kwargs` and `kwargs_json` are both set");
            None
        }
        (Some(item), None) => to_pairs(item, out),
        (None, Some(item)) => match from_json(item, out)? {
            Value::Dict(pairs) => Some(pairs),
            other => {
                item.error(
                    out,
                    format!("`kwargs_json` holds a JSON object, not {}", other.kind()),
                );
                None
            }
        },
    }
}

/// `options`, checked.
pub(super) fn options(keys: &Keys<'_>, out: &mut Collector) -> Option<Options> {
    let Some(item) = &keys.options else {
        return Some(Options::default());
    };
    let pairs = to_pairs(item, out)?;
    Options::from_pairs(pairs)
        .map_err(|invalid| report_invalid(item, invalid, out))
        .ok()
}

fn from_json(item: &Item<'_>, out: &mut Collector) -> Option<Value> {
    let read: Result<Value, Invalid> = Value::from_json_text(item.text(out)?);
    read.map_err(|invalid| report_invalid(item, vec![invalid], out))
        .ok()
}

/// Dates, ranges of dates, and crontab tables.
fn exclude(item: &Item<'_>, zone: &Zone, out: &mut Collector) -> Option<Exclude> {
    const FORMS: &str = "a date, \"2026-12-24..2027-01-02\", or a crontab such as { crontab = \"* * * * sat,sun\" }";
    let mut exclude = Exclude::default();
    for one in item.elements(out)? {
        let days = match one.value {
            DeValue::Datetime(at) => match civil(at) {
                Some(Civil::Date(date)) => Some((date, date)),
                _ => None,
            },
            DeValue::String(text) => dates(text),
            DeValue::Table(_) => {
                if let Some(table) = excluded_table(&one, zone, out) {
                    exclude.tables.push(table);
                }
                continue;
            }
            _ => None,
        };
        match days {
            Some((first, last)) if first <= last => exclude.days.push((first, last)),
            Some(_) => one.error(out, "the range of dates ends before it begins"),
            None => one.wrong_type(out, FORMS),
        }
    }
    Some(exclude)
}

fn excluded_table(item: &Item<'_>, zone: &Zone, out: &mut Collector) -> Option<Crontab> {
    let beside = Beside {
        zone,
        relative: false,
        wanted: &|_| false,
    };
    if let Schedule::Crontab(table) = schedule(item, beside, out)? {
        return Some(table);
    }
    item.error(out, "only crontab tables can exclude");
    None
}

/// `2026-12-24` or `2026-12-24..2027-01-02`, both inclusive.
fn dates(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let date = |text: &str| NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
    match text.split_once("..") {
        Some((first, last)) => Some((date(first)?, date(last)?)),
        None => date(text).map(|date| (date, date)),
    }
}
