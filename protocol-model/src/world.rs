//! The protocol as a model: one job, a few workers, Postgres, Redis, and everything that may go
//! wrong between them.
//!
//! The real code decides: every change of the job goes through `apply`, and rescuers watch leases
//! with `Watch`. The model adds what each part knows, and when. Each step of a worker is a message,
//! a commit in Postgres and a reply, and the worker may be stopped, killed or cut off between any
//! two of them. Time passes in ticks. A lease lasts three, and a child dies two ticks after the
//! start of the renewal that keeps it alive.

use std::time::Duration;

use callboard::{
    clock::Time,
    ids::{AttemptId, WorkerId},
    job::{
        Failure, FailureCode, Outcome, Standing,
        transition::{Facts, Next, Retry, Transition, apply},
    },
    policy::Policy,
    steps::finish::rescue::Watch,
    store::workers::Lease,
};
use uuid::Uuid;

/// Length of a lease, in ticks.
pub(crate) const LEASE: u64 = 3;
/// Life of a child after the start of the renewal that keeps it alive, in ticks.
pub(crate) const DEADLINE: u64 = 2;

/// Safeguards, each of which can be left out to test whether it is needed.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a safeguard of its own")]
pub struct Rules {
    /// Shims kill at their deadline.
    pub deadline: bool,
    /// An attempt won under a lost lease never runs under the next.
    pub one_lease: bool,
    /// A worker that renews in time is not declared lost by a rescuer that looked before.
    pub stamp: bool,
    /// Marks are compared with Redis.
    pub comparison: bool,
    /// Only the attempt that holds the job may give a verdict.
    pub fence: bool,
}

impl Rules {
    pub const ALL: Self =
        Self { deadline: true, one_lease: true, stamp: true, comparison: true, fence: true };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    pub now: u64,
    pub job: Job,
    /// Rows of workers in Postgres, by identity.
    pub rows: Vec<Row>,
    /// Whether Redis holds the job's reference.
    pub is_ready: bool,
    pub has_postgres: bool,
    pub workers: Vec<Worker>,
    /// Attempts made so far.
    pub attempts: u8,
    /// Faults that may still happen.
    pub faults: u8,
    pub may_cancel: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Job {
    pub standing: Standing,
    counted: u32,
    pub lost: u32,
    pub is_marked: bool,
    /// The row of the worker that holds it.
    pub worker: Option<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Row {
    pub stamp: u64,
    pub is_lost: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    Up,
    Stopped,
    Dead,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Worker {
    pub condition: Condition,
    pub is_cut_off: bool,
    /// Its row. `None` before it has one.
    pub identity: Option<usize>,
    /// Number of the shim pool's lease.
    pub lease: u8,
    pub deadline: u64,
    pub renewal: Renewal,
    pub renewed_at: Option<u64>,
    pub run: Option<Run>,
    pub child: Option<Child>,
    pub watch: Watch,
    pub looked_at: Option<u64>,
    /// A lease that it has seen unchanged for too long, by row and stamp.
    pub over: Option<(usize, u64)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Renewal {
    Idle,
    /// On its way, with the attempt that was granted before.
    Begun {
        at: u64,
        granted: Option<u8>,
    },
    /// Postgres has replied with what the worker holds.
    Kept {
        at: u64,
        granted: Option<u8>,
        held: Option<u8>,
    },
    Refused,
    Registering {
        at: u64,
    },
    Registered {
        at: u64,
        row: usize,
    },
    Identified {
        at: u64,
    },
}

/// What a worker knows of an attempt.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Run {
    pub attempt: u8,
    pub lease: u8,
    pub phase: Phase,
    /// Whether the worker has learned that the attempt is no longer its own.
    pub is_fenced: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    Popped,
    Asked { row: usize },
    Answered { is_granted: bool },
    Granted,
    Ordered { deadline: u64 },
    Running,
    Over(End),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    Succeeded,
    Failed,
    FailedForGood,
    Lost,
    Released,
    Cancelled,
}

/// A shim with its process tree. It goes on while its worker is stopped.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Child {
    pub attempt: u8,
    pub lease: u8,
    pub deadline: u64,
}

impl World {
    /// Returns a world with a job just accepted and workers just registered.
    pub fn new(workers: usize, faults: u8) -> Self {
        let standing = Standing::Queued { parked_on: None };
        Self {
            now: 0,
            job: Job { standing, counted: 0, lost: 0, is_marked: false, worker: None },
            rows: vec![Row { stamp: 0, is_lost: false }; workers],
            is_ready: false,
            has_postgres: true,
            workers: (0..workers).map(|row| Worker::new(Some(row), DEADLINE)).collect(),
            attempts: 0,
            faults,
            may_cancel: true,
        }
    }

    /// Whether a worker's messages reach Postgres. Sent messages may arrive even while it is
    /// stopped.
    pub fn arrives(&self, worker: usize) -> bool {
        let worker = &self.workers[worker];
        self.has_postgres && !worker.is_cut_off && worker.condition != Condition::Dead
    }

    pub fn reaches(&self, worker: usize) -> bool {
        self.arrives(worker) && self.workers[worker].condition == Condition::Up
    }

    /// Returns the attempt that runs according to the job's record.
    pub fn running(&self) -> Option<u8> {
        match self.job.standing {
            Standing::Running { attempt, .. } => Some(number(attempt)),
            Standing::Blocked | Standing::Scheduled { .. } | Standing::Queued { .. } | Standing::Ended(_) => {
                None
            }
        }
    }

    pub const fn has_ended(&self) -> bool {
        matches!(self.job.standing, Standing::Ended(_))
    }

    /// Whether nothing is wrong. Then the order in which workers do the same does not matter.
    pub fn is_calm(&self) -> bool {
        let is_calm = |worker: &Worker| {
            let is_leased = match worker.renewal {
                Renewal::Idle | Renewal::Begun { .. } | Renewal::Kept { .. } => true,
                Renewal::Refused
                | Renewal::Registering { .. }
                | Renewal::Registered { .. }
                | Renewal::Identified { .. } => false,
            };
            let is_lost = worker.identity.is_none_or(|row| self.rows[row].is_lost);
            let is_fenced = worker.run.as_ref().is_some_and(|run| run.is_fenced);
            let is_connected = worker.condition == Condition::Up && !worker.is_cut_off;
            is_leased && !is_lost && !is_fenced && is_connected && worker.over.is_none()
        };
        let runs = self.workers.iter().filter(|worker| worker.run.is_some()).count();
        self.has_postgres && runs <= 1 && self.workers.iter().all(is_calm)
    }

    pub fn children(&self) -> usize {
        self.workers.iter().filter(|worker| worker.child.is_some()).count()
    }

    /// Applies a transition to the job with the real `apply`. Returns whether it was accepted.
    pub fn apply(&mut self, transition: Transition, worker: Option<usize>) -> bool {
        let (standing, counted, lost) = (self.job.standing.clone(), self.job.counted, self.job.lost);
        let facts = Facts { standing, counted, lost };
        let Ok(applied) = apply(&facts, transition, time(0)) else { return false };
        self.job.standing = match applied.next {
            Next::Live(standing) => standing,
            Next::Ended { ending, .. } => Standing::Ended(ending),
        };
        (self.job.counted, self.job.lost) = (applied.counted, applied.lost);
        self.job.is_marked = false;
        self.job.worker = self.running().and(worker.or(self.job.worker));
        true
    }

    /// Ends an attempt with an outcome.
    pub fn finish(&mut self, rules: Rules, attempt: u8, outcome: Outcome) {
        let attempt = if rules.fence { attempt } else { self.running().unwrap_or(attempt) };
        let policy = Policy { max_attempts: 2, ..Policy::default() };
        let retry = Retry::new(&policy, Duration::from_secs(1));
        self.apply(Transition::Finished { attempt: id(attempt), outcome, retry }, None);
    }

    /// Gives the job back if a lost worker holds it. Returns whether it did.
    pub fn give_back(&mut self) -> bool {
        let is_lost = self.job.worker.is_some_and(|row| self.rows[row].is_lost);
        let Some(attempt) = self.running().filter(|_| is_lost) else { return false };
        self.finish(Rules::ALL, attempt, Outcome::Lost);
        true
    }

    /// Returns the leases of workers that are not lost, as a rescuer reads them.
    pub fn leases(&self) -> Vec<Lease> {
        let present = self.rows.iter().enumerate().filter(|(_, row)| !row.is_lost);
        present
            .map(|(row, Row { stamp, .. })| Lease { worker: worker_id(row), renewed_at: time(*stamp) })
            .collect()
    }
}

impl Worker {
    pub fn new(identity: Option<usize>, deadline: u64) -> Self {
        Self {
            condition: Condition::Up,
            is_cut_off: false,
            identity,
            lease: 0,
            deadline,
            renewal: Renewal::Idle,
            renewed_at: None,
            run: None,
            child: None,
            watch: Watch::default(),
            looked_at: None,
            over: None,
        }
    }

    pub fn phase(&self) -> Option<Phase> {
        self.run.as_ref().map(|run| run.phase)
    }

    pub fn set_phase(&mut self, phase: Phase) {
        if let Some(run) = &mut self.run {
            run.phase = phase;
        }
    }

    /// Returns the attempt that the worker knows it was granted.
    pub fn granted(&self) -> Option<u8> {
        let run = self.run.as_ref()?;
        match run.phase {
            Phase::Granted | Phase::Ordered { .. } | Phase::Running | Phase::Over(_) => Some(run.attempt),
            Phase::Popped | Phase::Asked { .. } | Phase::Answered { .. } => None,
        }
    }

    pub fn fence(&mut self) {
        if let Some(run) = &mut self.run {
            run.is_fenced = true;
        }
    }

    /// Removes its child, and ends the attempt that the child ran.
    pub fn bury(&mut self, end: End) {
        let child = self.child.take();
        if let (Some(child), Some(run)) = (child, &mut self.run)
            && run.attempt == child.attempt
            && run.phase == Phase::Running
        {
            run.phase = Phase::Over(end);
        }
    }
}

impl End {
    /// Whether it is what the child told about its job.
    pub const fn is_told(self) -> bool {
        match self {
            Self::Succeeded | Self::Failed | Self::FailedForGood => true,
            Self::Lost | Self::Released | Self::Cancelled => false,
        }
    }

    pub fn outcome(self) -> Outcome {
        match self {
            Self::Succeeded => Outcome::Succeeded { result: serde_json::Value::Null },
            Self::Failed => Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "1", true)),
            Self::FailedForGood => Outcome::Failed(Failure::new(FailureCode::EXIT_CODE, "1", false)),
            Self::Lost => Outcome::Lost,
            Self::Released => Outcome::Released { reason: String::new() },
            Self::Cancelled => Outcome::Cancelled,
        }
    }
}

pub(crate) fn id(attempt: u8) -> AttemptId {
    Uuid::from_u128(u128::from(attempt) + 1).into()
}

fn number(attempt: AttemptId) -> u8 {
    u8::try_from(attempt.uuid().as_u128() - 1).unwrap_or(u8::MAX)
}

pub(crate) fn worker_id(row: usize) -> WorkerId {
    Uuid::from_u128(row as u128 + 1).into()
}

pub(crate) fn row_of(worker: WorkerId) -> usize {
    usize::try_from(worker.uuid().as_u128() - 1).unwrap_or(usize::MAX)
}

/// Returns a stamp in the form of a time (see `Lease`).
fn time(stamp: u64) -> Time {
    Time::from_timestamp(stamp.cast_signed(), 0).unwrap_or_default()
}

pub(crate) fn stamp_of(time: Time) -> u64 {
    time.timestamp().unsigned_abs()
}
