//! The log: lines for people on a terminal, one JSON object a line otherwise, both on stderr.

use std::fmt::{self, Write as _};
use std::io::{self, IsTerminal};

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::Directive;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::LogFormat;
use crate::clock::{Clock, SystemClock};
use crate::config::{Env, escaped};

/// What is logged unless `BEAT_LOG` says otherwise.
const FILTER: &str = "warn,beat=info";

/// Starts logging; `format` is what was asked for on the command line or by `BEAT_LOG_FORMAT`.
///
/// # Errors
/// Why `BEAT_LOG` is no filter.
pub fn start(format: Option<LogFormat>, env: &Env) -> Result<(), String> {
    let terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_new(env.get("BEAT_LOG").unwrap_or(FILTER))
        .map_err(|error| error.to_string())?;
    // It logs whole messages that come back, arguments and all, and passwords when traced.
    let quiet = "lapin=off"
        .parse::<Directive>()
        .map_err(|error| error.to_string())?;
    let filter = filter.add_directive(quiet);
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_target(false);
    let json = format.map_or(!terminal, |format| format == LogFormat::Json);
    let started = if json {
        subscriber
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .try_init()
    } else {
        let colour = terminal && env.get("NO_COLOR").is_none();
        subscriber
            .with_ansi(colour)
            .event_format(ForPeople)
            .try_init()
    };
    started.map_err(|error| error.to_string())
}

/// `12:00:00.004  fired  add  task=tasks.add …  what it means`
struct ForPeople;

impl<S, N> FormatEvent<S, N> for ForPeople
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Line::default();
        event.record(&mut line);
        let colour = match *event.metadata().level() {
            Level::ERROR => "\x1b[31m",
            Level::WARN => "\x1b[33m",
            _ => "\x1b[32m",
        };
        let (on, off) = if writer.has_ansi_escapes() {
            (colour, "\x1b[0m")
        } else {
            ("", "")
        };
        let time = SystemClock.wall().to_datetime().format("%H:%M:%S%.3f");
        let event = if line.event.is_empty() {
            event.metadata().level().as_str()
        } else {
            &line.event
        };
        write!(writer, "{time}Z  {on}{event:<15}{off}")?;
        if !line.entry.is_empty() {
            write!(writer, "  {}", line.entry)?;
        }
        writeln!(writer, "{}{}", line.fields, line.message)
    }
}

/// The fields of one event, in the order in which people read them.
#[derive(Default)]
struct Line {
    event: String,
    entry: String,
    fields: String,
    message: String,
}

impl Line {
    fn take(&mut self, field: &Field, value: &str) {
        // What servers and files say must not draw on the terminal.
        let value = escaped(value);
        match field.name() {
            "event" => self.event = value,
            "entry" => self.entry = value,
            "message" => self.message = format!("  {value}"),
            _ if value.is_empty() => {}
            name => {
                let _ = write!(self.fields, "  {name}={value}");
            }
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, &format!("{value:?}"));
    }
}
