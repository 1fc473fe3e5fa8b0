//! Dispatch: keeps a bounded window of references to ready jobs in Redis, and restores lost ones.
//!
//! Two duties of every worker. [`refill`] marks ready jobs in a transaction, then pushes their
//! references. [`compare`] looks for marked jobs whose references are not in Redis, and pushes them
//! again. The marks are in Postgres, so Redis may lose anything. If the process dies between the
//! commit and the push, [`compare`] finds the marks.

use std::time::Duration;

use crate::{
    ids::JobId,
    job::ReadyJob,
    mutant::Mutant,
    store::{
        Store, StoreError, commit,
        queues::backlog::{self, Backlog},
    },
    transport::{ReadySet, Redis, RedisError, queue},
};

/// References of one queue and priority that dispatch keeps in Redis. Each API process may add a
/// group, and earlier rounds may exceed it up to `WINDOW_MAX`.
pub const WINDOW: usize = 4096;
/// The window is refilled when it is emptier than this.
const REFILL_BELOW: usize = WINDOW / 2;
/// A full window still takes jobs of earlier rounds than its last one, up to this many references.
/// A lane that was idle then does not wait behind thousands of jobs of a busy one.
const WINDOW_MAX: usize = 4 * WINDOW;
/// A mark younger than this is not compared, because its reference may still be on the way.
pub const MARK_AGE: Duration = Duration::from_millis(700);
/// Missing references are checked again after this time. A reference that was just popped belongs
/// to a claim that may not be committed yet.
const CONFIRM_AFTER: Duration = Duration::from_millis(250);
/// Most marks compared at a time.
const COMPARE_BATCH: i64 = 10_000;

/// Why a round of dispatch stopped. The next round tries again.
#[derive(Debug, thiserror::Error)]
pub enum DispatchError {
    /// Postgres failed.
    #[error("dispatch could not read or mark the backlog")]
    Store(#[from] StoreError),
    /// Redis failed. A later comparison pushes the references of jobs that were already marked.
    #[error("dispatch could not reach Redis")]
    Redis(#[from] RedisError),
}

/// Refills the windows of all queues that have a backlog and are not paused. Returns whether any
/// backlog is left.
pub async fn refill(store: &Store, redis: &Redis) -> Result<bool, DispatchError> {
    let backlogs = backlog::backlogs(&mut *store.connection().await?).await?;
    let mut has_backlog = false;
    for of_queue in backlogs.chunk_by(|one, other| one.queue == other.queue) {
        let held = redis.held(&of_queue[0].queue).await?;
        for Backlog { queue, priority, first_round } in of_queue {
            let held = usize::try_from(*priority).ok().and_then(|priority| held.get(priority));
            let ReadySet { count, last_round } = held.copied().unwrap_or_default();
            let (room, before) = if count < REFILL_BELOW {
                (WINDOW - count, None)
            } else if last_round.is_some_and(|last| *first_round < last) {
                (WINDOW_MAX.saturating_sub(count), last_round)
            } else {
                (0, None)
            };
            if room == 0 {
                has_backlog = true;
                continue;
            }
            let mut transaction = store.begin().await?;
            let taken = backlog::take(&mut transaction, queue, *priority, before, room as i64).await?;
            commit(transaction).await?;
            has_backlog |= taken.len() == room || before.is_some();
            queue::push(redis, taken).await?;
        }
    }
    Ok(has_backlog)
}

/// Compares the marks of at least this age with the ready sets, and pushes missing references
/// again. Returns how many were missing.
pub async fn compare(store: &Store, redis: &Redis, age: Duration) -> Result<usize, DispatchError> {
    let (mut count, mut after) = (0, None);
    if Mutant::DispatchWithoutReconciliation.is_on() {
        return Ok(0);
    }
    loop {
        let marked = backlog::marked(&mut *store.connection().await?, age, after, COMPARE_BATCH).await?;
        let Some((last, is_last)) =
            marked.last().map(|mark| (mark.place(), (marked.len() as i64) < COMPARE_BATCH))
        else {
            return Ok(count);
        };
        let ready: Vec<ReadyJob> = marked.into_iter().map(|mark| mark.ready).collect();
        let mut missing: Vec<ReadyJob> = redis.missing(ready).await?;
        if !missing.is_empty() && !age.is_zero() {
            missing = confirm(store, redis, missing).await?;
        }
        if !missing.is_empty() {
            count += missing.len();
            push_again(store, redis, missing).await?;
        }
        if is_last {
            return Ok(count);
        }
        after = Some(last);
    }
}

/// The references that are still marked and still missing a little later.
async fn confirm(
    store: &Store,
    redis: &Redis,
    missing: Vec<ReadyJob>,
) -> Result<Vec<ReadyJob>, DispatchError> {
    tokio::time::sleep(CONFIRM_AFTER).await;
    let jobs: Vec<JobId> = missing.iter().map(|ready| ready.job).collect();
    let marked = backlog::still_marked(&mut *store.connection().await?, &jobs).await?;
    let missing = missing.into_iter().filter(|ready| marked.contains(&ready.job)).collect();
    Ok(redis.missing(missing).await?)
}

async fn push_again(store: &Store, redis: &Redis, missing: Vec<ReadyJob>) -> Result<(), DispatchError> {
    let jobs: Vec<JobId> = missing.iter().map(|ready| ready.job).collect();
    let mut transaction = store.begin().await?;
    backlog::mark_again(&mut transaction, &jobs).await?;
    commit(transaction).await?;
    Ok(queue::push(redis, missing).await?)
}
