//! Which clock is right.
//!
//! Now is the machine's own wall clock. A disagreement of more than a minute is put to a vote of
//! three: that clock, the store's, and the past. The past is what the own clock said before it was
//! set, carried on by a clock that is never set; or what the ledger holds, where that lies ahead of
//! now. Two that are within a minute of each other are right.

use std::time::Duration;

use crate::clock::Timestamp;

/// Clocks this close agree; µs.
pub const TOLERANCE: i64 = 60_000_000;
/// A larger difference between own and store's clock is worth a warning; µs.
const SKEW: i64 = 1_000_000;
/// Smaller changes are how clocks are disciplined, not steps; µs.
const STEP: i64 = 500_000;

/// Both clocks of this machine, read together.
#[derive(Debug, Clone, Copy)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The clock that is never set.
    pub boot: Duration,
}

impl Reading {
    /// How far `wall` is ahead of the clock that is never set, µs. Constant until one is set.
    #[must_use]
    pub fn offset(self) -> i64 {
        let boot = i64::try_from(self.boot.as_micros()).unwrap_or(i64::MAX);
        self.wall.as_micros().saturating_sub(boot)
    }

    /// The instant of this reading on a clock with that [`Reading::offset`].
    #[must_use]
    fn on(self, offset: i64) -> Timestamp {
        self.wall.plus_micros(offset.saturating_sub(self.offset()))
    }
}

/// What a look at the clocks brought to light; amounts are µs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finding {
    /// The own clock was set, by so much; positive is forward.
    Step(i64),
    /// The store's clock is so far ahead.
    Skew(i64),
    /// Store and past agree against the own clock: the store's, so far ahead, rules from now on.
    OwnOutvoted(i64),
    /// The own clock agrees with the store's again and rules.
    OwnAgain,
    /// Own and store's clock agree that the past was wrong; the own clock was set by so much.
    PastOutvoted(i64),
    /// Own clock and past agree against the store's, which is so far ahead; the own clock rules.
    StoreOutvoted(i64),
    /// All three differ; the own clock rules, the store's is so far ahead.
    Undecided(i64),
}

/// What was found, and what follows for the plan.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// In the order in which it should be said.
    pub findings: Vec<Finding>,
    /// Now has jumped, by either clock.
    pub jumped: bool,
    /// What is recorded ahead of now was written by a wrong clock.
    pub rebase: bool,
}

/// The clocks as they were at the last look.
#[derive(Debug)]
pub struct Clocks {
    /// Offset of the own clock.
    own: i64,
    /// Offset of the store's.
    store: Option<i64>,
    /// The own clock is outvoted.
    by_store: bool,
    /// The store's clock differs by more than [`TOLERANCE`], and that was said.
    disputed: bool,
    /// The store's clock differs by more than [`SKEW`], and that was said.
    skewed: bool,
}

impl Clocks {
    /// Before anything is known of other clocks.
    #[must_use]
    pub fn new(reading: Reading) -> Self {
        Self {
            own: reading.offset(),
            store: None,
            by_store: false,
            disputed: false,
            skewed: false,
        }
    }

    /// The instant of `reading` by the clock that rules.
    #[must_use]
    pub fn now(&self, reading: Reading) -> Timestamp {
        match self.store {
            Some(store) if self.by_store => reading.on(store),
            _ => reading.wall,
        }
    }

    /// Compares the clocks; `store` is the [`Reading::offset`] of the store's clock, if it was heard.
    pub fn look(&mut self, reading: Reading, store: Option<i64>) -> Look {
        let mut look = Look::default();
        let own = reading.offset();
        let past = std::mem::replace(&mut self.own, own);
        self.store = store.or(self.store);
        let step = own.saturating_sub(past);
        if step.abs() >= STEP {
            look.findings.push(Finding::Step(step));
            look.jumped = !self.by_store;
        }
        let Some(store) = self.store else {
            // Nobody else to ask: a clock that was set is right now.
            look.rebase = step < -TOLERANCE;
            return look;
        };
        let ahead = store.saturating_sub(own);
        if self.by_store {
            if agree(store, own) {
                self.by_store = false;
                look.jumped = true;
                look.findings.push(Finding::OwnAgain);
            }
        } else if step.abs() > TOLERANCE {
            if agree(store, own) {
                look.rebase = step < 0;
                look.findings.push(Finding::PastOutvoted(step));
            } else if agree(store, past) {
                self.by_store = true;
                look.jumped = false;
                look.findings.push(Finding::OwnOutvoted(ahead));
            } else {
                look.findings.push(Finding::Undecided(ahead));
            }
            self.disputed = !agree(store, own);
        } else if agree(store, own) {
            self.disputed = false;
        } else if !std::mem::replace(&mut self.disputed, true) {
            look.findings.push(Finding::StoreOutvoted(ahead));
        }
        if ahead.abs() <= SKEW {
            self.skewed = false;
        } else if !std::mem::replace(&mut self.skewed, true) && agree(store, own) {
            look.findings.push(Finding::Skew(ahead));
        }
        look
    }

    /// Whether [`Clocks::hear_past`] could decide anything: two clocks differ, and neither rules
    /// over the other yet.
    #[must_use]
    pub fn ask_the_past(&self) -> bool {
        !self.by_store && self.store.is_some_and(|store| !agree(store, self.own))
    }

    /// Hears the ledger as the voice of the past: instants that it holds, of which only those
    /// ahead of now say anything.
    pub fn hear_past(
        &mut self,
        reading: Reading,
        recorded: impl IntoIterator<Item = Timestamp>,
    ) -> Option<Finding> {
        let store = self.store.filter(|_| self.ask_the_past())?;
        let (own, stores) = (reading.wall, reading.on(store));
        let agrees = |at: Timestamp| {
            at.micros_since(own) > TOLERANCE && at.micros_since(stores).abs() <= TOLERANCE
        };
        if !recorded.into_iter().any(agrees) {
            return None;
        }
        self.by_store = true;
        Some(Finding::OwnOutvoted(store.saturating_sub(self.own)))
    }

    /// Whether what the ledger holds ahead of now has no say: nobody contradicts the clock that
    /// rules.
    #[must_use]
    pub fn are_sure(&self) -> bool {
        self.by_store || self.store.is_none_or(|store| agree(store, self.own))
    }
}

fn agree(one: i64, other: i64) -> bool {
    one.abs_diff(other) <= TOLERANCE.unsigned_abs()
}

/// Whether `at` lies so far ahead of `now` that only a wrong clock can have written it.
#[must_use]
pub fn is_ahead(at: Timestamp, now: Timestamp) -> bool {
    at.micros_since(now) > TOLERANCE
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000_000;
    const START: i64 = 1_800_000_000_000_000;

    fn at(offset: i64, boot: u64) -> Reading {
        let boot = Duration::from_secs(boot);
        Reading {
            wall: Timestamp::from_micros(START + offset).plus(boot),
            boot,
        }
    }

    /// Own clock before, own clock after and the store's, as µs of error; who rules by how much.
    #[test]
    fn two_of_three_are_right() {
        use Finding::{OwnOutvoted, PastOutvoted, Step, StoreOutvoted, Undecided};
        type Case = (&'static str, i64, i64, Option<i64>, Vec<Finding>, i64, bool);
        let cases: [Case; 9] = [
            ("nothing", 0, 0, Some(0), vec![], 0, false),
            (
                "own ahead",
                0,
                HOUR,
                Some(0),
                vec![Step(HOUR), OwnOutvoted(-HOUR)],
                0,
                false,
            ),
            (
                "own back",
                0,
                -HOUR,
                Some(0),
                vec![Step(-HOUR), OwnOutvoted(HOUR)],
                0,
                false,
            ),
            (
                "mended back",
                HOUR,
                0,
                Some(0),
                vec![Step(-HOUR), PastOutvoted(-HOUR)],
                0,
                true,
            ),
            (
                "mended forward",
                -HOUR,
                0,
                Some(0),
                vec![Step(HOUR), PastOutvoted(HOUR)],
                0,
                false,
            ),
            (
                "store wrong",
                0,
                0,
                Some(HOUR),
                vec![StoreOutvoted(HOUR)],
                0,
                false,
            ),
            (
                "three opinions",
                0,
                HOUR,
                Some(-HOUR),
                vec![Step(HOUR), Undecided(-2 * HOUR)],
                HOUR,
                false,
            ),
            (
                "no store, ahead",
                0,
                HOUR,
                None,
                vec![Step(HOUR)],
                HOUR,
                false,
            ),
            (
                "no store, back",
                0,
                -HOUR,
                None,
                vec![Step(-HOUR)],
                -HOUR,
                true,
            ),
        ];
        for (reason, before, after, store, findings, rules, rebase) in cases {
            let mut clocks = Clocks::new(at(before, 0));
            let look = clocks.look(at(after, 5), store.map(|error| at(error, 5).offset()));
            assert_eq!(look.findings, findings, "{reason}");
            assert_eq!(look.rebase, rebase, "{reason}");
            assert_eq!(clocks.now(at(after, 5)), at(rules, 5).wall, "{reason}");
        }
    }

    #[test]
    fn the_own_clock_rules_again_once_it_agrees() {
        let mut clocks = Clocks::new(at(0, 0));
        let store = Some(at(0, 0).offset());
        clocks.look(at(HOUR, 1), store);
        assert_eq!(clocks.look(at(HOUR, 2), store), Look::default());
        let back = clocks.look(at(0, 3), store);
        assert_eq!(back.findings, [Finding::Step(-HOUR), Finding::OwnAgain]);
        assert_eq!(clocks.now(at(0, 3)), at(0, 3).wall);
    }

    #[test]
    fn small_steps_and_skews_are_said_once_and_change_nothing() {
        let mut clocks = Clocks::new(at(0, 0));
        let store = Some(at(0, 0).offset());
        let look = clocks.look(at(-2_000_000, 1), store);
        assert_eq!(
            look.findings,
            [Finding::Step(-2_000_000), Finding::Skew(2_000_000)]
        );
        assert!(!look.rebase && look.jumped);
        assert_eq!(clocks.look(at(-2_000_000, 2), store), Look::default());
    }

    #[test]
    fn a_ledger_ahead_of_now_outvotes_the_clock_only_with_the_store() {
        let recorded = [at(-HOUR, 0).wall, at(0, 0).wall];
        for (reason, store, outvoted) in [
            ("the store agrees with the ledger", Some(0), true),
            ("the store agrees with the clock", Some(-HOUR), false),
            ("the store agrees with nobody", Some(HOUR), false),
            ("no store", None, false),
        ] {
            let mut clocks = Clocks::new(at(-HOUR, 0));
            clocks.look(at(-HOUR, 1), store.map(|error| at(error, 1).offset()));
            let heard = clocks.hear_past(at(-HOUR, 1), recorded);
            assert_eq!(
                heard,
                outvoted.then_some(Finding::OwnOutvoted(HOUR)),
                "{reason}"
            );
            let sure = outvoted || store != Some(HOUR);
            assert_eq!(clocks.are_sure(), sure, "{reason}");
        }
    }
}
