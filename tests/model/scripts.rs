//! What Redis holds and what its scripts do, named and ordered as `src/store/redis/lua`.

use crate::instance::Chunk;
use crate::world::{Envelope, Rule, State, World};

/// `<instance>/<term>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Holder {
    /// Unique for each start of an instance.
    pub instance: u8,
    /// Its term.
    pub term: u8,
}

/// The text of a record: its fields decide whether two are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Record {
    /// The timing that was recorded.
    pub version: u8,
    /// When it was recorded first.
    pub anchor: u8,
    /// The task id of the last message: a function of its fire time.
    pub sent: u8,
}

/// All keys of one entry. A time of 0 is none, but for `from`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// `leader`.
    pub lease: Option<Holder>,
    /// `term`.
    pub term: u8,
    /// `birth`.
    pub birth: bool,
    /// `last`.
    pub last: u8,
    /// `from`.
    pub from: Option<u8>,
    /// `entries`.
    pub record: Option<Record>,
    /// An operator's trigger waits in `control`.
    pub requested: bool,
    /// `control_cursor` has passed it.
    pub carried: bool,
}

/// A call of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Request {
    /// `campaign.lua`, by the instance of that id.
    Campaign {
        /// The candidate.
        instance: u8,
        /// The highest term that it has seen.
        seen: u8,
    },
    /// `enrol.lua`.
    Enrol {
        /// Who says that it leads.
        holder: Holder,
        /// What is to be written.
        write: Write,
    },
    /// `commit.lua`.
    Commit {
        /// Who says that it leads.
        holder: Holder,
        /// The items.
        chunk: Chunk,
    },
    /// `control.lua`, with a trigger.
    Control {
        /// Who says that it leads.
        holder: Holder,
    },
    /// The second half of a commit, where it is two.
    Record {
        /// The items.
        chunk: Chunk,
    },
}

impl Request {
    /// Whose lease is checked.
    pub fn holder(&self) -> Option<Holder> {
        match *self {
            Self::Enrol { holder, .. } | Self::Commit { holder, .. } | Self::Control { holder } => {
                Some(holder)
            }
            Self::Campaign { .. } | Self::Record { .. } => None,
        }
    }
}

/// What `enrol.lua` is to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Write {
    /// A new mark of the store's data.
    pub birth: bool,
    /// The record as it was read.
    pub expected: Option<Record>,
    /// The new one.
    pub record: Record,
    /// `from`, always written.
    pub from: u8,
    /// `last`, written unless it is none.
    pub last: u8,
    /// Fire times up to here are dropped by this change, and counted.
    pub drops: bool,
    /// Nothing is known of what was before.
    pub afresh: bool,
}

/// What a script answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reply {
    /// A campaign is won.
    Won(u8),
    /// Another instance holds the lease.
    Held(u8),
    /// Done; the last fire time pushed by now.
    Done(u8),
    /// The record is not the one expected.
    Conflict,
    /// The lease is not the caller's.
    Deposed,
    /// No answer.
    Ambiguous,
}

impl World {
    /// Executes a request.
    pub fn run(&self, state: &mut State, Envelope { request, .. }: Envelope) -> Reply {
        match request {
            Request::Campaign { instance, seen } => Self::run_campaign(state, instance, seen),
            Request::Enrol { holder, write } => {
                if self.is_refused(state, holder, Rule::LeaseOnEnrol) {
                    return Reply::Deposed;
                }
                run_enrol(state, write)
            }
            Request::Commit { holder, chunk } => {
                if self.is_refused(state, holder, Rule::LeaseOnCommit) {
                    return Reply::Deposed;
                }
                self.run_commit(state, chunk)
            }
            Request::Control { holder } => {
                if self.is_refused(state, holder, Rule::LeaseOnCommit) {
                    return Reply::Deposed;
                }
                if !(self.has(Rule::CompareCursor) && state.store.carried) {
                    state.ghost.triggered = (state.ghost.triggered + 1).min(2);
                }
                state.store.carried = true;
                state.store.requested = false;
                Reply::Done(state.store.last)
            }
            Request::Record { chunk } => {
                record(state, chunk);
                Reply::Done(state.store.last)
            }
        }
    }

    /// Every script but `campaign` begins with this.
    fn is_refused(&self, state: &mut State, holder: Holder, rule: Rule) -> bool {
        let held = state.store.lease == Some(holder);
        if self.has(rule) {
            return !held;
        }
        state.ghost.intruded |= !held;
        false
    }

    fn run_campaign(state: &mut State, instance: u8, seen: u8) -> Reply {
        let store = &mut state.store;
        if let Some(holder) = store.lease {
            if holder.instance == instance {
                return Reply::Won(holder.term);
            }
            return Reply::Held(holder.term);
        }
        let term = store.term.max(seen) + 1;
        store.term = term;
        store.lease = Some(Holder { instance, term });
        let ghost = &mut state.ghost;
        ghost.term_fell |= term <= ghost.granted;
        ghost.granted = ghost.granted.max(term);
        Reply::Won(term)
    }

    fn run_commit(&self, state: &mut State, chunk: Chunk) -> Reply {
        if !self.has(Rule::PublishAndRecordAtOnce) {
            push(state, chunk.until);
            return Reply::Done(0);
        }
        for item in chunk.items() {
            if self.has(Rule::CompareLast) && item.fires && item.time <= state.store.last {
                continue;
            }
            if item.fires {
                push(state, item.time);
                let store = &mut state.store;
                store.last = item.time;
                store.record = Some(Record {
                    version: chunk.version,
                    anchor: chunk.anchor,
                    sent: item.time,
                });
            } else {
                let from = &mut state.store.from;
                *from = (*from).max(Some(item.time));
            }
            for time in item.skips_from..item.time + u8::from(!item.fires) {
                state.ghost.skipped[usize::from(time)] = true;
            }
        }
        Reply::Done(state.store.last)
    }
}

fn push(state: &mut State, time: u8) {
    let ghost = &mut state.ghost;
    let place = usize::from(time);
    ghost.disordered |= ghost.pushed[place + 1..].iter().any(|&times| times > 0);
    ghost.pushed[place] = (ghost.pushed[place] + 1).min(2);
}

fn record(state: &mut State, chunk: Chunk) {
    for item in chunk.items() {
        state.store.last = state.store.last.max(item.time);
    }
}

fn run_enrol(state: &mut State, write: Write) -> Reply {
    let store = &mut state.store;
    if store.record == Some(write.record) || store.record == write.expected {
        let passed = store.last.max(store.from.unwrap_or(0));
        if write.drops {
            for time in passed + 1..=write.from {
                // Dropped and counted, or no fire time of the schedule that was recorded.
                state.ghost.skipped[usize::from(time)] = true;
            }
        }
        if write.afresh {
            state.ghost.floor = state.ghost.floor.max(write.from);
        }
        store.record = Some(write.record);
        store.from = Some(write.from);
        if write.last > 0 {
            store.last = write.last;
        }
    } else {
        return Reply::Conflict;
    }
    state.store.birth |= write.birth;
    Reply::Done(state.store.last)
}
