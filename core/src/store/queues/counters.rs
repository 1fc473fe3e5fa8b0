//! Counters of queues: folding the deltas that transitions append, and reading the sums.
//!
//! A backlog is never counted in full, and each part of a queue is read by itself (record 25).

use std::{collections::HashMap, time::Duration};

use sqlx::Connection as _;

pub use super::settings::{hold_running, max_concurrency, paused, set_max_concurrency, set_paused};
use crate::{
    clock::Time,
    store::{Connection, StoreError, columns::query_rows},
};

/// Folds at most `most` deltas into the totals. Returns how many.
#[tracing::instrument(name = "db.counters.fold", level = "debug", skip_all)]
pub async fn fold(connection: &mut Connection, most: i64) -> Result<i64, StoreError> {
    let folded = sqlx::query_scalar!(
        r#"
        WITH taken AS (
            DELETE FROM queue_deltas WHERE ctid = ANY (ARRAY(
                SELECT ctid FROM queue_deltas LIMIT $1 FOR UPDATE SKIP LOCKED
            )) RETURNING *
        ), total AS (
            INSERT INTO queue_totals AS total (queue, blocked, scheduled, queued, running)
            SELECT queue, sum(blocked), sum(scheduled), sum(queued), sum(running) FROM taken GROUP BY queue ORDER BY queue
            ON CONFLICT (queue) DO UPDATE SET blocked = total.blocked + excluded.blocked,
                scheduled = total.scheduled + excluded.scheduled, queued = total.queued + excluded.queued,
                running = total.running + excluded.running
        ), minute AS (
            INSERT INTO queue_minutes AS minute (queue, minute, enqueued, started, succeeded, failed, cancelled, queued)
            SELECT queue, date_trunc('minute', at), sum(enqueued), sum(started), sum(succeeded), sum(failed), sum(cancelled),
                sum(queued)
            FROM taken GROUP BY 1, 2 ORDER BY 1, 2
            ON CONFLICT (queue, minute) DO UPDATE SET enqueued = minute.enqueued + excluded.enqueued,
                started = minute.started + excluded.started, succeeded = minute.succeeded + excluded.succeeded,
                failed = minute.failed + excluded.failed, cancelled = minute.cancelled + excluded.cancelled,
                queued = minute.queued + excluded.queued
        ), wait AS (
            INSERT INTO queue_waits AS wait (queue, minute, code, count)
            SELECT queue, date_trunc('minute', at), code, count(*) FROM taken CROSS JOIN LATERAL unnest(waits) AS code
            GROUP BY 1, 2, 3 ORDER BY 1, 2, 3
            ON CONFLICT (queue, minute, code) DO UPDATE SET count = wait.count + excluded.count
        )
        SELECT count(*) AS "count!" FROM taken
        "#,
        most
    )
    .fetch_one(connection)
    .await?;
    Ok(folded)
}

/// Creates the partitions of today and the next seven days.
#[tracing::instrument(name = "db.counters.ensure_partitions", level = "debug", skip_all)]
pub async fn ensure_partitions(connection: &mut Connection) -> Result<(), StoreError> {
    sqlx::query!("SELECT ensure_partitions(7)").fetch_one(connection).await?;
    Ok(())
}

/// The jobs of each queue that ended in the 24 hours up to a minute.
#[derive(Debug)]
pub struct Day {
    /// The minute, included.
    until: Time,
    /// The minute of the count before.
    prior: Time,
    queues: Vec<EndedJobs>,
}

#[derive(Debug)]
struct EndedJobs {
    queue: String,
    succeeded: i64,
    failed: i64,
    cancelled: i64,
}

/// Counts the jobs of each queue that ended in the 24 hours up to the minute before last. By then
/// the deltas of a minute are folded, and what is folded later counts from the next time on. `None`
/// if that minute has been counted.
#[tracing::instrument(name = "db.counters.sum_day", level = "debug", skip_all)]
pub async fn sum_day(connection: &mut Connection) -> Result<Option<Day>, StoreError> {
    // Another time than that of the count before, and not only a later one, because a clock that
    // was ahead may have been set back.
    let due = sqlx::query!(
        r#"SELECT until AS prior, date_trunc('minute', now()) - interval '2 minutes' AS "until!" FROM queue_day
           WHERE until <> date_trunc('minute', now()) - interval '2 minutes'"#
    )
    .fetch_optional(&mut *connection)
    .await?;
    let Some(due) = due else { return Ok(None) };
    let queues = sqlx::query_as!(
        EndedJobs,
        r#"SELECT queue, sum(succeeded)::bigint AS "succeeded!", sum(failed)::bigint AS "failed!",
            sum(cancelled)::bigint AS "cancelled!"
        FROM queue_minutes WHERE minute > $1::timestamptz - interval '24 hours' AND minute <= $1 GROUP BY queue"#,
        due.until
    )
    .fetch_all(connection)
    .await?;
    Ok(Some(Day { until: due.until, prior: due.prior, queues }))
}

/// Stores a count for every queue, unless another process has stored one meanwhile, or does.
///
/// Apart from [`sum_day`], which takes half a second for 1000 busy queues: the transaction of a
/// statement that writes holds back the streams of all jobs until it ends.
#[tracing::instrument(name = "db.counters.store_day", level = "debug", skip_all)]
pub async fn store_day(connection: &mut Connection, day: &Day) -> Result<(), StoreError> {
    query_rows!(
        query for ended in &day.queues,
        "WITH stored AS (
            UPDATE queue_day SET until = $2
            WHERE is_only = (SELECT is_only FROM queue_day WHERE until = $3 FOR UPDATE SKIP LOCKED) RETURNING until
        ), ended AS (SELECT * FROM",
        "ended" {
            "queue": "text[]" as &str = ended.queue.as_str();
            "succeeded": "bigint[]" = ended.succeeded;
            "failed": "bigint[]" = ended.failed;
            "cancelled": "bigint[]" = ended.cancelled;
        },
        ")
        INSERT INTO queue_days AS day (queue, succeeded, failed, cancelled)
        SELECT name, coalesce(succeeded, 0), coalesce(failed, 0), coalesce(cancelled, 0)
        FROM stored CROSS JOIN queues LEFT JOIN ended ON ended.queue = name ORDER BY name
        ON CONFLICT (queue) DO UPDATE SET succeeded = excluded.succeeded, failed = excluded.failed,
            cancelled = excluded.cancelled",
        day.until,
        day.prior,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A queue with its settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRecord {
    /// Its name.
    pub name: String,
    /// Whether it is paused, so that workers get no jobs of it.
    pub is_paused: bool,
    /// Most jobs of it that may run at once.
    pub max_concurrency: Option<i32>,
}

/// How many jobs a queue has, and how fast they move.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// The queue's name.
    pub queue: String,
    /// Blocked jobs.
    pub blocked: i64,
    /// Scheduled jobs.
    pub scheduled: i64,
    /// Ready jobs, including parked ones.
    pub queued: i64,
    /// Running jobs.
    pub running: i64,
    /// Jobs that succeeded in the last 24 hours.
    pub succeeded: i64,
    /// Jobs that failed in the last 24 hours.
    pub failed: i64,
    /// Jobs that were cancelled in the last 24 hours.
    pub cancelled: i64,
    /// Attempts started in the last full minute.
    pub started_per_minute: i64,
    /// Jobs ended in the last full minute.
    pub finished_per_minute: i64,
}

/// A queue with everything that is read of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueState {
    /// The queue.
    pub record: QueueRecord,
    /// Its counts.
    pub counts: Counts,
    /// When the oldest ready job became ready, not counting parked jobs.
    pub oldest_ready_at: Option<Time>,
}

/// All queues, by name.
#[tracing::instrument(name = "db.counters.queues", level = "debug", skip_all)]
pub async fn queues(connection: &mut Connection) -> Result<Vec<QueueRecord>, StoreError> {
    let rows =
        sqlx::query_as!(QueueRecord, "SELECT name, is_paused, max_concurrency FROM queues ORDER BY name")
            .fetch_all(connection)
            .await?;
    Ok(rows)
}

/// The counts of each of these queues, in their order. How long it takes depends on the number of
/// queues, and neither on the number of jobs nor on how much happened in 24 hours.
#[tracing::instrument(name = "db.counters.counts", level = "debug", skip_all)]
pub async fn counts(connection: &mut Connection, names: &[String]) -> Result<Vec<Counts>, StoreError> {
    // The ended jobs of `queue_days` and of the minutes since, less those of the minutes that have
    // become older than 24 hours. Without the first and the last if nobody has counted for a day,
    // or the count is of a time to come, by a clock that was ahead.
    let rows = sqlx::query_as!(
        Counts,
        r#"
        WITH bounds AS MATERIALIZED (
            SELECT until, now() - interval '24 hours' AS begin, until - interval '24 hours' AS begin_then,
                until > now() - interval '24 hours' AND until <= now() AS is_recent FROM queue_day
        ), delta AS MATERIALIZED (
            SELECT * FROM queue_deltas WHERE queue = ANY($1)
        ), live AS (
            SELECT queue, sum(blocked)::bigint AS blocked, sum(scheduled)::bigint AS scheduled,
                sum(queued)::bigint AS queued, sum(running)::bigint AS running
            FROM (
                SELECT queue, blocked, scheduled, queued, running FROM queue_totals WHERE queue = ANY($1)
                UNION ALL SELECT queue, blocked, scheduled, queued, running FROM delta
            ) AS part GROUP BY queue
        ), since AS MATERIALIZED (
            SELECT queue, minute, started, succeeded, failed, cancelled FROM queue_minutes
            WHERE minute > (SELECT CASE WHEN is_recent THEN until ELSE begin END FROM bounds) AND queue = ANY($1)
            UNION ALL
            SELECT queue, date_trunc('minute', at), started, succeeded, failed, cancelled FROM delta
        ), ended AS (
            SELECT queue, sum(succeeded)::bigint AS succeeded, sum(failed)::bigint AS failed,
                sum(cancelled)::bigint AS cancelled
            FROM (
                SELECT queue, succeeded, failed, cancelled FROM since
                UNION ALL
                SELECT queue, succeeded, failed, cancelled FROM queue_days
                WHERE (SELECT is_recent FROM bounds) AND queue = ANY($1)
                UNION ALL
                SELECT queue, -succeeded, -failed, -cancelled FROM queue_minutes
                WHERE minute > (SELECT begin_then FROM bounds) AND minute <= (SELECT begin FROM bounds)
                    AND (SELECT is_recent FROM bounds) AND queue = ANY($1)
            ) AS part GROUP BY queue
        ), pace AS (
            SELECT queue, sum(started)::bigint AS started, sum(succeeded + failed + cancelled)::bigint AS finished
            FROM since WHERE minute = date_trunc('minute', now()) - interval '1 minute' GROUP BY queue
        )
        SELECT name AS "queue!", coalesce(live.blocked, 0) AS "blocked!", coalesce(live.scheduled, 0) AS "scheduled!",
            coalesce(live.queued, 0) AS "queued!", coalesce(live.running, 0) AS "running!",
            coalesce(ended.succeeded, 0) AS "succeeded!", coalesce(ended.failed, 0) AS "failed!",
            coalesce(ended.cancelled, 0) AS "cancelled!", coalesce(pace.started, 0) AS "started_per_minute!",
            coalesce(pace.finished, 0) AS "finished_per_minute!"
        FROM unnest($1::text[]) WITH ORDINALITY AS wanted (name, place)
            LEFT JOIN live ON live.queue = name LEFT JOIN ended ON ended.queue = name LEFT JOIN pace ON pace.queue = name
        ORDER BY place
        "#,
        names
    )
    .fetch_all(connection)
    .await?;
    Ok(rows)
}

/// When the oldest ready job of each of these queues became ready, not counting parked jobs. A
/// queue without one is left out.
#[tracing::instrument(name = "db.counters.oldest_ready", level = "debug", skip_all)]
pub async fn oldest_ready(
    connection: &mut Connection,
    names: &[String],
) -> Result<Vec<(String, Time)>, StoreError> {
    // One index probe for each queue, however many jobs are ready.
    let rows = sqlx::query!(
        r#"
        SELECT name AS "name!", oldest.queued_at AS "queued_at!" FROM unnest($1::text[]) AS name CROSS JOIN LATERAL (
            SELECT queued_at FROM live_jobs
            WHERE queue = name AND state = 'queued' AND parked_on IS NULL AND queued_at IS NOT NULL
            ORDER BY queue, queued_at LIMIT 1
        ) AS oldest
        "#,
        names
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.queued_at)).collect())
}

/// All queues with everything that is read of them, by name, all as of one moment.
pub async fn states(connection: &mut Connection) -> Result<Vec<QueueState>, StoreError> {
    let mut snapshot = connection.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY").await?;
    let records = queues(&mut snapshot).await?;
    let names: Vec<String> = records.iter().map(|record| record.name.clone()).collect();
    let counts = counts(&mut snapshot, &names).await?;
    let oldest: HashMap<String, Time> = oldest_ready(&mut snapshot, &names).await?.into_iter().collect();
    snapshot.commit().await?;
    let state = |(record, counts): (QueueRecord, Counts)| QueueState {
        oldest_ready_at: oldest.get(&record.name).copied(),
        counts,
        record,
    };
    Ok(records.into_iter().zip(counts).map(state).collect())
}

/// Queues with their number of slots at active workers whose lease was renewed within `lease`. A
/// slot that serves several queues counts for each.
#[tracing::instrument(name = "db.counters.slots", level = "debug", skip_all)]
pub async fn slots(connection: &mut Connection, lease: Duration) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT queue AS "queue!", sum(concurrency)::bigint AS "slots!" FROM workers CROSS JOIN unnest(queues) AS queue
           WHERE status = 'active' AND heartbeat_at > clock_timestamp() - make_interval(secs => $1) GROUP BY queue"#,
        lease.as_secs_f64()
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.queue, row.slots)).collect())
}

/// The number of jobs of each queue that are ready and not parked, counted up to `most`.
#[tracing::instrument(name = "db.counters.ready", level = "debug", skip_all)]
pub async fn ready(
    connection: &mut Connection,
    names: &[String],
    most: i64,
) -> Result<Vec<(String, i64)>, StoreError> {
    let rows = sqlx::query!(
        r#"
        SELECT name AS "name!", (SELECT count(*) FROM (
            SELECT FROM live_jobs
            WHERE queue = name AND state = 'queued' AND parked_on IS NULL AND queued_at IS NOT NULL LIMIT $2
        ) AS ready) AS "ready!"
        FROM unnest($1::text[]) AS name
        "#,
        names,
        most
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.ready)).collect())
}
