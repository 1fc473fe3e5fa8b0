//! Counters of queues: folding the deltas that transitions append, and reading the sums.
//!
//! A backlog is never counted in full.

use std::time::Duration;

pub use super::settings::{hold_running, max_concurrency, paused, set_max_concurrency, set_paused};
use crate::{
    clock::Time,
    store::{Connection, StoreError},
};

/// Folds at most `most` deltas into the totals. Returns how many.
#[tracing::instrument(name = "db.counters.fold", level = "debug", skip_all)]
pub async fn fold(connection: &mut Connection, most: i64) -> Result<i64, StoreError> {
    let folded = sqlx::query_scalar!(
        r#"
        WITH taken AS (
            DELETE FROM queue_deltas WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM queue_deltas LIMIT $1 FOR UPDATE SKIP LOCKED
            )) RETURNING *
        ), total AS (
            INSERT INTO queue_totals AS total (queue, blocked, scheduled, queued, running)
            SELECT queue, sum(blocked), sum(scheduled), sum(queued), sum(running) FROM taken GROUP BY queue ORDER BY queue
            ON CONFLICT (queue) DO UPDATE SET blocked = total.blocked + excluded.blocked,
                scheduled = total.scheduled + excluded.scheduled, queued = total.queued + excluded.queued,
                running = total.running + excluded.running
        ), minute AS (
            INSERT INTO queue_minutes AS minute (queue, minute, enqueued, started, succeeded, failed, cancelled, queued)
            SELECT queue, date_trunc('minute', at), sum(enqueued), sum(started), sum(succeeded), sum(failed), sum(cancelled),
                sum(queued)
            FROM taken GROUP BY 1, 2 ORDER BY 1, 2
            ON CONFLICT (queue, minute) DO UPDATE SET enqueued = minute.enqueued + excluded.enqueued,
                started = minute.started + excluded.started, succeeded = minute.succeeded + excluded.succeeded,
                failed = minute.failed + excluded.failed, cancelled = minute.cancelled + excluded.cancelled,
                queued = minute.queued + excluded.queued
        ), wait AS (
            INSERT INTO queue_waits AS wait (queue, minute, code, count)
            SELECT queue, date_trunc('minute', at), code, count(*) FROM taken CROSS JOIN LATERAL unnest(waits) AS code
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (queue, minute, code) DO UPDATE SET count = wait.count + excluded.count
        )
        SELECT count(*) AS "count!" FROM taken
        "#,
        most
    )
    .fetch_one(connection)
    .await?;
    Ok(folded)
}

/// Creates the partitions of today and the next seven days.
#[tracing::instrument(name = "db.counters.ensure_partitions", level = "debug", skip_all)]
pub async fn ensure_partitions(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query!("SELECT ensure_partitions(7)").fetch_one(connection).await?;
    Ok(())
}

/// A queue with its counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// Whether it is paused, so that workers get no jobs of it.
    pub is_paused: bool,
    /// Most jobs of it that may run at once.
    pub max_concurrency: Option<i32>,
    /// Blocked jobs.
    pub blocked: i64,
    /// Scheduled jobs.
    pub scheduled: i64,
    /// Ready jobs, including parked ones.
    pub queued: i64,
    /// Running jobs.
    pub running: i64,
    /// Jobs that succeeded in the last 24 hours.
    pub succeeded: i64,
    /// Jobs that failed in the last 24 hours.
    pub failed: i64,
    /// Jobs that were cancelled in the last 24 hours.
    pub cancelled: i64,
    /// Attempts started in the last full minute.
    pub started_per_minute: i64,
    /// Jobs ended in the last full minute.
    pub finished_per_minute: i64,
    /// When the oldest ready job became ready, not counting parked jobs.
    pub oldest_queued_at: Option<Time>,
}

/// All queues, or those of these names, by name.
#[tracing::instrument(name = "db.counters.queues", level = "debug", skip_all)]
pub async fn queues(
    connection: &mut Connection,
    names: Option<&[String]>,
) -> Result<Vec<QueueRecord>, StoreError> {
    let rows = sqlx::query_as!(
        QueueRecord,
        r#"
        WITH live AS (
            SELECT queue, sum(blocked)::bigint AS blocked, sum(scheduled)::bigint AS scheduled,
                sum(queued)::bigint AS queued, sum(running)::bigint AS running
            FROM (
                SELECT queue, blocked, scheduled, queued, running FROM queue_totals
                UNION ALL SELECT queue, blocked, scheduled, queued, running FROM queue_deltas
            ) AS part GROUP BY queue
        ), recent AS (
            SELECT queue, minute, started, succeeded, failed, cancelled FROM queue_minutes
            WHERE minute > now() - interval '24 hours'
            UNION ALL
            SELECT queue, date_trunc('minute', at), started, succeeded, failed, cancelled FROM queue_deltas
        ), ended AS (
            SELECT queue, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed,
                sum(cancelled)::bigint AS cancelled,
                (sum(started) FILTER (WHERE minute = date_trunc('minute', now()) - interval '1 minute'))::bigint AS started,
                (sum(succeeded + failed + cancelled)
                    FILTER (WHERE minute = date_trunc('minute', now()) - interval '1 minute'))::bigint AS finished
            FROM recent GROUP BY queue
        )
        SELECT name, is_paused, max_concurrency, coalesce(live.blocked, 0) AS "blocked!", coalesce(live.scheduled, 0) AS "scheduled!",
            coalesce(live.queued, 0) AS "queued!", coalesce(live.running, 0) AS "running!",
            coalesce(ended.succeeded, 0) AS "succeeded!", coalesce(ended.failed, 0) AS "failed!",
            coalesce(ended.cancelled, 0) AS "cancelled!", coalesce(ended.started, 0) AS "started_per_minute!",
            coalesce(ended.finished, 0) AS "finished_per_minute!",
            (SELECT min(queued_at) FROM (
                SELECT queued_at FROM live_jobs WHERE dispatched_at IS NOT NULL AND queue = name
                UNION ALL
                (SELECT queued_at FROM live_jobs
                    WHERE queue = name AND state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL
                        AND queued_at IS NOT NULL
                    ORDER BY queue, queued_at LIMIT 1)
            ) AS ready) AS oldest_queued_at
        FROM queues LEFT JOIN live ON live.queue = name LEFT JOIN ended ON ended.queue = name
        WHERE $1::text[] IS NULL OR name = ANY($1)
        ORDER BY name
        "#,
        names
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// Queues with their number of slots at active workers whose lease was renewed within `lease`. A
/// slot that serves several queues counts for each.
#[tracing::instrument(name = "db.counters.slots", level = "debug", skip_all)]
pub async fn slots(connection: &mut Connection, lease: Duration) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT queue AS "queue!", sum(concurrency)::bigint AS "slots!" FROM workers CROSS JOIN unnest(queues) AS queue
           WHERE status = 'active' AND heartbeat_at > clock_timestamp() - make_interval(secs => $1) GROUP BY queue"#,
        lease.as_secs_f64()
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, row.slots)).collect())
}

/// The number of jobs of each queue that are ready and not parked, counted up to `most`.
#[tracing::instrument(name = "db.counters.ready", level = "debug", skip_all)]
pub async fn ready(
    connection: &mut Connection,
    names: &[String],
    most: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT name AS "name!", least($2, (SELECT count(*) FROM (
            (SELECT FROM live_jobs WHERE queue = name AND state = 'queued' AND dispatched_at IS NULL AND parked_on IS NULL
                LIMIT $2)
            UNION ALL
            (SELECT FROM live_jobs WHERE queue = name AND dispatched_at IS NOT NULL LIMIT $2)
        ) AS ready)) AS "ready!"
        FROM unnest($1::text[]) AS name
        "#,
        names,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.ready)).collect())
}
