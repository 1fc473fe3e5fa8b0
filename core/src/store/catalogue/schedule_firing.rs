//! What `steps::enqueue::fire_schedules` reads and writes of schedules.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{JobId, ScheduleId},
    store::{Connection, StoreError, columns::query_rows},
};

/// Time until the next schedule is due. Zero if one is due now, and `None` if none will be.
#[tracing::instrument(name = "db.schedules.until_next", level = "debug", skip_all)]
pub async fn until_next(connection: &mut Connection) -> Result<Option<Duration>, StoreError> {
    let millis = sqlx::query_scalar!(
        "SELECT (extract(epoch FROM min(next_at) - clock_timestamp()) * 1000)::bigint FROM schedules
         WHERE next_at IS NOT NULL"
    )
    .fetch_one(connection)
    .await?;
    Ok(millis.map(|millis| Duration::from_millis(u64::try_from(millis).unwrap_or(0))))
}

/// The live jobs of schedules.
#[tracing::instrument(name = "db.schedules.live_jobs", level = "debug", skip_all)]
pub async fn live_jobs(
    connection: &mut Connection,
    ids: &[ScheduleId],
) -> Result<Vec<(ScheduleId, JobId)>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        r#"SELECT schedule_id AS "schedule_id!", job_id FROM live_jobs WHERE schedule_id = ANY($1)"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| (row.schedule_id.into(), row.job_id.into())).collect())
}

/// The new state of a schedule after a firing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advance {
    /// The schedule.
    pub id: ScheduleId,
    /// The next time at which it is due, if any.
    pub next_at: Option<Time>,
    /// The time of the last firing that enqueued a job. `None` keeps the stored one.
    pub last_at: Option<Time>,
    /// Why its job was refused. `None` clears the stored failure if there is a `last_at`, and keeps
    /// it otherwise.
    pub failure: Option<String>,
}

/// Stores the new states of schedules.
#[tracing::instrument(name = "db.schedules.advance", level = "debug", skip_all)]
pub async fn advance(connection: &mut Connection, advances: &[Advance]) -> Result<(), StoreError> {
    query_rows!(
        query for advance in advances,
        "UPDATE schedules SET next_at = moved.next_at, last_at = coalesce(moved.last_at, schedules.last_at),
             last_failure = CASE WHEN moved.failure IS NULL AND moved.last_at IS NULL THEN last_failure ELSE failure END
         FROM",
        "moved" {
            "id": "uuid[]" = advance.id.uuid();
            "next_at": "timestamptz[]" as Option<Time> = advance.next_at;
            "last_at": "timestamptz[]" as Option<Time> = advance.last_at;
            "failure": "text[]" as Option<&str> = advance.failure.as_deref();
        },
        "WHERE schedules.id = moved.id",
    )
    .execute(connection)
    .await?;
    Ok(())
}
