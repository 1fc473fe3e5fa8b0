//! Queues as they were, step by step: what was enqueued, started and ended, how many jobs were ready, how long they had waited.
//!
//! The API reads it. From the counters that a duty has folded, and from what it has not folded yet.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::Time,
    job::Waits,
    store::{Connection, StoreError},
};

/// One step of a queue's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// Its beginning.
    pub at: Time,
    /// Jobs that were enqueued, retries by hand among them.
    pub enqueued: i64,
    /// Attempts that started.
    pub started: i64,
    /// Jobs that ended well.
    pub succeeded: i64,
    /// Jobs that ended badly.
    pub failed: i64,
    /// Jobs that were cancelled, or expired.
    pub cancelled: i64,
    /// Ready jobs at its end.
    pub queued_depth: i64,
    /// How long those that started had been ready.
    pub waits: Waits,
}

/// So many steps of so many whole minutes from this moment on, which is the beginning of one.
#[tracing::instrument(name = "db.history.history", level = "debug", skip_all)]
pub async fn history(
    connection: &mut Connection,
    queue: &str,
    from: Time,
    step: Duration,
    steps: i32,
) -> Result<Vec<Point>, StoreError> {
    let seconds = step.as_secs_f64();
    let rows = sqlx::query!(
        r#"
        WITH part AS (
            SELECT minute, enqueued, started, succeeded, failed, cancelled, queued FROM queue_minutes
            WHERE queue = $1 AND minute >= $2
            UNION ALL
            SELECT date_trunc('minute', at), enqueued, started, succeeded, failed, cancelled, queued FROM queue_deltas
            WHERE queue = $1 AND at >= $2
        )
        -- What came after the last step counts for how many are ready at its end.
        SELECT least(floor(extract(epoch FROM minute - $2) / $3::float8)::integer, $4) AS "step!",
            sum(enqueued)::bigint AS "enqueued!", sum(started)::bigint AS "started!",
            sum(succeeded)::bigint AS "succeeded!", sum(failed)::bigint AS "failed!", sum(cancelled)::bigint AS "cancelled!",
            sum(queued)::bigint AS "queued!"
        FROM part GROUP BY 1
        -- And how many are now, at the same moment.
        UNION ALL
        SELECT -1, 0, 0, 0, 0, 0, coalesce(sum(queued), 0)::bigint FROM (
            SELECT queued FROM queue_totals WHERE queue = $1 UNION ALL SELECT queued FROM queue_deltas WHERE queue = $1
        ) AS now
        "#,
        queue,
        from,
        seconds,
        steps,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut waits = waits(connection, queue, from, seconds, steps).await?;
    let by_step: HashMap<i32, _> = rows.into_iter().map(|row| (row.step, row)).collect();
    let queued = |step| by_step.get(&step).map_or(0, |row| row.queued);
    let mut depth = queued(-1) - queued(steps);
    let mut points = Vec::new();
    for step_number in (0..steps).rev() {
        let row = by_step.get(&step_number);
        let point = Point {
            at: from + step * step_number.unsigned_abs(),
            enqueued: row.map_or(0, |row| row.enqueued),
            started: row.map_or(0, |row| row.started),
            succeeded: row.map_or(0, |row| row.succeeded),
            failed: row.map_or(0, |row| row.failed),
            cancelled: row.map_or(0, |row| row.cancelled),
            queued_depth: depth.max(0),
            waits: Waits::of(waits.remove(&step_number).unwrap_or_default()),
        };
        depth -= queued(step_number);
        points.push(point);
    }
    points.reverse();
    Ok(points)
}

/// By how much the number of ready jobs changed between two moments, which are beginnings of minutes.
#[tracing::instrument(name = "db.history.queued_change", level = "debug", skip_all)]
pub async fn queued_change(
    connection: &mut Connection,
    queue: &str,
    from: Time,
    until: Time,
) -> Result<i64, StoreError> {
    let change = sqlx::query_scalar!(
        r#"
        SELECT coalesce(sum(queued), 0)::bigint AS "change!" FROM (
            SELECT queued FROM queue_minutes WHERE queue = $1 AND minute >= $2 AND minute < $3
            UNION ALL
            SELECT queued FROM queue_deltas WHERE queue = $1 AND at >= $2 AND at < $3
        ) AS part
        "#,
        queue,
        from,
        until,
    )
    .fetch_one(connection)
    .await?;
    Ok(change)
}

async fn waits(
    connection: &mut Connection,
    queue: &str,
    from: Time,
    seconds: f64,
    steps: i32,
) -> Result<HashMap<i32, Vec<(i16, i64)>>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH part AS (
            SELECT minute, code, count FROM queue_waits WHERE queue = $1 AND minute >= $2
            UNION ALL
            SELECT date_trunc('minute', at), code, 1 FROM queue_deltas CROSS JOIN LATERAL unnest(waits) AS code
            WHERE queue = $1 AND at >= $2
        )
        SELECT floor(extract(epoch FROM minute - $2) / $3::float8)::integer AS "step!", code AS "code!", sum(count)::bigint AS "count!"
        FROM part WHERE minute < $2 + make_interval(secs => $3 * $4::integer) GROUP BY 1, 2
        "#,
        queue,
        from,
        seconds,
        steps,
    )
    .fetch_all(connection)
    .await?;
    let mut waits: HashMap<i32, Vec<(i16, i64)>> = HashMap::new();
    for row in rows {
        waits.entry(row.step).or_default().push((row.code, row.count));
    }
    Ok(waits)
}
