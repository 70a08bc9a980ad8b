//! What an instance does, step by step: `daemon::metronome` and `daemon::office`.

use crate::instance::{Chunk, Instance, Memory, Metronome, Plan, SKIP};
use crate::scripts::{Record, Reply, Request, Write};
use crate::world::{Envelope, Misfire, Rule, State, World};

impl World {
    /// An answer arrives.
    pub fn answer(&self, state: &mut State, place: u8, request: Request, reply: Reply) {
        let instance = &mut state.instances[usize::from(place)];
        match (reply, instance.metronome) {
            (Reply::Won(term), _) if term <= instance.led && self.has(Rule::TermIsLedOnce) => {
                // `resign.lua`: what was sent in that term must not meet a second plan.
                if state.store.lease == Some(instance.holder(place, term))
                    && state.left.expiries > 0
                {
                    state.left.expiries -= 1;
                    state.store.lease = None;
                }
            }
            (Reply::Won(term), _) => {
                state.ghost.led_twice |= term <= instance.led;
                instance.led = term;
                instance.seen = instance.seen.max(term);
                instance.elector.term = term;
                instance.elector.windows |= 1 << term;
            }
            (Reply::Held(term), _) => instance.seen = instance.seen.max(term),
            (
                Reply::Ambiguous,
                Metronome::Enrolling {
                    term, now, before, ..
                },
            ) if matches!(request, Request::Enrol { .. }) => {
                instance.metronome = back(term, now, before);
            }
            (Reply::Ambiguous, _) => {}
            (Reply::Deposed, _) => {
                self.leave(state, place);
                // The elector is told.
                let instance = &mut state.instances[usize::from(place)];
                if let Request::Enrol { holder, .. } | Request::Commit { holder, .. } = request
                    && holder.term == instance.elector.term
                {
                    instance.elector.term = 0;
                }
            }
            (
                Reply::Conflict,
                Metronome::Enrolling {
                    term, now, before, ..
                },
            ) => {
                instance.metronome = back(term, now, before);
            }
            (Reply::Done(_), Metronome::Enrolling { term, plan, .. }) => {
                instance.metronome = Metronome::Planned { term, plan };
                instance.memory = Memory {
                    birth: true,
                    plan: None,
                    since: None,
                };
            }
            (
                Reply::Done(last),
                Metronome::Committing {
                    term,
                    mut plan,
                    chunk,
                },
            ) => {
                if let Request::Commit { .. } = request
                    && !self.has(Rule::PublishAndRecordAtOnce)
                {
                    state.send(Envelope {
                        from: place,
                        awaited: true,
                        request: Request::Record { chunk },
                    });
                    return;
                }
                if chunk.misfire == SKIP {
                    plan.from = plan.from.max(chunk.until);
                } else {
                    plan.last = plan.last.max(last);
                }
                instance.metronome = Metronome::Planned { term, plan };
            }
            (reply, metronome) => unreachable!("{reply:?} for {metronome:?}"),
        }
    }

    /// The metronome takes its next step; whether there is one.
    pub fn proceed(&self, state: &mut State, place: u8) -> bool {
        let instance = &state.instances[usize::from(place)];
        let elector = instance.elector;
        match instance.metronome {
            Metronome::Out => {
                if elector.term == 0 {
                    return false;
                }
                let wall = self.wall(state, place);
                let memory = &mut state.instances[usize::from(place)].memory;
                let since = if self.has(Rule::NowOfThisTerm) {
                    None
                } else {
                    memory.since
                };
                let now = since.unwrap_or(wall);
                if !self.has(Rule::NowOfThisTerm) {
                    memory.since = Some(now);
                }
                self.take(state, place, elector.term, now);
            }
            metronome if metronome.term() != elector.term => self.leave(state, place),
            Metronome::Entering { term, now } => self.take(state, place, term, now),
            Metronome::Enrolling { .. } => return false,
            Metronome::Planned { term, plan } => {
                let reloaded = plan.version != instance.version;
                let at = if reloaded {
                    instance.loaded_at
                } else {
                    self.wall(state, place)
                };
                match plan.due(self.misfire, at) {
                    Some(chunk) => return self.commit(state, place, term, plan, chunk),
                    None if reloaded => self.change(state, place, term, plan),
                    None => return false,
                }
            }
            Metronome::Committing { term, plan, chunk } => {
                return self.commit(state, place, term, plan, chunk);
            }
        }
        true
    }

    fn commit(&self, state: &mut State, place: u8, term: u8, plan: Plan, chunk: Chunk) -> bool {
        let instance = &mut state.instances[usize::from(place)];
        if !instance.elector.trusts(term) {
            return false;
        }
        instance.metronome = Metronome::Committing { term, plan, chunk };
        let holder = instance.holder(place, term);
        state.send(Envelope {
            from: place,
            awaited: true,
            request: Request::Commit { holder, chunk },
        });
        true
    }

    /// The term is over for the metronome.
    fn leave(&self, state: &mut State, place: u8) {
        let instance = &mut state.instances[usize::from(place)];
        let elector = instance.elector;
        let left = std::mem::take(&mut instance.metronome);
        let plan = match left {
            Metronome::Planned { term, plan }
            | Metronome::Committing { term, plan, .. }
            | Metronome::Enrolling {
                term,
                before: Some(plan),
                ..
            } => Some((term, plan)),
            _ => None,
        };
        if !self.has(Rule::MemoryOnlyWhileTrusted) {
            instance.memory.plan = plan.filter(|_| elector.is_trusting());
        } else if let Some((term, _)) = plan {
            instance.memory.plan = plan.filter(|_| elector.trusts(term));
        }
    }

    /// `office::take`.
    fn take(&self, state: &mut State, place: u8, term: u8, now: u8) {
        let instance = &state.instances[usize::from(place)];
        let mut memory = instance.memory;
        if self.has(Rule::MemoryOnlyWhileTrusted) {
            memory.plan = memory
                .plan
                .filter(|&(term, _)| instance.elector.trusts(term));
        }
        let store = &state.store;
        let birth = !store.birth;
        let lost = birth && memory.birth;
        let (mut last, mut from, mut record) = (store.last, store.from, store.record);
        let mut afresh = record.is_none();
        if lost {
            let known = memory.plan.map(|(_, plan)| plan);
            afresh = known.is_none();
            record = Some(Record {
                version: instance.version,
                anchor: known.map_or(now, |plan| plan.anchor),
                sent: 0,
            });
            last = last.max(known.map_or(0, |plan| plan.last));
            from = from.max(Some(known.map_or(now, |plan| plan.from)));
        }
        let (plan, news) = enrol(
            instance,
            record,
            from,
            last,
            instance.loaded_at,
            now,
            self.misfire,
        );
        if !news && !birth {
            let instance = &mut state.instances[usize::from(place)];
            instance.metronome = Metronome::Planned { term, plan };
            instance.memory = Memory {
                birth: true,
                plan: None,
                since: None,
            };
            return;
        }
        if lost
            && afresh
            && state.ghost.leads_at_loss.is_some_and(|holder| {
                holder.instance == instance.name(usize::from(place))
                    && instance.elector.trusts(holder.term)
            })
        {
            state.ghost.forgot = true;
        }
        let instance = &state.instances[usize::from(place)];
        let write = Write {
            birth,
            expected: state.store.record,
            record: written(record, &plan),
            from: plan.from,
            last: if birth { last } else { 0 },
            drops: record.is_some_and(|record| record.version != plan.version),
            afresh,
        };
        let holder = instance.holder(place, term);
        state.instances[usize::from(place)].metronome = Metronome::Enrolling {
            term,
            now,
            plan,
            before: None,
        };
        state.send(Envelope {
            from: place,
            awaited: true,
            request: Request::Enrol { holder, write },
        });
    }

    /// `office::change`.
    fn change(&self, state: &mut State, place: u8, term: u8, before: Plan) {
        let now = self.wall(state, place);
        let instance = &state.instances[usize::from(place)];
        let store = &state.store;
        let (plan, news) = enrol(
            instance,
            store.record,
            store.from,
            store.last,
            instance.loaded_at,
            now,
            self.misfire,
        );
        let plan = Plan {
            able: before.able,
            ..plan
        };
        if !news {
            state.instances[usize::from(place)].metronome = Metronome::Planned { term, plan };
            return;
        }
        let write = Write {
            birth: false,
            expected: store.record,
            record: written(store.record, &plan),
            from: plan.from,
            last: 0,
            drops: store.record.is_some(),
            afresh: store.record.is_none(),
        };
        let holder = instance.holder(place, term);
        state.instances[usize::from(place)].metronome = Metronome::Enrolling {
            term,
            now,
            plan,
            before: Some(before),
        };
        state.send(Envelope {
            from: place,
            awaited: true,
            request: Request::Enrol { holder, write },
        });
    }
}

/// Where a failed enrolment leads back to.
fn back(term: u8, now: u8, before: Option<Plan>) -> Metronome {
    match before {
        Some(plan) => Metronome::Planned { term, plan },
        None => Metronome::Entering { term, now },
    }
}

/// The record that goes with `plan`; what it keeps of the one before.
fn written(before: Option<Record>, plan: &Plan) -> Record {
    Record {
        version: plan.version,
        anchor: plan.anchor,
        sent: before.map_or(0, |record| record.sent),
    }
}

/// `plan::enrol`: where the entry stands, and whether that must be recorded first.
fn enrol(
    instance: &Instance,
    record: Option<Record>,
    from: Option<u8>,
    last: u8,
    changed_at: u8,
    now: u8,
    misfire: Misfire,
) -> (Plan, bool) {
    let version = instance.version;
    let able = if misfire == Misfire::Skip { now } else { 0 };
    let Some(record) = record else {
        return (
            Plan {
                version,
                anchor: now,
                from: now,
                last,
                able,
            },
            true,
        );
    };
    let stored = from.unwrap_or(record.anchor);
    let plan = Plan {
        version,
        anchor: record.anchor,
        from: stored,
        last,
        able,
    };
    if record.version == version {
        return (plan, from.is_none());
    }
    (
        Plan {
            anchor: changed_at,
            from: plan.base().max(changed_at),
            ..plan
        },
        true,
    )
}
