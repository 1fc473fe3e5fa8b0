//! What running attempts tell about how far they are. Called by `steps::note_progress`; fenced like log lines.

use uuid::Uuid;

use super::live;
use crate::{
    ids::{AttemptId, JobId},
    job::Progress,
    store::{Connection, StoreError},
};

/// Progress of one attempt.
#[derive(Debug, Clone)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// The attempt: the fence.
    pub attempt: AttemptId,
    /// How far.
    pub progress: Progress,
}

/// Stores progress and its events; answers the jobs whose attempts still hold them.
pub async fn report(connection: &mut Connection, reports: &[Report]) -> Result<Vec<JobId>, StoreError> {
    let jobs: Vec<Uuid> = reports.iter().map(|report| report.job.uuid()).collect();
    let attempts: Vec<Uuid> = reports.iter().map(|report| report.attempt.uuid()).collect();
    let fractions: Vec<Option<f64>> = reports.iter().map(|report| report.progress.fraction).collect();
    let messages: Vec<Option<String>> =
        reports.iter().map(|report| report.progress.message.clone()).collect();
    live::fence(connection, &jobs, &attempts).await?;
    let held = sqlx::query_scalar!(
        r#"
        WITH report AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::float8[], $4::text[])
            AS report (job_id, attempt_id, fraction, message)
        ), saved AS (
            UPDATE live_jobs AS live SET version = live.version + 1,
                progress_fraction = coalesce(report.fraction, live.progress_fraction), progress_message = report.message
            FROM report WHERE live.job_id = report.job_id AND live.job_id = ANY($1) AND live.attempt_id = report.attempt_id
            RETURNING live.job_id, live.version, live.state, live.attempt, live.progress_fraction, live.progress_message
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message)
            SELECT job_id, version, clock_timestamp(), 'progressed', state, state, attempt,
                concat_ws(' ', round((progress_fraction * 100)::numeric) || ' %', progress_message)
            FROM saved
        )
        SELECT job_id FROM saved
        "#,
        &jobs,
        &attempts,
        &fractions as &[Option<f64>],
        &messages as &[Option<String>],
    )
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(JobId::from).collect())
}
