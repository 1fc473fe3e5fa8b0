//! Prune: removes old jobs, files and history, in batches that are each committed for themselves.
//!
//! A duty of every worker. A finished job goes with its attempts, artifacts, idempotency key and
//! edges to its dependencies. Live jobs never go. Files are removed before their rows: a crash in
//! between leaves rows, which the next round finds, and never a file without a row. (Of a job that
//! is deleted by hand, the row in `deleted_jobs` stands for its files.) A job whose
//! files are being removed cannot be retried. Events and log lines go by whole days, as partitions,
//! and row by row only if their job goes earlier.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{ArtifactId, JobId},
    store::{
        Store, StoreError, audit, commit,
        maintenance::retention::{self, ByDay, Finish, KeptFile},
        queues::lanes,
    },
};

/// Most jobs or files of one transaction.
const PRUNE_BATCH_MAX: i64 = 500;
/// Most entries of the audit of one transaction.
const AUDIT_BATCH_MAX: i64 = 10_000;
/// Most lanes forgotten in one round.
const LANES_MAX: i64 = 100_000;

/// How long things are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// Finished jobs from their end, and events of all jobs from when they happened.
    pub jobs: Duration,
    /// Most finished jobs. The oldest go first.
    pub jobs_max: u64,
    /// Log lines from when they were written.
    pub logs: Duration,
    /// Files of artifacts from when they were stored.
    pub artifacts: Duration,
    /// Entries of the audit from when they were written, at least 30 days.
    pub audit: Duration,
}

/// Removes files from disk. Returns what is gone or was never there. The rest is tried again later.
pub trait Remover {
    /// Removes all files of these jobs.
    fn remove_jobs(&self, jobs: &[JobId]) -> impl Future<Output = Vec<JobId>> + Send;
    /// Removes these files.
    fn remove_files(&self, files: &[KeptFile]) -> impl Future<Output = Vec<ArtifactId>> + Send;
}

/// The last finished job that is to go. Found once for many batches, because it reads the index of
/// all finished jobs.
pub async fn find_bound(store: &Store, retention: &Retention) -> Result<Finish, StoreError> {
    let mut connection = store.connection().await?;
    let aged = (retention::now(&mut connection).await? - retention.jobs, JobId::from(Uuid::max()));
    let most = i64::try_from(retention.jobs_max).unwrap_or(i64::MAX);
    let surplus = retention::one_too_many(&mut connection, most).await?;
    let is_later = |surplus: &Finish| (surplus.0, surplus.1.uuid()) > (aged.0, aged.1.uuid());
    Ok(surplus.filter(is_later).unwrap_or(aged))
}

/// Removes one batch of finished jobs up to the bound. Returns how many went: zero when there are
/// no more, or none whose files could be removed.
///
/// Takes two transactions with the removal of files between them, because event streams wait for
/// the oldest transaction that writes.
pub async fn prune_jobs(
    store: &Store,
    retention: &Retention,
    bound: Finish,
    remover: &impl Remover,
) -> Result<usize, StoreError> {
    let mut transaction = store.begin().await?;
    let jobs = retention::mark_going(&mut transaction, bound, PRUNE_BATCH_MAX).await?;
    commit(transaction).await?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let gone = remover.remove_jobs(&jobs).await;
    let mut transaction = store.begin().await?;
    let now = retention::now(&mut transaction).await?;
    let (events, lines) = (day_of(now - retention.jobs), day_of(now - retention.logs));
    retention::delete_jobs(&mut transaction, &gone, events, lines).await?;
    commit(transaction).await?;
    Ok(gone.len())
}

/// Removes the files of one batch of jobs that were deleted by hand (`finish::delete`), and returns
/// of how many. Their rows are gone already.
pub async fn prune_deleted(store: &Store, remover: &impl Remover) -> Result<usize, StoreError> {
    let jobs = retention::deleted(&mut *store.connection().await?, PRUNE_BATCH_MAX).await?;
    if jobs.is_empty() {
        return Ok(0);
    }
    let gone = remover.remove_jobs(&jobs).await;
    let mut transaction = store.begin().await?;
    retention::forget_deleted(&mut transaction, &gone).await?;
    commit(transaction).await?;
    Ok(gone.len())
}

/// Removes one batch of old files and returns how many. Their rows stay with their jobs.
pub async fn prune_files(
    store: &Store,
    retention: &Retention,
    remover: &impl Remover,
) -> Result<usize, StoreError> {
    let mut connection = store.connection().await?;
    let before = retention::now(&mut connection).await? - retention.artifacts;
    let files = retention::old_files(&mut connection, before, PRUNE_BATCH_MAX).await?;
    drop(connection);
    if files.is_empty() {
        return Ok(0);
    }
    let gone = remover.remove_files(&files).await;
    let mut transaction = store.begin().await?;
    retention::note_files_gone(&mut transaction, &gone).await?;
    commit(transaction).await?;
    Ok(gone.len())
}

/// Drops the oldest partition of log lines or events that is past its time, and returns its name.
/// `None` if there is none, or if the table was too busy and the next call must try again.
pub async fn prune_days(store: &Store, retention: &Retention) -> Result<Option<String>, StoreError> {
    for (table, age) in [(ByDay::Lines, retention.logs), (ByDay::Events, retention.jobs)] {
        let mut transaction = store.begin().await?;
        let before = retention::now(&mut transaction).await? - age;
        match retention::drop_partition(&mut transaction, table, before).await {
            Ok(Some(dropped)) => {
                commit(transaction).await?;
                return Ok(Some(dropped));
            }
            Ok(None) | Err(StoreError::Contended(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Removes one batch of old entries of the audit and returns how many.
pub async fn prune_audit(store: &Store, retention: &Retention) -> Result<u64, StoreError> {
    let mut transaction = store.begin().await?;
    let before = retention::now(&mut transaction).await? - retention.audit;
    let deleted = audit::delete_old(&mut transaction, before, AUDIT_BATCH_MAX).await?;
    commit(transaction).await?;
    Ok(deleted)
}

/// Forgets ended workers, per-minute rates older than the retention of jobs, and idle lanes.
pub async fn prune_leftovers(store: &Store, retention: &Retention) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    let before = retention::now(&mut transaction).await? - retention.jobs;
    retention::delete_leftovers(&mut transaction, before).await?;
    lanes::forget_idle(&mut transaction, LANES_MAX).await?;
    commit(transaction).await
}

/// The start of the day. Partitions from then on are younger than the limit.
fn day_of(time: Time) -> Time {
    time.date_naive().and_time(chrono::NaiveTime::MIN).and_utc()
}
