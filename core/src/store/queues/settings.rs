//! The settings of queues: whether they are paused, and their limits.

use crate::store::{Connection, StoreError, columns::storable};

/// Pauses or resumes a queue. Returns false if there is no queue of this name.
#[tracing::instrument(name = "db.counters.set_paused", level = "debug", skip_all)]
pub async fn set_paused(
    connection: &mut Connection,
    name: &str,
    is_paused: bool,
) -> Result<bool, StoreError> {
    let done = sqlx::query!("UPDATE queues SET is_paused = $2 WHERE name = $1", storable(name), is_paused)
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// Locks a queue and returns its limit. `None` if there is no queue of this name.
#[tracing::instrument(name = "db.counters.max_concurrency", level = "debug", skip_all)]
pub async fn max_concurrency(
    connection: &mut Connection,
    name: &str,
) -> Result<Option<Option<u32>>, StoreError> {
    let found =
        sqlx::query_scalar!("SELECT max_concurrency FROM queues WHERE name = $1 FOR NO KEY UPDATE", name)
            .fetch_optional(connection)
            .await?;
    Ok(found.map(|most| most.map(i32::cast_unsigned)))
}

/// Sets the limit of a queue, or removes it.
#[tracing::instrument(name = "db.counters.set_max_concurrency", level = "debug", skip_all)]
pub async fn set_max_concurrency(
    connection: &mut Connection,
    name: &str,
    most: Option<u32>,
) -> Result<(), StoreError> {
    let most = most.map(u32::cast_signed);
    sqlx::query!("UPDATE queues SET max_concurrency = $2 WHERE name = $1", storable(name), most)
        .execute(connection)
        .await?;
    Ok(())
}

/// Makes the running jobs of a queue hold a slot at a gate. Locks the jobs in order of id.
#[tracing::instrument(name = "db.counters.hold_running", level = "debug", skip_all)]
pub async fn hold_running(connection: &mut Connection, name: &str, key: &str) -> Result<(), StoreError> {
    let jobs = sqlx::query_scalar!(
        "SELECT job_id FROM live_jobs WHERE worker_id IS NOT NULL AND queue = $1 AND NOT $2 = ANY(holds)
         ORDER BY job_id FOR UPDATE",
        name,
        key
    )
    .fetch_all(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH behind AS (
             UPDATE live_jobs SET holds = holds || $2::text WHERE job_id = ANY($1) AND state = 'running' AND NOT $2 = ANY(holds) RETURNING 1
         )
         INSERT INTO gate_deltas (key, held) SELECT $2, count(*) FROM behind HAVING count(*) > 0",
        &jobs,
        key
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// The paused queues among these.
#[tracing::instrument(name = "db.counters.paused", level = "debug", skip_all)]
pub async fn paused(connection: &mut Connection, names: &[String]) -> Result<Vec<String>, StoreError> {
    let names = sqlx::query_scalar!("SELECT name FROM queues WHERE is_paused AND name = ANY($1)", names)
        .fetch_all(connection)
        .await?;
    Ok(names)
}
