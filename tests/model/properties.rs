//! What must hold in every state, and the history it is judged by.

use stateright::Property;

use crate::instance::Instance;
use crate::scripts::Holder;
use crate::world::{Misfire, State, TIMES, World};

/// No fire time is pushed twice.
pub const ONCE: &str = "every fire time is pushed once at most";
/// Later ones are not pushed before earlier ones.
pub const ORDER: &str = "fire times are pushed in order";
/// What the ledger has passed was pushed, or recorded as skipped.
pub const NOTHING_LOST: &str = "what the ledger has passed was pushed or skipped";
/// Not both.
pub const EITHER: &str = "what was pushed is not skipped";
/// Whoever does not hold the lease writes nothing.
pub const DEPOSED: &str = "who does not hold the lease writes nothing";
/// However often its request is repeated.
pub const TRIGGER: &str = "a trigger is pushed once at most";
/// As long as the store keeps its data.
pub const TERMS: &str = "terms grow";
/// Even when it does not.
pub const LED_ONCE: &str = "an instance leads for a term once";
/// Otherwise what became due around the loss would be forgotten.
pub const SEEDED: &str = "who was trusted when the data was lost seeds what it knew";
/// As long as clocks run equally fast.
pub const ONE_TRUSTS: &str = "one instance at most trusts its lease";

/// What happened so far, for the properties.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Ghost {
    /// How often the trigger was pushed.
    pub triggered: u8,
    /// How often each fire time was pushed.
    pub pushed: [u8; TIMES],
    /// Fire times recorded as skipped, or dropped by a change of the schedule.
    pub skipped: [bool; TIMES],
    /// Up to here nothing is owed.
    pub floor: u8,
    /// A fire time was pushed after a later one.
    pub disordered: bool,
    /// Something was written without the lease.
    pub intruded: bool,
    /// A term was granted that is not higher than all before.
    pub term_fell: bool,
    /// Highest term granted.
    pub granted: u8,
    /// An instance leads for a term that is not higher than one that it led for before.
    pub led_twice: bool,
    /// The store lost its data; what was not answered by then may come again.
    pub lost: bool,
    /// The data was lost while a chunk was not answered.
    pub excused: bool,
    /// Who led, trusted and with a plan, when the data was lost.
    pub leads_at_loss: Option<Holder>,
    /// It did not seed the store with what it knew.
    pub forgot: bool,
}

/// What must hold in every state.
pub fn properties() -> Vec<Property<World>> {
    vec![
        Property::always(ONCE, |_, state: &State| {
            state.ghost.excused || state.ghost.pushed.iter().all(|&times| times <= 1)
        }),
        Property::always(ORDER, |_, state: &State| {
            state.ghost.excused || !state.ghost.disordered
        }),
        Property::always(NOTHING_LOST, |_, state: &State| {
            let ghost = &state.ghost;
            let passed = state.store.last.max(state.store.from.unwrap_or(0));
            (ghost.floor + 1..=passed)
                .map(usize::from)
                .all(|time| time >= TIMES || ghost.pushed[time] > 0 || ghost.skipped[time])
        }),
        Property::always(EITHER, |_, state: &State| {
            let both = |(&times, &skipped): (&u8, &bool)| times > 0 && skipped;
            !state
                .ghost
                .pushed
                .iter()
                .zip(&state.ghost.skipped)
                .any(both)
        }),
        Property::always(DEPOSED, |_, state: &State| !state.ghost.intruded),
        Property::always(TRIGGER, |_, state: &State| state.ghost.triggered <= 1),
        Property::sometimes("the trigger is pushed", |world: &World, state: &State| {
            world.bounds.triggers == 0 || state.ghost.triggered > 0
        }),
        Property::always(TERMS, |_, state: &State| {
            state.ghost.lost || !state.ghost.term_fell
        }),
        Property::always(LED_ONCE, |_, state: &State| !state.ghost.led_twice),
        Property::always(SEEDED, |_, state: &State| !state.ghost.forgot),
        Property::always(ONE_TRUSTS, |_, state: &State| {
            let trusting = state
                .instances
                .iter()
                .filter(|one: &&Instance| one.elector.is_trusting());
            state.ghost.lost || trusting.count() <= 1
        }),
        // The check would prove nothing if nothing happened.
        Property::sometimes("everything is pushed", |world: &World, state: &State| {
            let all = 1..=usize::from(world.bounds.times);
            world.misfire != Misfire::All
                || all
                    .into_iter()
                    .all(|time| state.ghost.pushed[time] > 0 || state.ghost.skipped[time])
        }),
    ]
}
