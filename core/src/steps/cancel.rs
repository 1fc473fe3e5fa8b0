//! Cancel: end a job that has not started, or ask the worker of a running one to stop it.
//!
//! Called by the API. A running job ends when its worker has killed its processes and settled.

use crate::{
    ids::JobId,
    job::{
        Standing,
        transition::{Facts, Transition, apply},
    },
    policy::Policy,
    refusal::{Refusal, RefusalCode},
    steps::After,
    store::{
        Store, StoreError, commit,
        live::{self, Change},
        records,
    },
};

/// Cancels one job; the inner error says why it cannot be.
pub async fn cancel(
    store: &Store,
    job: JobId,
    reason: Option<String>,
) -> Result<Result<After, Refusal>, StoreError> {
    let mut transaction = store.begin().await?;
    let (rows, now) = live::lock(&mut transaction, &[job]).await?;
    let (Some(before), Some(now)) = (rows.into_iter().next(), now) else {
        let exists = !records::by_ids(&mut transaction, &[job]).await?.is_empty();
        return Ok(Err(if exists {
            Refusal::new(RefusalCode::NotAllowedInState, "id", "the job has ended already")
        } else {
            Refusal::new(RefusalCode::NotFound, "id", format!("there is no job {job}"))
        }));
    };
    let policy = Policy::default();
    let facts = Facts {
        standing: before.standing.clone(),
        counted: before.counted as u32,
        lost: before.lost as u32,
        policy: &policy,
    };
    let Ok(applied) = apply(&facts, Transition::CancelAsked { reason }, now) else {
        // Asked for already: the same request again is no mistake of the caller.
        return Ok(Ok(After::default()));
    };
    let cancelled = if matches!(before.standing, Standing::Running { .. }) { vec![job] } else { Vec::new() };
    live::save(&mut transaction, &[Change { before, applied, worker: None, is_dispatched: false }], now)
        .await?;
    commit(transaction).await?;
    Ok(Ok(After { changed: vec![job], cancelled, ..After::default() }))
}
