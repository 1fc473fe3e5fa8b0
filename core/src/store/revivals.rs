//! Bringing an ended job back to life under its id. Called by `steps::retry` alone.

use super::{Connection, StoreError};
use crate::{ids::JobId, job::JobState};

/// Locks an ended job; null when it is live or does not exist.
pub async fn lock_ended(connection: &mut Connection, job: JobId) -> Result<Option<JobState>, StoreError> {
    let state = sqlx::query_scalar!("SELECT state FROM ended_jobs WHERE job_id = $1 FOR UPDATE", job.uuid())
        .fetch_optional(connection)
        .await?;
    state
        .map(|state| {
            JobState::parse(&state).ok_or_else(|| StoreError::corrupt("ended_jobs", "state", &state))
        })
        .transpose()
}

/// Moves a locked ended job back to the live table, ready, marked as handed over, with fresh counts. Its attempts,
/// events and log lines stay, and their numbers go on.
pub async fn revive(connection: &mut Connection, job: JobId) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        WITH ended AS (
            DELETE FROM ended_jobs WHERE job_id = $1 RETURNING *
        ), live AS (
            INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, dispatched_at,
                profile_id, proxy_id, attempt, log_lines)
            SELECT jobs.id, jobs.queue, jobs.priority, 'queued', ended.version + 1, clock_timestamp(), clock_timestamp(),
                clock_timestamp(), jobs.profile_id, jobs.proxy_id, ended.attempt, ended.log_lines
            FROM ended JOIN jobs ON jobs.id = ended.job_id
            RETURNING job_id, queue, version
        ), services AS (
            INSERT INTO live_job_services (job_id, service_id)
            SELECT jobs.id, unnest(jobs.service_ids) FROM ended JOIN jobs ON jobs.id = ended.job_id
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state)
            SELECT live.job_id, live.version, clock_timestamp(), 'retried', 'queued', ended.state
            FROM live JOIN ended USING (job_id)
        )
        INSERT INTO queue_deltas (queue, queued, enqueued) SELECT queue, 1, 1 FROM live
        "#,
        job.uuid()
    )
    .execute(connection)
    .await?;
    Ok(())
}
