//! What daylight saving time did to a fire time, in words.

use std::fmt;

use chrono::NaiveDateTime;

use super::Schedule;
use super::crontab::{Crontab, Dst};
use super::days::list;
use super::zone::{LocalTime, Zone};
use crate::clock::{FireTime, Timestamp};

/// Slots that are named; more are counted.
const NAMED: usize = 4;

/// What happened to a fire time where local time jumps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DstNoteKind {
    /// Its local time does not exist; it fires after the gap.
    Moved,
    /// Several slots became this one.
    Merged,
    /// Its local time is shown twice and this is the second pass: the first one fired as well.
    Doubled,
}

/// A note for `preview`: the kind, and words as [`fmt::Display`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DstNote {
    /// What happened.
    pub kind: DstNoteKind,
    words: String,
}

impl fmt::Display for DstNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.words)
    }
}

pub(super) fn note(schedule: &Schedule, fire: FireTime) -> Option<DstNote> {
    match schedule {
        Schedule::Crontab(crontab) => of_crontab(crontab, fire),
        Schedule::Once(once) => once.moved_to(fire).map(moved),
        Schedule::Rrule(rrule) => rrule.moved_to(fire).map(moved),
        Schedule::AnyOf(parts) => {
            // Only parts that fire at this instant have a say.
            let before = fire.plus_micros(-1);
            parts
                .iter()
                .filter(|part| {
                    part.next_after(Timestamp::from_micros(i64::MIN), before) == Some(fire)
                })
                .find_map(|part| note(part, fire))
        }
        Schedule::Every(_) | Schedule::Solar(_) => None,
    }
}

fn of_crontab(crontab: &Crontab, fire: FireTime) -> Option<DstNote> {
    let second = fire.as_micros().div_euclid(1_000_000);
    let index = crontab.zone.span_at(second);
    let span = crontab.zone.spans().get(index)?;
    match crontab.dst {
        Dst::Elapsed => second_pass(&crontab.zone, fire),
        Dst::Once if second == span.start => {
            let mut slots = crontab.slots(span.fresh, span.local_start(), 10_000);
            if crontab.next_local(span.local_start()) == Some(span.local_start())
                && !slots.is_empty()
            {
                slots.push(span.local_start());
            }
            match slots[..] {
                [] => None,
                [slot] => Some(moved(naive(slot))),
                _ => Some(merged(&slots)),
            }
        }
        Dst::Once => None,
    }
}

fn second_pass(zone: &Zone, fire: FireTime) -> Option<DstNote> {
    let local = zone.local(fire);
    match zone.resolve(local) {
        LocalTime::Fold { second, .. } if second == fire => Some(DstNote {
            kind: DstNoteKind::Doubled,
            words: format!(
                "doubled: {} is shown twice this day, this is the second pass",
                clock(local)
            ),
        }),
        _ => None,
    }
}

fn moved(slot: NaiveDateTime) -> DstNote {
    DstNote {
        kind: DstNoteKind::Moved,
        words: format!("moved: {} does not exist this day", clock(slot)),
    }
}

fn merged(slots: &[i64]) -> DstNote {
    let words = if slots.len() > NAMED {
        let ends = [slots.first(), slots.last()]
            .map(|slot| slot.map_or_else(String::new, |s| clock(naive(*s))));
        format!(
            "merged: stands for {} slots from {} to {}",
            slots.len(),
            ends[0],
            ends[1]
        )
    } else {
        format!(
            "merged: stands for {}",
            list(slots.iter().map(|slot| clock(naive(*slot))))
        )
    };
    DstNote {
        kind: DstNoteKind::Merged,
        words,
    }
}

fn naive(local: i64) -> NaiveDateTime {
    Timestamp::from_micros(local * 1_000_000)
        .to_datetime()
        .naive_utc()
}

/// `02:30`, with seconds where there are some.
fn clock(local: NaiveDateTime) -> String {
    let time = local.time();
    if chrono::Timelike::second(&time) == 0 {
        time.format("%H:%M").to_string()
    } else {
        time.format("%H:%M:%S").to_string()
    }
}
