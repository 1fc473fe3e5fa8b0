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

/// The steps of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Steps {
    /// When the first one begins: the beginning of a minute.
    pub from: Time,
    /// How long each is: whole minutes.
    pub length: Duration,
    /// How many there are.
    pub count: i32,
}

/// The histories of these queues.
#[tracing::instrument(name = "db.history.histories", level = "debug", skip_all)]
pub async fn histories(
    connection: &mut Connection,
    queues: &[String],
    steps: Steps,
) -> Result<Vec<(String, Vec<Point>)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH part AS (
            SELECT queue, minute, enqueued, started, succeeded, failed, cancelled, queued FROM queue_minutes
            WHERE queue = ANY($1) AND minute >= $2
            UNION ALL
            SELECT queue, date_trunc('minute', at), enqueued, started, succeeded, failed, cancelled, queued
            FROM queue_deltas WHERE queue = ANY($1) AND at >= $2
        )
        -- Later changes go into one more step, from which the depth at the end of the last step follows.
        SELECT queue AS "queue!", least(floor(extract(epoch FROM minute - $2) / $3::float8)::integer, $4) AS "step!",
            sum(enqueued)::bigint AS "enqueued!", sum(started)::bigint AS "started!",
            sum(succeeded)::bigint AS "succeeded!", sum(failed)::bigint AS "failed!", sum(cancelled)::bigint AS "cancelled!",
            sum(queued)::bigint AS "queued!"
        FROM part GROUP BY 1, 2
        -- The depth now, in the same snapshot.
        UNION ALL
        SELECT queue, -1, 0, 0, 0, 0, 0, sum(queued)::bigint FROM (
            SELECT queue, queued FROM queue_totals WHERE queue = ANY($1)
            UNION ALL SELECT queue, queued FROM queue_deltas WHERE queue = ANY($1)
        ) AS now GROUP BY queue
        "#,
        queues,
        steps.from,
        steps.length.as_secs_f64(),
        steps.count,
    )
    .fetch_all(&mut *connection)
    .await?;
    let mut waits = waits(connection, queues, steps).await?;
    let mut by_queue: HashMap<String, HashMap<i32, _>> = HashMap::new();
    for mut row in rows {
        let queue = std::mem::take(&mut row.queue);
        by_queue.entry(queue).or_default().insert(row.step, row);
    }
    let nothing = HashMap::new();
    let history = |queue: &String| {
        let by_step = by_queue.get(queue).unwrap_or(&nothing);
        let queued = |step| by_step.get(&step).map_or(0, |row| row.queued);
        let mut depth = queued(-1) - queued(steps.count);
        let mut waits = waits.remove(queue).unwrap_or_default();
        let point = |step: i32| {
            let row = by_step.get(&step);
            let point = Point {
                at: steps.from + steps.length * step.unsigned_abs(),
                enqueued: row.map_or(0, |row| row.enqueued),
                started: row.map_or(0, |row| row.started),
                succeeded: row.map_or(0, |row| row.succeeded),
                failed: row.map_or(0, |row| row.failed),
                cancelled: row.map_or(0, |row| row.cancelled),
                queued_depth: depth.max(0),
                waits: Waits::of(waits.remove(&step).unwrap_or_default()),
            };
            depth -= queued(step);
            point
        };
        let mut points: Vec<Point> = (0..steps.count).rev().map(point).collect();
        points.reverse();
        (queue.clone(), points)
    };
    Ok(queues.iter().map(history).collect())
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

/// The counts of waits by their codes, for each step of each queue.
type WaitCounts = HashMap<String, HashMap<i32, Vec<(i16, i64)>>>;

async fn waits(
    connection: &mut Connection,
    queues: &[String],
    steps: Steps,
) -> Result<WaitCounts, StoreError> {
    let rows = sqlx::query!(
        r#"
        WITH part AS (
            SELECT queue, minute, code, count FROM queue_waits WHERE queue = ANY($1) AND minute >= $2
            UNION ALL
            SELECT queue, date_trunc('minute', at), code, 1 FROM queue_deltas CROSS JOIN LATERAL unnest(waits) AS code
            WHERE queue = ANY($1) AND at >= $2
        )
        SELECT queue AS "queue!", floor(extract(epoch FROM minute - $2) / $3::float8)::integer AS "step!",
            code AS "code!", sum(count)::bigint AS "count!"
        FROM part WHERE minute < $2 + make_interval(secs => $3 * $4::integer) GROUP BY 1, 2, 3
        "#,
        queues,
        steps.from,
        steps.length.as_secs_f64(),
        steps.count,
    )
    .fetch_all(connection)
    .await?;
    let mut waits = WaitCounts::new();
    for row in rows {
        let of_queue = waits.entry(row.queue).or_default();
        of_queue.entry(row.step).or_default().push((row.code, row.count));
    }
    Ok(waits)
}
