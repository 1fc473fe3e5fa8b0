//! Everything that can happen to the world, one action at a time. `happen` defines what each does.

use crate::world::{End, Rules, World};

/// One thing that can happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    Lease(usize, LeaseStep),
    Watch(usize, WatchStep),
    Attempt(usize, AttemptStep),
    Trouble(usize, Trouble),
    System(System),
}

/// Steps of a worker's lease and of its next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LeaseStep {
    RenewCommit,
    RenewDone,
    Refused,
    Register,
    TakeIdentity,
    BeginLease,
    RenewBegin,
}

/// Steps of a rescuer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WatchStep {
    Look,
    Rescue,
}

/// Steps of an attempt at a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum AttemptStep {
    Settle,
    ClaimCommit,
    ClaimReply,
    Ask,
    Order,
    Receive,
    Ends(End),
    /// It ends without a child: it was drained, did not compose, or its profile was busy.
    EndsUnstarted(End),
    ShimKills,
    Pop,
}

/// Faults of a worker, and their repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trouble {
    Continue,
    Connect,
    Restart,
    Kill,
    Stop,
    CutOff,
    LoseReply,
}

/// What any available worker does for all, faults of Postgres and Redis, a user's request, and
/// time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum System {
    PostgresUp,
    GiveBack,
    Due,
    Mark,
    Push,
    Tick,
    PostgresDown,
    Flush,
    Duplicate,
    Cancel,
}

impl Action {
    /// Returns every action that can happen with this many workers, in the order of a healthy
    /// system.
    pub fn all(workers: usize) -> Vec<Self> {
        use {AttemptStep as A, LeaseStep as L, System as S, Trouble as T, WatchStep as W};
        let each = |make: &dyn Fn(usize) -> Self| (0..workers).map(make).collect::<Vec<_>>();
        let lease = [
            L::RenewCommit,
            L::RenewDone,
            L::Refused,
            L::Register,
            L::TakeIdentity,
            L::BeginLease,
            L::RenewBegin,
        ];
        let attempt = [A::Settle, A::ClaimCommit, A::ClaimReply, A::Ask, A::Order, A::Receive];
        let mut all = vec![Self::System(S::PostgresUp)];
        for step in [T::Continue, T::Connect, T::Restart] {
            all.extend(each(&|worker| Self::Trouble(worker, step)));
        }
        for step in lease {
            all.extend(each(&|worker| Self::Lease(worker, step)));
        }
        for step in attempt.into_iter().chain([A::Ends(End::Succeeded), A::ShimKills]) {
            all.extend(each(&|worker| Self::Attempt(worker, step)));
        }
        for step in [W::Look, W::Rescue] {
            all.extend(each(&|worker| Self::Watch(worker, step)));
        }
        all.extend([S::GiveBack, S::Due, S::Mark, S::Push].map(Self::System));
        all.extend(each(&|worker| Self::Attempt(worker, A::Pop)));
        all.push(Self::System(S::Tick));
        for step in [T::Kill, T::Stop, T::CutOff, T::LoseReply] {
            all.extend(each(&|worker| Self::Trouble(worker, step)));
        }
        all.extend([S::PostgresDown, S::Flush, S::Duplicate, S::Cancel].map(Self::System));
        all
    }

    /// Returns the worker that takes this action before anything else happens, as long as it is
    /// well. Only a worker that is stopped or cut off is slow. That leaves every order of events in
    /// which something is wrong, and few of those in which nothing is.
    pub const fn prompt(self) -> Option<usize> {
        match self {
            Self::Lease(worker, _) | Self::Watch(worker, _) => Some(worker),
            Self::Attempt(worker, step) => match step {
                AttemptStep::Settle
                | AttemptStep::ClaimCommit
                | AttemptStep::ClaimReply
                | AttemptStep::Ask
                | AttemptStep::Order
                | AttemptStep::Receive => Some(worker),
                AttemptStep::Ends(_)
                | AttemptStep::EndsUnstarted(_)
                | AttemptStep::ShimKills
                | AttemptStep::Pop => None,
            },
            Self::Trouble(..) | Self::System(_) => None,
        }
    }

    /// Whether it is a fault.
    pub const fn is_fault(self) -> bool {
        matches!(
            self,
            Self::Trouble(_, Trouble::Kill | Trouble::Stop | Trouble::CutOff | Trouble::LoseReply)
                | Self::System(System::PostgresDown | System::Flush | System::Duplicate)
        )
    }

    /// Does it to the world. Returns false and changes nothing if it cannot happen or has no
    /// effect.
    pub fn happen(self, rules: Rules, world: &mut World) -> bool {
        if self.is_fault() && world.faults == 0 {
            return false;
        }
        let has_happened = match self {
            Self::Lease(worker, step) => step.happen(rules, world, worker),
            Self::Watch(worker, step) => step.happen(rules, world, worker),
            Self::Attempt(worker, step) => step.happen(rules, world, worker),
            Self::Trouble(worker, step) => step.happen(world, worker),
            Self::System(step) => step.happen(rules, world),
        };
        if has_happened && self.is_fault() {
            world.faults -= 1;
        }
        has_happened
    }
}
