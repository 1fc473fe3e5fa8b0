//! The statistics of the tables that fill and empty with the queue.
//!
//! Reads none of their rows, but the estimates of Postgres.

use crate::store::{Connection, StoreError};

/// Whether a table has more than 1000 rows and more than 10 times the planner's own estimate, which
/// is reltuples / relpages x current pages. A table that was never analysed is left out, because
/// the planner estimates it by its size, which is close enough.
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

/// Runs ANALYZE. Postgres skips tables that are being analysed or vacuumed, and tables that the
/// role does not own, without an error.
#[tracing::instrument(name = "db.statistics.renew", level = "debug", skip_all)]
pub async fn renew(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query!("ANALYZE (SKIP_LOCKED) live_jobs, live_job_services, job_dependencies")
        .execute(connection)
        .await?;
    Ok(())
}
