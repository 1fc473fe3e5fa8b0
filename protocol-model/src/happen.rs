//! What each step does to the world, if it can happen. A step that returns false has changed
//! nothing.

use std::time::Duration;

use callboard::job::{Standing, transition::Transition};

use crate::{
    actions::{AttemptStep, LeaseStep, System, Trouble, WatchStep},
    world::{
        Child, Condition, DEADLINE, End, LEASE, Phase, Renewal, Row, Rules, Run, Worker, World, id, row_of,
        stamp_of,
    },
};

impl LeaseStep {
    pub(crate) fn happen(self, rules: Rules, world: &mut World, index: usize) -> bool {
        let (arrives, now) = (world.arrives(index), world.now);
        let held = world.running().filter(|_| world.job.worker == world.workers[index].identity);
        let worker = &mut world.workers[index];
        let is_up = worker.condition == Condition::Up;
        match (self, worker.renewal.clone()) {
            (Self::RenewBegin, Renewal::Idle)
                if is_up && worker.identity.is_some() && worker.renewed_at != Some(now) =>
            {
                worker.renewal = Renewal::Begun { at: now, granted: worker.granted() };
                worker.renewed_at = Some(now);
                true
            }
            (Self::RenewCommit, Renewal::Begun { at, granted }) if arrives => {
                let Some(row) = worker.identity.map(|row| &mut world.rows[row]) else { return false };
                row.stamp += u64::from(!row.is_lost);
                worker.renewal =
                    if row.is_lost { Renewal::Refused } else { Renewal::Kept { at, granted, held } };
                true
            }
            (Self::RenewDone, Renewal::Kept { at, granted, held }) if is_up => {
                worker.renewal = Renewal::Idle;
                renewed(rules, worker, at + DEADLINE);
                reconcile(rules, world, index, granted, held);
                true
            }
            (Self::Refused, Renewal::Refused) if is_up => {
                worker.fence();
                worker.renewal = Renewal::Registering { at: now };
                true
            }
            (Self::Register, Renewal::Registering { at }) if arrives => {
                worker.renewal = Renewal::Registered { at, row: world.rows.len() };
                world.rows.push(Row { stamp: 0, is_lost: false });
                true
            }
            (Self::TakeIdentity, Renewal::Registered { at, row }) if is_up => {
                worker.identity = Some(row);
                worker.renewal = Renewal::Identified { at };
                true
            }
            (Self::BeginLease, Renewal::Identified { at }) if is_up => {
                worker.lease += 1;
                worker.renewal = Renewal::Idle;
                worker.fence();
                renewed(rules, worker, at + DEADLINE);
                true
            }
            _ => false,
        }
    }
}

impl WatchStep {
    pub(crate) fn happen(self, rules: Rules, world: &mut World, index: usize) -> bool {
        let (reaches, now, leases) = (world.reaches(index), world.now, world.leases());
        let worker = &mut world.workers[index];
        if worker.condition != Condition::Up {
            return false;
        }
        match self {
            Self::Look if worker.looked_at == Some(now) => false,
            Self::Look if !reaches => {
                worker.looked_at = Some(now);
                worker.watch.lose_contact();
                worker.over = None;
                true
            }
            Self::Look => {
                worker.looked_at = Some(now);
                let over = worker.watch.look(&leases, Duration::from_secs(now), Duration::from_secs(LEASE));
                worker.over = over.first().map(|lease| (row_of(lease.worker), stamp_of(lease.renewed_at)));
                true
            }
            Self::Rescue if reaches => {
                let Some((row, stamp)) = worker.over.take() else { return false };
                if world.rows[row].stamp == stamp || !rules.stamp {
                    world.rows[row].is_lost = true;
                }
                world.give_back();
                true
            }
            Self::Rescue => false,
        }
    }
}

impl System {
    pub(crate) fn happen(self, rules: Rules, world: &mut World) -> bool {
        let has_somebody = (0..world.workers.len()).any(|worker| world.reaches(worker));
        let is_queued = matches!(world.job.standing, Standing::Queued { .. });
        match self {
            Self::GiveBack => return has_somebody && world.give_back(),
            Self::Due => return has_somebody && world.apply(Transition::Due, None),
            Self::Mark if has_somebody && is_queued && !world.job.is_marked => {
                world.job.is_marked = true;
                world.is_ready |= !rules.comparison;
            }
            Self::Push if has_somebody && world.job.is_marked && rules.comparison => {
                return !std::mem::replace(&mut world.is_ready, true);
            }
            Self::Cancel if world.has_postgres && world.may_cancel && !world.has_ended() => {
                world.may_cancel = false;
                world.apply(Transition::CancelAsked { reason: None }, None);
            }
            Self::Tick => {
                // A shim that is not scheduled at once has one tick, the time between the deadline
                // and the end of the lease.
                let is_due = |child: &Child| rules.deadline && child.deadline <= world.now;
                if world.workers.iter().filter_map(|worker| worker.child.as_ref()).any(is_due) {
                    return false;
                }
                world.now += 1;
            }
            Self::PostgresDown => return std::mem::replace(&mut world.has_postgres, false),
            Self::PostgresUp => return !std::mem::replace(&mut world.has_postgres, true),
            Self::Flush => return std::mem::replace(&mut world.is_ready, false),
            Self::Duplicate => return !std::mem::replace(&mut world.is_ready, true),
            Self::Mark | Self::Push | Self::Cancel => return false,
        }
        true
    }
}

impl AttemptStep {
    pub(crate) fn happen(self, rules: Rules, world: &mut World, index: usize) -> bool {
        let (arrives, now) = (world.arrives(index), world.now);
        let worker = &mut world.workers[index];
        let is_up = worker.condition == Condition::Up;
        match (self, worker.phase()) {
            (Self::Pop, None) if is_up && worker.identity.is_some() && world.is_ready => {
                let (attempt, lease) = (world.attempts, worker.lease);
                worker.run = Some(Run { attempt, lease, phase: Phase::Popped, is_fenced: false });
                world.is_ready = false;
                world.attempts += 1;
                true
            }
            (Self::Ask, Some(Phase::Popped)) => {
                let Some(row) = worker.identity.filter(|_| is_up) else { return false };
                worker.set_phase(Phase::Asked { row });
                true
            }
            (Self::ClaimCommit, Some(Phase::Asked { row })) if arrives => {
                let attempt = worker.run.as_ref().map_or(0, |run| run.attempt);
                let is_granted = world.apply(Transition::Claimed { attempt: id(attempt) }, Some(row));
                world.workers[index].set_phase(Phase::Answered { is_granted });
                true
            }
            (Self::ClaimReply, Some(Phase::Answered { is_granted })) if is_up => {
                if is_granted {
                    worker.set_phase(Phase::Granted);
                } else {
                    worker.run = None;
                }
                true
            }
            (Self::Order, Some(Phase::Granted)) if is_up => {
                order(rules, worker);
                true
            }
            (Self::Receive, Some(Phase::Ordered { deadline })) => {
                receive(rules, worker, deadline, now);
                true
            }
            (Self::ShimKills, _) => {
                let Some(child) = &worker.child else { return false };
                let is_old = rules.one_lease && child.lease != worker.lease;
                let is_due = rules.deadline && child.deadline <= now;
                let is_told = is_up && worker.run.as_ref().is_some_and(|run| run.is_fenced);
                if !is_old && !is_due && !is_told && worker.condition != Condition::Dead {
                    return false;
                }
                worker.bury(End::Released);
                true
            }
            (Self::Ends(end), _) if worker.child.is_some() => {
                worker.bury(end);
                true
            }
            (Self::EndsUnstarted(end), Some(Phase::Granted)) if is_up => {
                worker.set_phase(Phase::Over(end));
                true
            }
            (Self::Settle, Some(Phase::Over(end))) if arrives => {
                let Some(run) = worker.run.take() else { return false };
                // What the child told is settled in any case, and the fence decides.
                if !run.is_fenced || end.is_told() {
                    world.finish(rules, run.attempt, end.outcome());
                }
                true
            }
            _ => false,
        }
    }
}

impl Trouble {
    pub(crate) fn happen(self, world: &mut World, index: usize) -> bool {
        let now = world.now;
        let worker = &mut world.workers[index];
        match (self, worker.condition) {
            (Self::Kill, Condition::Up | Condition::Stopped) => {
                worker.condition = Condition::Dead;
                (worker.run, worker.renewal, worker.over) = (None, Renewal::Idle, None);
            }
            (Self::Restart, Condition::Dead) if worker.child.is_none() => {
                let lease = worker.lease + 1;
                *worker = Worker { lease, renewal: Renewal::Registering { at: now }, ..Worker::new(None, 0) };
            }
            (Self::Stop, Condition::Up) => worker.condition = Condition::Stopped,
            (Self::Continue, Condition::Stopped) => worker.condition = Condition::Up,
            (Self::CutOff, _) if !worker.is_cut_off => worker.is_cut_off = true,
            (Self::Connect, _) if worker.is_cut_off => worker.is_cut_off = false,
            (Self::LoseReply, Condition::Up) if matches!(worker.phase(), Some(Phase::Answered { .. })) => {
                worker.run = None;
            }
            _ => return false,
        }
        true
    }
}

/// Moves the deadline of this lease's child, after a renewal or for a new lease.
fn renewed(rules: Rules, worker: &mut Worker, deadline: u64) {
    worker.deadline = deadline;
    let lease = worker.lease;
    if let Some(child) = &mut worker.child
        && (child.lease == lease || !rules.one_lease)
    {
        child.deadline = deadline;
    }
}

/// Compares what the worker runs with what it holds according to Postgres.
fn reconcile(rules: Rules, world: &mut World, index: usize, granted: Option<u8>, held: Option<u8>) {
    let is_asked = matches!(world.job.standing, Standing::Running { cancel_asked: true, .. });
    let worker = &mut world.workers[index];
    let runs = worker.run.as_ref().map(|run| run.attempt);
    if granted.is_some() && granted == runs && held != granted {
        worker.fence();
    }
    if held.is_some() && held == runs && is_asked {
        worker.bury(End::Cancelled);
    }
    if let Some(unknown) = held.filter(|_| held != runs && world.reaches(index)) {
        world.finish(rules, unknown, End::Released.outcome());
    }
}

fn order(rules: Rules, worker: &mut Worker) {
    let Some(run) = &mut worker.run else { return };
    let is_old = rules.one_lease && run.lease != worker.lease;
    if run.is_fenced && rules.one_lease {
        worker.run = None;
    } else if is_old {
        run.phase = Phase::Over(End::Released);
    } else {
        run.phase = Phase::Ordered { deadline: worker.deadline };
    }
}

fn receive(rules: Rules, worker: &mut Worker, deadline: u64, now: u64) {
    let Some(run) = &mut worker.run else { return };
    if rules.deadline && now >= deadline {
        run.phase = Phase::Over(End::Released);
        return;
    }
    run.phase = Phase::Running;
    worker.child = Some(Child { attempt: run.attempt, lease: run.lease, deadline });
}
