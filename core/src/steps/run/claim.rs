//! Claim: a worker wins ready jobs at their gates, a whole batch in one transaction.
//!
//! The transaction locks the rows of the requested jobs and then their gates. In order of priority,
//! round and age it makes a [`Decision`] for each job: the job passes all of its gates and starts,
//! or it is parked at the gate that blocks it, or it is left alone. Jobs and gates are written
//! once, at the end. After the commit, a recheck wakes jobs whose reason for parking has ended
//! meanwhile (`limits::wake`).
//!
//! If the worker dies right after, rescue gives its jobs back. If only the reply is lost, the
//! worker repeats the claim with the same attempt ids, which it has made itself, and recognises its
//! grants.

mod admission;

use std::{cmp::Reverse, collections::HashMap, time::Instant};

use crate::{
    clock::Time,
    ids::{AttemptId, JobId, WorkerId},
    job::{
        Standing,
        transition::{Applied, Transition, apply},
    },
    limit::GateKey,
    steps::{Done, limits::wake::Recheck},
    store::{
        Store, StoreError, commit,
        jobs::live::{self, Change, LiveJob, Started, Terms},
        queues::backlog,
    },
};
use admission::Admission;

/// Most jobs of one batch.
pub const CLAIM_BATCH_MAX: usize = 500;

/// A worker's request to run one job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClaimRequest {
    /// The job.
    pub job: JobId,
    /// The id of the attempt that the worker would run.
    pub attempt: AttemptId,
}

/// A job that was won.
#[derive(Debug, Clone, PartialEq)]
pub struct Grant {
    /// Its live row, as granted.
    pub live: LiveJob,
    /// When its attempt begins by this machine's clock, at most
    /// [`AHEAD`](crate::limit::gate::AHEAD) from now.
    pub starts_at: Instant,
    /// The same by the database's clock.
    pub at: Time,
}

/// What became of a [`ClaimRequest`].
#[derive(Debug, Clone, PartialEq)]
pub enum Decision {
    /// The attempt holds the job and must run it.
    Granted(Box<Grant>),
    /// A gate blocks the job, which waits there in Postgres until it is woken.
    Parked {
        /// The gate.
        on: GateKey,
    },
    /// The job's queue is paused. The job waits in Postgres until the queue is resumed.
    Paused,
    /// The job runs elsewhere, has finished, or is not ready yet. Its reference came twice or late.
    Gone,
}

/// Decides a batch and returns the decisions in the order of the requests.
pub async fn claim(
    store: &Store,
    worker: WorkerId,
    requests: &[ClaimRequest],
) -> Result<Done<Vec<Decision>>, StoreError> {
    let mut transaction = store.begin().await?;
    let jobs: Vec<JobId> = requests.iter().map(|request| request.job).collect();
    let (rows, now) = live::lock_with_terms(&mut transaction, &jobs).await?;
    let Some(now) = now else { return Ok(Done::unchanged(vec![Decision::Gone; requests.len()])) };
    let admission = Admission::load(&mut transaction, rows.iter()).await?;
    // Not before the gates were locked, so no attempt starts before the one whose slot it takes has
    // ended.
    let now = admission.at.map_or(now, |locked_at| locked_at.max(now));
    let rows = rows.into_iter().map(|(row, terms)| (row.job, (row, terms))).collect();
    let mut batch = Batch {
        worker,
        now,
        began: Instant::now(),
        rows,
        admission,
        changes: Vec::new(),
        paused: Vec::new(),
    };
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_key(|&index| {
        let job = requests[index].job;
        let row = batch.rows.get(&job).map(|(row, _)| row);
        (Reverse(row.map(|row| row.priority)), row.map(|row| row.round), job)
    });
    let mut decisions = vec![Decision::Gone; requests.len()];
    for index in order {
        decisions[index] = batch.decide(&requests[index]);
    }
    live::save(&mut transaction, &batch.changes, now).await?;
    let has_timed = batch.admission.has_timed();
    let (full, joined) = batch.admission.take_uncertain();
    let woken = batch.admission.save_gates(&mut transaction).await?;
    if !batch.paused.is_empty() {
        backlog::unmark(&mut transaction, &batch.paused).await?;
    }
    commit(transaction).await?;
    let mut after = woken.after();
    let recheck = Recheck { full, joined, emptied: woken.emptied, ..Recheck::default() };
    after.merge(recheck.run(store).await);
    after.has_timed |= has_timed;
    after.changed.extend(batch.changes.iter().map(|change| change.before.job));
    Ok(Done::new(decisions, after))
}

/// One batch, under the locks of its jobs and gates.
struct Batch {
    worker: WorkerId,
    now: Time,
    /// `now` on this machine's clock, or slightly later.
    began: Instant,
    rows: HashMap<JobId, (LiveJob, Terms)>,
    admission: Admission,
    changes: Vec<Change>,
    paused: Vec<JobId>,
}

impl Batch {
    fn decide(&mut self, request: &ClaimRequest) -> Decision {
        let Some((row, terms)) = self.rows.get(&request.job).cloned() else { return Decision::Gone };
        match &row.standing {
            Standing::Running { attempt, .. } if *attempt == request.attempt => {
                return self.grant(row.attempt_at.unwrap_or(self.now), row);
            }
            Standing::Queued { .. } if terms.is_paused => {
                self.admission.forward_wakeup(&row, None);
                self.paused.push(request.job);
                return Decision::Paused;
            }
            Standing::Queued { .. } => {}
            Standing::Blocked
            | Standing::Scheduled { .. }
            | Standing::Running { .. }
            | Standing::Ended(_) => {
                return Decision::Gone;
            }
        }
        match self.admission.judge(&row, self.now) {
            Ok(at) => {
                let transition = Transition::Claimed { attempt: request.attempt };
                let Some(applied) = self.allowed(&row, transition) else { return Decision::Gone };
                let (holds, proxy) = (self.admission.pass(&row, at), self.admission.proxy(row.job));
                let started = Started { worker: self.worker, at, holds, proxy };
                let granted = granted(row.clone(), request.attempt, started.clone());
                let started = Some(started);
                self.changes.push(Change { before: row, applied, started, is_dispatched: false });
                self.rows.insert(granted.job, (granted.clone(), terms));
                self.grant(at, granted)
            }
            Err(admission::Parking { on, block, reason }) => {
                let transition = Transition::Parked { on: on.clone(), reason };
                if let Some(applied) = self.allowed(&row, transition) {
                    self.admission.park(&row, &on, &block, self.now);
                    self.changes.push(Change { before: row, applied, started: None, is_dispatched: false });
                }
                Decision::Parked { on }
            }
        }
    }

    fn grant(&self, at: Time, live: LiveJob) -> Decision {
        let starts_at = self.began + (at - self.now).to_std().unwrap_or_default();
        Decision::Granted(Box::new(Grant { live, starts_at, at }))
    }

    /// Applies a transition. `None` if the job does not allow it, for example because it is already
    /// parked at that gate.
    fn allowed(&self, row: &LiveJob, transition: Transition) -> Option<Applied> {
        apply(&row.facts(), transition, self.now).ok()
    }
}

/// The row as it is after the grant.
fn granted(row: LiveJob, attempt: AttemptId, started: Started) -> LiveJob {
    let Started { worker, at, holds, proxy } = started;
    LiveJob {
        standing: Standing::Running { attempt, cancel_asked: false },
        version: row.version + 1,
        attempt: row.attempt + 1,
        worker: Some(worker),
        attempt_proxy: proxy,
        dispatched_at: None,
        attempt_at: Some(at),
        started_at: row.started_at.or(Some(at)),
        woken_for: Vec::new(),
        holds,
        ..row
    }
}
