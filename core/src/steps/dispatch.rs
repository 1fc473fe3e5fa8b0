//! Dispatch: keep a bounded window of references to ready jobs in Redis, and notice when Redis forgot some.
//!
//! Duties of every worker. Postgres marks what was handed over, so Redis may lose anything or everything.

use std::time::Duration;

use crate::{
    ids::JobId,
    job::ReadyJob,
    store::{Store, StoreError, backlog, commit},
    transport::{Redis, RedisError, queue},
};

/// References of one queue that Redis holds at most (and one batch of each API process more).
pub const WINDOW: usize = 4096;
/// The window is refilled when it is emptier than this.
const REFILL_BELOW: usize = WINDOW / 2;
/// A mark younger than this is not missed yet: its reference may be between two hands.
const MARK_AGE: Duration = Duration::from_millis(700);
/// Most marks that are compared in one round.
const COMPARE_MAX: i64 = 50_000;

/// Why a round of dispatch stopped. The next one tries again.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// Postgres failed.
    #[error("dispatch could not read or mark the backlog")]
    Store(#[from] StoreError),
    /// Redis failed; what was marked is pushed by a later comparison.
    #[error("dispatch could not reach Redis")]
    Redis(#[from] RedisError),
}

/// Refills the windows of all queues that have a backlog. Answers whether any backlog is left.
pub async fn refill(store: &Store, redis: &Redis) -> Result<bool, DispatchError> {
    let queues = backlog::queues(&mut *store.read().await?).await?;
    let mut has_backlog = false;
    for name in queues {
        let held = redis.ready_count(&name).await?;
        if held >= REFILL_BELOW {
            has_backlog = true;
            continue;
        }
        let room = WINDOW - held;
        let mut transaction = store.begin().await?;
        let taken = backlog::take(&mut transaction, &name, room as i64).await?;
        commit(transaction).await?;
        has_backlog |= taken.len() == room;
        queue::push(redis, taken).await?;
    }
    Ok(has_backlog)
}

/// Compares the marks with the ready sets and pushes what is missing again. Answers how many were.
pub async fn compare(store: &Store, redis: &Redis) -> Result<usize, DispatchError> {
    let marked = backlog::marked(&mut *store.read().await?, MARK_AGE, COMPARE_MAX).await?;
    let missing: Vec<ReadyJob> = redis.missing(marked).await?;
    if missing.is_empty() {
        return Ok(0);
    }
    let jobs: Vec<JobId> = missing.iter().map(|ready| ready.job).collect();
    let mut transaction = store.begin().await?;
    backlog::mark_again(&mut transaction, &jobs).await?;
    commit(transaction).await?;
    let count = missing.len();
    queue::push(redis, missing).await?;
    Ok(count)
}
