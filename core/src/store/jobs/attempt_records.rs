//! Reads attempts: pages of a job's, by id, and the newest of each job.

use uuid::Uuid;

use super::attempts::ExitRecord;
use crate::{
    clock::Time,
    compose::ComposedCommand,
    ids::{AttemptId, JobId, ProxyId, WorkerId},
    job::Failure,
    store::{Connection, StoreError, columns::query_rows, from_json},
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

/// Loads attempts by id, in any order. Finds running attempts, even if they have no row yet.
#[tracing::instrument(name = "db.attempts.by_ids", level = "debug", skip_all)]
pub async fn by_ids(
    connection: &mut Connection,
    attempts: &[AttemptId],
) -> Result<Vec<AttemptRecord>, StoreError> {
    let ids: Vec<Uuid> = attempts.iter().map(|attempt| attempt.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT id AS "id!", job_id AS "job_id!", number AS "number!", outcome, worker_id AS "worker_id!", proxy_id,
            queued_at AS "queued_at!", started_at AS "started_at!", finished_at, exit_code, signal, failure,
            peak_memory_bytes, cpu_ms
        FROM attempts WHERE id = ANY($1)
        UNION ALL
        SELECT attempt_id, job_id, attempt, NULL, worker_id, attempt_proxy_id, queued_at, attempt_at,
            NULL, NULL, NULL, NULL, NULL, NULL
        FROM live_jobs WHERE worker_id IS NOT NULL AND attempt_id = ANY($1)
            AND NOT EXISTS (SELECT FROM attempts WHERE attempts.id = live_jobs.attempt_id)
        "#,
        &ids
    );
    rows.fetch_all(connection).await?.into_iter().map(Row::read).collect()
}

/// A page of the attempts of a job, by their numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AttemptsPage {
    /// The job.
    pub job: JobId,
    /// Only numbers above this one. 0 for all.
    pub after: i32,
    /// Only numbers below this one. `i32::MAX` for all.
    pub before: i32,
    /// Whether to read from the end of the range, which also reverses the rows.
    pub is_from_end: bool,
    /// Maximum number of rows.
    pub rows: i64,
}

/// Pages of attempts: the index of the request, the number and the attempt, in the order of
/// reading. Includes running attempts, even if they have no row yet.
#[tracing::instrument(name = "db.attempts.pages", level = "debug", skip_all)]
pub async fn pages(
    connection: &mut Connection,
    pages: &[AttemptsPage],
) -> Result<Vec<(usize, i32, AttemptId)>, StoreError> {
    let rows = query_rows!(
        query for (index, page) in (0_i64..).zip(pages),
        r#"SELECT page.index AS "index!", attempt.number AS "number!", attempt.id AS "id!" FROM"#,
        "page" {
            "index": "bigint[]" = index;
            "job_id": "uuid[]" = page.job.uuid();
            "after": "integer[]" = page.after;
            "before": "integer[]" = page.before;
            "is_from_end": "boolean[]" = page.is_from_end;
            "most": "bigint[]" = page.rows;
        },
        "CROSS JOIN LATERAL (
            SELECT number, id FROM (
                SELECT number, id FROM attempts WHERE job_id = page.job_id
                UNION ALL
                SELECT attempt, attempt_id FROM live_jobs WHERE job_id = page.job_id AND state = 'running'
                    AND NOT EXISTS (SELECT FROM attempts WHERE attempts.id = live_jobs.attempt_id)
            ) AS each (number, id)
            WHERE number > page.after AND number < page.before
            ORDER BY CASE WHEN page.is_from_end THEN -number ELSE number END LIMIT page.most
        ) AS attempt
        ORDER BY page.index, CASE WHEN page.is_from_end THEN -attempt.number ELSE attempt.number END",
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.index as usize, row.number, row.id.into())).collect())
}

/// The masked commands of attempts, in any order. Attempts whose command was not stored, because
/// they have just started or were lost, are left out.
#[tracing::instrument(name = "db.attempts.composed", level = "debug", skip_all)]
pub async fn composed(
    connection: &mut Connection,
    attempts: &[AttemptId],
) -> Result<Vec<(AttemptId, ComposedCommand)>, StoreError> {
    let ids: Vec<Uuid> = attempts.iter().map(|attempt| attempt.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT id, composed AS "composed!" FROM attempts WHERE id = ANY($1) AND composed IS NOT NULL"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| Ok((row.id.into(), from_json("attempts", "composed", row.composed)?)))
        .collect()
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
