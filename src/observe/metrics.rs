//! `/metrics`: the Prometheus text format, version 0.0.4.
//!
//! Every metric is there from the start, with its known label values at zero: a counter that
//! appears with its first event hides that event from `increase()`. It is written entry by entry,
//! so that many entries cost no memory.

use std::fmt::{self, Display, Write as _};
use std::io;
use std::time::Duration;

use super::Facts;
use super::histogram::{BOUNDS, Histogram};
use super::view::{State, View};
use crate::clock::Timestamp;
use crate::plan::Reason;
use crate::timetable::{Entry, Fate};

/// The media type.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Writes all metrics, as of the moment of `view`, at the reading `boot` of the boot clock.
pub fn write(
    view: &View,
    facts: &Facts,
    boot: Duration,
    out: &mut dyn io::Write,
) -> io::Result<()> {
    let mut text = Text { out, name: "" };
    let numbers = facts.numbers();
    let now = view.now;

    text.family("beat_build_info", "gauge", "The version of this instance.")?;
    text.sample(&[("version", env!("CARGO_PKG_VERSION"))], 1)?;
    let leads = u8::from(facts.leads());
    text.gauge("beat_leader", "Whether this instance leads.", leads)?;
    let help = "Term of the leader, as far as this instance knows.";
    text.gauge("beat_term", help, facts.term())?;
    let help = "How often this instance became leader or ceased to be it.";
    text.counter("beat_leader_transitions_total", help, numbers.transitions)?;
    let help = "Renewals of the lease that were refused or not answered.";
    let failed = numbers.renewals_failed;
    text.counter("beat_lease_renew_failures_total", help, failed)?;
    let ends = facts.lease_ends();
    let ends = ends.map(|ends| now.plus(ends.saturating_sub(boot)));
    let help = "When the lease ends unless it is renewed; 0 on a standby.";
    text.gauge("beat_lease_expiry_timestamp_seconds", help, seconds(ends))?;

    entries(view, &mut text)?;
    fires(view, &numbers.fires, &mut text)?;
    skips(view, &numbers.skipped, &mut text)?;
    let help = "From the send instant of a fire time to its confirm.";
    text.histogram("beat_fire_lag_seconds", help, &facts.lag)?;
    let help = "Of one commit: a chunk of messages published, confirmed and recorded.";
    text.histogram("beat_publish_duration_seconds", help, &facts.publishing)?;
    let help = "Attempts after one that failed.";
    text.counter("beat_publish_retries_total", help, numbers.retries)?;
    instants(view, &mut text)?;

    let help = "When the firing loop was last seen alive.";
    let seen = Some(now.minus(facts.pulse.age(boot)));
    let name = "beat_loop_last_iteration_timestamp_seconds";
    text.gauge(name, help, seconds(seen))?;

    let help = "Whether the last reload was applied.";
    let applied = u8::from(!numbers.reload_failed);
    text.gauge("beat_config_last_reload_successful", help, applied)?;
    let help = "When the schedule in force was loaded.";
    let name = "beat_config_last_reload_success_timestamp_seconds";
    text.gauge(name, help, seconds(Some(numbers.reloaded_at)))?;
    let help = "Reloads by their result.";
    text.family("beat_config_reloads_total", "counter", help)?;
    for (result, count) in ["applied", "refused"].iter().zip(numbers.reloads) {
        text.sample(&[("result", result)], count)?;
    }

    let help = "Whether store and broker answer; a standby does not talk to a broker elsewhere.";
    text.family("beat_up", "gauge", help)?;
    text.sample(&[("target", "store")], u8::from(view.store_up))?;
    let broker = view.broker_up() == Some(true);
    text.sample(&[("target", "broker")], u8::from(broker))?;

    let help = "How often this machine's clock was set.";
    text.counter("beat_clock_steps_total", help, numbers.clock_steps)?;
    let help = "How far this machine's clock is ahead of the store's.";
    let skew = Micros(facts.skew());
    text.gauge("beat_clock_skew_seconds", help, skew)?;
    let help = "How often the store had lost its data.";
    text.counter("beat_state_lost_total", help, numbers.state_lost)?;
    let help = "Whether the leader has run other entries for two minutes.";
    let mismatch = u8::from(numbers.mismatch);
    text.gauge("beat_schedule_mismatch", help, mismatch)?;
    let help = "Chunks that fewer replicas than store_wait_replicas had in time.";
    let behind = numbers.replicas_behind;
    text.counter("beat_replicas_behind_total", help, behind)
}

/// Entries by their state.
fn entries(view: &View, text: &mut Text<'_>) -> io::Result<()> {
    let mut counts = [0_u64; State::ALL.len()];
    for (place, entry) in view.entries() {
        counts[view.state(entry, &view.known(place, entry)) as usize] += 1;
    }
    text.family("beat_entries", "gauge", "Entries of the schedule.")?;
    for (state, count) in State::ALL.iter().zip(counts) {
        text.sample(&[("state", state.as_str())], count)?;
    }
    Ok(())
}

fn fires(view: &View, totals: &[u64], text: &mut Text<'_>) -> io::Result<()> {
    let help = "Fire times that this instance settled as leader, by what became of them.";
    text.family("beat_fires_total", "counter", help)?;
    if !view.loaded.settings.metrics_per_entry {
        for (fate, total) in Fate::ALL.iter().zip(totals) {
            text.sample(&[("outcome", fate.as_str())], total)?;
        }
        return Ok(());
    }
    for (_, entry) in view.entries() {
        for fate in Fate::ALL {
            let labels = [("entry", &*entry.name), ("outcome", fate.as_str())];
            text.sample(&labels, entry.tally.fires(fate))?;
        }
    }
    Ok(())
}

fn skips(view: &View, totals: &[u64], text: &mut Text<'_>) -> io::Result<()> {
    let help = "Fire times that were not fired, by reason.";
    text.family("beat_skipped_total", "counter", help)?;
    if !view.loaded.settings.metrics_per_entry {
        for (reason, total) in Reason::ALL.iter().zip(totals) {
            text.sample(&[("reason", reason.as_str())], total)?;
        }
        return Ok(());
    }
    for (_, entry) in view.entries() {
        for reason in Reason::ALL {
            let labels = [("entry", &*entry.name), ("reason", reason.as_str())];
            text.sample(&labels, entry.tally.skips(reason as usize))?;
        }
    }
    Ok(())
}

/// Last and next fire times.
fn instants(view: &View, text: &mut Text<'_>) -> io::Result<()> {
    let per_entry = view.loaded.settings.metrics_per_entry;
    let leads = view.leads();
    let last = |entry: &Entry| entry.tally.last().filter(|_| leads);
    let next = |entry: &Entry| {
        let fires = leads && entry.policy.enabled;
        entry.tally.next().filter(|_| fires)
    };
    let mut family = |name, help, instant: &dyn Fn(&Entry) -> Option<Timestamp>| {
        text.family(name, "gauge", help)?;
        for (_, entry) in view.entries().filter(|_| per_entry) {
            if let Some(at) = instant(entry) {
                text.sample(&[("entry", &*entry.name)], seconds(Some(at)))?;
            }
        }
        Ok::<_, io::Error>(())
    };
    let help = "The fire time that was fired last, as the leader knows it.";
    family("beat_entry_last_fire_timestamp_seconds", help, &last)?;
    let help = "The next fire time, as the leader plans it.";
    family("beat_entry_next_fire_timestamp_seconds", help, &next)?;
    let first = view.entries().filter_map(|(_, entry)| next(entry)).min();
    let help = "The next fire time of all entries, as the leader plans it; 0 when there is none.";
    text.gauge("beat_next_fire_timestamp_seconds", help, seconds(first))
}

/// µs, shown as seconds.
struct Micros(i64);

impl Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let (whole, rest) = (
            self.0.unsigned_abs() / 1_000_000,
            self.0.unsigned_abs() % 1_000_000,
        );
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        let digits = format!("{rest:06}");
        write!(f, "{sign}{whole}.{}", digits.trim_end_matches('0'))
    }
}

fn seconds(at: Option<Timestamp>) -> Micros {
    Micros(at.unwrap_or_default().as_micros())
}

/// Writes families and their samples.
struct Text<'a> {
    out: &'a mut dyn io::Write,
    /// Of the family being written.
    name: &'static str,
}

impl Text<'_> {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) -> io::Result<()> {
        self.name = name;
        writeln!(self.out, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn sample(&mut self, labels: &[(&str, &str)], value: impl Display) -> io::Result<()> {
        self.part("", labels, value)
    }

    /// A sample of the name with that ending.
    fn part(&mut self, end: &str, labels: &[(&str, &str)], value: impl Display) -> io::Result<()> {
        write!(self.out, "{}{end}", self.name)?;
        for (place, (label, text)) in labels.iter().enumerate() {
            let before = if place == 0 { '{' } else { ',' };
            write!(self.out, "{before}{label}=\"{}\"", Label(text))?;
        }
        let close = if labels.is_empty() { "" } else { "}" };
        writeln!(self.out, "{close} {value}")
    }

    fn gauge(&mut self, name: &'static str, help: &str, value: impl Display) -> io::Result<()> {
        self.family(name, "gauge", help)?;
        self.sample(&[], value)
    }

    fn counter(&mut self, name: &'static str, help: &str, value: u64) -> io::Result<()> {
        self.family(name, "counter", help)?;
        self.sample(&[], value)
    }

    fn histogram(&mut self, name: &'static str, help: &str, all: &Histogram) -> io::Result<()> {
        self.family(name, "histogram", help)?;
        let counts = all.cumulated();
        let micros = |value: u64| Micros(i64::try_from(value).unwrap_or(i64::MAX));
        for (bound, count) in BOUNDS.iter().zip(counts) {
            let bound = micros(*bound).to_string();
            self.part("_bucket", &[("le", &bound)], count)?;
        }
        let total = counts[BOUNDS.len()];
        self.part("_bucket", &[("le", "+Inf")], total)?;
        self.part("_sum", &[], micros(all.sum()))?;
        self.part("_count", &[], total)
    }
}

/// The value of a label, escaped as the format asks.
struct Label<'a>(&'a str);

impl Display for Label<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                '\\' => f.write_str("\\\\")?,
                '"' => f.write_str("\\\"")?,
                '\n' => f.write_str("\\n")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}
