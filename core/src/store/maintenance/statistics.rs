//! Statistics: how many rows Postgres' planner believes that the tables have which fill and empty with the queue.
//!
//! Called by `steps::refresh_statistics`. Reads no rows of theirs; counting them is left to Postgres.

use crate::store::{Connection, StoreError};

/// Whether one of them holds more than a thousand rows, and ten times as many as the planner reckons with: as many a page as when they
/// were counted last, times the pages that there are now. One that nobody has counted yet is estimated by its size, which is near enough.
#[tracing::instrument(name = "db.statistics.are_outgrown", level = "debug", skip_all)]
pub async fn are_outgrown(connection: &mut Connection) -> Result<bool, StoreError> {
    let are_outgrown = sqlx::query_scalar!(
        r#"
        SELECT EXISTS (
            SELECT FROM pg_class CROSS JOIN LATERAL (SELECT pg_stat_get_live_tuples(oid) AS rows) AS seen
            WHERE oid IN ('live_jobs'::regclass, 'live_job_services'::regclass, 'job_dependencies'::regclass)
                AND reltuples >= 0 AND relpages > 0 AND rows > 1000
                AND rows > 10 * reltuples / relpages * (pg_relation_size(oid) / current_setting('block_size')::integer)
        ) AS "are_outgrown!"
        "#
    )
    .fetch_one(connection)
    .await?;
    Ok(are_outgrown)
}

/// Has them counted. Postgres passes over, without an error, what somebody else counts or cleans up just now, and what the role does not own.
#[tracing::instrument(name = "db.statistics.renew", level = "debug", skip_all)]
pub async fn renew(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query!("ANALYZE (SKIP_LOCKED) live_jobs, live_job_services, job_dependencies")
        .execute(connection)
        .await?;
    Ok(())
}
