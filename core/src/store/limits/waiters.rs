//! Reads and locks the jobs that are parked at gates.

use std::time::Duration;

use super::gates::parse;
use crate::{
    ids::JobId,
    limit::GateKey,
    store::{Connection, StoreError},
};

/// The gates that have waiters, without locking them.
#[tracing::instrument(name = "db.gates.awaited", level = "debug", skip_all)]
pub async fn awaited(connection: &mut Connection, keys: &[&GateKey]) -> Result<Vec<GateKey>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let keys = sqlx::query_scalar!("SELECT key FROM gates WHERE key = ANY($1) AND has_waiters", &keys)
        .fetch_all(connection)
        .await?;
    keys.iter().map(|key| parse(key)).collect()
}

/// The gates that have waiters and a concurrency limit, or unknown limits, without locking them. A
/// freed slot may let a waiter pass there.
#[tracing::instrument(name = "db.gates.awaited_for_slots", level = "debug", skip_all)]
pub async fn awaited_for_slots(
    connection: &mut Connection,
    keys: &[&GateKey],
) -> Result<Vec<GateKey>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let keys = sqlx::query_scalar!(
        "SELECT key FROM gates WHERE key = ANY($1) AND has_waiters AND coalesce(demand ? 'maxConcurrency', true)",
        &keys
    )
    .fetch_all(connection)
    .await?;
    keys.iter().map(|key| parse(key)).collect()
}

/// The gates that have parked jobs but are not marked as having waiters.
#[tracing::instrument(name = "db.gates.stranded", level = "debug", skip_all)]
pub async fn stranded(connection: &mut Connection, keys: &[&GateKey]) -> Result<Vec<GateKey>, StoreError> {
    let keys: Vec<String> = keys.iter().map(ToString::to_string).collect();
    let keys = sqlx::query_scalar!(
        "SELECT key FROM gates WHERE key = ANY($1) AND NOT has_waiters
            AND EXISTS (SELECT FROM live_jobs WHERE parked_on = key)",
        &keys
    )
    .fetch_all(connection)
    .await?;
    keys.iter().map(|key| parse(key)).collect()
}

/// For each key, locks at most the given number of parked jobs, in order of priority, round and
/// age. Skips locked jobs, which are being cancelled or woken already.
#[tracing::instrument(name = "db.gates.parked", level = "debug", skip_all)]
pub async fn parked(
    connection: &mut Connection,
    wanted: &[(&GateKey, u32)],
) -> Result<Vec<(GateKey, JobId)>, StoreError> {
    let (keys, counts): (Vec<String>, Vec<i64>) =
        wanted.iter().map(|(key, most)| (key.to_string(), i64::from(*most))).unzip();
    let rows = sqlx::query!(
        r#"
        SELECT wanted.key AS "key!", first.job_id FROM unnest($1::text[], $2::bigint[]) AS wanted (key, most)
        CROSS JOIN LATERAL (
            SELECT job_id FROM live_jobs WHERE parked_on = wanted.key
            ORDER BY priority DESC, round, job_id LIMIT wanted.most FOR UPDATE SKIP LOCKED
        ) AS first
        "#,
        &keys,
        &counts
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(|row| Ok((parse(&row.key)?, row.job_id.into()))).collect()
}

/// The gates whose waiters are due within a minute.
#[tracing::instrument(name = "db.gates.timed", level = "debug", skip_all)]
pub async fn timed(connection: &mut Connection, keys: &[String]) -> Result<Vec<GateKey>, StoreError> {
    let keys = sqlx::query_scalar!(
        "SELECT key FROM gates WHERE key = ANY($1) AND wake_at < clock_timestamp() + interval '1 minute'",
        keys
    )
    .fetch_all(connection)
    .await?;
    keys.iter().map(|key| parse(key)).collect()
}

/// At most `most` keys that jobs are parked at, in order and after `after`. Each key costs one
/// index lookup, however many jobs are parked there.
#[tracing::instrument(name = "db.gates.keys_with_parked", level = "debug", skip_all)]
pub async fn keys_with_parked(
    connection: &mut Connection,
    after: Option<&str>,
    most: i32,
) -> Result<Vec<String>, StoreError> {
    let keys = sqlx::query_scalar!(
        r#"
        WITH RECURSIVE key AS (
            (SELECT parked_on, 1 AS place FROM live_jobs WHERE parked_on > coalesce($1, '') ORDER BY parked_on LIMIT 1)
            UNION ALL
            SELECT next.parked_on, key.place + 1 FROM key CROSS JOIN LATERAL (
                SELECT parked_on FROM live_jobs WHERE parked_on > key.parked_on ORDER BY parked_on LIMIT 1
            ) AS next WHERE key.place < $2
        )
        SELECT parked_on AS "key!" FROM key
        "#,
        after,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(keys)
}

/// Time until the waiters of a gate are due next, at most an hour. `None` if no gate has a time.
#[tracing::instrument(name = "db.gates.next_due_in", level = "debug", skip_all)]
pub async fn next_due_in(connection: &mut Connection) -> Result<Option<Duration>, StoreError> {
    let seconds = sqlx::query_scalar!(
        "SELECT extract(epoch FROM min(wake_at) - clock_timestamp())::float8 FROM gates WHERE wake_at IS NOT NULL"
    )
    .fetch_one(connection)
    .await?;
    Ok(seconds.map(|seconds| Duration::from_secs_f64(seconds.clamp(0.0, 3600.0))))
}
