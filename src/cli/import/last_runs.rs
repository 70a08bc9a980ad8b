//! Last runs of Celery's beat into the store, so that nothing fires twice or is lost at the cut-over.
//!
//! Written under the lease, by the leader's own script: no instance can lead meanwhile, and none
//! that leads is disturbed. An entry counts from its last run: intervals are anchored there, and
//! what became due since is a misfire like any other. Entries that the store knows are left alone.

use std::io;
use std::sync::Arc;

use uuid::Uuid;

use super::data::line;
use super::read::{Export, Exported};
use super::report::plural;
use crate::cli::{Cli, Io, code, nobody, refuse};
use crate::clock::Timestamp;
use crate::config::Settings;
use crate::daemon::links::Links;
use crate::plan::{Record, Recorded};
use crate::store::{Campaign, FRESH, Lease, Ledger, StoreError, Term, Write};
use crate::timetable::Entry;

/// Entries that are read, written and followed by a renewal of the lease together.
const CHUNK: usize = 1_000;
/// How far a last run may lie ahead of now, µs: the tolerance for clocks that disagree.
const AHEAD: i64 = 60_000_000;
/// An export that is older than this may lack runs, µs.
const OLD: i64 = 600_000_000;

/// Where an entry is to go on.
struct Start<'a> {
    entry: &'a Arc<Entry>,
    /// What its next fire counts from.
    from: Timestamp,
    /// Its last run, if there was one.
    last: Option<Timestamp>,
    count: u64,
}

/// What was written.
#[derive(Debug, Default)]
struct Written {
    written: usize,
    known: usize,
}

pub(super) fn run(cli: &Cli, export: &Export, io: &mut Io<'_>) -> io::Result<u8> {
    let loaded = match cli.load(io.env, &nobody(), io.clock, cli.purpose()) {
        Ok(loaded) => loaded,
        Err(report) => return refuse(&report, io),
    };
    let now = io.clock.wall();
    let mut starts = Vec::new();
    let (mut never, mut absent) = (0, 0);
    for exported in &export.entries {
        let Some(entry) = loaded.timetable.entries.get(exported.name.as_str()) else {
            absent += 1;
            continue;
        };
        match start(exported, entry, export.exported_at.0) {
            Some(start) if start.from.micros_since(now) > AHEAD => {
                writeln!(
                    io.err,
                    "error: the last run of {} is at {}, ahead of this clock; nothing was written",
                    line(&exported.name),
                    start.from
                )?;
                return Ok(code::FAILED);
            }
            Some(start) => starts.push(start),
            None => never += 1,
        }
    }
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let written = match runtime.block_on(write(&loaded.settings, &starts)) {
        Ok(written) => written,
        Err(why) => {
            writeln!(io.err, "error: {why}")?;
            return Ok(code::FAILED);
        }
    };
    writeln!(
        io.out,
        "{} written; {} known to the store already, {} without one, {} not in the schedule",
        plural(written.written, "last run", "last runs"),
        written.known,
        never,
        absent
    )?;
    let age = now.micros_since(export.exported_at.0);
    if age > OLD {
        writeln!(
            io.err,
            "warning: the export is {} minutes old: what Celery's beat sent since will be sent again, unless it was stopped before",
            age / 60_000_000
        )?;
    }
    Ok(code::OK)
}

/// Where `entry` goes on; `None` when it begins with the first start.
fn start<'a>(
    exported: &Exported,
    entry: &'a Arc<Entry>,
    exported_at: Timestamp,
) -> Option<Start<'a>> {
    let last = exported.last_run_at.map(|at| at.0);
    let from = match (last, exported.start_at) {
        // It never ran: due from its start on, and once if that is past.
        (None, Some(at)) if at.0 > exported_at => return None,
        (None, Some(at)) => at.0.plus_micros(-1),
        _ => exported.counts_from?.0,
    };
    // A disabled entry counts from when it is enabled.
    (entry.policy.enabled && from > Timestamp::EPOCH).then_some(Start {
        entry,
        from,
        last,
        count: exported.total_run_count,
    })
}

/// Holds the lease while it writes.
async fn write(settings: &Settings, starts: &[Start<'_>]) -> Result<Written, String> {
    let host = rustix::system::uname();
    let links = Links::new(settings, &host.nodename().to_string_lossy());
    let mut lease = links.lease(settings);
    let term = match lease.campaign(settings.lease_ttl, Term(0)).await {
        Ok(Campaign::Won(term)) => term,
        Ok(Campaign::Held { holder, .. }) => {
            let holder = match holder.as_str() {
                "" => "another process on this host".to_owned(),
                holder => line(holder),
            };
            return Err(format!(
                "{holder} leads: stop every instance first; last runs are written before the first start"
            ));
        }
        Err(error) => return Err(error.to_string()),
    };
    let written = record(&links, settings, &mut lease, term, starts).await;
    // The lease ends by itself if this fails.
    let _ = lease.resign(term).await;
    written
}

async fn record(
    links: &Links,
    settings: &Settings,
    lease: &mut impl Lease,
    term: Term,
    starts: &[Start<'_>],
) -> Result<Written, String> {
    let again = |error: StoreError| format!("{error}; run it again, what is written stays");
    let mut ledger = links.ledger(settings);
    let mut written = Written::default();
    // At least one round: a store that lost its data is no place to write to.
    let mut rounds = starts.chunks(CHUNK).collect::<Vec<_>>();
    if rounds.is_empty() {
        rounds.push(&[]);
    }
    for round in rounds {
        let names: Vec<_> = round.iter().map(|s| Arc::clone(&s.entry.name)).collect();
        let loaded = ledger.load(&names).await.map_err(again)?;
        let birth = match loaded.birth.as_deref() {
            Some(FRESH) => Some(Uuid::new_v4().simple().to_string()),
            Some(_) => None,
            None => {
                return Err(
                    "the store lost its data: start beat once, so that it can take that in, then stop it"
                        .to_owned(),
                );
            }
        };
        let writes: Vec<Write> = round
            .iter()
            .zip(&loaded.recorded)
            .filter(|(_, recorded)| **recorded == Recorded::default())
            .map(|(start, _)| start.write())
            .collect();
        let conflicts = ledger
            .enrol(term, birth.as_deref(), &writes)
            .await
            .map_err(again)?;
        written.written += writes.len() - conflicts.len();
        written.known += round.len() - writes.len() + conflicts.len();
        let renewed = lease.renew(term, settings.lease_ttl).await;
        renewed.map_err(again)?;
    }
    Ok(written)
}

impl Start<'_> {
    /// As the leader would have written it when the last run was published.
    fn write(&self) -> Write {
        let policy = &self.entry.policy;
        let record = Record {
            anchor: self.from,
            timing: self.entry.timing,
            enabled: policy.enabled,
            max_runs: policy.max_runs,
            task_id: None,
            sent_at: None,
            removed_at: None,
        };
        Write {
            entry: Arc::clone(&self.entry.name),
            expected: String::new(),
            record: Some(record.to_json()),
            from: Some(self.from),
            last: self.last,
            count: (self.count > 0).then_some(self.count),
        }
    }
}
