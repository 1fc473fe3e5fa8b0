//! Taking away what is old: finished jobs with all that is theirs, files of artifacts, partitions of events and lines.
//!
//! Called by `steps::prune`. Decides nothing but which rows are older than it is told; rows that others have locked are
//! passed over.

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{ArtifactId, JobId},
    store::{Connection, StoreError},
};

/// A place in the order of finishing.
pub type Finish = (Time, JobId);

/// The newest finished job that is one too many when `most` are kept; none when there are not more.
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

/// Marks the oldest finished jobs up to this place and including it as going, those that were marked before among them; at
/// most `most`. From then on nobody revives them.
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

/// Deletes finished jobs, which must be marked as going, and all rows that are theirs. Events and lines from before these times are
/// left to go with their partitions.
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

/// A file that is on the disk, and its path below the artifact root.
pub type KeptFile = (ArtifactId, String);

/// The oldest files that were kept before this time; at most `most`.
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

/// Notes that these files are not on the disk any more.
#[tracing::instrument(name = "db.retention.note_files_gone", level = "debug", skip_all)]
pub async fn note_files_gone(connection: &mut Connection, files: &[ArtifactId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = files.iter().map(|file| file.uuid()).collect();
    sqlx::query!("UPDATE artifacts SET pruned_at = clock_timestamp() WHERE id = ANY($1)", &ids)
        .execute(connection)
        .await?;
    Ok(())
}

/// A table of which whole days are dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ByDay {
    /// `job_events`
    Events,
    /// `log_chunks`
    Lines,
}

/// Drops the oldest partition if all of it is from before this time; answers its name. [`StoreError::Contended`] when others
/// use the table too much just now.
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

/// Forgets workers that ended, and rates of minutes, before this time; and the gates of commands that were deleted, once their jobs are gone
/// too.
#[tracing::instrument(name = "db.retention.delete_leftovers", level = "debug", skip_all)]
pub async fn delete_leftovers(connection: &mut Connection, before: Time) -> Result<(), StoreError> {
    sqlx::query!(
        "
        WITH minute AS (
            DELETE FROM queue_minutes WHERE minute < $1
        ), wait AS (
            DELETE FROM queue_waits WHERE minute < $1
        ), used AS (
            -- What is told is of this month.
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
