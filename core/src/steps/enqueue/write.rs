//! Write: inserts prepared jobs, each submission all or none.
//!
//! Jobs without idempotency keys and dependencies go in with one statement, which is the
//! transaction. Otherwise one transaction holds a savepoint per submission, so that a conflict
//! undoes only that submission.

use std::collections::HashMap;

use super::{
    context::SubmitContext,
    fingerprint,
    prepare::Prepared,
    submit::{Accepted, IsAwaited, SubmitResult},
};
use crate::{
    evaluator::Failure,
    ids::JobId,
    job::{JobState, Lane, ReadyJob, state::Ending},
    refusal::{Refusal, RefusalCode},
    steps::{After, Done},
    store::{
        Connection, PoolConnection, StoreError, Transaction, commit,
        jobs::{
            dependencies::{self, Edge, Needed},
            insert::{self, Idempotency, KeyHolder, NewJob},
        },
        queues::lanes::{self, Taking},
    },
};

/// A submission that is ready to be written.
#[derive(Debug, Clone)]
pub struct PreparedSubmission {
    pub(super) jobs: Prepared,
    /// How the submission is recognised that it repeats, if it is refused now.
    pub(super) given: Option<Vec<Idempotency>>,
}

/// Writes what has been prepared.
pub(super) async fn write(
    context: &SubmitContext,
    mut connection: PoolConnection,
    prepared: Vec<PreparedSubmission>,
    is_awaited: IsAwaited<'_>,
) -> Result<Done<Vec<SubmitResult>>, StoreError> {
    let (mut prepared, given): (Vec<Prepared>, Vec<_>) =
        prepared.into_iter().map(|submission| (submission.jobs, submission.given)).unzip();
    let repeats = accepted_before(&mut connection, given).await?;
    leave_out(&mut prepared, is_awaited);
    give_rounds(&mut connection, &mut prepared, Taking::Ahead).await?;
    let is_simple = |job: &NewJob| job.idempotency.is_none() && job.needs.is_empty();
    leave_out(&mut prepared, is_awaited);
    let inserted = if prepared.iter().flatten().flatten().all(is_simple) {
        insert(&mut connection, &prepared).await?
    } else {
        drop(connection);
        let mut transaction = context.store.begin().await?;
        let inserted = insert_one_by_one(&mut transaction, &mut prepared, is_awaited).await?;
        commit(transaction).await?;
        inserted
    };
    let mut done = to_results(prepared, inserted);
    for (result, accepted) in done.value.iter_mut().zip(repeats) {
        if let Some(accepted) = accepted {
            *result = Ok(accepted);
        }
    }
    Ok(done)
}

/// Leaves out what nobody waits for any more.
fn leave_out(prepared: &mut [Prepared], is_awaited: IsAwaited<'_>) {
    for (place, submission) in prepared.iter_mut().enumerate() {
        if !is_awaited(place) {
            *submission = Err(left());
        }
    }
}

/// The result of a caller who has left, which nobody reads.
const fn left() -> Failure {
    Failure::Refused(Vec::new())
}

/// For each submission that is refused now, its jobs if it repeats one that was accepted. Since
/// then the command may have changed or a cap may have been reached, and the caller, who may have
/// lost the reply, must still learn of the jobs.
async fn accepted_before(
    connection: &mut Connection,
    given: Vec<Option<Vec<Idempotency>>>,
) -> Result<Vec<Option<Vec<Accepted>>>, StoreError> {
    let keys: Vec<String> = given.iter().flatten().flatten().map(|given| given.key.clone()).collect();
    let holders = if keys.is_empty() { Vec::new() } else { insert::key_holders(connection, &keys).await? };
    let holders: HashMap<&str, &KeyHolder> =
        holders.iter().map(|holder| (holder.key.as_str(), holder)).collect();
    let of_one = |given: &Idempotency| {
        let holder = holders.get(given.key.as_str())?;
        fingerprint::is_repeat(given, &holder.hash)
            .then_some(Accepted { job: holder.job, was_duplicate: true })
    };
    Ok(given.into_iter().map(|given| given?.iter().map(of_one).collect()).collect())
}

/// Inserts what has been prepared within the caller's transaction. The jobs are left to dispatch.
pub(super) async fn write_within(
    transaction: &mut Transaction,
    mut prepared: Vec<Prepared>,
) -> Result<Done<Vec<SubmitResult>>, StoreError> {
    let inserted = insert_one_by_one(transaction, &mut prepared, &|_| true).await?;
    Ok(to_results(prepared, inserted))
}

/// Gives rounds to jobs that are ready at once. Outside of a transaction only to those that are
/// certainly ready.
async fn give_rounds(
    connection: &mut Connection,
    prepared: &mut [Prepared],
    taking: Taking,
) -> Result<(), StoreError> {
    let is_sure = |job: &NewJob| taking == Taking::Within || job.needs.is_empty();
    let is_meant = |job: &&mut NewJob| job.state == JobState::Queued && job.round == 0 && is_sure(job);
    let mut ready: Vec<&mut NewJob> = prepared.iter_mut().flatten().flatten().filter(is_meant).collect();
    let lane =
        |job: &&mut NewJob| Lane::of(&job.queue, job.priority, job.fairness_key.as_deref(), job.profile_id);
    let lanes: Vec<Lane> = ready.iter().map(lane).collect();
    let rounds = lanes::take_rounds(connection, &lanes, taking).await?;
    for (job, round) in ready.iter_mut().zip(rounds) {
        job.round = round;
    }
    Ok(())
}

fn to_results(prepared: Vec<Prepared>, inserted: Inserted) -> Done<Vec<SubmitResult>> {
    let mut after = After::default();
    let mut results = Vec::with_capacity(prepared.len());
    for (prepared, conflicts) in prepared.into_iter().zip(inserted) {
        results.push(match (prepared, conflicts) {
            (Err(failure), _) | (Ok(_), Err(failure)) => Err(failure.into()),
            (Ok(jobs), Ok(accepted)) => {
                for (job, accepted) in jobs.into_iter().zip(&accepted) {
                    if !accepted.was_duplicate {
                        after.note_submitted(job);
                    }
                }
                Ok(accepted)
            }
        });
    }
    Done::new(results, after)
}

/// For each submission, the jobs that exist now, or why it was refused after all.
type Inserted = Vec<Result<Vec<Accepted>, Failure>>;

async fn insert(connection: &mut Connection, prepared: &[Prepared]) -> Result<Inserted, StoreError> {
    let jobs: Vec<&NewJob> = prepared.iter().flatten().flatten().collect();
    if !jobs.is_empty() {
        // One statement is a transaction by itself. Nothing can conflict, because the ids are new
        // and these jobs have no idempotency key.
        insert::insert(connection, &jobs).await.map_err(StoreError::of_commit)?;
    }
    let accept = |jobs: &Vec<NewJob>| {
        jobs.iter().map(|job| Accepted { job: job.id, was_duplicate: false }).collect::<Vec<_>>()
    };
    Ok(prepared.iter().map(|submission| submission.as_ref().map(accept).map_err(Clone::clone)).collect())
}

/// Inserts each submission within a savepoint of its own, so that an idempotency conflict undoes
/// only that submission.
async fn insert_one_by_one(
    transaction: &mut Transaction,
    prepared: &mut [Prepared],
    is_awaited: IsAwaited<'_>,
) -> Result<Inserted, StoreError> {
    let edges = decide_dependencies(transaction, prepared.iter_mut().flatten().flatten()).await?;
    give_rounds(transaction, prepared, Taking::Within).await?;
    let mut outcomes = Vec::with_capacity(prepared.len());
    for (place, submission) in prepared.iter_mut().enumerate() {
        let jobs = match submission {
            Ok(jobs) => jobs,
            Err(failure) => {
                outcomes.push(Err(failure.clone()));
                continue;
            }
        };
        let mut savepoint = insert::savepoint(transaction).await?;
        // Sorted by key: of two submissions with the same keys, one waits for the other without a
        // deadlock.
        let mut in_order: Vec<&NewJob> = jobs.iter().collect();
        in_order.sort_by(|one, other| key_of(one).cmp(&key_of(other)));
        let inserted = insert::insert(&mut savepoint, &in_order).await?;
        let edges: Vec<Edge> = edges.iter().filter(|edge| inserted.contains(&edge.job)).copied().collect();
        if !edges.is_empty() {
            dependencies::write(&mut savepoint, &edges).await?;
        }
        let keys: Vec<String> = jobs
            .iter()
            .filter(|job| !inserted.contains(&job.id))
            .filter_map(|job| key_of(job).map(str::to_owned))
            .collect();
        let holders =
            if keys.is_empty() { Vec::new() } else { insert::key_holders(&mut savepoint, &keys).await? };
        match accept_or_conflict(jobs, &inserted, &holders) {
            Ok(_) if !is_awaited(place) => {
                savepoint.rollback().await?;
                outcomes.push(Err(left()));
            }
            Ok(accepted) => {
                savepoint.commit().await?;
                outcomes.push(Ok(accepted));
            }
            Err(refusals) => {
                savepoint.rollback().await?;
                outcomes.push(Err(refusals.into()));
            }
        }
    }
    Ok(outcomes)
}

/// Blocks jobs whose dependencies have not succeeded, and returns the edges to write. The needed
/// jobs are locked, so each has either finished already or will find its edges when it does.
async fn decide_dependencies(
    connection: &mut Connection,
    jobs: impl Iterator<Item = &mut NewJob>,
) -> Result<Vec<Edge>, StoreError> {
    let jobs: Vec<&mut NewJob> = jobs.filter(|job| !job.needs.is_empty()).collect();
    let mut needs: Vec<JobId> = jobs.iter().flat_map(|job| job.needs.iter().copied()).collect();
    needs.sort_unstable();
    needs.dedup();
    if needs.is_empty() {
        return Ok(Vec::new());
    }
    let found = dependencies::lock_needed(connection, &needs).await?;
    let found: HashMap<JobId, Needed> = found.into_iter().map(|needed| (needed.job, needed)).collect();
    let mut edges = Vec::new();
    for job in jobs {
        for (position, needs) in (0..).zip(&job.needs) {
            // A job that was pruned in between had finished. Whether it succeeded is no longer
            // known.
            let gone = Needed { job: *needs, ending: Some(Ending::Cancelled) };
            let needed = found.get(needs).copied().unwrap_or(gone);
            if needed.ending != Some(Ending::Succeeded) {
                job.state = JobState::Blocked;
                job.is_dispatched = false;
            }
            edges.push(Edge { job: job.id, position, needed });
        }
    }
    Ok(edges)
}

fn key_of(job: &NewJob) -> Option<&str> {
    job.idempotency.as_ref().map(|idempotency| idempotency.key.as_str())
}

fn accept_or_conflict(
    jobs: &[NewJob],
    inserted: &[JobId],
    holders: &[KeyHolder],
) -> Result<Vec<Accepted>, Vec<Refusal>> {
    let (mut accepted, mut refusals) = (Vec::new(), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        if inserted.contains(&job.id) {
            accepted.push(Accepted { job: job.id, was_duplicate: false });
            continue;
        }
        let Some(idempotency) = &job.idempotency else {
            accepted.push(Accepted { job: job.id, was_duplicate: false });
            continue;
        };
        match holders.iter().find(|holder| holder.key == idempotency.key) {
            Some(holder) if fingerprint::is_repeat(idempotency, &holder.hash) => {
                accepted.push(Accepted { job: holder.job, was_duplicate: true });
            }
            _ => {
                let message = "This key was used for a different request. Use a new key for a new job.";
                let refusal = Refusal::new(RefusalCode::IdempotencyConflict, "idempotencyKey", message);
                refusals.push(if jobs.len() > 1 {
                    refusal.below(&["jobs", &index.to_string()])
                } else {
                    refusal
                });
            }
        }
    }
    if refusals.is_empty() { Ok(accepted) } else { Err(refusals) }
}

impl After {
    fn note_submitted(&mut self, job: NewJob) {
        self.changed.push(job.id);
        if job.is_dispatched {
            let NewJob { id, queue, priority, round, .. } = job;
            self.ready.push(ReadyJob { job: id, queue, priority, round });
        } else if job.state == JobState::Queued {
            self.has_backlog = true;
        } else if job.state == JobState::Blocked {
            // A dependency may have failed already.
            self.has_dependents = true;
        }
    }
}
