//! One `[beat_schedule.NAME]` table to one compiled entry.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use chrono::NaiveDate;
use toml::de::DeValue;

use super::diagnose::{Collector, Finding};
use super::draft::{allow, delivery};
use super::fingerprint::{fingerprint, timing};
use super::lint::Lint;
use super::messages::backoff;
use super::scalar::{Zones, duration, instant, report_time};
use super::settings::Settings;
use super::timing::{Beside, schedule};
use super::value::{Civil, civil, report_invalid, to_pairs, to_value};
use super::walk::{Item, bad_name};
use crate::message::{Interner, Invalid, Job, Options, RetryPolicy, Template, Value};
use crate::schedule::{Crontab, Zone};
use crate::timetable::{Backoff, Entry, Exclude, Misfire, Policy};

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

/// What entries are compiled with.
pub(super) struct Compiler<'s> {
    pub settings: &'s Settings,
    pub zones: Zones,
    pub interner: Interner,
    pub retry: RetryPolicy,
    /// Whether lints are wanted.
    pub lint: bool,
}

/// An entry and what only `check` asks for.
pub(super) struct Compiled {
    pub entry: Entry,
    pub allow: BTreeSet<Lint>,
    /// `expires` of the entry or of its route, if there is one.
    pub expires: Option<Value>,
    /// `countdown`, likewise.
    pub countdown: Option<Value>,
}

/// The keys of an entry that were found.
#[derive(Default)]
struct Keys<'a> {
    task: Option<Item<'a>>,
    schedule: Option<Item<'a>>,
    relative: Option<Item<'a>>,
    timezone: Option<Item<'a>>,
    args: Option<Item<'a>>,
    args_json: Option<Item<'a>>,
    kwargs: Option<Item<'a>>,
    kwargs_json: Option<Item<'a>>,
    options: Option<Item<'a>>,
    start_at: Option<Item<'a>>,
    end_at: Option<Item<'a>>,
    exclude: Option<Item<'a>>,
    description: Option<Item<'a>>,
    allow: Option<Item<'a>>,
    policy: Policy,
}

impl Compiler<'_> {
    /// Compiles an entry; `None`, and reports, when anything about it is wrong.
    pub(super) fn compile(&mut self, item: &Item<'_>, out: &mut Collector) -> Option<Compiled> {
        let before = out.error_count();
        let name = item.name();
        if let Some(why) = bad_name(name) {
            item.report_key(out, Finding::error(format!("the name of an entry {why}")));
        }
        let keys = self.read_keys(item, out)?;
        let zone = match &keys.timezone {
            Some(zone) => self
                .zones
                .get(zone, out)
                .unwrap_or_else(|| self.settings.zone.clone()),
            None => self.settings.zone.clone(),
        };
        let task = self.required(
            item,
            keys.task.as_ref(),
            "task",
            "task = \"proj.tasks.add\"",
            out,
        );
        let task = task.and_then(|task| task.name_text(out));
        let policy = self.policy(&keys, &zone, out);
        let relative = keys.relative.is_some_and(|r| r.flag(out) == Some(true));
        let allow = keys
            .allow
            .map(|names| allow(&names, out))
            .unwrap_or_default();
        let wanted = |lint: Lint| {
            self.lint && !allow.contains(&lint) && !self.settings.allow.contains(&lint)
        };
        let beside = Beside {
            zone: &zone,
            relative,
            wanted: &wanted,
        };
        let schedule = self
            .required(
                item,
                keys.schedule.as_ref(),
                "schedule",
                "schedule = \"30s\", or schedule = { crontab = \"30 7 * * mon\" }",
                out,
            )
            .and_then(|at| schedule(at, beside, out));

        let args = self.args(&keys, out);
        let kwargs = self.kwargs(&keys, out);
        let options = self.options(&keys, out);
        let description = keys.description.and_then(|d| d.text(out)).map(Arc::from);
        let (task, args, kwargs, options) = (task?, args?, kwargs?, options?);
        let mut policy = policy;
        policy.backoff = self.backoff(task, &options, keys.options.as_ref(), out);
        let job = Job {
            entry: name,
            task,
            args: &args,
            kwargs: &kwargs,
            options: &options,
            zone: &zone,
        };
        let settings = self.settings;
        let template = Template::compile(
            &job,
            &settings.routing,
            &settings.conventions,
            &mut self.interner,
        );
        let template = template
            .map_err(|invalid| report_invalid(item, invalid, out))
            .ok();
        let (schedule, template) = (schedule?, template?);
        if out.error_count() > before {
            return None;
        }
        let schedule = match policy.start_at {
            Some(_) => schedule.including_anchor(),
            None => schedule,
        };
        let route_options = settings.routing.settings().routes.lookup(task);
        let option = |name| {
            let value = options.get(name).or_else(|| route_options?.get(name));
            value.filter(|_| self.lint).cloned()
        };
        let timing = timing(&schedule, &zone, &policy);
        let fingerprint = fingerprint(&job, timing, &policy, route_options, &template, settings);
        Some(Compiled {
            entry: Entry {
                name: name.into(),
                task: task.into(),
                description,
                schedule,
                zone,
                policy,
                template,
                fingerprint,
                timing,
            },
            allow,
            expires: option("expires"),
            countdown: option("countdown"),
        })
    }

    fn read_keys<'i>(&self, item: &'i Item<'_>, out: &mut Collector) -> Option<Keys<'i>> {
        let settings = self.settings;
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

    fn required<'i>(
        &self,
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

    fn policy(&self, keys: &Keys<'_>, zone: &Zone, out: &mut Collector) -> Policy {
        let mut policy = keys.policy.clone();
        policy.start_at = keys.start_at.and_then(|at| instant(&at, zone, out));
        policy.end_at = keys.end_at.and_then(|at| instant(&at, zone, out));
        if let (Some(start), Some(end), Some(item)) = (policy.start_at, policy.end_at, &keys.end_at)
            && end <= start
        {
            item.error(out, "`end_at` is not later than `start_at`");
        }
        if let Some(item) = &keys.exclude {
            policy.exclude = exclude(item, zone, out).unwrap_or_default();
        }
        policy
    }

    fn args(&self, keys: &Keys<'_>, out: &mut Collector) -> Option<Vec<Value>> {
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

    fn kwargs(&self, keys: &Keys<'_>, out: &mut Collector) -> Option<Vec<(String, Value)>> {
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

    fn options(&self, keys: &Keys<'_>, out: &mut Collector) -> Option<Options> {
        let Some(item) = &keys.options else {
            return Some(Options::default());
        };
        let pairs = to_pairs(item, out)?;
        Options::from_pairs(pairs)
            .map_err(|invalid| report_invalid(item, invalid, out))
            .ok()
    }

    /// The pauses of `retry` and `retry_policy`, of the entry or of its route.
    fn backoff(
        &self,
        task: &str,
        options: &Options,
        item: Option<&Item<'_>>,
        out: &mut Collector,
    ) -> Backoff {
        let route = self.settings.routing.settings().routes.lookup(task);
        let get = |name| options.get(name).or_else(|| route?.get(name));
        let (on, table) = (get("retry"), get("retry_policy"));
        if on.is_none() && table.is_none() {
            return self.settings.backoff;
        }
        let mut retry = self.retry;
        if let Some(table) = table {
            match retry.with(table) {
                Ok(with) => retry = with,
                Err(invalid) => {
                    let under = invalid.into_iter().map(|one| one.under("retry_policy"));
                    if let Some(item) = item {
                        report_invalid(item, under.collect(), out);
                    }
                }
            }
        }
        if let Some(Value::Bool(on)) = on {
            retry.enabled = *on;
        }
        backoff(&retry)
    }
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
    match schedule(item, beside, out)? {
        crate::schedule::Schedule::Crontab(table) => Some(table),
        _ => {
            let refused = crate::schedule::Invalid::new("only crontab tables can exclude");
            report_time(item, refused, out);
            None
        }
    }
}

/// `2026-12-24` or `2026-12-24..2027-01-02`, both inclusive.
fn dates(text: &str) -> Option<(NaiveDate, NaiveDate)> {
    let date = |text: &str| NaiveDate::parse_from_str(text.trim(), "%Y-%m-%d").ok();
    match text.split_once("..") {
        Some((first, last)) => Some((date(first)?, date(last)?)),
        None => date(text).map(|date| (date, date)),
    }
}
