//! Reads parts of jobs without their records: payloads, positions and origins.

use serde_json::Value;
use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{CommandId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId},
    job::JobState,
    store::{Connection, StoreError},
};

/// The input of a job.
#[derive(Debug, Clone)]
pub struct Input {
    /// The job.
    pub job: JobId,
    /// The input, with `***` in place of its secrets.
    pub public: Value,
    /// The secrets of the input, sealed.
    pub sealed: Option<Vec<u8>>,
}

/// The inputs of jobs, in any order.
#[tracing::instrument(name = "db.records.inputs", level = "debug", skip_all)]
pub async fn inputs(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Input>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!("SELECT id, input, input_sealed FROM jobs WHERE id = ANY($1)", &ids)
        .fetch_all(connection)
        .await?;
    let read = |id: Uuid, public, sealed| Input { job: id.into(), public, sealed };
    Ok(rows.into_iter().map(|row| read(row.id, row.input, row.input_sealed)).collect())
}

/// The inputs of jobs as JSON text, with `***` in place of their secrets, in any order.
#[tracing::instrument(name = "db.records.input_texts", level = "debug", skip_all)]
pub async fn input_texts(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<Vec<(JobId, String)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(r#"SELECT id, input::text AS "input!" FROM jobs WHERE id = ANY($1)"#, &ids)
        .fetch_all(connection)
        .await?;
    Ok(rows.into_iter().map(|row| (row.id.into(), row.input)).collect())
}

/// The results of jobs as JSON text, in any order. Jobs without a result are left out.
#[tracing::instrument(name = "db.records.result_texts", level = "debug", skip_all)]
pub async fn result_texts(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<Vec<(JobId, String)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"SELECT job_id, result::text AS "result!" FROM ended_jobs WHERE job_id = ANY($1) AND result IS NOT NULL"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.job_id.into(), row.result)).collect())
}

/// The position of a job, which a subscriber compares to detect news.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The job.
    pub job: JobId,
    /// Its state.
    pub state: JobState,
    /// Number of its newest event.
    pub version: i32,
    /// Number of its newest attempt.
    pub attempt: i32,
    /// Sequence of its last log line.
    pub log_lines: i64,
}

/// The positions of jobs, in any order. Jobs that do not exist are left out.
#[tracing::instrument(name = "db.records.positions", level = "debug", skip_all)]
pub async fn positions(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Position>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        r#"
        SELECT job_id AS "job_id!", state AS "state!", version AS "version!", attempt AS "attempt!",
            log_lines AS "log_lines!"
        FROM live_jobs WHERE job_id = ANY($1)
        UNION ALL
        SELECT job_id, state, version, attempt, log_lines FROM ended_jobs WHERE job_id = ANY($1)
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            Ok(Position {
                job: row.job_id.into(),
                state: JobState::parse(&row.state)
                    .ok_or_else(|| StoreError::corrupt("live_jobs", "state", &row.state))?,
                version: row.version,
                attempt: row.attempt,
                log_lines: row.log_lines,
            })
        })
        .collect()
}

/// What lists filter jobs by, and what never changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Origin {
    /// The job.
    pub job: JobId,
    /// Its command.
    pub command_id: CommandId,
    /// Its queue.
    pub queue: String,
    /// Its profile.
    pub profile_id: Option<ProfileId>,
    /// The proxy that overrides the choice of its profile.
    pub proxy_id: Option<ProxyId>,
    /// Its services.
    pub service_ids: Vec<ServiceId>,
    /// The schedule that enqueued it, which may have been deleted.
    pub schedule_id: Option<ScheduleId>,
    /// Its labels.
    pub labels: Vec<String>,
    /// When it was accepted.
    pub created_at: Time,
}

/// The origins of jobs, in any order.
#[tracing::instrument(name = "db.records.origins", level = "debug", skip_all)]
pub async fn origins(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<Origin>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT id, command_id, queue, profile_id, proxy_id, service_ids, schedule_id, labels, created_at
         FROM jobs WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Origin {
            job: row.id.into(),
            command_id: row.command_id.into(),
            queue: row.queue,
            profile_id: row.profile_id.map(ProfileId::from),
            proxy_id: row.proxy_id.map(ProxyId::from),
            service_ids: row.service_ids.into_iter().map(ServiceId::from).collect(),
            schedule_id: row.schedule_id.map(ScheduleId::from),
            labels: row.labels,
            created_at: row.created_at,
        })
        .collect())
}
