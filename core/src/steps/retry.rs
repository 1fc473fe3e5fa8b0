//! Retry: a finished job runs again under the same id, with fresh attempts and all its history.
//!
//! Called by the API.

use crate::{
    ids::JobId,
    job::{
        JobState, ReadyJob, Standing,
        state::Ending,
        transition::{Facts, Transition, apply},
    },
    policy::Policy,
    refusal::{Refusal, RefusalCode},
    steps::After,
    store::{Store, StoreError, commit, records, revivals},
};

/// Revives one job; the inner error says why it cannot be.
pub async fn retry(store: &Store, job: JobId) -> Result<Result<After, Refusal>, StoreError> {
    let mut transaction = store.begin().await?;
    let state = revivals::lock_ended(&mut transaction, job).await?;
    let record = records::by_ids(&mut transaction, &[job]).await?.into_iter().next();
    let (Some(state), Some(record)) = (state, &record) else {
        return Ok(Err(match record {
            Some(_) => Refusal::new(RefusalCode::NotAllowedInState, "id", "the job has not ended"),
            None => Refusal::new(RefusalCode::NotFound, "id", format!("there is no job {job}")),
        }));
    };
    let ending = match state {
        JobState::Succeeded => Ending::Succeeded,
        JobState::Cancelled => Ending::Cancelled,
        JobState::Failed | JobState::Blocked | JobState::Scheduled | JobState::Queued | JobState::Running => {
            Ending::Failed
        }
    };
    let policy = Policy::default();
    let facts = Facts { standing: Standing::Ended(ending), counted: 0, lost: 0, policy: &policy };
    if let Err(refused) = apply(&facts, Transition::Retried, record.created_at) {
        return Ok(Err(Refusal::new(RefusalCode::NotAllowedInState, "id", refused.to_string())));
    }
    match revivals::revive(&mut transaction, job).await {
        Ok(()) => {}
        Err(StoreError::Constraint { name, .. }) => {
            let what = if name.contains("profile") {
                "profile"
            } else if name.contains("proxy") {
                "proxy"
            } else {
                "service"
            };
            let message = format!("the job's {what} has been deleted since");
            return Ok(Err(Refusal::new(RefusalCode::NotAllowedInState, "id", message)));
        }
        Err(error) => return Err(error),
    }
    commit(transaction).await?;
    let ready = vec![ReadyJob { job, queue: record.queue.clone(), priority: record.priority }];
    Ok(Ok(After { changed: vec![job], ready, ..After::default() }))
}
