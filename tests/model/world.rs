//! The state that is explored, the steps between states, and what must hold in each.

use stateright::{Model, Property};

use crate::instance::{Instance, Memory, Metronome};
use crate::properties::{Ghost, properties};
use crate::scripts::{Reply, Request, Store};

/// Latest fire time of any bounds, plus one for a clock that is ahead.
pub const TIMES: usize = 5;

/// What one run explores.
#[derive(Debug, Clone, Copy)]
pub struct World {
    /// Two or three.
    pub instances: u8,
    /// The entry's policy.
    pub misfire: Misfire,
    /// How far the clock of each instance is ahead.
    pub skew: [u8; 3],
    /// How much goes wrong.
    pub bounds: Bounds,
    /// The rule that is left out.
    pub without: Option<Rule>,
}

/// The entry's `misfire`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misfire {
    /// Two fire times a chunk at most.
    All,
    /// The latest.
    Latest,
    /// None that was due before the leader took office.
    Skip,
}

/// How often each thing happens at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Bounds {
    /// How far the time goes; there is a fire time at each step.
    pub times: u8,
    /// Requests whose answer is missed: lost, executed without an answer, or late.
    pub misses: u8,
    /// Instances killed, and started again.
    pub crashes: u8,
    /// Leases that end.
    pub expiries: u8,
    /// Times at which the store loses everything.
    pub losses: u8,
    /// Instances that load a schedule with every second fire time.
    pub reloads: u8,
    /// Triggers that wait from the beginning: none or one.
    pub triggers: u8,
}

/// What the broken variants leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rule {
    /// Push and record are one step; without: publish, then record.
    PublishAndRecordAtOnce,
    /// A fire time that is recorded is not pushed.
    CompareLast,
    /// A request of an operator that the cursor has passed is not carried out.
    CompareCursor,
    /// Fires and skips check the lease.
    LeaseOnCommit,
    /// Recording entries checks the lease.
    LeaseOnEnrol,
    /// A term that an instance stepped down from is given up, not taken up again.
    TermIsLedOnce,
    /// What an instance remembers is worth something only while it would still be trusted.
    MemoryOnlyWhileTrusted,
    /// "Now" is taken when a term begins, not kept from one that came to nothing.
    NowOfThisTerm,
}

/// One state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The clock of an instance that is right.
    pub now: u8,
    /// Redis.
    pub store: Store,
    /// The instances.
    pub instances: Vec<Instance>,
    /// Requests under way, sorted.
    pub net: Vec<Envelope>,
    /// What may still go wrong.
    pub left: Bounds,
    /// What nobody in the system sees.
    pub ghost: Ghost,
}

/// A request under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Envelope {
    /// The instance.
    pub from: u8,
    /// The sender waits for the answer.
    pub awaited: bool,
    /// What is asked.
    pub request: Request,
}

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Time passes.
    Tick,
    /// The request is executed and answered.
    Execute(usize),
    /// The request is executed, the answer is lost.
    ExecuteUnheard(usize),
    /// The request is lost.
    Lose(usize),
    /// The sender gives up waiting; the request goes on.
    GiveUp(usize),
    /// The lease ends.
    Expire,
    /// The store loses everything.
    LoseData,
    /// An instance is killed and started again.
    Crash(u8),
    /// An instance loads another schedule.
    Reload(u8),
    /// A leader carries out the trigger that waits and is answered.
    Control(u8),
    /// It is carried out, the answer is lost.
    ControlUnheard(u8),
    /// Not answered, and carried out later.
    ControlLate(u8),
    /// A standby stands for election and is answered.
    Campaign(u8),
    /// It stands for election and is not answered.
    CampaignUnheard(u8),
    /// It stands for election, is not answered, and the request is executed later.
    CampaignLate(u8),
    /// The oldest trust window ends; the elector steps down if it is that of its term.
    Distrust(u8),
    /// The elector is told that the lease is lost.
    StepDown(u8),
    /// The metronome goes on.
    Proceed(u8),
}

impl World {
    /// Whether `rule` is in force.
    pub fn has(&self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    /// What the clock of `instance` reads.
    pub fn wall(&self, state: &State, instance: u8) -> u8 {
        state.now + self.skew[usize::from(instance)]
    }

    /// Executes the request at `place`; the answer reaches its sender if it is awaited and `heard`.
    fn execute(&self, state: &mut State, place: usize, heard: bool) {
        let envelope = state.net.remove(place);
        let reply = self.run(state, envelope);
        if envelope.awaited {
            let reply = if heard { reply } else { Reply::Ambiguous };
            self.answer(state, envelope.from, envelope.request, reply);
        }
    }

    /// Whether instances are interchangeable until one of them is elected.
    fn is_symmetric(&self) -> bool {
        self.skew == [0; 3]
    }

    /// Forgets what cannot matter any more, so that states which differ only in that are one.
    fn forget(&self, state: &mut State) {
        let losable = state.left.losses > 0 || !state.store.birth;
        for instance in &mut state.instances {
            let elector = &mut instance.elector;
            if !losable {
                instance.memory = Memory::default();
                // Never higher than the term that is stored.
                instance.seen = 0;
            }
            if self.bounds.reloads == 0 {
                instance.loaded_at = 0;
            }
            let remembered = instance.memory.plan.map_or(0, |(term, _)| term);
            let lost = state.ghost.leads_at_loss.map_or(0, |holder| holder.term);
            let leased = state.store.lease.map_or(0, |holder| holder.term);
            let terms = [
                elector.term,
                instance.metronome.term(),
                remembered,
                lost,
                leased,
            ];
            elector.windows &= terms.into_iter().fold(0, |terms, term| terms | 1 << term);
        }
        // A term is led for once: what is refused now is refused for good.
        let fenced = self.has(Rule::LeaseOnCommit) && self.has(Rule::LeaseOnEnrol);
        if fenced {
            let lease = state.store.lease;
            state.net.retain(|envelope| {
                envelope.awaited
                    || envelope
                        .request
                        .holder()
                        .is_none_or(|holder| lease == Some(holder))
            });
        }
    }

    fn miss(state: &mut State) -> bool {
        let left = state.left.misses > 0;
        state.left.misses = state.left.misses.saturating_sub(1);
        left
    }

    fn step(&self, state: &mut State, step: Step) -> bool {
        match step {
            Step::Tick => state.now += 1,
            Step::Execute(place) => self.execute(state, place, true),
            Step::ExecuteUnheard(place) => {
                if !Self::miss(state) {
                    return false;
                }
                self.execute(state, place, false);
            }
            Step::Lose(place) | Step::GiveUp(place) => {
                if !Self::miss(state) {
                    return false;
                }
                let envelope = state.net.remove(place);
                self.answer(state, envelope.from, envelope.request, Reply::Ambiguous);
                if matches!(step, Step::GiveUp(_)) {
                    state.send(Envelope {
                        awaited: false,
                        ..envelope
                    });
                }
            }
            Step::Expire => {
                state.left.expiries -= 1;
                state.store.lease = None;
            }
            Step::LoseData => {
                state.left.losses -= 1;
                let in_doubt = |instance: &Instance| {
                    matches!(instance.metronome, Metronome::Committing { .. })
                };
                state.ghost.excused |= state.instances.iter().any(in_doubt);
                state.ghost.lost = true;
                state.ghost.leads_at_loss = state.store.lease.filter(|holder| {
                    state.instances.iter().enumerate().any(|(place, instance)| {
                        instance.name(place) == holder.instance
                            && instance.elector.trusts(holder.term)
                            && matches!(instance.metronome, Metronome::Planned { term, .. } if term == holder.term)
                    })
                });
                state.store = Store::default();
                // See the module head: a candidacy does not outlive the data.
                state
                    .net
                    .retain(|envelope| envelope.request.holder().is_some());
            }
            Step::Crash(instance) => {
                state.left.crashes -= 1;
                let killed = &mut state.instances[usize::from(instance)];
                let version = killed.version;
                let incarnation = killed.incarnation + 1;
                *killed = Instance {
                    version,
                    loaded_at: state.now,
                    incarnation,
                    ..Instance::default()
                };
                for envelope in &mut state.net {
                    envelope.awaited &= envelope.from != instance;
                }
                state.net.sort_unstable();
            }
            Step::Reload(instance) => {
                state.left.reloads -= 1;
                let wall = self.wall(state, instance);
                let reloaded = &mut state.instances[usize::from(instance)];
                reloaded.version = 1;
                reloaded.loaded_at = wall;
            }
            Step::Campaign(instance)
            | Step::CampaignUnheard(instance)
            | Step::CampaignLate(instance) => {
                if step != Step::Campaign(instance) && !Self::miss(state) {
                    return false;
                }
                let envelope = state.instances[usize::from(instance)].campaign(instance);
                match step {
                    Step::CampaignLate(_) => state.send(envelope),
                    _ => {
                        let reply = self.run(state, envelope);
                        if step == Step::Campaign(instance) {
                            self.answer(state, instance, envelope.request, reply);
                        }
                    }
                }
            }
            Step::Control(instance)
            | Step::ControlUnheard(instance)
            | Step::ControlLate(instance) => {
                if step != Step::Control(instance) && !Self::miss(state) {
                    return false;
                }
                let one = &state.instances[usize::from(instance)];
                let envelope = Envelope {
                    from: instance,
                    awaited: false,
                    request: Request::Control {
                        holder: one.holder(instance, one.elector.term),
                    },
                };
                match step {
                    Step::ControlLate(_) => state.send(envelope),
                    // Deposed or unheard, the loop finds out by its next commit.
                    _ => drop(self.run(state, envelope)),
                }
            }
            Step::Distrust(instance) => {
                let elector = &mut state.instances[usize::from(instance)].elector;
                elector.distrust();
                if !elector.is_trusting() {
                    elector.term = 0;
                }
            }
            Step::StepDown(instance) => state.instances[usize::from(instance)].elector.term = 0,
            Step::Proceed(instance) => return self.proceed(state, instance),
        }
        true
    }
}

impl State {
    /// Puts a request under way.
    pub fn send(&mut self, envelope: Envelope) {
        let place = self.net.partition_point(|other| *other < envelope);
        self.net.insert(place, envelope);
    }

    /// Whether the metronome of `instance` waits for an answer.
    fn waits(&self, instance: u8) -> bool {
        self.net
            .iter()
            .any(|envelope| envelope.awaited && envelope.from == instance)
    }

    /// Whether the lease may end: nobody trusts it.
    fn may_expire(&self) -> bool {
        self.store.lease.is_some_and(|holder| {
            !self.instances.iter().enumerate().any(|(place, instance)| {
                instance.name(place) == holder.instance && instance.elector.trusts(holder.term)
            })
        })
    }
}

impl Model for World {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            now: 0,
            store: Store {
                requested: self.bounds.triggers > 0,
                ..Store::default()
            },
            instances: vec![Instance::default(); usize::from(self.instances)],
            net: Vec::new(),
            left: self.bounds,
            ghost: Ghost::default(),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        if state.now < self.bounds.times {
            steps.push(Step::Tick);
        }
        for (place, envelope) in state.net.iter().enumerate() {
            if place > 0 && state.net[place - 1] == *envelope {
                continue;
            }
            steps.push(Step::Execute(place));
            if envelope.awaited && state.left.misses > 0 {
                steps.extend([
                    Step::ExecuteUnheard(place),
                    Step::Lose(place),
                    Step::GiveUp(place),
                ]);
            }
        }
        if state.left.expiries > 0 && state.may_expire() {
            steps.push(Step::Expire);
        }
        if state.left.losses > 0 && state.store.birth {
            steps.push(Step::LoseData);
        }
        for (place, instance) in (0_u8..).zip(&state.instances) {
            if state.left.crashes > 0 && instance.metronome != Metronome::Out {
                steps.push(Step::Crash(place));
            }
            if state.left.reloads > 0 && instance.version == 0 {
                steps.push(Step::Reload(place));
            }
            let elector = instance.elector;
            if elector.windows > 0 {
                steps.push(Step::Distrust(place));
            }
            if elector.term == 0
                && !(self.is_symmetric() && place > 0 && state.ghost == Ghost::default())
            {
                steps.push(Step::Campaign(place));
                if state.left.misses > 0 && state.store.lease.is_none() {
                    steps.extend([Step::CampaignUnheard(place), Step::CampaignLate(place)]);
                }
            }
            // A renewal tells that the lease is lost; one that succeeds changes nothing here.
            if elector.term > 0 && state.store.lease != Some(instance.holder(place, elector.term)) {
                steps.push(Step::StepDown(place));
            }
            let leads = matches!(instance.metronome, Metronome::Planned { term, .. } if term == elector.term);
            if state.store.requested && leads && elector.is_trusting() {
                steps.push(Step::Control(place));
                if state.left.misses > 0 {
                    steps.extend([Step::ControlUnheard(place), Step::ControlLate(place)]);
                }
            }
            if !state.waits(place) {
                steps.push(Step::Proceed(place));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        if !self.step(&mut state, step) {
            return None;
        }
        self.forget(&mut state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        properties()
    }
}
