//! Schedules: what they enqueue, and when.

use std::time::Duration;

use serde_json::Value;
use uuid::Uuid;

pub use super::schedule_firing::{Advance, advance, live_jobs, until_next};
use super::table::catalogue_table;
use crate::{
    clock::Time,
    duration::IsoDuration,
    ids::{ProfileId, ProxyId, ScheduleId, ServiceId},
    job::JobRequest,
    schedule::{Cron, Overlap, Timing, Zone},
    store::{
        Connection, StoreError,
        columns::{optional_storable, storable, storables},
        optional_json,
        queues::backlog,
        to_json,
    },
};

/// A schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// What an admin has set.
    pub plan: Plan,
    /// The first time that was neither fired nor skipped. `None` if it is paused or has no time
    /// left.
    pub next_at: Option<Time>,
    /// The time of the last firing that enqueued a job.
    pub last_at: Option<Time>,
    /// Why the last firing enqueued nothing, if its job was refused.
    pub last_failure: Option<String>,
    /// Increases with every change by an admin.
    pub version: i32,
    /// When it was created.
    pub created_at: Time,
    /// When an admin last changed it.
    pub updated_at: Time,
}

/// What an admin sets of a schedule.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Unique among schedules.
    pub name: String,
    /// When it is due.
    pub timing: Timing,
    /// What each firing enqueues.
    pub template: Template,
    /// Whether it is paused.
    pub is_paused: bool,
}

/// What a firing enqueues. Fields that are `None` take the value of the command or the profile at
/// that time.
#[derive(Debug, Clone, PartialEq)]
pub struct Template {
    /// The request, without a policy. Secrets in its input are `***`.
    pub request: JobRequest,
    /// A patch of the command's policy, as JSON. One that cannot be read fails only its firings.
    pub policy: Option<Value>,
    /// The secrets of the input, sealed.
    pub input_sealed: Option<Vec<u8>>,
}

struct Row {
    id: Uuid,
    name: String,
    cron: String,
    timezone: String,
    overlap: String,
    catch_up_ms: i64,
    is_paused: bool,
    command_id: Uuid,
    profile_id: Option<Uuid>,
    proxy_id: Option<Uuid>,
    service_ids: Option<Vec<Uuid>>,
    queue: Option<String>,
    priority: Option<i16>,
    policy: Option<Value>,
    fairness_key: Option<String>,
    labels: Vec<String>,
    input: Value,
    input_sealed: Option<Vec<u8>>,
    next_at: Option<Time>,
    last_at: Option<Time>,
    last_failure: Option<String>,
    version: i32,
    created_at: Time,
    updated_at: Time,
}

impl TryFrom<Row> for Schedule {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let corrupt = |column: &'static str, value: &dyn std::fmt::Display| {
            StoreError::corrupt("schedules", column, &value)
        };
        let timing = Timing {
            cron: Cron::parse(&row.cron).map_err(|_| corrupt("cron", &row.cron))?,
            zone: Zone::parse(&row.timezone).map_err(|_| corrupt("timezone", &row.timezone))?,
            overlap: Overlap::parse(&row.overlap).ok_or_else(|| corrupt("overlap", &row.overlap))?,
            catch_up: IsoDuration(Duration::from_millis(row.catch_up_ms.cast_unsigned())),
        };
        let request = JobRequest {
            profile: row.profile_id.map(ProfileId::from),
            proxy: row.proxy_id.map(ProxyId::from),
            services: row.service_ids.map(|ids| ids.into_iter().map(ServiceId::from).collect()),
            queue: row.queue,
            priority: row.priority.map(i32::from),
            fairness_key: row.fairness_key,
            labels: row.labels,
            input: Some(row.input),
            ..JobRequest::new(row.command_id.into())
        };
        let template = Template { request, policy: row.policy, input_sealed: row.input_sealed };
        Ok(Self {
            id: row.id.into(),
            plan: Plan { name: row.name, timing, template, is_paused: row.is_paused },
            next_at: row.next_at,
            last_at: row.last_at,
            last_failure: row.last_failure,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that returns schedules. Its parts are what comes before the columns and after them.
macro_rules! schedule_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $($before +)+ " id, name, cron, timezone, overlap, catch_up_ms, is_paused, command_id,
                    profile_id, proxy_id, service_ids, queue, priority, policy, fairness_key, labels, input,
                    input_sealed, next_at, last_at, last_failure, version, created_at, updated_at "
                $(+ $after)*
            $(, $argument)*
        )
    };
}

catalogue_table!(schedule_rows, "schedules", ScheduleId => Schedule:
    load,
    load_by_name,
    page,
    lock,
    name_is_taken,
    /// The jobs that it enqueued stay.
    delete,
);

/// At most `limit` due schedules except these, longest due first, and the database's time.
#[tracing::instrument(name = "db.schedules.due", level = "debug", skip_all)]
pub async fn due(
    connection: &mut Connection,
    limit: i64,
    except: &[ScheduleId],
) -> Result<(Vec<Schedule>, Time), StoreError> {
    let except: Vec<Uuid> = except.iter().copied().map(Uuid::from).collect();
    let rows = schedule_rows!(
        ["SELECT"],
        ["FROM schedules WHERE next_at <= clock_timestamp() AND NOT id = ANY($2) ORDER BY next_at LIMIT $1"],
        limit,
        &except
    )
    .fetch_all(&mut *connection)
    .await?;
    let now = backlog::clock(connection).await?;
    Ok((rows.into_iter().map(Schedule::try_from).collect::<Result<_, _>>()?, now))
}

/// Locks those of these schedules that nobody else has locked.
#[tracing::instrument(name = "db.schedules.lock_free", level = "debug", skip_all)]
pub async fn lock_free(connection: &mut Connection, ids: &[ScheduleId]) -> Result<Vec<Schedule>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = schedule_rows!(
        ["SELECT"],
        ["FROM schedules WHERE id = ANY($1) ORDER BY next_at FOR UPDATE SKIP LOCKED"],
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Schedule::try_from).collect()
}

/// Inserts a schedule, or updates it and raises its version.
#[tracing::instrument(name = "db.schedules.save", level = "debug", skip_all)]
pub async fn save(
    connection: &mut Connection,
    id: ScheduleId,
    plan: &Plan,
    next_at: Option<Time>,
) -> Result<Schedule, StoreError> {
    let Plan { name, timing, template: Template { request, policy, input_sealed }, is_paused } = plan;
    let services: Option<Vec<Uuid>> =
        request.services.as_ref().map(|ids| ids.iter().copied().map(Uuid::from).collect());
    let row = schedule_rows!(
        ["INSERT INTO schedules AS stored (id, name, cron, timezone, overlap, catch_up_ms, is_paused,
             command_id, profile_id, proxy_id, service_ids, queue, priority, policy, labels, input,
             input_sealed, next_at, fairness_key)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14::text::jsonb, $15,
             $16::text::jsonb, $17, $18, $19)
         ON CONFLICT (id) DO UPDATE SET name = excluded.name, cron = excluded.cron,
             timezone = excluded.timezone, overlap = excluded.overlap, catch_up_ms = excluded.catch_up_ms,
             is_paused = excluded.is_paused, command_id = excluded.command_id,
             profile_id = excluded.profile_id, proxy_id = excluded.proxy_id,
             service_ids = excluded.service_ids, queue = excluded.queue, priority = excluded.priority,
             policy = excluded.policy, labels = excluded.labels, input = excluded.input,
             input_sealed = excluded.input_sealed, next_at = excluded.next_at,
             fairness_key = excluded.fairness_key, version = stored.version + 1,
             updated_at = clock_timestamp()
         RETURNING"],
        [],
        id.uuid(),
        storable(name),
        storable(timing.cron.text()),
        storable(timing.zone.name()),
        timing.overlap.as_str(),
        i64::try_from(timing.catch_up.0.as_millis()).unwrap_or(i64::MAX),
        *is_paused,
        request.command.uuid(),
        request.profile.map(Uuid::from),
        request.proxy.map(Uuid::from),
        services.as_deref(),
        optional_storable(request.queue.as_deref()),
        request.priority.and_then(|priority| i16::try_from(priority).ok()),
        optional_json("policy", policy.as_ref())?,
        &storables(&request.labels),
        to_json("input", request.input.as_ref().unwrap_or(&Value::Null))?,
        input_sealed.as_deref(),
        next_at,
        optional_storable(request.fairness_key.as_deref()),
    )
    .fetch_one(&mut *connection)
    .await?;
    sqlx::query!(
        "WITH gone AS (
             DELETE FROM schedule_services WHERE schedule_id = $1 AND NOT service_id = ANY($2)
         )
         INSERT INTO schedule_services (schedule_id, service_id) SELECT $1, unnest($2::uuid[]) ON CONFLICT DO NOTHING",
        id.uuid(),
        services.as_deref().unwrap_or_default()
    )
    .execute(connection)
    .await?;
    Schedule::try_from(row)
}
