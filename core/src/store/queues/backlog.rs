//! The backlog: ready jobs whose references are not in Redis.

use uuid::Uuid;

pub use super::{
    due::{clock, due, expired, next_due_in},
    marks::{Mark, mark_again, marked, still_marked, unmark},
};
use crate::{
    ids::JobId,
    job::ReadyJob,
    store::{Connection, StoreError, columns::storable},
};

/// A queue and a priority with ready jobs that are not dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The queue.
    pub queue: String,
    /// The priority, 0 to 9.
    pub priority: i16,
    /// The lowest round of these jobs.
    pub first_round: i64,
}

/// Marks the first `most` jobs in the backlog of a queue and priority as dispatched, and returns
/// them. Only jobs of rounds before `before`.
///
/// Locks and writes in one statement, against the advice of `live::fence`. That is safe here,
/// because every concurrent change of the row also takes it out of this set.
#[tracing::instrument(name = "db.backlog.take", level = "debug", skip_all)]
pub async fn take(
    connection: &mut Connection,
    queue: &str,
    priority: i16,
    before: Option<i64>,
    most: i64,
) -> Result<Vec<ReadyJob>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH next AS MATERIALIZED (
            SELECT job_id FROM live_jobs
            WHERE queue = $1 AND priority = $2 AND state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL
                AND round < $4
            ORDER BY round, job_id LIMIT $3 FOR UPDATE SKIP LOCKED
        )
        UPDATE live_jobs SET dispatched_at = clock_timestamp() FROM next WHERE live_jobs.job_id = next.job_id
        RETURNING live_jobs.job_id, queue, priority, round
        "#,
        storable(queue),
        priority,
        most,
        before.unwrap_or(i64::MAX)
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| ReadyJob {
            job: row.job_id.into(),
            queue: row.queue,
            priority: row.priority,
            round: row.round,
        })
        .collect())
}

/// The number of ready jobs before each of these in its queue, counted up to `most`. Jobs that are
/// not ready or are parked are left out. The order is that of dispatch: priority, round and age.
#[tracing::instrument(name = "db.backlog.ahead", level = "debug", skip_all)]
pub async fn ahead(
    connection: &mut Connection,
    jobs: &[JobId],
    most: i64,
) -> Result<Vec<(JobId, i64)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    // Each leg returns at most `most` rows. The third may pass over more, which the windows bound.
    let rows = sqlx::query!(
        r#"
        SELECT own.job_id, least($2, (
            SELECT count(*) FROM (
                (SELECT FROM live_jobs AS other WHERE other.queue = own.queue AND other.priority > own.priority
                    AND other.state = 'queued' AND other.dispatched_at IS NULL AND other.parked_on IS NULL LIMIT $2)
                UNION ALL
                (SELECT FROM live_jobs AS other WHERE other.queue = own.queue AND other.priority = own.priority
                    AND (other.round, other.job_id) < (own.round, own.job_id)
                    AND other.state = 'queued' AND other.dispatched_at IS NULL AND other.parked_on IS NULL LIMIT $2)
                UNION ALL
                (SELECT FROM live_jobs AS other WHERE other.dispatched_at IS NOT NULL AND other.queue = own.queue
                    AND (other.priority > own.priority OR (other.priority = own.priority
                        AND (other.round, other.job_id) < (own.round, own.job_id)))
                    LIMIT $2)
            ) AS before
        )) AS "ahead!"
        FROM live_jobs AS own WHERE own.job_id = ANY($1) AND own.state = 'queued' AND own.parked_on IS NULL
        "#,
        &ids,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id.into(), row.ahead)).collect())
}

/// The backlogs of queues that are not paused, by queue and descending priority.
#[tracing::instrument(name = "db.backlog.backlogs", level = "debug", skip_all)]
pub async fn backlogs(connection: &mut Connection) -> Result<Vec<Backlog>, StoreError> {
    // One index probe for each queue and priority, however long the backlog is.
    let rows = sqlx::query!(
        r#"
        SELECT name AS "name!", level::smallint AS "level!", first.round AS "round!"
        FROM queues CROSS JOIN generate_series(9, 0, -1) AS level CROSS JOIN LATERAL (
            SELECT round FROM live_jobs
            -- `priority = level` would drop the priority from the order, and Postgres could choose an
            -- index in the remaining order, of which it reads all rows for a level without jobs.
            WHERE queue = queues.name AND priority BETWEEN level AND level AND state = 'queued' AND dispatched_at IS NULL
                AND parked_on IS NULL
            ORDER BY priority DESC, round, job_id LIMIT 1
        ) AS first
        WHERE NOT is_paused
        ORDER BY name, level DESC
        "#
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Backlog { queue: row.name, priority: row.level, first_round: row.round })
        .collect())
}
