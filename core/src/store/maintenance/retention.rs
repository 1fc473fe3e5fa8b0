//! Deletes old data: finished jobs, artifact files, partitions of events and log lines, and
//! leftovers.
//!
//! Skips rows that other transactions have locked.

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{ArtifactId, JobId},
    store::{Connection, StoreError},
};

/// A place in the order of ending.
pub type Finish = (Time, JobId);

/// The newest finished job to delete if `most` are kept. `None` if there are at most that many.
#[tracing::instrument(name = "db.retention.one_too_many", level = "debug", skip_all)]
pub async fn one_too_many(connection: &mut Connection, most: i64) -> Result<Option<Finish>, StoreError> {
    let row = sqlx::query!(
        "SELECT finished_at, job_id FROM ended_jobs ORDER BY finished_at DESC, job_id DESC OFFSET $1 LIMIT 1",
        most
    )
    .fetch_optional(connection)
    .await?;
    Ok(row.map(|row| (row.finished_at, row.job_id.into())))
}

/// Marks at most `most` finished jobs as being pruned, oldest first, up to and including this
/// place. Includes jobs that were marked before. Marked jobs cannot be revived.
#[tracing::instrument(name = "db.retention.mark_going", level = "debug", skip_all)]
pub async fn mark_going(
    connection: &mut Connection,
    upto: Finish,
    most: i64,
) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "UPDATE ended_jobs SET is_going = true WHERE job_id = ANY (ARRAY(
             SELECT job_id FROM ended_jobs WHERE (finished_at, job_id) <= ($1, $2)
             ORDER BY finished_at, job_id LIMIT $3 FOR UPDATE SKIP LOCKED
         )) RETURNING job_id",
        upto.0,
        upto.1.uuid(),
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Deletes finished jobs, which must be marked, and all of their rows. Leaves events and log lines
/// from before these times, which go with their partitions.
#[tracing::instrument(name = "db.retention.delete_jobs", level = "debug", skip_all)]
pub async fn delete_jobs(
    connection: &mut Connection,
    jobs: &[JobId],
    events_since: Time,
    lines_since: Time,
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    sqlx::query!(
        "
        WITH ended AS (
            DELETE FROM ended_jobs WHERE job_id = ANY($1)
        ), attempt AS (
            DELETE FROM attempts WHERE job_id = ANY($1)
        ), artifact AS (
            DELETE FROM artifacts WHERE job_id = ANY($1)
        ), edge AS (
            DELETE FROM job_dependencies WHERE job_id = ANY($1)
        ), event AS (
            DELETE FROM job_events WHERE job_id = ANY($1) AND at >= $2
        ), line AS (
            DELETE FROM log_chunks WHERE job_id = ANY($1) AND at >= $3
        )
        DELETE FROM jobs WHERE id = ANY($1)
        ",
        &ids,
        events_since,
        lines_since
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Notes that an ended job is being deleted by hand, so that its files are removed, and locks it.
/// Returns false if there is no such job that has ended.
#[tracing::instrument(name = "db.retention.note_deleted", level = "debug", skip_all)]
pub async fn note_deleted(connection: &mut Connection, job: JobId) -> Result<bool, StoreError> {
    let noted = sqlx::query!(
        "INSERT INTO deleted_jobs (job_id) SELECT job_id FROM ended_jobs WHERE job_id = $1 FOR UPDATE",
        job.uuid()
    )
    .execute(connection)
    .await?;
    Ok(noted.rows_affected() == 1)
}

/// At most `most` jobs that were deleted by hand and whose files may still be there, in the order
/// in which they were deleted.
#[tracing::instrument(name = "db.retention.deleted", level = "debug", skip_all)]
pub async fn deleted(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!("SELECT job_id FROM deleted_jobs ORDER BY deleted_at LIMIT $1", most)
        .fetch_all(connection)
        .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Forgets jobs that were deleted by hand, after their files.
#[tracing::instrument(name = "db.retention.forget_deleted", level = "debug", skip_all)]
pub async fn forget_deleted(connection: &mut Connection, jobs: &[JobId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    sqlx::query!("DELETE FROM deleted_jobs WHERE job_id = ANY($1)", &ids).execute(connection).await?;
    Ok(())
}

/// A file on disk, with its path below the artifact root.
pub type KeptFile = (ArtifactId, String);

/// At most `most` files that were stored before this time, oldest first.
#[tracing::instrument(name = "db.retention.old_files", level = "debug", skip_all)]
pub async fn old_files(
    connection: &mut Connection,
    before: Time,
    most: i64,
) -> Result<Vec<KeptFile>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, path FROM artifacts WHERE pruned_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2",
        before,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.path)).collect())
}

/// Marks files as deleted from disk.
#[tracing::instrument(name = "db.retention.note_files_gone", level = "debug", skip_all)]
pub async fn note_files_gone(connection: &mut Connection, files: &[ArtifactId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = files.iter().map(|file| file.uuid()).collect();
    sqlx::query!("UPDATE artifacts SET pruned_at = clock_timestamp() WHERE id = ANY($1)", &ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// A table with a partition for each day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByDay {
    /// Events: `job_events`.
    Events,
    /// Log lines: `log_chunks`.
    Lines,
}

/// Drops the oldest partition if all of it is from before this time, and returns its name. Fails
/// with [`StoreError::Contended`] if other transactions keep the table locked.
#[tracing::instrument(name = "db.retention.drop_partition", level = "debug", skip_all)]
pub async fn drop_partition(
    connection: &mut Connection,
    table: ByDay,
    before: Time,
) -> Result<Option<String>, StoreError> {
    let name = match table {
        ByDay::Events => "job_events",
        ByDay::Lines => "log_chunks",
    };
    let dropped = sqlx::query_scalar!("SELECT drop_partition($1::text::regclass, $2)", name, before);
    Ok(dropped.fetch_one(connection).await?)
}

/// Deletes ended workers and counters of minutes from before this time. Also deletes old usage, and
/// the gates of deleted commands without jobs.
#[tracing::instrument(name = "db.retention.delete_leftovers", level = "debug", skip_all)]
pub async fn delete_leftovers(connection: &mut Connection, before: Time) -> Result<(), StoreError> {
    sqlx::query!(
        "
        WITH minute AS (
            -- The counts of the last 24 hours subtract minutes that are up to 48 hours old.
            DELETE FROM queue_minutes WHERE minute < least($1, now() - interval '49 hours')
        ), wait AS (
            DELETE FROM queue_waits WHERE minute < $1
        ), used AS (
            -- Only the usage of this month is ever read.
            DELETE FROM usage_days WHERE day < (now() AT TIME ZONE 'UTC')::date - 62
        ), of_command AS MATERIALIZED (
            SELECT key, substr(key, 9)::uuid AS command_id FROM gates WHERE key LIKE 'command:%'
        ), gate AS (
            DELETE FROM gates USING of_command
            WHERE gates.key = of_command.key AND NOT EXISTS (SELECT FROM commands WHERE id = of_command.command_id)
                AND NOT EXISTS (SELECT FROM jobs WHERE command_id = of_command.command_id)
            RETURNING gates.key
        ), left_over AS (
            DELETE FROM gate_deltas USING gate WHERE gate_deltas.key = gate.key
        )
        DELETE FROM workers WHERE status IN ('lost', 'gone') AND coalesce(ended_at, heartbeat_at) < $1
            AND NOT EXISTS (SELECT FROM live_jobs WHERE live_jobs.worker_id = workers.id)
        ",
        before
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The database's time.
#[tracing::instrument(name = "db.retention.now", level = "debug", skip_all)]
pub async fn now(connection: &mut Connection) -> Result<Time, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT now() AS "now!""#).fetch_one(connection).await?)
}
