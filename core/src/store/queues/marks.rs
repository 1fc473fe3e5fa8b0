//! Marks: ready jobs whose references are in Redis.
//!
//! These statements lock and write at once, against the advice of `live::fence`. That is safe here,
//! because every concurrent change of the row also takes it out of this set.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::JobId,
    job::ReadyJob,
    store::{Connection, StoreError},
};

/// A dispatched job that is still ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The job.
    pub ready: ReadyJob,
    /// When it was dispatched.
    pub at: Time,
}

impl Mark {
    /// Its place among all marks.
    pub const fn place(&self) -> (Time, JobId) {
        (self.at, self.ready.job)
    }
}

/// At most `most` jobs that were dispatched at least `age` ago and are still ready, oldest mark
/// first. Only marks after the given place.
#[tracing::instrument(name = "db.backlog.marked", level = "debug", skip_all)]
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

/// The jobs that are still marked.
#[tracing::instrument(name = "db.backlog.still_marked", level = "debug", skip_all)]
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

/// Renews the marks of jobs that are pushed again. Skips locked jobs.
#[tracing::instrument(name = "db.backlog.mark_again", level = "debug", skip_all)]
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

/// Removes the marks of jobs, which returns them to the backlog. Skips locked jobs.
#[tracing::instrument(name = "db.backlog.unmark", level = "debug", skip_all)]
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
