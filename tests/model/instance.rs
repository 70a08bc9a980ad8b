//! What an instance is: its elector, its metronome, what it remembers.

use crate::scripts::{Holder, Request};
use crate::world::{Envelope, Misfire};

/// Most fire times of a chunk.
const CHUNK: usize = 2;

/// One instance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Instance {
    /// Grows with each start: part of its id.
    pub incarnation: u8,
    /// The schedule it has loaded.
    pub version: u8,
    /// When it loaded it.
    pub loaded_at: u8,
    /// The highest term it has seen.
    pub seen: u8,
    /// The last term that it led for.
    pub led: u8,
    /// The task that holds the lease.
    pub elector: Elector,
    /// The task that fires.
    pub metronome: Metronome,
    /// What outlives a term.
    pub memory: Memory,
}

/// The elector.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Elector {
    /// The term it leads for; 0 for a standby.
    pub term: u8,
    /// Terms whose trust window is open, one bit each.
    pub windows: u8,
}

impl Elector {
    /// Whether the trust window of `term` is open.
    pub fn trusts(self, term: u8) -> bool {
        self.windows & (1 << term) != 0
    }

    /// Whether it would act on its lease.
    pub fn is_trusting(self) -> bool {
        self.term > 0 && self.trusts(self.term)
    }

    /// The oldest window closes.
    pub fn distrust(&mut self) {
        self.windows &= self.windows.wrapping_sub(1);
    }
}

/// The metronome.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Metronome {
    /// Waits to lead.
    #[default]
    Out,
    /// Reads the ledger next.
    Entering {
        /// The term.
        term: u8,
        /// The instant that counts for what was never recorded.
        now: u8,
    },
    /// Has sent what must be recorded before it fires.
    Enrolling {
        /// As before.
        term: u8,
        /// As before.
        now: u8,
        /// What it will go by.
        plan: Plan,
        /// Where it goes back to when that fails: a running plan that is changed.
        before: Option<Plan>,
    },
    /// Fires when something is due.
    Planned {
        /// The term.
        term: u8,
        /// What it goes by.
        plan: Plan,
    },
    /// Has sent a chunk; sends it again until it is answered.
    Committing {
        /// The term.
        term: u8,
        /// What it goes by.
        plan: Plan,
        /// The chunk.
        chunk: Chunk,
    },
}

/// Where the entry stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Plan {
    /// The schedule.
    pub version: u8,
    /// When it was recorded first, or changed.
    pub anchor: u8,
    /// Fire times up to here are not looked for.
    pub from: u8,
    /// Last one pushed.
    pub last: u8,
    /// Since when this leader could fire.
    pub able: u8,
}

/// What an instance remembers from before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Memory {
    /// It has seen the mark of the store's data.
    pub birth: bool,
    /// The plan of a term whose trust window was open when the term ended.
    pub plan: Option<(u8, Plan)>,
    /// "Now" of a term that came to nothing.
    pub since: Option<u8>,
}

/// Items of the one entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chunk {
    /// The schedule.
    pub version: u8,
    /// The anchor that goes into the record.
    pub anchor: u8,
    /// Where the entry stands.
    pub after: u8,
    /// The last fire time that is settled.
    pub until: u8,
    /// Fires every one, only the last one, or none.
    pub misfire: u8,
}

/// One item of a chunk.
#[derive(Debug, Clone, Copy)]
pub struct Item {
    /// The fire time.
    pub time: u8,
    /// Fire, or only skip.
    pub fires: bool,
    /// The first of the times that it passes over.
    pub skips_from: u8,
}

const EVERY: u8 = 0;
const LAST: u8 = 1;
/// Skips all of them.
pub const SKIP: u8 = 2;

/// Whether schedule `version` has a fire time at `time`.
fn grid(version: u8, time: u8) -> bool {
    version == 0 || time.is_multiple_of(2)
}

impl Chunk {
    /// Its items.
    pub fn items(self) -> Vec<Item> {
        if self.misfire != EVERY {
            let fires = self.misfire == LAST;
            return vec![Item {
                time: self.until,
                fires,
                skips_from: self.after + 1,
            }];
        }
        let mut skips_from = self.after + 1;
        let times = (self.after + 1..=self.until).filter(|&time| grid(self.version, time));
        let item = |time| Item {
            time,
            fires: true,
            skips_from: std::mem::replace(&mut skips_from, time + 1),
        };
        times.map(item).collect()
    }
}

impl Metronome {
    /// The term it acts for; 0 for none.
    pub fn term(self) -> u8 {
        match self {
            Self::Out => 0,
            Self::Entering { term, .. }
            | Self::Enrolling { term, .. }
            | Self::Planned { term, .. }
            | Self::Committing { term, .. } => term,
        }
    }
}

impl Plan {
    /// After which the next fire time is looked for.
    pub fn base(self) -> u8 {
        self.from.max(self.last)
    }

    /// What is due at `now`.
    pub fn due(self, misfire: Misfire, now: u8) -> Option<Chunk> {
        let due: Vec<u8> = (self.base() + 1..=now)
            .filter(|&time| grid(self.version, time))
            .collect();
        let newest = *due.last()?;
        let (until, misfire) = match misfire {
            Misfire::All => (due[due.len().min(CHUNK) - 1], EVERY),
            Misfire::Latest => (newest, LAST),
            Misfire::Skip if newest >= self.able => (newest, LAST),
            Misfire::Skip => (newest, SKIP),
        };
        Some(Chunk {
            version: self.version,
            anchor: self.anchor,
            after: self.base(),
            until,
            misfire,
        })
    }
}

impl Instance {
    /// The id under which it stands for election.
    pub fn name(&self, place: usize) -> u8 {
        self.incarnation * 3 + u8::try_from(place).unwrap()
    }

    /// Stands for election.
    pub fn campaign(&self, place: u8) -> Envelope {
        let request = Request::Campaign {
            instance: self.name(usize::from(place)),
            seen: self.seen,
        };
        Envelope {
            from: place,
            awaited: false,
            request,
        }
    }

    /// Its name in the lease.
    pub fn holder(&self, place: u8, term: u8) -> Holder {
        Holder {
            instance: self.name(usize::from(place)),
            term,
        }
    }
}
