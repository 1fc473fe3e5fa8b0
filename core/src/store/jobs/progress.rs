//! Stores the progress of running attempts, fenced like log lines.

use super::live;
use crate::{
    ids::{AttemptId, JobId},
    job::Progress,
    store::{Connection, StoreError, columns::query_rows},
};

/// A progress report of an attempt.
#[derive(Debug, Clone)]
pub struct Report {
    /// The job.
    pub job: JobId,
    /// The attempt, which is the fence.
    pub attempt: AttemptId,
    /// The progress.
    pub progress: Progress,
}

/// Stores reports and their events. Returns the jobs that their attempts still hold.
#[tracing::instrument(name = "db.progress.report", level = "debug", skip_all)]
pub async fn report(connection: &mut Connection, reports: &[Report]) -> Result<Vec<JobId>, StoreError> {
    live::fence(connection, reports.iter().map(|report| (report.job, report.attempt))).await?;
    let held = query_rows!(
        query_scalar for report in reports,
        "WITH report AS MATERIALIZED (SELECT * FROM",
        "report" {
            "job_id": "uuid[]" = report.job.uuid();
            "attempt_id": "uuid[]" = report.attempt.uuid();
            "fraction": "float8[]" as Option<f64> = report.progress.fraction;
            "message": "text[]" as Option<&str> = report.progress.message.as_deref();
        },
        "), saved AS (
            UPDATE live_jobs AS live SET version = live.version + 1,
                progress_fraction = coalesce(report.fraction, live.progress_fraction),
                progress_message = report.message
            FROM report
            WHERE live.job_id = report.job_id AND live.job_id = ANY($1)
                AND live.attempt_id = report.attempt_id
            RETURNING live.job_id, live.version, live.state, live.attempt, live.progress_fraction,
                live.progress_message
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message, actor)
            SELECT job_id, version, clock_timestamp(), 'progressed', state, state, attempt,
                concat_ws(' ', round((progress_fraction * 100)::numeric) || ' %', progress_message), 'worker'
            FROM saved
        )
        SELECT job_id FROM saved",
    )
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(JobId::from).collect())
}
