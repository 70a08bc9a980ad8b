//! The lints of `check`, over what was compiled. (`every-minute` and `relative` depend on spelling
//! and are found while reading, in `timing`.)

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::diagnose::{Collector, Finding, Place};
use super::lint::Lint;
use super::settings::Settings;
use super::source::Source;
use super::url::{AmqpServer, Broker, RedisServer, StoreLocation};
use crate::clock::{FireTime, Timestamp};
use crate::message::Value;
use crate::schedule::{DstNoteKind, Schedule};
use crate::timetable::{Entry, EntryName, Timetable};

const MINUTE: i64 = 60_000_000;
const DAY: i64 = 1_440 * MINUTE;
/// Fire times looked at to find the shortest gap between two.
const GAPS: usize = 24;
/// Most fire times looked at to find crowded instants.
const CROWD_FIRES: usize = 1_000_000;
/// Entries at one instant that are no crowd yet.
const CROWD: usize = 100;
/// Seconds below which messages may expire while a worker is busy or its clock is off.
const SHORT: f64 = 10.0;
/// Bytes from which a message is large.
const LARGE: usize = 512 << 10;

/// What the lints know about an entry beside what was compiled.
pub(super) struct Linted {
    pub name: EntryName,
    pub place: Place,
    pub allow: BTreeSet<Lint>,
    /// `expires` and `countdown` of the entry or its route.
    pub expires: Option<Value>,
    pub countdown: Option<Value>,
}

/// What concerns the whole schedule; also told at start and on reload.
pub(super) fn of_files(settings: &Settings, files: &[Source], out: &mut Collector) {
    if !settings.allow.contains(&Lint::WorldWritable) {
        for (n, _) in (0_u32..).zip(files).filter(|(_, file)| file.world_writable) {
            let place = Place {
                file: n,
                start: 0,
                end: 0,
                secret: true,
            };
            let message = "anybody on this host may edit this file";
            let finding = Finding::lint(Lint::WorldWritable, message);
            out.push(finding.at(place).help("chmod o-w"));
        }
    }
    if settings.allow.contains(&Lint::Plaintext) {
        return;
    }
    let broker_leaks = match &settings.broker {
        Broker::Redis(servers) => servers.iter().any(RedisServer::leaks_credentials),
        Broker::Amqp(servers) => servers.servers.iter().any(AmqpServer::leaks_credentials),
        Broker::Filesystem(_) => false,
    };
    let shared = matches!((&settings.broker, &settings.store),
        (Broker::Redis(broker), StoreLocation::Redis(store)) if broker == store);
    let state_leaks = match &settings.store {
        StoreLocation::Redis(servers) => {
            !shared && servers.iter().any(RedisServer::leaks_credentials)
        }
        StoreLocation::File(_) => false,
    };
    for (leaks, key) in [(broker_leaks, "broker_url"), (state_leaks, "state_url")] {
        if leaks {
            let message = format!("{key} sends credentials to another host without TLS");
            let help = "use rediss:// or amqps://, or allow = [\"plaintext\"] on a trusted network";
            out.push(Finding::lint(Lint::Plaintext, message).key(key).help(help));
        }
    }
}

/// What concerns single entries, and the crowd that they make.
pub(super) fn of_entries(
    settings: &Settings,
    timetable: &Timetable,
    linted: &[Linted],
    now: Timestamp,
    out: &mut Collector,
) {
    let mut crowd = Vec::new();
    for about in linted {
        let Some(entry) = timetable.entries.get(&about.name) else {
            continue;
        };
        let mut report = |lint: Lint, message: String, help: &str| {
            if about.allow.contains(&lint) || settings.allow.contains(&lint) {
                return;
            }
            let finding = Finding::lint(lint, message)
                .at(about.place)
                .entry(Some(&*about.name))
                .key(format!(
                    "beat_schedule.{}",
                    super::walk::key_text(&about.name)
                ));
            out.push(if help.is_empty() {
                finding
            } else {
                finding.help(help)
            });
        };
        of_message(entry, about, settings, &mut report);
        if entry.policy.enabled {
            of_times(entry, about, now, &mut report);
            if entry.policy.jitter.is_zero() && !about.allow.contains(&Lint::Crowded) {
                crowd.push((entry.as_ref(), about.place));
            }
        }
    }
    if !settings.allow.contains(&Lint::Crowded) && crowd.len() > CROWD {
        crowded(&crowd, now, out);
    }
}

type Report<'r> = dyn FnMut(Lint, String, &str) + 'r;

fn of_message(entry: &Entry, about: &Linted, settings: &Settings, report: &mut Report<'_>) {
    let route = entry.template.route();
    // Without task_queues there is nothing that a queue could be missing from.
    if route.unknown_queue && !settings.routing.settings().queues.is_empty() {
        let queue = super::escaped(route.queue.as_deref().unwrap_or(""));
        let message = format!("the queue \"{queue}\" is not in task_queues");
        report(
            Lint::UnknownQueue,
            message,
            "add it there, or check its spelling",
        );
    }
    let size = entry.template.size_hint();
    if size >= LARGE {
        let message = format!(
            "a message of {} KiB; brokers are made for small ones",
            size >> 10
        );
        report(
            Lint::LargeMessage,
            message,
            "send a reference to the data instead",
        );
    }
    let number = |value: &Option<Value>| match value {
        #[expect(clippy::cast_precision_loss, reason = "a number of seconds")]
        Some(Value::Int(n)) => Some(*n as f64),
        Some(Value::Float(n)) => Some(*n),
        _ => None,
    };
    if let Some(expires) = number(&about.expires) {
        let countdown = number(&about.countdown).unwrap_or(0.0);
        if expires <= countdown {
            let message =
                format!("expires after {expires} s, before its countdown of {countdown} s is over");
            report(
                Lint::ExpiresShort,
                message,
                "expires and countdown both count from publishing",
            );
        } else if expires < SHORT {
            let message = format!("expires after {expires} s: a busy worker will drop it");
            report(
                Lint::ExpiresShort,
                message,
                "expires = \"auto\" lasts until the next fire time",
            );
        }
    }
}

fn of_times(entry: &Entry, about: &Linted, now: Timestamp, report: &mut Report<'_>) {
    if any_crontab(&entry.schedule, &|c| c.restricts_day_and_weekday()) {
        let message =
            "day of month and day of week must both match, as in Celery; cron would take either";
        let help = "an array of two schedules fires on either";
        report(Lint::DayAndWeekday, message.to_owned(), help);
    }
    let Some(first) = entry.next_fire(now, now) else {
        report(
            Lint::NeverFires,
            "never fires from now on".to_owned(),
            "look at end_at, exclude and past dates",
        );
        return;
    };
    let gap = shortest_gap(entry, now, first);
    if let Some(gap) = gap.filter(|gap| *gap < 5 * MINUTE)
        && about.expires.is_none()
    {
        let message = format!(
            "fires each {} s and its messages never expire",
            seconds(gap)
        );
        let help =
            "without workers they pile up; options = { expires = \"auto\" } keeps one at most";
        report(Lint::NoExpiry, message, help);
    }
    let jitter = i64::try_from(entry.policy.jitter.as_micros()).unwrap_or(i64::MAX);
    if let Some(gap) = gap.filter(|gap| jitter > 0 && jitter >= *gap) {
        let message = format!(
            "a jitter of {} s reaches the gap of {} s between fire times",
            seconds(jitter),
            seconds(gap)
        );
        report(
            Lint::JitterGap,
            message,
            "what is overtaken waits for its predecessor",
        );
    }
    if let Some(words) = dst_surprise(entry, now) {
        let help = "dst = \"elapsed\" or \"once\" overrides the rule, timezone = \"UTC\" avoids it";
        report(Lint::Dst, words, help);
    }
}

#[expect(clippy::cast_precision_loss, reason = "for people")]
fn seconds(micros: i64) -> f64 {
    micros as f64 / 1e6
}

fn any_crontab(schedule: &Schedule, test: &dyn Fn(&crate::schedule::Crontab) -> bool) -> bool {
    match schedule {
        Schedule::Crontab(crontab) => test(crontab),
        Schedule::AnyOf(parts) => parts.iter().any(|part| any_crontab(part, test)),
        _ => false,
    }
}

/// Shortest time between two of the next fire times, µs.
fn shortest_gap(entry: &Entry, now: Timestamp, first: FireTime) -> Option<i64> {
    let mut shortest = None;
    let mut last = first;
    for _ in 0..GAPS {
        let Some(next) = entry.next_fire(now, last) else {
            break;
        };
        let gap = next.micros_since(last);
        shortest = Some(shortest.map_or(gap, |s: i64| s.min(gap)));
        last = next;
    }
    shortest
}

/// The first fire time within a year that a clock change moves, merges or doubles, in words. A
/// doubled one of many an hour apart or less is what elapsed time means.
fn dst_surprise(entry: &Entry, now: Timestamp) -> Option<String> {
    let until = now.plus_micros(366 * DAY);
    for change in entry.zone.transitions(now, until) {
        let mut at = change.plus_micros(-1);
        for _ in 0..GAPS {
            let Some(next) = entry
                .next_fire(now, at)
                .filter(|next| next.micros_since(change) <= 180 * MINUTE)
            else {
                break;
            };
            if let Some(note) = entry.schedule.note(next) {
                let before = entry.next_fire(now, next.plus_micros(-61 * MINUTE));
                let frequent = before.is_some_and(|before| before < next);
                if note.kind != DstNoteKind::Doubled || !frequent {
                    let at = entry.zone.datetime(next).format("%Y-%m-%d %H:%M:%S %:z");
                    return Some(format!("on {at} {note}"));
                }
            }
            at = next;
        }
    }
    None
}

/// Reports the first most crowded instant of the next day.
fn crowded(entries: &[(&Entry, Place)], now: Timestamp, out: &mut Collector) {
    let until = now.plus_micros(DAY);
    let next = |n: usize, after| {
        let at = entries.get(n)?.0.next_fire(now, after)?;
        (at <= until).then_some(Reverse((at, n)))
    };
    let mut pending: BinaryHeap<_> = (0..entries.len()).filter_map(|n| next(n, now)).collect();
    let mut best: (usize, FireTime, usize) = (0, now, 0);
    let mut current: (usize, FireTime, usize) = (0, now, 0);
    for _ in 0..CROWD_FIRES {
        let Some(Reverse((at, n))) = pending.pop() else {
            break;
        };
        if at != current.1 {
            current = (0, at, n);
        }
        current.0 += 1;
        if current.0 > best.0 {
            best = current;
        }
        pending.extend(next(n, at));
    }
    let (count, at, n) = best;
    if let (true, Some((entry, place))) = (count > CROWD, entries.get(n)) {
        let message = format!(
            "{count} entries fire at {at}, \"{}\" among them",
            entry.name
        );
        out.push(
            Finding::lint(Lint::Crowded, message)
                .at(*place)
                .entry(Some(&*entry.name))
                .help("spread them with jitter, or by their minutes"),
        );
    }
}
