//! Cancel: ends jobs that have not started, and asks the workers of running ones to end them.
//!
//! One transaction. A running job only gets a cancel request. It ends when its worker has killed
//! its processes and settled. If the process dies right after, the worker learns of the request
//! with its next renewal.

use crate::{
    audit::{By, Entry, Object},
    clock::{IdSource, Time},
    ids::JobId,
    job::{
        Standing,
        transition::{Transition, apply},
    },
    refusal::RefusalCode,
    steps::{After, StepError},
    store::{
        Connection, Store, StoreError, audit, commit,
        jobs::{
            live::{self, Change, LiveJob},
            records,
        },
        queues::lanes,
    },
};

/// Most jobs of one transaction of [`cancel_many`].
pub const CANCEL_BATCH_MAX: usize = 500;

/// Cancels one job.
pub async fn cancel(store: &Store, job: JobId, reason: Option<String>, by: &By) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    let (rows, Some(now)) = live::lock(&mut transaction, &[job]).await? else {
        let exists = !records::by_ids(&mut transaction, &[job]).await?.is_empty();
        return Err(if exists {
            StepError::refused(RefusalCode::NotAllowedInState, &["id"], "The job has already finished.")
        } else {
            StepError::refused(RefusalCode::NotFound, &["id"], format!("There is no job {job}."))
        });
    };
    // No refusal if cancelling was asked for before: the caller has made no mistake.
    let (after, mut changes) = ask(&mut transaction, rows, reason.as_deref(), by, now).await?;
    lanes::account(&mut transaction, &mut changes).await?;
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("job", &job, None)));
    let entry = entry.map(|entry| Entry { message: reason, ..entry });
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    Ok(after)
}

/// Cancels the live ones of these jobs, at most [`CANCEL_BATCH_MAX`], that were not asked to cancel
/// before. Their ids are in `changed` of the [`After`].
pub async fn cancel_many(
    store: &Store,
    jobs: &[JobId],
    reason: Option<&str>,
    by: &By,
) -> Result<After, StoreError> {
    let mut transaction = store.begin().await?;
    let (rows, Some(now)) = live::lock(&mut transaction, jobs).await? else { return Ok(After::default()) };
    let (after, mut changes) = ask(&mut transaction, rows, reason, by, now).await?;
    lanes::account(&mut transaction, &mut changes).await?;
    let entry = by.entry(IdSource).filter(|_| !after.changed.is_empty());
    let entry = entry
        .map(|entry| Entry { message: reason.map(str::to_owned), ..entry.on_jobs(after.changed.clone()) });
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    Ok(after)
}

/// [`cancel_many`] within the transaction of a caller that has already taken rounds from lanes.
pub(crate) async fn cancel_within(
    connection: &mut Connection,
    jobs: &[JobId],
    reason: Option<&str>,
    by: &By,
) -> Result<After, StoreError> {
    let (rows, Some(now)) = live::lock(connection, jobs).await? else { return Ok(After::default()) };
    let (after, _changes) = ask(connection, rows, reason, by, now).await?;
    Ok(after)
}

/// Ends or marks every job whose state allows it.
async fn ask(
    connection: &mut Connection,
    rows: Vec<LiveJob>,
    reason: Option<&str>,
    by: &By,
    now: Time,
) -> Result<(After, Vec<Change>), StoreError> {
    let (mut changes, mut after) = (Vec::with_capacity(rows.len()), After::default());
    for before in rows {
        let facts = before.facts();
        let transition = Transition::CancelAsked { reason: reason.map(str::to_owned) };
        let Ok(applied) = apply(&facts, transition, now) else { continue };
        after.changed.push(before.job);
        if matches!(before.standing, Standing::Running { .. }) {
            after.cancelled.push(before.job);
        }
        changes.push(Change { before, applied, started: None, is_dispatched: false });
    }
    after.has_dependents = live::save_by(connection, &changes, &by.actor.name, now).await?.has_dependents;
    Ok((after, changes))
}
