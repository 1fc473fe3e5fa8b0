//! Reads attempts: of a job, by id, and the newest of each job.

use uuid::Uuid;

use super::attempts::ExitRecord;
use crate::{
    clock::Time,
    compose::ComposedCommand,
    ids::{AttemptId, JobId, ProxyId, WorkerId},
    job::Failure,
    store::{Connection, StoreError, from_json},
};

/// An attempt as the API shows it.
#[derive(Debug, Clone)]
pub struct AttemptRecord {
    /// Its id.
    pub id: AttemptId,
    /// Its job.
    pub job: JobId,
    /// Its number within the job, from 1 and through all retries.
    pub number: i32,
    /// The name of its outcome. `None` while it runs.
    pub outcome: Option<String>,
    /// The worker that ran it.
    pub worker: WorkerId,
    /// The proxy that it used.
    pub proxy: Option<ProxyId>,
    /// The masked command. `None` if the attempt was lost before it was stored.
    pub composed: Option<ComposedCommand>,
    /// When the job became ready.
    pub queued_at: Time,
    /// When it started.
    pub started_at: Time,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How the process ended.
    pub exit: ExitRecord,
    /// Why it failed.
    pub failure: Option<Failure>,
}

struct Row {
    id: Uuid,
    job_id: Uuid,
    number: i32,
    outcome: Option<String>,
    worker_id: Uuid,
    proxy_id: Option<Uuid>,
    composed: Option<serde_json::Value>,
    queued_at: Time,
    started_at: Time,
    finished_at: Option<Time>,
    exit_code: Option<i32>,
    signal: Option<String>,
    failure: Option<serde_json::Value>,
    peak_memory_bytes: Option<i64>,
    cpu_ms: Option<i64>,
}

impl Row {
    fn read(self) -> Result<AttemptRecord, StoreError> {
        Ok(AttemptRecord {
            id: self.id.into(),
            job: self.job_id.into(),
            number: self.number,
            outcome: self.outcome,
            worker: self.worker_id.into(),
            proxy: self.proxy_id.map(ProxyId::from),
            composed: self.composed.map(|json| from_json("attempts", "composed", json)).transpose()?,
            queued_at: self.queued_at,
            started_at: self.started_at,
            finished_at: self.finished_at,
            exit: ExitRecord {
                exit_code: self.exit_code,
                signal: self.signal,
                peak_memory_bytes: self.peak_memory_bytes,
                cpu_ms: self.cpu_ms,
            },
            failure: self.failure.map(|json| from_json("attempts", "failure", json)).transpose()?,
        })
    }
}

/// A statement that returns attempts. Its parts are the condition for rows of `attempts`, the
/// condition for running attempts without such a row, and what comes after.
macro_rules! attempt_rows {
    ($noted:literal, $running:literal, $after:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            r#"SELECT id AS "id!", job_id AS "job_id!", number AS "number!", outcome,
                worker_id AS "worker_id!", proxy_id, composed, queued_at AS "queued_at!",
                started_at AS "started_at!", finished_at, exit_code, signal, failure,
                peak_memory_bytes, cpu_ms
            FROM (
                SELECT id, job_id, number, outcome, worker_id, proxy_id, composed, queued_at,
                    started_at, finished_at, exit_code, signal, failure, peak_memory_bytes, cpu_ms
                FROM attempts WHERE "# + $noted + "
                UNION ALL
                SELECT attempt_id, job_id, attempt, NULL, worker_id, attempt_proxy_id, NULL, queued_at,
                    attempt_at, NULL, NULL, NULL, NULL, NULL, NULL
                FROM live_jobs WHERE " + $running + "
                    AND NOT EXISTS (SELECT FROM attempts WHERE attempts.id = live_jobs.attempt_id)
            ) AS attempt " + $after
            $(, $argument)*
        )
    };
}

/// Attempts of a job with these numbers, ascending or descending, at most `limit`. Includes the
/// running attempt, even if it has no row yet.
#[tracing::instrument(name = "db.attempts.of_job", level = "debug", skip_all)]
pub async fn of_job(
    connection: &mut Connection,
    job: JobId,
    numbers: std::ops::RangeInclusive<i32>,
    is_descending: bool,
    limit: i64,
) -> Result<Vec<AttemptRecord>, StoreError> {
    let rows = attempt_rows!(
        "job_id = $1",
        "job_id = $1 AND state = 'running'",
        "WHERE number BETWEEN $2 AND $3 ORDER BY CASE WHEN $4 THEN -number ELSE number END LIMIT $5",
        job.uuid(),
        *numbers.start(),
        *numbers.end(),
        is_descending,
        limit,
    );
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// Loads attempts by id, in any order. Finds running attempts, even if they have no row yet.
#[tracing::instrument(name = "db.attempts.by_ids", level = "debug", skip_all)]
pub async fn by_ids(
    connection: &mut Connection,
    attempts: &[AttemptId],
) -> Result<Vec<AttemptRecord>, StoreError> {
    let ids: Vec<Uuid> = attempts.iter().map(|attempt| attempt.uuid()).collect();
    let rows = attempt_rows!("id = ANY($1)", "worker_id IS NOT NULL AND attempt_id = ANY($1)", "", &ids);
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// What the newest attempt of a job runs or ran.
#[derive(Debug, Clone)]
pub struct Newest {
    /// The job.
    pub job: JobId,
    /// The proxy that was chosen.
    pub proxy: Option<ProxyId>,
    /// The masked command, if it was stored and requested.
    pub composed: Option<ComposedCommand>,
}

/// The newest attempts of jobs that have a row. Jobs without one are left out. `with_composed`
/// reads the command as well.
#[tracing::instrument(name = "db.attempts.newest", level = "debug", skip_all)]
pub async fn newest(
    connection: &mut Connection,
    jobs: &[JobId],
    with_composed: bool,
) -> Result<Vec<Newest>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT wanted.job_id AS "job_id!", newest.proxy_id AS "proxy_id?", newest.composed AS "composed?"
        FROM unnest($1::uuid[]) AS wanted (job_id) CROSS JOIN LATERAL (
            SELECT proxy_id, CASE WHEN $2 THEN composed END AS composed FROM attempts
            WHERE attempts.job_id = wanted.job_id ORDER BY number DESC LIMIT 1
        ) AS newest
        "#,
        &ids,
        with_composed
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Newest {
                job: row.job_id.into(),
                proxy: row.proxy_id.map(ProxyId::from),
                composed: row.composed.map(|json| from_json("attempts", "composed", json)).transpose()?,
            })
        })
        .collect()
}
