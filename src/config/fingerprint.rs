//! Hashes of a compiled entry: did it change, and did its fire times?
//!
//! Made from texts that do not depend on hash maps, addresses or the process. URLs, host and pid
//! take no part: instances with equal schedules have equal digests.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::sync::Arc;

use xxhash_rust::xxh3::Xxh3;

use super::settings::Settings;
use crate::clock::Timestamp;
use crate::message::{Job, Options, Route};
use crate::schedule::{Schedule, Zone};
use crate::timetable::{Backoff, Fingerprint, Policy, Timing};

/// Hashes what is written to it.
struct Hash(Xxh3);

impl Write for Hash {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Writing to a hash cannot fail.
fn hash(write: impl FnOnce(&mut Hash) -> fmt::Result) -> Fingerprint {
    let mut hash = Hash(Xxh3::new());
    let _ = write(&mut hash);
    Fingerprint(hash.0.digest())
}

/// Of what decides the fire times.
pub(super) fn timing(
    schedule: &Schedule,
    zone: &Zone,
    start_at: Option<Timestamp>,
    policy: &Policy,
) -> Timing {
    Timing {
        grid: hash(|h| {
            let start = start_at.map(Timestamp::as_micros);
            // The zone is in the canonical text where it matters: an interval has none.
            write!(h, "{}\n{start:?}", schedule.canonical())
        }),
        window: hash(|h| {
            write!(
                h,
                "{}\n{:?}\n{:?}",
                zone.name(),
                policy.end_at.map(Timestamp::as_micros),
                policy.exclude.days
            )?;
            policy.exclude.tables.iter().try_for_each(|table| {
                write!(h, "\n{}", Schedule::Crontab(table.clone()).canonical())
            })
        }),
    }
}

/// Fingerprints of entries; what they share is hashed once.
pub(super) struct Printer {
    /// Of the settings that change what entries publish.
    settings: Fingerprint,
    /// Of routes, by address; the routes are held so that an address stays theirs.
    routes: HashMap<usize, (Arc<Route>, Fingerprint)>,
}

impl Printer {
    pub(super) fn new(settings: &Settings) -> Self {
        let conventions = &settings.conventions;
        let redis = &conventions.redis;
        let settings = hash(|h| {
            write!(
                h,
                "{:?} {:?} {:?} {} {} {}",
                conventions.protocol,
                conventions.serializer,
                conventions.compression,
                conventions.enable_utc,
                settings.zone.name(),
                conventions.repr_maxlevels,
            )?;
            write!(
                h,
                "\n{:?} {:?} {:?} {:?} {} {} {:?} {:?}",
                redis.global_keyprefix,
                redis.sep,
                redis.priority_steps,
                redis.fanout_prefix,
                redis.fanout_patterns,
                redis.body_base64,
                redis.deadletter_queue,
                conventions.events,
            )
        });
        Self {
            settings,
            routes: HashMap::new(),
        }
    }

    /// Of everything that affects an entry.
    pub(super) fn entry(
        &mut self,
        job: &Job<'_>,
        timing: Timing,
        policy: &Policy,
        route_options: Option<&Options>,
        route: &Arc<Route>,
    ) -> Fingerprint {
        let (_, route) = self
            .routes
            .entry(Arc::as_ptr(route).addr())
            .or_insert_with(|| (Arc::clone(route), hash(|h| write!(h, "{route:?}"))));
        let own = hash(|h| {
            write!(h, "{}\n{}\n", job.entry, job.task)?;
            // `Debug` of durations is decimal arithmetic, and slow.
            let Backoff { start, step, max } = policy.backoff;
            write!(
                h,
                "{:?} {:?} {:?} {} {:?} {:?} {:?} {} {} {}",
                policy.enabled,
                policy.misfire,
                policy.starting_deadline.map(|time| time.as_micros()),
                policy.jitter.as_micros(),
                policy.max_runs,
                policy.run_on_start,
                policy.delivery,
                start.as_micros(),
                step.as_micros(),
                max.as_micros(),
            )?;
            write!(
                h,
                "\n{:?}\n{:?}\n{:?}\n{route_options:?}",
                job.args, job.kwargs, job.options
            )
        });
        Fingerprint::of_all([own, timing.grid, timing.window, *route, self.settings])
    }
}
