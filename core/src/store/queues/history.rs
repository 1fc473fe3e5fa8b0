//! The history of queues in steps: enqueued, started and ended jobs, ready jobs, and waits.
//!
//! Reads the folded counters and the deltas that are not yet folded.

use std::{collections::HashMap, time::Duration};

use crate::{
    clock::Time,
    job::Waits,
    store::{Connection, StoreError},
};

/// One step of a queue's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Point {
    /// When it begins.
    pub at: Time,
    /// Jobs that were enqueued, including manual retries.
    pub enqueued: i64,
    /// Attempts that started.
    pub started: i64,
    /// Jobs that succeeded.
    pub succeeded: i64,
    /// Jobs that failed.
    pub failed: i64,
    /// Jobs that were cancelled or expired.
    pub cancelled: i64,
    /// Ready jobs at its end.
    pub queued_depth: i64,
    /// How long the jobs that started had been ready.
    pub waits: Waits,
}

/// The history in `steps` steps of whole minutes, from `from`, which is the beginning of a minute.
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
        -- Later changes go into one more step, from which the depth at the end of the last step follows.
        SELECT least(floor(extract(epoch FROM minute - $2) / $3::float8)::integer, $4) AS "step!",
            sum(enqueued)::bigint AS "enqueued!", sum(started)::bigint AS "started!",
            sum(succeeded)::bigint AS "succeeded!", sum(failed)::bigint AS "failed!", sum(cancelled)::bigint AS "cancelled!",
            sum(queued)::bigint AS "queued!"
        FROM part GROUP BY 1
        -- The depth now, in the same snapshot.
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

/// The change in the number of ready jobs of each of these queues between two times, which are
/// beginnings of minutes. A queue without one is left out.
#[tracing::instrument(name = "db.history.queued_changes", level = "debug", skip_all)]
pub async fn queued_changes(
    connection: &mut Connection,
    queues: &[String],
    from: Time,
    until: Time,
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT queue AS "queue!", sum(queued)::bigint AS "change!" FROM (
            SELECT queue, queued FROM queue_minutes WHERE queue = ANY($1) AND minute >= $2 AND minute < $3
            UNION ALL
            SELECT queue, queued FROM queue_deltas WHERE queue = ANY($1) AND at >= $2 AND at < $3
        ) AS part GROUP BY queue
        "#,
        queues,
        from,
        until,
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, row.change)).collect())
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
