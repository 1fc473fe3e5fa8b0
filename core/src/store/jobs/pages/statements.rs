//! The statements of pages: checked against the schema at compile time, planned for each call.

use sqlx::{
    Execute, PgConnection, Postgres, Row as _,
    postgres::{PgArguments, PgRow},
    query::Query,
};
use uuid::Uuid;

use super::bounds::Bounds;
use crate::{clock::Time, store::StoreError};

/// A row of a page. Columns that the order does not need are not filled in.
pub(super) struct Row {
    pub(super) id: Uuid,
    pub(super) finished_at: Option<Time>,
    pub(super) priority: i16,
}

/// A statement over legs. A leg runs if its name is in `$20`. It has the filter after its own
/// conditions, and all legs end alike. Postgres folds constants first, so that unused legs and
/// conditions cost nothing. A leg whose filter needs no record (`$21`) does not join it.
macro_rules! over_legs {
    ($bounds:ident, $before:literal, [$($leg:literal,)+], [$by:literal $way:literal $then:literal $again:literal $limit:literal], $after:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query!(
            $before
            $(
                + $leg
                + " AND ($1::uuid[] IS NULL OR jobs.id = ANY($1))
                    AND ($2::text IS NULL OR jobs.queue = $2)
                    AND ($3::text[] IS NULL OR jobs.queue = ANY($3))
                    AND ($4::uuid IS NULL OR jobs.command_id = $4)
                    AND ($5::uuid[] IS NULL OR jobs.command_id = ANY($5))
                    AND ($6::uuid IS NULL OR jobs.profile_id = $6)
                    AND ($7::uuid[] IS NULL OR jobs.profile_id = ANY($7))
                    AND ($8::uuid[] IS NULL OR jobs.proxy_id = ANY($8))
                    AND ($9::uuid[] IS NULL OR jobs.service_ids && $9)
                    AND ($10::text[] IS NULL OR (jobs.labels <> '{}' AND jobs.labels @> $10))
                    AND ($11::timestamptz IS NULL OR jobs.created_at >= $11)
                    AND ($12::timestamptz IS NULL OR jobs.created_at < $12)
                    AND ($13::text IS NULL OR jobs.id BETWEEN $15::uuid AND $16::uuid
                        OR jobs.command_id = ANY($14::uuid[])
                        OR (jobs.labels <> '{}' AND jobs.labels @> ARRAY[$13]))
                    AND ($27::uuid IS NULL OR jobs.schedule_id = $27)
                    AND ($28::uuid[] IS NULL OR jobs.schedule_id = ANY($28)) "
                + $by + $way + $then + $again + $limit
                + ")"
            )+
            + $after
            + $by + $way + $then + $again + $limit,
            $bounds.ids.as_deref(),
            $bounds.queue.as_deref(),
            $bounds.queues.as_deref(),
            $bounds.command,
            $bounds.commands.as_deref(),
            $bounds.profile,
            $bounds.profiles.as_deref(),
            $bounds.proxies.as_deref(),
            $bounds.services.as_deref(),
            $bounds.labels.as_deref(),
            $bounds.created_from,
            $bounds.created_before,
            $bounds.search.as_deref(),
            &$bounds.search_commands,
            $bounds.search_ids.map(|(low, _)| low),
            $bounds.search_ids.map(|(_, high)| high),
            $bounds.lower,
            $bounds.upper,
            $bounds.rows,
            &$bounds.legs as &[&str],
            $bounds.needs_record,
            &$bounds.states as &[&str],
            $($argument,)*
            $bounds.schedule,
            $bounds.schedules.as_deref(),
        )
    };
}

/// The legs in order of id, and the leg of ended jobs in order of ending, between a head and an
/// end. Live jobs have no time of ending. Ready jobs have three legs, one for each of their
/// indexes. The number of dispatched and running jobs is bounded, and their legs read all of them
/// (`OFFSET 0`). They are mostly the oldest jobs, and a scan in order of id would read all newer
/// jobs first.
macro_rules! by_id {
    ($bounds:ident, $before:literal, [$($end:literal)+], $after:literal) => {
        over_legs!(
            $bounds,
            $before,
            [
                "(SELECT jobs.id, NULL::timestamptz AS finished_at, 0::smallint AS priority FROM jobs
                  WHERE 'all' = ANY($20::text[]) AND jobs.id > $17 AND jobs.id < $18",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM live_jobs AS live LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'blocked' = ANY($20) AND live.state = 'blocked' AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21::boolean OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM live_jobs AS live LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'scheduled' = ANY($20) AND live.state = 'scheduled' AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21::boolean OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM live_jobs AS live LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'queued' = ANY($20) AND live.state = 'queued' AND live.dispatched_at IS NULL
                    AND live.parked_on IS NULL AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM (SELECT job_id FROM live_jobs WHERE dispatched_at IS NOT NULL OFFSET 0) AS live
                    LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'queued' = ANY($20) AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM live_jobs AS live LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'queued' = ANY($20) AND live.parked_on IS NOT NULL
                    AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM (SELECT job_id FROM live_jobs WHERE worker_id IS NOT NULL OFFSET 0) AS live
                    LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE 'running' = ANY($20) AND live.job_id > $17 AND live.job_id < $18
                    AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT ended.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM ended_jobs AS ended LEFT JOIN jobs ON jobs.id = ended.job_id
                  WHERE 'succeeded' = ANY($20) AND ended.state = 'succeeded' AND ended.job_id > $17
                    AND ended.job_id < $18 AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT ended.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM ended_jobs AS ended LEFT JOIN jobs ON jobs.id = ended.job_id
                  WHERE 'failed' = ANY($20) AND ended.state = 'failed' AND ended.job_id > $17
                    AND ended.job_id < $18 AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT ended.job_id AS id, NULL::timestamptz AS finished_at, 0::smallint AS priority
                  FROM ended_jobs AS ended LEFT JOIN jobs ON jobs.id = ended.job_id
                  WHERE 'cancelled' = ANY($20) AND ended.state = 'cancelled' AND ended.job_id > $17
                    AND ended.job_id < $18 AND (NOT $21 OR (jobs.id > $17 AND jobs.id < $18))",
                "UNION ALL (SELECT ended.job_id AS id, ended.finished_at, 0::smallint AS priority
                  FROM ended_jobs AS ended LEFT JOIN jobs ON jobs.id = ended.job_id
                  WHERE 'finished' = ANY($20) AND ended.state = ANY($22::text[])
                    AND ($23::timestamptz IS NULL OR (ended.finished_at, ended.job_id) > ($23, $24::uuid))
                    AND ($25::timestamptz IS NULL OR (ended.finished_at, ended.job_id) < ($25, $26::uuid))",
            ],
            [$($end)+],
            $after,
            $bounds.finished_lower.map(|(time, _)| time),
            $bounds.finished_lower.map(|(_, id)| id),
            $bounds.finished_upper.map(|(time, _)| time),
            $bounds.finished_upper.map(|(_, id)| id),
        )
    };
}

/// A page in order of ending, which only the leg of ended jobs has, and then of id.
macro_rules! page_by_id {
    ($bounds:ident, $direction:literal) => {
        by_id!(
            $bounds,
            "SELECT id AS \"id!\", finished_at, priority FROM (",
            [" ORDER BY finished_at " $direction ", id " $direction " LIMIT $19"],
            ") AS leg"
        )
    };
}

/// A page in order of priority and then of id.
macro_rules! by_priority {
    ($bounds:ident, $direction:literal) => {
        over_legs!(
            $bounds,
            "SELECT id AS \"id!\", finished_at, priority FROM (",
            [
                "(SELECT jobs.id, NULL::timestamptz AS finished_at, jobs.priority FROM jobs
                  WHERE 'all' = ANY($20::text[]) AND jobs.id > $17 AND jobs.id < $18
                    AND ($23::smallint IS NULL OR (jobs.priority, jobs.id) > ($23, $24::uuid))
                    AND ($25::smallint IS NULL OR (jobs.priority, jobs.id) < ($25, $26::uuid))",
                "UNION ALL (SELECT live.job_id AS id, NULL::timestamptz AS finished_at, live.priority
                  FROM live_jobs AS live LEFT JOIN jobs ON jobs.id = live.job_id
                  WHERE $20 && ARRAY['blocked', 'scheduled', 'queued', 'running'] AND live.state = ANY($22::text[])
                    AND (NOT $21::boolean OR (jobs.id > $17 AND jobs.id < $18))
                    AND ($23 IS NULL OR (live.priority, live.job_id) > ($23, $24))
                    AND ($25 IS NULL OR (live.priority, live.job_id) < ($25, $26))",
                "UNION ALL (SELECT ended.job_id AS id, NULL::timestamptz AS finished_at, jobs.priority
                  FROM ended_jobs AS ended JOIN jobs ON jobs.id = ended.job_id
                  WHERE $20 && ARRAY['succeeded', 'failed', 'cancelled'] AND ended.state = ANY($22)
                    AND ($23 IS NULL OR (jobs.priority, jobs.id) > ($23, $24))
                    AND ($25 IS NULL OR (jobs.priority, jobs.id) < ($25, $26))",
            ],
            [" ORDER BY priority " $direction ", id " $direction " LIMIT $19"],
            ") AS leg",
            $bounds.priority_lower.map(|(priority, _)| priority),
            $bounds.priority_lower.map(|(_, id)| id),
            $bounds.priority_upper.map(|(priority, _)| priority),
            $bounds.priority_upper.map(|(_, id)| id),
        )
    };
}

pub(super) async fn by_id_descending(
    connection: &mut PgConnection,
    bounds: &Bounds,
) -> Result<Vec<Row>, StoreError> {
    read(planned_anew(page_by_id!(bounds, "DESC"))?.fetch_all(connection).await?)
}

pub(super) async fn by_id_ascending(
    connection: &mut PgConnection,
    bounds: &Bounds,
) -> Result<Vec<Row>, StoreError> {
    read(planned_anew(page_by_id!(bounds, "ASC"))?.fetch_all(connection).await?)
}

pub(super) async fn by_priority_descending(
    connection: &mut PgConnection,
    bounds: &Bounds,
) -> Result<Vec<Row>, StoreError> {
    read(planned_anew(by_priority!(bounds, "DESC"))?.fetch_all(connection).await?)
}

pub(super) async fn by_priority_ascending(
    connection: &mut PgConnection,
    bounds: &Bounds,
) -> Result<Vec<Row>, StoreError> {
    read(planned_anew(by_priority!(bounds, "ASC"))?.fetch_all(connection).await?)
}

/// Counts up to `bounds.rows`.
pub(super) async fn count(connection: &mut PgConnection, bounds: &Bounds) -> Result<i64, StoreError> {
    let checked = by_id!(
        bounds,
        "SELECT count(*) AS \"count!\" FROM (",
        ["" "" "" "" " LIMIT $19"],
        ") AS leg"
    );
    // Each leg counts up to the limit.
    let count: i64 = planned_anew(checked)?.fetch_one(connection).await?.try_get(0)?;
    Ok(count.min(bounds.rows))
}

/// The same statement, but not kept by the connection, so that Postgres plans with the values.
fn planned_anew<'q>(
    mut checked: impl Execute<'q, Postgres>,
) -> Result<Query<'q, Postgres, PgArguments>, StoreError> {
    let arguments = checked.take_arguments().map_err(sqlx::Error::Encode)?.unwrap_or_default();
    Ok(sqlx::query_with(checked.sql(), arguments).persistent(false))
}

fn read(rows: Vec<PgRow>) -> Result<Vec<Row>, StoreError> {
    let read =
        |row: PgRow| Ok(Row { id: row.try_get(0)?, finished_at: row.try_get(1)?, priority: row.try_get(2)? });
    rows.into_iter().map(read).collect()
}
