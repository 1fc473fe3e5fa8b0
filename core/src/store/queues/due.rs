//! Scheduled jobs that are due, and jobs that expire.

use std::time::Duration;

use crate::{
    clock::Time,
    ids::JobId,
    store::{Connection, StoreError},
};

/// Locks at most `most` scheduled jobs that are due. Skips locked jobs.
#[tracing::instrument(name = "db.backlog.due", level = "debug", skip_all)]
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

/// Locks at most `most` jobs that wait after their expiry, without those that `apply` would refuse
/// to expire because an attempt has counted. Skips locked jobs.
#[tracing::instrument(name = "db.backlog.expired", level = "debug", skip_all)]
pub async fn expired(connection: &mut Connection, most: i64) -> Result<Vec<JobId>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs
         WHERE expires_at <= clock_timestamp() AND state <> 'running' AND counted = 0
         ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED",
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(ids.into_iter().map(JobId::from).collect())
}

/// Time until the next scheduled job is due or the next job expires, if any. At most an hour.
#[tracing::instrument(name = "db.backlog.next_due_in", level = "debug", skip_all)]
pub async fn next_due_in(connection: &mut Connection) -> Result<Option<Duration>, StoreError> {
    let seconds = sqlx::query_scalar!(
        r#"
        SELECT extract(epoch FROM least(
            (SELECT min(run_at) FROM live_jobs WHERE state = 'scheduled'),
            (SELECT min(expires_at) FROM live_jobs
                WHERE expires_at IS NOT NULL AND state <> 'running' AND counted = 0)
        ) - clock_timestamp())::float8
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))))
}

/// The database's time, to the microsecond.
#[tracing::instrument(name = "db.backlog.clock", level = "debug", skip_all)]
pub async fn clock(connection: &mut Connection) -> Result<Time, StoreError> {
    Ok(sqlx::query_scalar!(r#"SELECT clock_timestamp() AS "now!""#).fetch_one(connection).await?)
}
