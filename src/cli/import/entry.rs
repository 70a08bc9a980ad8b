//! One exported entry to the keys of one `[beat_schedule.NAME]`.

use super::data;
use super::options;
use super::read::{Exported, Proof, When};
use super::schedule;
use crate::clock::Timestamp;
use crate::message::{REPR_BUDGET, Value, args_repr, kwargs_repr};

/// What entries depend on.
#[derive(Debug)]
pub struct Around {
    /// The file's timezone.
    pub zone: String,
    /// `task_default_queue`.
    pub default_queue: String,
    /// `task_serializer`, as far as it can be carried over.
    pub serializer: String,
    /// Whether a route in the file has a serializer of its own.
    pub routed_serializer: bool,
    /// `task_repr_maxlevels`.
    pub levels: usize,
    /// Whether `task_routes` go into the file.
    pub has_routes: bool,
    /// When the export was made.
    pub exported_at: Timestamp,
}

/// An entry on its way into the file.
#[derive(Debug, Default)]
pub struct Draft {
    /// Its name.
    pub name: String,
    /// Its task.
    pub task: String,
    /// Said above it.
    pub comments: Vec<String>,
    /// The keys of its table, in order.
    pub keys: Vec<(&'static str, toml::Value)>,
    /// What is not quite the same afterwards.
    pub approximated: Vec<String>,
    /// What is worth a look although it is the same.
    pub notes: Vec<String>,
    /// Why it is not in the file.
    pub refused: Vec<String>,
}

impl Draft {
    fn put(&mut self, key: &'static str, value: impl Into<toml::Value>) {
        self.keys.push((key, value.into()));
    }

    /// Adds to `options.headers`.
    pub fn add_headers(&mut self, headers: toml::Table) {
        let at = self.keys.iter().position(|(key, _)| *key == "options");
        let at = at.unwrap_or_else(|| {
            self.put("options", toml::Table::new());
            self.keys.len() - 1
        });
        if let toml::Value::Table(options) = &mut self.keys[at].1 {
            let present = options
                .entry("headers")
                .or_insert_with(|| toml::Table::new().into());
            if let toml::Value::Table(present) = present {
                present.extend(headers);
            }
        }
    }

    /// Removes an option; false when there is none of this name.
    pub fn drop_option(&mut self, name: &str) -> bool {
        let Some(at) = self.keys.iter().position(|(key, _)| *key == "options") else {
            return false;
        };
        let toml::Value::Table(table) = &mut self.keys[at].1 else {
            return false;
        };
        let found = table.remove(name).is_some();
        if table.is_empty() {
            self.keys.remove(at);
        }
        found
    }
}

/// Translates an entry.
pub fn draft(exported: &Exported, around: &Around) -> Draft {
    let mut draft = Draft {
        name: exported.name.clone(),
        task: exported.task.clone(),
        approximated: exported.notes.clone(),
        notes: exported.remarks.clone(),
        refused: exported.refused.clone(),
        ..Draft::default()
    };
    if exported.task == "celery.chain" {
        draft.refused.push(
            "its task is a chain, which Celery's beat sends and no worker can run: make it a task that starts the chain"
                .to_owned(),
        );
    }
    if !draft.refused.is_empty() {
        return draft;
    }
    let (Some(when), Some(args), Some(kwargs), Some(given)) = (
        &exported.schedule,
        &exported.args,
        &exported.kwargs,
        &exported.options,
    ) else {
        draft
            .refused
            .push("the export lacks its schedule, args, kwargs or options".to_owned());
        return draft;
    };
    if let Some(text) = exported
        .description
        .as_ref()
        .filter(|text| !text.is_empty())
    {
        draft.put("description", text.clone());
    }
    if exported.name.starts_with(&format!("{}(", exported.task)) {
        draft.notes.push(
            "named by its call, as add_periodic_task does without a name: another name makes another entry"
                .to_owned(),
        );
    }
    if exported.source != "beat_schedule" {
        draft.comments.push(format!("From {}.", exported.source));
    }
    draft.put("task", exported.task.clone());
    match schedule::timing(when, &around.zone) {
        Ok(timing) => {
            draft.keys.extend(timing.schedule.map(|s| ("schedule", s)));
            if timing.relative {
                draft.put("relative", true);
            }
            if let Some(zone) = timing.timezone {
                draft.put("timezone", zone);
            }
            draft.notes.extend(timing.notes);
        }
        Err(why) => draft.refused.push(why),
    }
    window(exported, when, around, &mut draft);
    let args: Vec<Value> = args.iter().map(data::python).collect();
    let kwargs: Vec<(String, Value)> = kwargs
        .iter()
        .map(|(key, value)| (key.clone(), data::python(value)))
        .collect();
    let serializer = given.get("serializer").and_then(|name| name.as_str());
    let serializer = serializer.unwrap_or(&around.serializer);
    if serializer != "json"
        && (args.iter().any(data::has_object) || kwargs.iter().any(|(_, v)| data::has_object(v)))
    {
        draft.refused.push(format!(
            "its arguments hold bytes, a Decimal or a UUID, which the file can say for the serializer json only; it has {}",
            data::line(serializer)
        ));
    }
    if let Some(proof) = &exported.proof {
        compare(
            proof,
            &args,
            &kwargs,
            around.levels,
            &mut draft.approximated,
        );
    }
    if !args.is_empty() {
        let value = data::literal(Value::List(args));
        arguments(["args", "args_json"], &value, &mut draft);
    }
    if !kwargs.is_empty() {
        let value = data::literal(Value::Dict(kwargs));
        arguments(["kwargs", "kwargs_json"], &value, &mut draft);
    }
    let kept = options::kept(given, &exported.name, around);
    draft.approximated.extend(kept.approximated);
    draft.refused.extend(kept.refused);
    if !kept.table.is_empty() {
        draft.put("options", toml::Value::Table(kept.table));
    }
    draft
}

/// `start_at`, `end_at`, `max_runs`, `enabled`.
fn window(exported: &Exported, when: &When, around: &Around, draft: &mut Draft) {
    if let Some(at) = exported.start_at {
        let ahead = at.0 > around.exported_at;
        // Once it has run, its start is history; before that an interval counts from it.
        let counts = matches!(when, When::Interval { .. }) && exported.last_run_at.is_none();
        if ahead || counts {
            draft.put("start_at", instant(at.0));
        }
        if ahead && matches!(when, When::Crontab { .. }) && exported.last_run_at.is_none() {
            draft.approximated.push(
                "django-celery-beat fires it at start_time as well, whatever its crontab says; here it begins with the first crontab time from then on"
                    .to_owned(),
            );
        } else if !ahead && counts {
            draft.approximated.push(
                "its start_time is past and it never ran: django-celery-beat fires it at once; here it counts from start_time"
                    .to_owned(),
            );
        }
    }
    if let Some(at) = exported.end_at {
        draft.put("end_at", instant(at.0));
    }
    match when {
        When::Clocked { at } if at.0 <= around.exported_at && exported.enabled != Some(false) => {
            draft
                .notes
                .push("its time has passed: it does not fire again".to_owned());
        }
        When::Clocked { .. } => {}
        _ if exported.one_off == Some(true) => draft.put("max_runs", 1),
        _ => {}
    }
    if exported.enabled == Some(false) {
        draft.put("enabled", false);
    }
}

fn instant(at: Timestamp) -> toml::Value {
    let text = at.to_rfc3339();
    data::datetime(&text).unwrap_or(text.into())
}

/// `args` or `kwargs`, as JSON where TOML lacks something.
fn arguments([plain, json]: [&'static str; 2], value: &Value, draft: &mut Draft) {
    match data::toml(value) {
        Some(value) => draft.put(plain, value),
        None if data::beyond_json(value) => draft.refused.push(format!(
            "{plain} hold None or a huge integer beside NaN or an infinity: neither TOML nor JSON has both"
        )),
        None => draft.put(json, value.to_json_text()),
    }
}

/// Whether the message shows and carries the arguments as Celery's would.
fn compare(
    proof: &Proof,
    args: &[Value],
    kwargs: &[(String, Value)],
    levels: usize,
    approximated: &mut Vec<String>,
) {
    let body = [
        (&proof.args_json, Value::List(args.to_vec())),
        (&proof.kwargs_json, Value::Dict(kwargs.to_vec())),
    ];
    if (body.iter()).any(|(theirs, ours)| {
        theirs
            .as_ref()
            .is_some_and(|theirs| *theirs != ours.to_json_text())
    }) {
        approximated.push(
            "the arguments are the same as data, and their JSON is written differently".to_owned(),
        );
    }
    let shown = [
        (&proof.argsrepr, args_repr(args, levels, REPR_BUDGET)),
        (&proof.kwargsrepr, kwargs_repr(kwargs, levels, REPR_BUDGET)),
    ];
    for (theirs, ours) in shown {
        if *theirs != ours {
            approximated.push(format!(
                "Flower and logs show the arguments as {} and no more as {}: Python's types are not in the message",
                data::line(&ours),
                data::line(theirs)
            ));
        }
    }
}
