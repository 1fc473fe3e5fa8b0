//! The protocol of claims, leases, settles and rescues as a model, and the checker that explores
//! its states.
//!
//! It uses the real `apply` and the real `Watch`, and nothing else of the system. The chaos rig
//! also replays recorded histories against it.

#![allow(missing_docs, reason = "names of a model, most of which need no docs")]

mod actions;
mod happen;
mod replay;
mod world;

use stateright::{Model, Property};

pub use actions::{Action, AttemptStep, LeaseStep, System, Trouble, WatchStep};
pub use replay::{Misfit, Recorded, replay};
pub use world::{Condition, End, Rules, World};

/// Highest number of attempts that is explored.
const ATTEMPTS_MAX: u8 = 3;

#[derive(Clone, Debug)]
pub struct Protocol {
    pub rules: Rules,
    pub workers: usize,
    pub faults: u8,
    /// Whether a user may cancel the job.
    pub may_cancel: bool,
    /// The faults to choose from. Empty means all of them.
    pub among: Vec<Action>,
    /// Number of ticks that is explored.
    pub horizon: u64,
}

impl Model for Protocol {
    type State = World;
    type Action = Action;

    fn init_states(&self) -> Vec<World> {
        vec![World { may_cancel: self.may_cancel, ..World::new(self.workers, self.faults) }]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Action>) {
        let is_up = |worker: usize| world.workers[worker].condition == Condition::Up;
        let is_prompt = |action: &Action| action.prompt().is_some_and(is_up);
        let mut scratch = world.clone();
        for action in Action::all(self.workers) {
            let is_excluded = action.is_fault() && !self.among.is_empty() && !self.among.contains(&action);
            if !is_excluded && action.happen(self.rules, &mut scratch) {
                scratch = world.clone();
                actions.push(action);
            }
        }
        let Some(first) = actions.iter().find(|action| is_prompt(action)).copied() else { return };
        let is_calm = world.is_calm();
        actions
            .retain(|action| if is_calm { *action == first } else { is_prompt(action) } || action.is_fault());
    }

    fn next_state(&self, world: &World, action: Action) -> Option<World> {
        let mut next = world.clone();
        action.happen(self.rules, &mut next).then_some(next)
    }

    fn within_boundary(&self, world: &World) -> bool {
        let is_over = world.has_ended()
            && world.workers.iter().all(|worker| worker.run.is_none() && worker.child.is_none());
        world.now <= self.horizon && world.attempts <= ATTEMPTS_MAX && !is_over
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("one runner", |_, world: &World| world.children() <= 1),
            Property::always("nothing outlives its job", |_, world: &World| {
                !world.has_ended() || world.children() == 0
            }),
            Property::always("never stuck", |model: &Self, world: &World| {
                world.now < model.horizon || model.recovers(world)
            }),
            Property::sometimes("it ends", |_, world: &World| world.has_ended()),
            Property::sometimes("a second attempt runs", |_, world: &World| {
                world.workers.iter().filter_map(|worker| worker.child.as_ref()).any(|child| child.attempt > 0)
            }),
            Property::sometimes("a worker is lost", |_, world: &World| {
                world.rows.iter().any(|row| row.is_lost)
            }),
        ]
    }
}

impl Protocol {
    /// Whether the job reaches its end from here if nothing goes wrong any more.
    fn recovers(&self, world: &World) -> bool {
        let everything = Action::all(self.workers);
        let mut world = World { faults: 0, may_cancel: false, ..world.clone() };
        for _ in 0..400 {
            if world.has_ended() {
                return true;
            }
            if !everything.iter().any(|action| action.happen(self.rules, &mut world)) {
                return false;
            }
        }
        false
    }
}
