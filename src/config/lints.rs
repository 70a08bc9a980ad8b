//! The lints of `check`.

use std::collections::BTreeSet;

use super::diagnose::{Collector, Finding, Place};
use super::lint::Lint;
use super::settings::Settings;
use super::source::Source;
use crate::clock::Timestamp;
use crate::message::Value;
use crate::timetable::{EntryName, Timetable};

/// What the lints know about an entry beside what was compiled.
pub(super) struct Linted {
    pub name: EntryName,
    pub place: Place,
    pub allow: BTreeSet<Lint>,
    pub expires: Option<Value>,
}

pub(super) fn run(
    settings: &Settings,
    timetable: &Timetable,
    linted: &[Linted],
    files: &[Source],
    now: Timestamp,
    out: &mut Collector,
) {
    let _ = (settings, timetable, linted, files, now, out);
}
