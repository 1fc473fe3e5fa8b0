//! The backlog of ready jobs, and the marks of those whose references are in Redis.
//!
//! Called by `steps::dispatch` and `steps::promote`, and by `steps::why`, which tells a job its place. The marks are locked and
//! written by one statement, which `live::fence` warns of: here whatever changes a row meanwhile also takes it out of what is
//! written, so that nobody waits for himself.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::JobId,
    job::ReadyJob,
    store::{Connection, StoreError},
};

/// A queue and a priority that have ready jobs which nobody has handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backlog {
    /// The queue.
    pub queue: String,
    /// 0 to 9.
    pub priority: i16,
    /// The lowest round of such a job.
    pub first_round: i64,
}

/// A job that was handed over and is still ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The job.
    pub ready: ReadyJob,
    /// When it was handed over.
    pub at: Time,
}

impl Mark {
    /// Its place among all marks.
    pub const fn place(&self) -> (Time, JobId) {
        (self.at, self.ready.job)
    }
}

/// Marks the first `most` jobs of a queue's backlog of one priority, of rounds before `before`, as handed over, and answers them.
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
        queue,
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

/// How many ready jobs come before each of these in their queues, counted up to `most`; those that are not ready, or parked, are left
/// out. In the order in which they are handed out and taken: by priority, round and age.
pub async fn ahead(
    connection: &mut Connection,
    jobs: &[JobId],
    most: i64,
) -> Result<Vec<(JobId, i64)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    // What was handed over is bounded by the windows; of the others no leg reads more than are counted.
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

/// The backlogs of queues that are not paused: by queue, the most urgent first.
pub async fn backlogs(connection: &mut Connection) -> Result<Vec<Backlog>, StoreError> {
    // One probe of the backlog's index for each queue and priority, however long the backlog.
    let rows = sqlx::query!(
        r#"
        SELECT name AS "name!", level::smallint AS "level!", first.round AS "round!"
        FROM queues CROSS JOIN generate_series(9, 0, -1) AS level CROSS JOIN LATERAL (
            SELECT round FROM live_jobs
            -- See `counters::queues` for why not `priority = level`.
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

/// Jobs that were handed over at least `age` ago and are still ready, oldest mark first, behind a place.
pub async fn marked(
    connection: &mut Connection,
    age: Duration,
    after: Option<(Time, JobId)>,
    most: i64,
) -> Result<Vec<Mark>, StoreError> {
    let (after_at, after_job) = after.unzip();
    let rows = sqlx::query!(
        r#"
        SELECT job_id, queue, priority, round, dispatched_at AS "at!" FROM live_jobs
        WHERE dispatched_at <= clock_timestamp() - make_interval(secs => $1)
            AND ($2::timestamptz IS NULL OR (dispatched_at, job_id) > ($2, $3))
        ORDER BY dispatched_at, job_id LIMIT $4
        "#,
        age.as_secs_f64(),
        after_at,
        after_job.map(Uuid::from),
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let (job, queue, priority, round) = (row.job_id.into(), row.queue, row.priority, row.round);
            Mark { ready: ReadyJob { job, queue, priority, round }, at: row.at }
        })
        .collect())
}

/// Those of these jobs that are still handed over.
pub async fn still_marked(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let marked = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs WHERE job_id = ANY($1) AND dispatched_at IS NOT NULL",
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(marked.into_iter().map(JobId::from).collect())
}

/// Renews the marks of jobs that are pushed again.
pub async fn mark_again(connection: &mut Connection, jobs: &[JobId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    sqlx::query!(
        "WITH marked AS MATERIALIZED (
             SELECT job_id FROM live_jobs WHERE job_id = ANY($1) AND dispatched_at IS NOT NULL
             ORDER BY job_id FOR NO KEY UPDATE SKIP LOCKED
         )
         UPDATE live_jobs SET dispatched_at = clock_timestamp() FROM marked WHERE live_jobs.job_id = marked.job_id",
        &ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes the marks away from jobs that are not handed over any more: they are backlog again.
pub async fn unmark(connection: &mut Connection, jobs: &[JobId]) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    sqlx::query!(
        "WITH marked AS MATERIALIZED (
             SELECT job_id FROM live_jobs WHERE job_id = ANY($1) AND dispatched_at IS NOT NULL
             ORDER BY job_id FOR NO KEY UPDATE SKIP LOCKED
         )
         UPDATE live_jobs SET dispatched_at = NULL FROM marked WHERE live_jobs.job_id = marked.job_id",
        &ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Scheduled jobs whose time has come, at most `most`, not locked by others.
pub async fn due(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs WHERE state = 'scheduled' AND run_at <= clock_timestamp()
         ORDER BY run_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Jobs that have not started by their expiry, at most `most`, not locked by others.
pub async fn expired(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs
         WHERE expires_at <= clock_timestamp() AND state <> 'running' AND started_at IS NULL
         ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// How long until the next scheduled job is due or the next job expires; null for none.
pub async fn next_due_in(connection: &mut Connection) -> Result<Option<Duration>, StoreError> {
    let seconds = sqlx::query_scalar!(
        r#"
        SELECT extract(epoch FROM least(
            (SELECT min(run_at) FROM live_jobs WHERE state = 'scheduled'),
            (SELECT min(expires_at) FROM live_jobs
                WHERE expires_at IS NOT NULL AND state <> 'running' AND started_at IS NULL)
        ) - clock_timestamp())::float8
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))))
}

/// The time of the database, to the microsecond.
pub async fn clock(connection: &mut Connection) -> Result<Time, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await?)
}
