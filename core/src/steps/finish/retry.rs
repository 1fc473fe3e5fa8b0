//! Retry: revives finished jobs under the same ids, with fresh attempts and their whole history.
//!
//! One transaction for a batch.

use std::collections::{HashMap, HashSet};

use super::choices;
use crate::{
    audit::{By, Object},
    clock::IdSource,
    ids::JobId,
    job::{
        Lane, ReadyJob, Standing,
        state::Ending,
        transition::{Facts, Transition, apply},
    },
    refusal::{Refusal, RefusalCode},
    steps::{After, Done, StepError},
    store::{
        Connection, Store, StoreError, audit, commit,
        jobs::{
            dependencies::{self, Edge, Needed},
            records,
            revive::{self, Revival},
        },
        queues::{
            backlog,
            lanes::{self, Taking},
        },
    },
};

/// Most jobs of one transaction of [`retry_many`].
pub const RETRY_BATCH_MAX: usize = 500;

/// Revives one job. A caller who is no admin is refused if they may not choose for it now what it
/// runs on.
pub async fn retry(store: &Store, job: JobId, by: &By) -> Result<After, StepError> {
    let refuse = |message: String| Err(StepError::refused(RefusalCode::NotAllowedInState, &["id"], message));
    let mut transaction = store.begin().await?;
    let ended = revive::lock_ended(&mut transaction, &[job]).await?;
    let Some(record) = records::by_ids(&mut transaction, &[job]).await?.into_iter().next() else {
        return Err(StepError::refused(RefusalCode::NotFound, &["id"], format!("There is no job {job}.")));
    };
    let choices = choices::refused(&mut transaction, std::slice::from_ref(&record), by).await?;
    if let Some(refusals) = choices.into_values().next() {
        let of_job = |refusal| Refusal { path: vec!["id".to_owned()], ..refusal };
        return Err(StepError::Refused(refusals.into_iter().map(of_job).collect()));
    }
    if ended.is_empty() {
        let is_going = record.state.has_ended();
        return refuse(
            if is_going { "The job is too old and is being removed." } else { "The job has not finished." }
                .to_owned(),
        );
    }
    let plan = Plan::make(&mut transaction, &ended).await?;
    if let Some(needed) = plan.broken {
        return refuse(format!("The job depends on {needed}, which did not succeed. Retry {needed} first."));
    }
    match plan.carry_out(&mut transaction, true, by).await {
        Ok(()) => {}
        Err(StoreError::Constraint { name, .. }) => {
            return refuse(format!("The job's {} has been deleted.", deleted(&name)));
        }
        Err(error) => return Err(error.into()),
    }
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("job", &job, None)));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    let (queue, priority) = (record.queue.clone(), record.priority);
    let ready = plan.revivals.iter().filter(|revival| !revival.is_blocked);
    let ready =
        ready.map(|revival| ReadyJob { job, queue: queue.clone(), priority, round: revival.round }).collect();
    Ok(After { changed: vec![job], ready, ..After::default() })
}

/// Revives the finished ones of these jobs, at most [`RETRY_BATCH_MAX`], whose profile, proxy and
/// services still exist and may be chosen by the caller, and whose dependencies have not failed.
/// Their ids are in `changed` of the [`After`], also of those that were revived before an error.
/// They are left to dispatch.
pub async fn retry_many(store: &Store, jobs: &[JobId], by: &By) -> Done<Result<(), StoreError>> {
    match revive_all(store, jobs, by).await {
        Ok(after) => Done::new(Ok(()), after),
        // One job names something that was deleted, which must not fail its neighbours.
        Err(StoreError::Constraint { .. }) if jobs.len() > 1 => {
            let mut all = After::default();
            for half in jobs.chunks(jobs.len().div_ceil(2)) {
                let Done { value, after } = Box::pin(retry_many(store, half, by)).await;
                all.merge(after);
                if value.is_err() {
                    return Done::new(value, all);
                }
            }
            Done::new(Ok(()), all)
        }
        Err(StoreError::Constraint { .. }) => Done::unchanged(Ok(())),
        Err(error) => Done::unchanged(Err(error)),
    }
}

async fn revive_all(store: &Store, jobs: &[JobId], by: &By) -> Result<After, StoreError> {
    let mut transaction = store.begin().await?;
    let mut ended = revive::lock_ended(&mut transaction, jobs).await?;
    if by.actor.is_bound {
        let records = records::by_ids(&mut transaction, jobs).await?;
        let refused = choices::refused(&mut transaction, &records, by).await?;
        ended.retain(|(job, _)| !refused.contains_key(job));
    }
    let plan = Plan::make(&mut transaction, &ended).await?;
    if plan.revivals.is_empty() {
        return Ok(After::default());
    }
    plan.carry_out(&mut transaction, false, by).await?;
    let revived = || plan.revivals.iter().map(|revival| revival.job).collect();
    let entry = by.entry(IdSource).map(|entry| entry.on_jobs(revived()));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    let changed = plan.revivals.iter().map(|revival| revival.job).collect();
    Ok(After { changed, has_backlog: true, ..After::default() })
}

/// The jobs to revive, and what they wait for.
#[derive(Debug, Default)]
struct Plan {
    revivals: Vec<Revival>,
    edges: Vec<Edge>,
    /// The first failed dependency that keeps a job from being revived.
    broken: Option<JobId>,
}

impl Plan {
    /// For these locked jobs, in order of id. A dependency usually has the lower id and may be
    /// revived with the jobs that need it.
    async fn make(connection: &mut Connection, ended: &[(JobId, Ending)]) -> Result<Self, StoreError> {
        let jobs: Vec<JobId> = ended.iter().map(|(job, _)| *job).collect();
        let edges = dependencies::edges_of(connection, &jobs).await?;
        let needs: Vec<JobId> = edges.iter().map(|edge| edge.needed.job).collect();
        let found: HashMap<JobId, Needed> = if needs.is_empty() {
            HashMap::new()
        } else {
            let found = dependencies::lock_needed(connection, &needs).await?;
            found.into_iter().map(|needed| (needed.job, needed)).collect()
        };
        let now = backlog::clock(connection).await?;
        let mut plan = Self::default();
        let mut revived = HashSet::new();
        for (job, ending) in ended {
            let own = edges.iter().filter(|edge| edge.job == *job).map(|edge| {
                // A pruned dependency keeps the outcome that the edge has recorded.
                let mut needed = found.get(&edge.needed.job).copied().unwrap_or(edge.needed);
                if revived.contains(&needed.job) {
                    needed.ending = None;
                }
                Edge { needed, ..*edge }
            });
            let own: Vec<Edge> = own.collect();
            if let Some(edge) = own.iter().find(|edge| edge.needed.is_broken()) {
                plan.broken = plan.broken.or(Some(edge.needed.job));
                continue;
            }
            let is_blocked = own.iter().any(|edge| edge.needed.ending.is_none());
            let facts = Facts { standing: Standing::Ended(*ending), counted: 0, lost: 0 };
            if apply(&facts, Transition::Retried { is_blocked }, now).is_ok() {
                revived.insert(*job);
                plan.edges.extend(own);
                plan.revivals.push(Revival { job: *job, is_blocked, round: 0 });
            }
        }
        plan.give_rounds(connection).await?;
        Ok(plan)
    }

    async fn give_rounds(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let mut ready: Vec<&mut Revival> =
            self.revivals.iter_mut().filter(|revival| !revival.is_blocked).collect();
        let jobs: Vec<JobId> = ready.iter().map(|revival| revival.job).collect();
        if jobs.is_empty() {
            return Ok(());
        }
        let mut lanes = revive::lanes_of(connection, &jobs).await?;
        ready.retain(|revival| lanes.contains_key(&revival.job));
        let lanes: Vec<Lane> = ready.iter().filter_map(|revival| lanes.remove(&revival.job)).collect();
        let rounds = lanes::take_rounds(connection, &lanes, Taking::Within).await?;
        for (revival, round) in ready.iter_mut().zip(rounds) {
            revival.round = round;
        }
        Ok(())
    }

    async fn carry_out(
        &self,
        connection: &mut Connection,
        is_dispatched: bool,
        by: &By,
    ) -> Result<(), StoreError> {
        revive::revive(connection, &self.revivals, is_dispatched, &by.actor.name).await?;
        if self.edges.is_empty() { Ok(()) } else { dependencies::write(connection, &self.edges).await }
    }
}

/// The kind of row that a violated foreign key says is gone.
fn deleted(constraint: &str) -> &'static str {
    if constraint.contains("profile") {
        "profile"
    } else if constraint.contains("proxy") {
        "proxy"
    } else {
        "service"
    }
}
