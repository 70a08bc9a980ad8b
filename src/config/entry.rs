//! One `[beat_schedule.NAME]` table to one compiled entry.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::diagnose::{Collector, Finding};
use super::draft::allow;
use super::fingerprint::{Printer, timing};
use super::keys::{args, kwargs, options, policy, read_keys, required};
use super::lint::Lint;
use super::messages::backoff;
use super::scalar::Zones;
use super::settings::Settings;
use super::timing::{Beside, schedule};
use super::value::report_invalid;
use super::walk::{Item, bad_name};
use crate::message::{Interner, Job, Options, RetryPolicy, Template, Value};
use crate::timetable::{Backoff, Entry, EntryName, Policy};

/// What entries are compiled with.
pub(super) struct Compiler<'s> {
    pub settings: &'s Settings,
    pub zones: Zones,
    pub interner: Interner,
    pub printer: Printer,
    pub retry: RetryPolicy,
    /// Policy of the entry before: most of a large schedule have the same.
    pub policy: Option<Arc<Policy>>,
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

impl Compiler<'_> {
    /// Compiles an entry; `None`, and reports, when anything about it is wrong.
    pub(super) fn compile(
        &mut self,
        item: &Item<'_>,
        name: &EntryName,
        out: &mut Collector,
    ) -> Option<Compiled> {
        let before = out.error_count();
        if let Some(why) = bad_name(name) {
            item.report_key(out, Finding::error(format!("the name of an entry {why}")));
        }
        let keys = read_keys(item, self.settings, out)?;
        let zone = match &keys.timezone {
            Some(zone) => self
                .zones
                .get(zone, out)
                .unwrap_or_else(|| self.settings.zone.clone()),
            None => self.settings.zone.clone(),
        };
        let task = required(
            item,
            keys.task.as_ref(),
            "task",
            "task = \"proj.tasks.add\"",
            out,
        );
        let task = task.and_then(|task| task.name_text(out));
        let (start_at, policy) = policy(&keys, &zone, out);
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
        let schedule = required(
            item,
            keys.schedule.as_ref(),
            "schedule",
            "schedule = \"30s\", or schedule = { crontab = \"30 7 * * mon\" }",
            out,
        )
        .and_then(|at| schedule(at, beside, out));

        let args = args(&keys, out);
        let kwargs = kwargs(&keys, out);
        let options = options(&keys, out);
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
        let schedule = match start_at {
            Some(_) => schedule.including_anchor(),
            None => schedule,
        };
        let route_options = settings.routing.settings().routes.lookup(task);
        let option = |name| {
            let value = options.get(name).or_else(|| route_options?.get(name));
            value.filter(|_| self.lint).cloned()
        };
        let timing = timing(&schedule, &zone, start_at, &policy);
        let route = template.route();
        let fingerprint = self
            .printer
            .entry(&job, timing, &policy, route_options, route);
        let policy = match self.policy.take() {
            Some(before) if before.is_like(&policy) => before,
            _ => Arc::new(policy),
        };
        self.policy = Some(Arc::clone(&policy));
        Some(Compiled {
            entry: Entry {
                name: Arc::clone(name),
                task: self.interner.text(task),
                description,
                schedule,
                zone,
                start_at,
                policy,
                template,
                fingerprint,
                timing,
                tally: Arc::default(),
            },
            allow,
            expires: option("expires"),
            countdown: option("countdown"),
        })
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
