//! Delete: removes a finished job by hand, before its retention ends.
//!
//! One transaction, after which the job is in no list: it goes with its attempts, events, log
//! lines, artifacts, idempotency key and edges to its dependencies. Jobs that depend on it keep the
//! outcome that is noted on their edges. The files stay on the disk until the duty that prunes
//! removes them. If the process dies right after, the row in `deleted_jobs` says which.

use serde_json::json;

use crate::{
    audit::{By, Change, Object},
    clock::{IdSource, Time, written},
    ids::JobId,
    refusal::RefusalCode,
    steps::StepError,
    store::{
        Connection, Store, StoreError, audit,
        catalogue::commands,
        commit,
        jobs::records::{self, JobRecord},
        maintenance::retention,
    },
};

/// Deletes one job. Of a retry at the same time, the first one wins, and the other one is refused.
pub async fn delete(store: &Store, job: JobId, by: &By) -> Result<(), StepError> {
    let mut transaction = store.begin().await?;
    let has_ended = retention::note_deleted(&mut transaction, job).await?;
    let Some(record) = records::by_ids(&mut transaction, &[job]).await?.pop() else {
        return Err(StepError::refused(RefusalCode::NotFound, &["id"], format!("There is no job {job}.")));
    };
    if !has_ended {
        let message = format!(
            "The job {job} is {}, and only a job that has finished can be deleted. Cancel it first with jobCancel.",
            record.state.as_str().to_uppercase()
        );
        return Err(StepError::refused(RefusalCode::NotAllowedInState, &["id"], message));
    }
    let shown = shown(&mut transaction, &record).await?;
    let change = Change::between(Some(&shown), None);
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("job", &job, None)).changing(change));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    // All of its events and lines, however old: the days that are kept longest are not dropped yet.
    let always = Time::UNIX_EPOCH;
    retention::delete_jobs(&mut transaction, &[job], always, always).await?;
    commit(transaction).await?;
    Ok(())
}

/// What the audit keeps of a deleted job: enough to know which one it was, and no contents.
async fn shown(connection: &mut Connection, job: &JobRecord) -> Result<serde_json::Value, StoreError> {
    let command = commands::load(connection, &[job.command_id]).await?.pop();
    Ok(json!({
        "command": command.map(|command| command.name),
        "commandId": job.command_id,
        "queue": job.queue,
        "labels": job.labels,
        "state": job.state.as_str().to_uppercase(),
        "createdBy": job.created_by,
        "createdAt": written(job.created_at),
        "finishedAt": job.finished_at.map(written),
        "attempts": job.attempt,
    }))
}
