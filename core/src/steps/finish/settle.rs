//! Settle: applies the outcomes of attempts to their jobs, a whole batch in one transaction.
//!
//! Fenced by job and attempt: an attempt that no longer holds its job changes nothing. The same
//! transaction wakes jobs that wait for the freed slots (`limits::wake`), and flags the edges of
//! dependent jobs. If the process dies right after, or the reply is lost, a repeated settle
//! recognises its own outcome.

use std::{collections::HashMap, sync::Arc, time::Duration};

use crate::{
    clock::Time,
    compose::ComposedCommand,
    ids::{AttemptId, JobId, ProxyId},
    job::{
        Outcome, Standing, Used,
        attempt::Failure,
        transition::{Next, Retry, Transition, apply},
    },
    mutant::Mutant,
    policy::Policy,
    steps::{
        After, Done,
        limits::wake::{Recheck, wake_freed},
    },
    store::{
        Connection, Store, StoreError, commit,
        jobs::{
            attempts::{self, ExitRecord, Finish},
            live::{self, Change, LiveJob},
        },
    },
};

/// Most attempts of one batch.
pub const SETTLE_BATCH_MAX: usize = 500;

/// The end of an attempt.
#[derive(Debug, Clone)]
pub struct Settlement {
    /// The job.
    pub job: JobId,
    /// The attempt, which is the fence.
    pub attempt: AttemptId,
    /// How it ended.
    pub outcome: Outcome,
    /// The job's policy.
    pub policy: Policy,
    /// A number in `0.0..1.0` that draws the jitter of the backoff.
    pub jitter: f64,
    /// The command as it ran, with secrets masked.
    pub composed: Option<Arc<ComposedCommand>>,
    /// The proxy that it went through.
    pub proxy: Option<ProxyId>,
    /// How the process ended.
    pub exit: ExitRecord,
    /// What the attempt counts for in usage. `None` if unknown.
    pub used: Option<Used>,
}

impl Settlement {
    /// For an attempt of which only the outcome is known.
    pub fn bare(job: JobId, attempt: AttemptId, outcome: Outcome) -> Self {
        let (policy, exit) = (Policy::default(), ExitRecord::default());
        Self { job, attempt, outcome, policy, jitter: 0.0, composed: None, proxy: None, exit, used: None }
    }
}

/// What became of a [`Settlement`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It is part of the job's history, by this call or an earlier one.
    Done,
    /// The attempt no longer holds its job, and its outcome was ignored.
    Stale,
}

/// Settles a batch and returns the results in order.
pub async fn settle(store: &Store, settlements: Vec<Settlement>) -> Result<Done<Vec<Settled>>, StoreError> {
    let order: Vec<(AttemptId, &'static str)> =
        settlements.iter().map(|settlement| (settlement.attempt, settlement.outcome.as_str())).collect();
    let mut transaction = store.begin().await?;
    let (settled, mut after, recheck) = settle_within(&mut transaction, settlements).await?;
    let unknown: Vec<(AttemptId, &str)> =
        order.iter().filter(|(attempt, _)| !settled.contains(attempt)).copied().collect();
    let repeated =
        if unknown.is_empty() { Vec::new() } else { attempts::settled(&mut transaction, &unknown).await? };
    commit(transaction).await?;
    after.merge(recheck.run(store).await);
    let is_done = |attempt| settled.contains(attempt) || repeated.contains(attempt);
    let settled = order
        .iter()
        .map(|(attempt, _)| if is_done(attempt) { Settled::Done } else { Settled::Stale })
        .collect();
    Ok(Done::new(settled, after))
}

/// The body of [`settle`], inside the caller's transaction. Returns the attempts that it settled,
/// and what to recheck after the commit.
pub(crate) async fn settle_within(
    connection: &mut Connection,
    settlements: Vec<Settlement>,
) -> Result<(Vec<AttemptId>, After, Recheck), StoreError> {
    let jobs: Vec<JobId> = settlements.iter().map(|settlement| settlement.job).collect();
    let (rows, Some(now)) = live::lock(connection, &jobs).await? else {
        return Ok((Vec::new(), After::default(), Recheck::default()));
    };
    let mut rows: HashMap<JobId, LiveJob> = rows.into_iter().map(|row| (row.job, row)).collect();
    let (mut changes, mut finished) = (Vec::new(), Vec::new());
    for settlement in settlements {
        let Some(row) = rows.remove(&settlement.job) else { continue };
        let Some((change, finish)) = decide(row, settlement, now) else { continue };
        changes.push(change);
        finished.push(finish);
    }
    if changes.is_empty() {
        return Ok((Vec::new(), After::default(), Recheck::default()));
    }
    let saved = live::save(connection, &changes, now).await?;
    attempts::finish(connection, &finished, now).await?;
    let (woken, recheck) = wake_freed(connection, saved.freed).await?;
    let changed = changes.iter().map(|change| change.before.job).chain(woken.changed()).collect();
    let has_backlog =
        changes.iter().any(|change| matches!(change.applied.next, Next::Live(Standing::Queued { .. })));
    let settled = finished.iter().map(|finish| finish.attempt).collect();
    let (ready, has_dependents) = (woken.ready, saved.has_dependents);
    Ok((settled, After { changed, ready, has_dependents, has_backlog, ..After::default() }, recheck))
}

/// Decides one settlement for its locked row. `None` if the attempt no longer holds the job.
fn decide(row: LiveJob, mut settlement: Settlement, now: Time) -> Option<(Change, Finish)> {
    if let Standing::Running { attempt, .. } = row.standing
        && Mutant::SettleWithoutFence.is_on()
    {
        settlement.attempt = attempt;
    }
    let counted = row.counted as u32 + u32::from(settlement.outcome.counts());
    let backoff = backoff(&settlement.outcome, &settlement.policy, counted, settlement.jitter);
    let facts = row.facts();
    let failure = failure_of(&settlement.outcome, &settlement.policy);
    let outcome = settlement.outcome.as_str();
    let retry = Retry::new(&settlement.policy, backoff);
    let transition = Transition::Finished { attempt: settlement.attempt, outcome: settlement.outcome, retry };
    let applied = apply(&facts, transition, now).ok()?;
    let finish = Finish {
        job: row.job,
        attempt: settlement.attempt,
        number: row.attempt,
        outcome,
        worker: row.worker?,
        proxy: settlement.proxy.or(row.attempt_proxy),
        composed: settlement.composed,
        queued_at: row.queued_at.unwrap_or(now),
        started_at: row.attempt_at.unwrap_or(now),
        exit: settlement.exit,
        failure,
        used: settlement.used,
    };
    Some((Change { before: row, applied, started: None, is_dispatched: false }, finish))
}

/// The wait before another attempt: the policy's, or longer if the other side asked for it, because
/// it would refuse an earlier one.
fn backoff(outcome: &Outcome, policy: &Policy, counted: u32, jitter: f64) -> Duration {
    let asked = match outcome {
        Outcome::Failed(failure) => failure.retry_after.unwrap_or_default(),
        Outcome::Succeeded { .. }
        | Outcome::TimedOut { .. }
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::Released { .. }
        | Outcome::Throttled { .. } => Duration::ZERO,
    };
    policy.backoff.delay(counted, jitter).max(asked)
}

/// Why the attempt failed, as stored with it.
fn failure_of(outcome: &Outcome, policy: &Policy) -> Option<Failure> {
    match outcome {
        Outcome::Failed(failure) => Some(failure.clone()),
        Outcome::TimedOut { said } => Some(Failure::timed_out(policy.timeout, said.as_deref())),
        Outcome::Succeeded { .. }
        | Outcome::Cancelled
        | Outcome::Lost
        | Outcome::Released { .. }
        | Outcome::Throttled { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::FailureCode;

    #[test]
    fn a_server_that_asks_to_wait_delays_the_next_attempt() {
        let policy = Policy::default();
        let failed = |wait: Option<u64>| {
            let failure = Failure::new(FailureCode::HTTP_STATUS, "Status 503", true);
            backoff(&Outcome::Failed(failure.after(wait.map(Duration::from_secs))), &policy, 1, 0.5)
        };
        let own = policy.backoff.delay(1, 0.5);
        assert_eq!((failed(None), failed(Some(0))), (own, own));
        assert_eq!(failed(Some(3600)), Duration::from_hours(1));
        assert_eq!(failed(Some(u64::MAX)), Duration::from_hours(31 * 24), "a child may send any number");
        assert_eq!(backoff(&Outcome::TimedOut { said: None }, &policy, 1, 0.5), own);
    }
}
