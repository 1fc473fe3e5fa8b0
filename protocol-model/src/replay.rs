//! Replays the recorded history of a job. The model must be able to take every event as its next
//! step.
//!
//! The chaos rig does this with the history of every job of a storm. Unrecorded steps (renewals,
//! the messages between a claim and its reply) are filled in with the shortest way that the model
//! knows.

use callboard::job::JobState;

use crate::{
    Action, Condition, End, Rules, World,
    actions::{AttemptStep, LeaseStep, System, Trouble, WatchStep},
    world::LEASE,
};

/// One recorded event of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recorded {
    /// This worker claimed an attempt.
    Started { worker: usize },
    /// Its child ran.
    Ran,
    /// The running attempt's own worker settled it.
    Settled(End),
    /// The attempt was given back because its worker was lost.
    Rescued,
    /// That worker came back and reported alive, so the loss does not count.
    OwnedUp,
    /// A user asked to cancel the job.
    CancelAsked,
    /// The job became ready again after a backoff.
    Due,
}

/// Why a history does not fit the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit(pub String);

/// Replays a history. Each event has the job's recorded state after it, where one is recorded.
pub fn replay(workers: usize, history: &[(Recorded, Option<JobState>)]) -> Result<(), Misfit> {
    // One more worker, which is always well, rescues what the others lose.
    let mut stage = Stage { world: World::new(workers + 1, u8::MAX), rescuer: workers };
    for (index, (recorded, state)) in history.iter().enumerate() {
        stage.play(*recorded).map_err(|Misfit(what)| Misfit(format!("{what}, at {index} of {history:?}")))?;
        let stands = stage.world.job.standing.state();
        if state.is_some_and(|state| state != stands) {
            return Err(Misfit(format!("the model says {stands:?}, at {index} of {history:?}")));
        }
    }
    Ok(())
}

/// Steps from one lease to the next, renewed or new.
const RENEWS: [LeaseStep; 7] = [
    LeaseStep::RenewBegin,
    LeaseStep::RenewCommit,
    LeaseStep::RenewDone,
    LeaseStep::Refused,
    LeaseStep::Register,
    LeaseStep::TakeIdentity,
    LeaseStep::BeginLease,
];
/// Steps from the reference to the grant.
const WINS: [AttemptStep; 4] =
    [AttemptStep::Pop, AttemptStep::Ask, AttemptStep::ClaimCommit, AttemptStep::ClaimReply];

struct Stage {
    world: World,
    rescuer: usize,
}

impl Stage {
    /// Does something that must be possible and must not break a rule of the model.
    fn must(&mut self, action: Action) -> Result<(), Misfit> {
        if !action.happen(Rules::ALL, &mut self.world) {
            return Err(Misfit(format!("the model does not allow {action:?}")));
        }
        if self.world.children() > 1 || (self.world.has_ended() && self.world.children() > 0) {
            return Err(Misfit(format!("{action:?} breaks a rule of the model")));
        }
        Ok(())
    }

    fn may(&mut self, action: Action) -> bool {
        action.happen(Rules::ALL, &mut self.world)
    }

    fn attempt(&mut self, worker: usize, steps: &[AttemptStep]) -> Result<(), Misfit> {
        steps.iter().try_for_each(|step| self.must(Action::Attempt(worker, *step)))
    }

    fn play(&mut self, recorded: Recorded) -> Result<(), Misfit> {
        let holder = self.world.workers.iter().position(|worker| worker.run.is_some());
        let holder = || holder.ok_or_else(|| Misfit(format!("{recorded:?} without an attempt")));
        match recorded {
            Recorded::Started { worker } => {
                self.renew_all();
                self.may(Action::System(System::Mark));
                self.may(Action::System(System::Push));
                self.attempt(worker, &WINS)
            }
            Recorded::Ran => {
                self.renew_all();
                self.attempt(holder()?, &[AttemptStep::Order, AttemptStep::Receive])
            }
            Recorded::Settled(end) => {
                let holder = holder()?;
                let way = if self.world.workers[holder].child.is_some() {
                    AttemptStep::Ends(end)
                } else {
                    AttemptStep::EndsUnstarted(end)
                };
                self.attempt(holder, &[way, AttemptStep::Settle])
            }
            Recorded::Rescued => self.rescue(holder()?),
            Recorded::OwnedUp => {
                self.world.job.lost = self.world.job.lost.saturating_sub(1);
                Ok(())
            }
            Recorded::CancelAsked => {
                self.world.may_cancel = true;
                self.must(Action::System(System::Cancel))
            }
            Recorded::Due => self.must(Action::System(System::Due)),
        }
    }

    /// Renews the lease of every worker that is well, or begins a new one.
    fn renew_all(&mut self) {
        for worker in 0..self.world.workers.len() {
            for step in RENEWS {
                self.may(Action::Lease(worker, step));
            }
        }
    }

    /// Stops the holder until its lease is over and its job is given back. Then the holder comes
    /// back with a new lease.
    fn rescue(&mut self, holder: usize) -> Result<(), Misfit> {
        let running = self.world.running();
        self.must(Action::Trouble(holder, Trouble::Stop))?;
        for _ in 0..=2 * LEASE {
            self.renew_all();
            self.may(Action::Watch(self.rescuer, WatchStep::Look));
            self.may(Action::Watch(self.rescuer, WatchStep::Rescue));
            if self.world.running() != running {
                break;
            }
            if !self.may(Action::System(System::Tick)) {
                self.must(Action::Attempt(holder, AttemptStep::ShimKills))?;
            }
        }
        if self.world.running() == running {
            return Err(Misfit("no worker rescues it".to_owned()));
        }
        self.must(Action::Trouble(holder, Trouble::Continue))?;
        self.renew_all();
        self.renew_all();
        // By now the worker knows that the attempt is lost, and drops it silently.
        self.may(Action::Attempt(holder, AttemptStep::Order));
        self.may(Action::Attempt(holder, AttemptStep::Settle));
        let worker = &self.world.workers[holder];
        let is_back = worker.condition == Condition::Up && worker.run.is_none() && worker.child.is_none();
        if is_back { Ok(()) } else { Err(Misfit(format!("its worker does not recover: {worker:?}"))) }
    }
}
