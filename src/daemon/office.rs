//! What a leader does before it fires: read the ledger, record what is new or changed.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::report;
use crate::clock::Timestamp;
use crate::observe::Facts;
use crate::plan::catch_up::{Reason, Skipped};
use crate::plan::clocks::{Clocks, Reading};
use crate::plan::enrol::News;
use crate::plan::{Enrolment, Plan, Progress, Record, Recorded, enrol, rebase};
use crate::store::{AnyLedger, FRESH, Ledger, Loaded, Paused, StoreError, Term, Write};
use crate::timetable::{Entry, EntryName, Timetable};

/// Fire times that are counted when a change drops them; more are "at least".
const MOST_COUNTED: usize = 20_000;

/// Entries that are read, recorded and planned at a time: together, the records of a hundred
/// thousand take tens of megabytes, and no allocator gives small pieces back.
const STEP: usize = 2_000;

/// What this process knows of the store from before.
#[derive(Debug, Default)]
pub struct Memory {
    /// The mark of the store's data, once seen.
    birth: Option<String>,
    /// The plan of a term that ended, and the reading of the boot clock until which nobody else
    /// can have led since: until then it is as good as the ledger was.
    pub plan: Option<(Plan, Duration)>,
    /// What was paused when this instance led last; as good as `plan` is.
    pub paused: Paused,
    /// Parts of the ledger had to be deleted: write it anew from the plan.
    pub rebuild: bool,
}

impl Memory {
    /// Forgets a plan that another leader may have gone beyond by `boot`.
    pub fn forget_before(&mut self, boot: Duration) {
        self.plan.take_if(|(_, until)| *until <= boot);
    }
}

/// Reads where every entry of `timetable` stands, records what must be, and plans.
pub async fn take(
    ledger: &mut AnyLedger,
    term: Term,
    timetable: &Timetable,
    memory: &mut Memory,
    clocks: &mut Clocks,
    reading: Reading,
    facts: &Facts,
) -> Result<Plan, StoreError> {
    let names: Vec<EntryName> = timetable.entries.keys().cloned().collect();
    let store = load(ledger, term, &[]).await?;
    if clocks.ask_the_past() {
        for names in names.chunks(STEP) {
            let loaded = load(ledger, term, names).await?;
            let recorded = loaded.recorded.iter().flat_map(instants);
            if let Some(finding) = clocks.hear_past(reading, recorded) {
                report::clocks(facts, finding);
                break;
            }
        }
    }
    let now = clocks.now(reading);
    let mut birth = None;
    let fresh = store.birth.as_deref() == Some(FRESH);
    if fresh || store.birth.is_none() {
        let mark = Uuid::new_v4().simple().to_string();
        birth = Some(mark);
    }
    // Fresh after it was seen otherwise: emptied, and then a newcomer was elected for a moment.
    let lost = store.birth.is_none() || (fresh && memory.birth.is_some());
    let remembered = memory.plan.as_ref().map(|(plan, _)| plan);
    let restores = lost || memory.rebuild;
    let anew = birth.is_some() || memory.rebuild;
    let mut paused = store.paused;
    if restores && remembered.is_some() && paused.is_empty() {
        ledger.pause(term, &memory.paused).await?;
        paused.clone_from(&memory.paused);
    }

    let mut plan = Plan::new(now);
    plan.reserve(names.len());
    let (mut damaged, mut mended) = (0, 0);
    let mut entries = timetable.entries.values();
    for names in names.chunks(STEP) {
        let mut recorded = load(ledger, term, names).await?.recorded;
        let here = recorded.iter().filter(|r| r.is_damaged()).count();
        if here > 0 && remembered.is_some() && !memory.rebuild {
            // What was there is unreadable, but this process knows it. What was written by now is
            // written once more.
            memory.rebuild = true;
            return Box::pin(take(
                ledger, term, timetable, memory, clocks, reading, facts,
            ))
            .await;
        }
        damaged += here;
        let mut stored = Vec::new();
        if restores {
            stored = recorded.iter().map(|r| r.text.clone()).collect();
            restore(&mut recorded, names, timetable, remembered, now);
        }
        let mut writes = Vec::new();
        for ((place, recorded), entry) in recorded.iter().enumerate().zip(&mut entries) {
            let mut enrolment = enrol(entry, recorded, timetable.loaded_at.min(now), now);
            count_dropped(facts, entry, recorded, &enrolment);
            let sound = clocks
                .are_sure()
                .then(|| sound(entry, &enrolment.progress, remembered, now))
                .flatten();
            let anew = anew || sound.is_some();
            if let Some(sound) = sound {
                mended += 1;
                let record = enrolment.write.take().or_else(|| recorded.record());
                enrolment.write = record.map(|record| Record {
                    anchor: sound.anchor,
                    ..record
                });
                enrolment.progress = sound;
            }
            let count = count_to_write(recorded, &enrolment, anew);
            // After a loss everything is written, not only what is new.
            let record = enrolment
                .write
                .or_else(|| recorded.record().filter(|_| anew));
            if let Some(record) = record {
                writes.push(Write {
                    entry: Arc::clone(&entry.name),
                    expected: stored.get(place).unwrap_or(&recorded.text).clone(),
                    record: Some(record.to_json()),
                    from: Some(enrolment.progress.from),
                    last: enrolment.progress.last.filter(|_| anew),
                    count,
                });
            }
            plan.set(Arc::clone(entry), enrolment.progress);
        }
        record(ledger, term, None, &writes).await?;
    }
    let gone = retire(&ledger.others(&names).await?, now);
    // The mark comes last: without it the rest is done again.
    record(ledger, term, birth.as_deref(), &gone).await?;
    if lost {
        report::state_lost(facts, memory.plan.is_some());
    } else {
        report::damaged(damaged);
    }
    report::mended(mended);
    *memory = Memory {
        birth: birth.or(store.birth),
        paused,
        ..Memory::default()
    };
    Ok(plan)
}

/// Brings a running `plan` from the schedule it has to `timetable`.
pub async fn change(
    ledger: &mut AnyLedger,
    term: Term,
    plan: &mut Plan,
    old: &Timetable,
    timetable: &Timetable,
    now: Timestamp,
    facts: &Facts,
) -> Result<(), StoreError> {
    let difference = timetable.news_since(old);
    let touched: Vec<EntryName> = difference
        .added
        .iter()
        .chain(&difference.changed)
        .cloned()
        .collect();
    let names: Vec<EntryName> = touched.iter().chain(&difference.removed).cloned().collect();
    let loaded = load(ledger, term, &names).await?;
    let mut writes = Vec::new();
    let mut standing = Vec::new();
    for (name, recorded) in names.iter().zip(&loaded.recorded) {
        let Some(entry) = timetable.entries.get(name) else {
            writes.extend(retire(&[(Arc::clone(name), recorded.text.clone())], now));
            continue;
        };
        let enrolment = enrol(entry, recorded, timetable.loaded_at.min(now), now);
        let before = old.entries.get(name).unwrap_or(entry);
        count_dropped(facts, before, recorded, &enrolment);
        if let Some(record) = &enrolment.write {
            writes.push(Write {
                entry: Arc::clone(name),
                expected: recorded.text.clone(),
                record: Some(record.to_json()),
                from: Some(enrolment.progress.from),
                last: None,
                count: count_to_write(recorded, &enrolment, false),
            });
        }
        standing.push((Arc::clone(entry), enrolment.progress));
    }
    record(ledger, term, None, &writes).await?;
    for (entry, progress) in standing {
        plan.set(entry, progress);
    }
    for name in &difference.removed {
        plan.remove(name);
    }
    Ok(())
}

/// Reads the ledger; state of the wrong shape is deleted and counts as absent.
async fn load(
    ledger: &mut AnyLedger,
    term: Term,
    names: &[EntryName],
) -> Result<Loaded, StoreError> {
    match ledger.load(names).await {
        Err(StoreError::Corrupt) => {
            report::repaired(&ledger.repair(term).await?);
            ledger.load(names).await
        }
        loaded => loaded,
    }
}

/// Writes records; what somebody else wrote meanwhile is an error that makes the caller read again.
async fn record(
    ledger: &mut AnyLedger,
    term: Term,
    birth: Option<&str>,
    writes: &[Write],
) -> Result<(), StoreError> {
    if writes.is_empty() && birth.is_none() {
        return Ok(());
    }
    let conflicts = ledger.enrol(term, birth, writes).await?;
    if conflicts.is_empty() {
        return Ok(());
    }
    Err(StoreError::Unavailable(format!(
        "{} records were changed by another instance",
        conflicts.len()
    )))
}

/// The instants that the ledger holds of an entry.
fn instants(recorded: &Recorded) -> impl Iterator<Item = Timestamp> {
    let anchor = recorded.record().map(|record| record.anchor);
    [recorded.last, recorded.from, anchor].into_iter().flatten()
}

/// What to put in the place of times far ahead of now: what this process remembers, or what can be
/// computed; `None` when there are none.
fn sound(
    entry: &Entry,
    progress: &Progress,
    remembered: Option<&Plan>,
    now: Timestamp,
) -> Option<Progress> {
    let computed = rebase(entry, progress, now)?;
    let known = remembered.and_then(|plan| plan.standing(&entry.name));
    let known = known.map(|standing| standing.progress);
    Some(
        known
            .filter(|known| rebase(entry, known, now).is_none())
            .unwrap_or(computed),
    )
}

/// The store lost its data: what a leader remembers is as good; without that nothing past is fired.
fn restore(
    recorded: &mut [Recorded],
    names: &[EntryName],
    timetable: &Timetable,
    remembered: Option<&Plan>,
    now: Timestamp,
) {
    for (name, recorded) in names.iter().zip(recorded) {
        let Some(entry) = timetable.entries.get(name) else {
            continue;
        };
        let known = remembered
            .and_then(|plan| plan.standing(name))
            .map(|standing| standing.progress);
        let anchor = known.map_or(now, |progress| progress.anchor);
        let record = Record {
            anchor,
            timing: entry.timing,
            enabled: entry.policy.enabled,
            max_runs: entry.policy.max_runs,
            task_id: None,
            sent_at: None,
            removed_at: None,
        };
        recorded.text = record.to_json();
        recorded.last = known.and_then(|progress| progress.last).max(recorded.last);
        recorded.from = Some(
            known
                .map_or(now, |progress| progress.from)
                .max(recorded.from.unwrap_or_default()),
        );
        recorded.count = known
            .map_or(0, |progress| progress.count)
            .max(recorded.count);
    }
}

/// The count, where it is not stored as it is known.
fn count_to_write(recorded: &Recorded, enrolment: &Enrolment, anew: bool) -> Option<u64> {
    let count = enrolment.progress.count;
    (count != recorded.count || (anew && count > 0)).then_some(count)
}

/// Counts the fire times that an edit dropped: passed, not fired, and not looked for any more.
///
/// `entry` is the one before the edit, if it is known.
fn count_dropped(facts: &Facts, entry: &Entry, recorded: &Recorded, enrolment: &Enrolment) {
    let Some(record) = recorded.record() else {
        return;
    };
    let reason = match enrolment.news {
        News::Changed => Reason::Changed,
        News::Switched if !record.enabled => Reason::Disabled,
        _ => return,
    };
    let finished = record.max_runs.is_some_and(|max| recorded.count >= max);
    if finished || record.removed_at.is_some() {
        return;
    }
    let until = enrolment.progress.from;
    let before = Progress {
        anchor: record.anchor,
        from: recorded.from.unwrap_or(record.anchor),
        last: recorded.last,
        count: recorded.count,
    };
    let mut after = before.base();
    let mut dropped = Vec::new();
    while dropped.len() < MOST_COUNTED
        && let Some(next) = entry.next_after(before.anchor, after)
        && next.fire_time <= until
    {
        after = next.fire_time;
        dropped.push(after);
    }
    if let (Some(&first), Some(&last)) = (dropped.first(), dropped.last()) {
        let count = u64::try_from(dropped.len()).unwrap_or(u64::MAX);
        let estimated = dropped.len() == MOST_COUNTED;
        report::skipped(
            facts,
            entry,
            &[Skipped {
                reason,
                count,
                first,
                last,
                estimated,
            }],
        );
    }
}

/// Marks entries that left the schedule, and forgets those that left long ago.
fn retire(others: &[(EntryName, String)], now: Timestamp) -> Vec<Write> {
    let mut writes = Vec::new();
    for (name, text) in others {
        let record = match Record::parse(text) {
            None => None,
            Some(record) if record.is_forgotten(now) => None,
            Some(Record {
                removed_at: Some(_),
                ..
            }) => continue,
            Some(record) => Some(
                Record {
                    removed_at: Some(now),
                    ..record
                }
                .to_json(),
            ),
        };
        writes.push(Write {
            entry: Arc::clone(name),
            expected: text.clone(),
            record,
            from: None,
            last: None,
            count: None,
        });
    }
    writes
}
