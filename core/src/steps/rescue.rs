//! Rescue: declare workers lost whose lease ran out, and give their jobs back to the queue.
//!
//! A duty of every worker, which calls it only after a whole lease of unbroken contact with Postgres, so that an
//! outage of Postgres does not make everybody lost.

use std::time::Duration;

use crate::{
    ids::{JobId, WorkerId},
    job::{Outcome, Standing},
    steps::{
        After,
        settle::{Verdict, settle_within},
    },
    store::{Connection, Store, StoreError, commit, holds, live, workers},
};

/// Most jobs of one transaction; a worker with more is emptied in several.
const RESCUE_BATCH_MAX: i64 = 500;

/// What one round did.
#[derive(Debug, Default)]
pub struct Rescued {
    /// Worker that was declared lost.
    pub worker: Option<WorkerId>,
    /// Jobs that were taken from lost workers.
    pub jobs: usize,
    /// Whether another round has work.
    pub has_more: bool,
}

/// One round: at most one worker is declared lost, and at most one batch of orphaned jobs is given back.
pub async fn rescue(store: &Store, lease: Duration) -> Result<(Rescued, After), StoreError> {
    let mut transaction = store.begin().await?;
    let worker = workers::lose_one(&mut transaction, lease).await?;
    let orphans = workers::orphans(&mut transaction, RESCUE_BATCH_MAX).await?;
    let has_more = worker.is_some() || orphans.len() as i64 == RESCUE_BATCH_MAX;
    let (jobs, after) = give_back(&mut transaction, &orphans).await?;
    commit(transaction).await?;
    Ok((Rescued { worker, jobs, has_more }, after))
}

async fn give_back(connection: &mut Connection, orphans: &[JobId]) -> Result<(usize, After), StoreError> {
    let (rows, Some(_)) = live::lock(connection, orphans).await? else { return Ok((0, After::default())) };
    let verdicts = rows.iter().filter_map(|row| {
        let Standing::Running { attempt, .. } = row.standing else { return None };
        Some(Verdict::bare(row.job, attempt, Outcome::Lost))
    });
    let (settled, after) = settle_within(connection, verdicts.collect()).await?;
    Ok((settled.len(), after))
}

/// Wakes jobs that are parked on keys which nobody holds, should a wake-up ever have been lost.
pub async fn wake_forgotten(store: &Store) -> Result<After, StoreError> {
    let mut transaction = store.begin().await?;
    let keys = holds::forgotten(&mut transaction, RESCUE_BATCH_MAX).await?;
    let ready = super::claim::wake(&mut transaction, &keys).await?;
    commit(transaction).await?;
    Ok(After { changed: ready.iter().map(|ready| ready.job).collect(), ready, ..After::default() })
}
