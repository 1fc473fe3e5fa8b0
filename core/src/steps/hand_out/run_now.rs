//! Run now: makes a job ready that waits for its start time or for the end of a backoff.
//!
//! One transaction. The job becomes ready as if its time had come, with its reference marked as
//! handed over. If the process dies right after, dispatch pushes the reference.

use crate::{
    audit::{By, Object},
    clock::IdSource,
    ids::JobId,
    job::{
        JobState,
        transition::{Refused, Transition, apply},
    },
    refusal::{Refusal, RefusalCode},
    steps::{After, StepError},
    store::{
        Store, audit, commit,
        jobs::{
            live::{self, Change},
            records,
        },
        queues::lanes,
    },
};

/// Makes a scheduled job ready. A job in another state is refused. Of two requests at a time, and
/// of a request and the duty that promotes jobs, the first one makes it ready.
pub async fn run_now(store: &Store, job: JobId, by: &By) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    let (mut rows, now) = live::lock(&mut transaction, &[job]).await?;
    let (Some(before), Some(now)) = (rows.pop(), now) else {
        let record = records::by_ids(&mut transaction, &[job]).await?.pop();
        return Err(record.map_or_else(|| no_job(job), |record| not_now(job, record.state)).into());
    };
    let facts = before.facts();
    let applied = match apply(&facts, Transition::RunNow, now) {
        Ok(applied) => applied,
        Err(Refused { state, .. }) => return Err(not_now(job, state).into()),
    };
    let mut changes = [Change { before, applied, started: None, is_dispatched: true }];
    lanes::account(&mut transaction, &mut changes).await?;
    live::save_by(&mut transaction, &changes, &by.actor.name, now).await?;
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("job", &job, None)));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    let ready = changes.iter().map(|change| change.before.reference()).collect();
    Ok(After { changed: vec![job], ready, ..After::default() })
}

fn no_job(job: JobId) -> Refusal {
    Refusal::new(RefusalCode::NotFound, "id", format!("There is no job {job}."))
}

/// Says what the job does or waits for instead, and what helps. What exactly blocks a ready job is
/// known to `Job.waiting`.
fn not_now(job: JobId, state: JobState) -> Refusal {
    let message = match state {
        JobState::Blocked => format!(
            "The job {job} is BLOCKED until the jobs that it depends on have succeeded. To run it without \
             them, cancel it and enqueue it again without `dependsOn`."
        ),
        JobState::Queued | JobState::Scheduled => {
            format!("The job {job} is QUEUED, and starts as soon as nothing blocks it.")
        }
        JobState::Running => {
            format!(
                "The job {job} is RUNNING. To begin it anew, cancel it, and then run it again with jobRetry."
            )
        }
        JobState::Succeeded | JobState::Failed | JobState::Cancelled => {
            format!("The job {job} has already finished. Run it again with jobRetry.")
        }
    };
    Refusal::new(RefusalCode::NotAllowedInState, "id", message)
}
