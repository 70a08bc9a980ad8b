//! The log: lines for people on a terminal, one JSON object a line otherwise, both on stderr.
//!
//! - [`json`]: the lines for machines;
//! - [`sink`]: writes them beside the work.

mod json;
mod sink;

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
use json::Json;
pub use sink::Flush;
use sink::Sink;

/// What is logged unless `BEAT_LOG` says otherwise.
const FILTER: &str = "warn,beat=info";

/// Starts logging until the returned value is dropped; `format` is what was asked for on the command
/// line or by `BEAT_LOG_FORMAT`.
///
/// # Errors
/// Why `BEAT_LOG` is no filter, or that no thread can be started.
pub fn start(format: Option<LogFormat>, env: &Env) -> Result<Flush, String> {
    let terminal = io::stderr().is_terminal();
    let filter = EnvFilter::try_new(env.get("BEAT_LOG").unwrap_or(FILTER))
        .map_err(|error| format!("BEAT_LOG: {error}"))?;
    // It logs whole messages that come back, arguments and all, and passwords when traced.
    let quiet = "lapin=off"
        .parse::<Directive>()
        .map_err(|error| error.to_string())?;
    let filter = filter.add_directive(quiet);
    let json = format.map_or(!terminal, |format| format == LogFormat::Json);
    let lost = if json { lost_json } else { lost_text };
    let (sink, flush) = Sink::start(io::stderr(), lost)
        .map_err(|error| format!("no thread for the log: {error}"))?;
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(sink);
    let started = if json {
        subscriber.event_format(Json).try_init()
    } else {
        let colour = terminal && env.get("NO_COLOR").is_none();
        subscriber
            .with_ansi(colour)
            .event_format(ForPeople)
            .try_init()
    };
    started.map_err(|error| error.to_string())?;
    Ok(flush)
}

fn lost_json(lines: u64) -> String {
    let time = SystemClock.wall();
    format!(
        "{{\"timestamp\":\"{time}\",\"level\":\"WARN\",\"event\":\"log_lost\",\"lines\":{lines}}}\n"
    )
}

fn lost_text(lines: u64) -> String {
    let time = SystemClock.wall().to_datetime().format("%H:%M:%S%.3f");
    format!("{time}Z  log_lost         lines={lines}\n")
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
