//! A plan in the making: headers, the fields of protocol 1, the event.

use std::borrow::Cow;

use super::super::extra::{Live, Source};
use super::super::placeholder;
use super::draft::Draft;
use crate::message::conventions::Protocol;
use crate::message::{Compression, Value, saferepr};

/// Without a limit, as protocol 1 has its events' reprs.
const NO_BUDGET: usize = usize::MAX;

impl Draft<'_> {
    /// The one object of protocol 1.
    pub(super) fn fields(&mut self) -> Vec<(&'static str, Source)> {
        let args = Value::List(self.job.args.to_vec());
        let kwargs = Value::Dict(self.job.kwargs.to_vec());
        let (args, kwargs) = if self.patterns {
            (
                self.live(Live::Pattern(args)),
                self.live(Live::Pattern(kwargs)),
            )
        } else {
            (Source::Own(args), Source::Own(kwargs))
        };
        let option = |name: &str| Source::Fixed(self.options.or_null(name));
        vec![
            ("task", Source::Own(Value::from(self.job.task))),
            ("id", Source::TaskId),
            ("args", args),
            ("kwargs", kwargs),
            ("group", option("group_id")),
            ("group_index", option("group_index")),
            ("retries", self.retries()),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
            (
                "utc",
                Source::Fixed(Value::Bool(self.conventions.enable_utc)),
            ),
            ("callbacks", option("link")),
            ("errbacks", option("link_error")),
            ("timelimit", self.time_limits()),
            ("taskset", option("group_id")),
            ("chord", option("chord")),
        ]
    }

    /// The headers of protocol 2, before the user's.
    pub(super) fn headers(&mut self) -> Vec<(Cow<'static, str>, Source)> {
        let args = self.args_repr("argsrepr");
        let kwargs = self.kwargs_repr("kwargsrepr");
        let options = self.options;
        let option = |name: &str| Source::Fixed(options.or_null(name));
        let stamps = options
            .stamp_names()
            .into_iter()
            .map(|name| (name.to_owned(), options.or_null(name)))
            .collect();
        let origin = options
            .get("origin")
            .cloned()
            .unwrap_or_else(|| Value::Str(self.conventions.identity.origin()));
        [
            ("lang", Source::Fixed(Value::from("py"))),
            ("task", Source::Own(Value::from(self.job.task))),
            ("id", Source::TaskId),
            ("shadow", option("shadow")),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
            ("group", option("group_id")),
            ("group_index", option("group_index")),
            ("retries", self.retries()),
            ("timelimit", self.time_limits()),
            ("root_id", self.root_id()),
            ("parent_id", option("parent_id")),
            ("argsrepr", args),
            ("kwargsrepr", kwargs),
            ("origin", Source::Fixed(origin)),
            ("ignore_result", option("ignore_result")),
            ("replaced_task_nesting", Source::Fixed(Value::Int(0))),
            ("stamped_headers", option("stamped_headers")),
            ("stamps", Source::Fixed(Value::Dict(stamps))),
        ]
        .into_iter()
        .map(|(key, source)| (key.into(), source))
        .collect()
    }

    /// The user's headers, which override what is there, then ours and beat's. A route's headers
    /// are lost, as in Celery, whose beat always sets headers of its own.
    pub(super) fn add_headers(
        &mut self,
        headers: &mut Vec<(Cow<'static, str>, Source)>,
        compression: Option<Compression>,
    ) {
        let ours = [
            (
                "periodic_task_name",
                Source::Own(Value::from(self.job.entry)),
            ),
            ("scheduled_time", Source::Scheduled),
            ("celery_beat_task", Source::Fixed(Value::Bool(true))),
        ];
        if let Some(Value::Dict(pairs)) = self.job.options.get("headers") {
            for (key, value) in pairs {
                if key == "celery_beat_task" {
                    for (key, source) in ours.clone() {
                        put(headers, key.into(), source);
                    }
                    continue;
                }
                let source = if placeholder::any(value) {
                    self.live(Live::Pattern(value.clone()))
                } else {
                    Source::Fixed(value.clone())
                };
                put(headers, key.clone().into(), source);
            }
        }
        for (key, source) in ours {
            put(headers, key.into(), source);
        }
        if let Some(compression) = compression {
            let name = Value::from(compression.content_type());
            put(headers, "compression".into(), Source::Fixed(name));
        }
    }

    pub(super) fn event(&mut self) -> Vec<(&'static str, Source)> {
        let protocol1 = self.conventions.protocol == Protocol::V1;
        let (args, kwargs) = if protocol1 {
            (self.repr_args(3, NO_BUDGET), self.repr_kwargs(3, NO_BUDGET))
        } else {
            (self.args_repr("argsrepr"), self.kwargs_repr("kwargsrepr"))
        };
        let mut event = vec![("uuid", Source::TaskId)];
        if !protocol1 {
            event.push(("root_id", self.root_id()));
            event.push((
                "parent_id",
                Source::Fixed(self.options.or_null("parent_id")),
            ));
        }
        event.extend([
            ("name", Source::Own(Value::from(self.job.task))),
            ("args", args),
            ("kwargs", kwargs),
            ("retries", self.retries()),
            ("eta", self.eta.clone()),
            ("expires", self.expires.clone()),
        ]);
        event
    }

    fn live(&mut self, live: Live) -> Source {
        // Far fewer than 65 536: each is a header, or one of four reprs.
        let index = u16::try_from(self.extra.live.len()).unwrap_or(u16::MAX);
        self.extra.live.push(live);
        Source::Live(index)
    }

    fn args_repr(&mut self, option: &str) -> Source {
        match self.options.get(option) {
            Some(given) => Source::Own(given.clone()),
            None => self.repr_args(self.conventions.repr_maxlevels, saferepr::BUDGET),
        }
    }

    fn kwargs_repr(&mut self, option: &str) -> Source {
        match self.options.get(option) {
            Some(given) => Source::Own(given.clone()),
            None => self.repr_kwargs(self.conventions.repr_maxlevels, saferepr::BUDGET),
        }
    }

    fn repr_args(&mut self, levels: usize, budget: usize) -> Source {
        if self.job.args.iter().any(placeholder::any) {
            return self.live(Live::ArgsRepr(self.job.args.to_vec(), levels, budget));
        }
        let text = Value::Str(saferepr::args_repr(self.job.args, levels, budget));
        if self.job.args.is_empty() {
            Source::Fixed(text)
        } else {
            Source::Own(text)
        }
    }

    fn repr_kwargs(&mut self, levels: usize, budget: usize) -> Source {
        if self
            .job
            .kwargs
            .iter()
            .any(|(_, item)| placeholder::any(item))
        {
            return self.live(Live::KwargsRepr(self.job.kwargs.to_vec(), levels, budget));
        }
        let text = Value::Str(saferepr::kwargs_repr(self.job.kwargs, levels, budget));
        if self.job.kwargs.is_empty() {
            Source::Fixed(text)
        } else {
            Source::Own(text)
        }
    }

    fn root_id(&self) -> Source {
        let root = self.options.get("root_id").cloned();
        root.map_or(Source::TaskId, Source::Fixed)
    }

    fn retries(&self) -> Source {
        Source::Fixed(
            self.options
                .get("retries")
                .cloned()
                .unwrap_or(Value::Int(0)),
        )
    }

    fn time_limits(&self) -> Source {
        Source::Fixed(Value::List(vec![
            self.options.or_null("time_limit"),
            self.options.or_null("soft_time_limit"),
        ]))
    }
}

/// Sets a header, in its place when it is there already.
fn put(headers: &mut Vec<(Cow<'static, str>, Source)>, key: Cow<'static, str>, source: Source) {
    match headers.iter_mut().find(|(k, _)| *k == key) {
        Some(slot) => slot.1 = source,
        None => headers.push((key, source)),
    }
}
