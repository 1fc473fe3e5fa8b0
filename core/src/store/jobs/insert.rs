//! Writing new jobs: the record, the live row, the first event and the queue's counters, in one statement.
//!
//! Called by `steps::submit` alone. Never decides whether a job may be accepted.

use serde_json::value::RawValue;
use uuid::Uuid;

use super::live::CommandLimits;
use crate::{
    clock::Time,
    ids::{CommandId, CommandVersionId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId},
    job::JobState,
    policy::Policy,
    store::{Connection, StoreError, array_literal, columns::query_rows, optional_json},
};

/// A job that has passed every check.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// What it runs.
    pub version_id: CommandVersionId,
    /// The command that the version belongs to.
    pub command_id: CommandId,
    /// Its queue.
    pub queue: String,
    /// 0 to 9; 9 runs first.
    pub priority: i16,
    /// Whose turn it counts as, if that is not its profile's.
    pub fairness_key: Option<String>,
    /// Its round; 0 while it is not ready.
    pub round: i64,
    /// The profile that it runs on, its own or the command's.
    pub profile_id: Option<ProfileId>,
    /// The proxy that overrides the profile's own choice.
    pub proxy_id: Option<ProxyId>,
    /// Services in order, resolved.
    pub service_ids: Vec<ServiceId>,
    /// The input as JSON, `***` in the places of its secrets.
    pub input: Box<RawValue>,
    /// The secrets of the input, sealed.
    pub input_sealed: Option<Vec<u8>>,
    /// Sorted, each once.
    pub labels: Vec<String>,
    /// Null: the version's own.
    pub policy: Option<Policy>,
    /// What its policy or the version's limits, if anything.
    pub command_limits: Option<CommandLimits>,
    /// When it may start.
    pub run_at: Time,
    /// `Blocked`, `Scheduled` or `Queued`.
    pub state: JobState,
    /// When it is cancelled if it has not started.
    pub expires_at: Option<Time>,
    /// Jobs that must succeed before, in order, each once.
    pub needs: Vec<JobId>,
    /// Whether the caller is about to push its reference to Redis.
    pub is_dispatched: bool,
    /// The schedule that enqueues it, and for when.
    pub schedule: Option<(ScheduleId, Time)>,
    /// Key and keyed hash of the request.
    pub idempotency: Option<(String, [u8; 32])>,
    /// The database's time of the submission.
    pub created_at: Time,
}

/// A job that holds an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key.
    pub key: String,
    /// The job.
    pub job: JobId,
    /// Hash of the request that made it.
    pub hash: Vec<u8>,
}

/// Inserts jobs that are new and returns their ids. Jobs whose id, idempotency key or due time exists already are left out.
#[tracing::instrument(name = "db.insert.insert", level = "debug", skip_all)]
pub async fn insert(connection: &mut Connection, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
    let inserted = query_rows!(
        query_scalar for job in jobs,
        "WITH new AS MATERIALIZED (SELECT * FROM",
        "new" {
            "id": "uuid[]" = job.id.uuid();
            "version_id": "uuid[]" = job.version_id.uuid();
            "command_id": "uuid[]" = job.command_id.uuid();
            "queue": "text[]" as &str = &job.queue;
            "priority": "smallint[]" = job.priority;
            "profile_id": "uuid[]" as Option<Uuid> = job.profile_id.map(Uuid::from);
            "proxy_id": "uuid[]" as Option<Uuid> = job.proxy_id.map(Uuid::from);
            "service_ids": "text[]" = array_literal(job.service_ids.iter().map(|id| id.uuid().to_string()));
            "input": "text[]" as &str = job.input.get();
            "input_sealed": "bytea[]" as Option<&[u8]> = job.input_sealed.as_deref();
            "labels": "text[]" = array_literal(job.labels.iter().cloned());
            "policy": "text[]" as Option<String> = optional_json("policy", job.policy.as_ref())?;
            "run_at": "timestamptz[]" = job.run_at;
            "state": "text[]" as &str = job.state.as_str();
            "expires_at": "timestamptz[]" as Option<Time> = job.expires_at;
            "is_dispatched": "boolean[]" = job.is_dispatched;
            "idempotency_key": "text[]" as Option<&str> = job.idempotency.as_ref().map(|(key, _)| &**key);
            "idempotency_hash": "bytea[]" as Option<&[u8]> = job.idempotency.as_ref().map(|(_, hash)| &hash[..]);
            "created_at": "timestamptz[]" = job.created_at;
            "command_limits": "text[]" as Option<String> = optional_json("command_limits", job.command_limits.as_ref())?;
            "schedule_id": "uuid[]" as Option<Uuid> = job.schedule.map(|(schedule, _)| schedule.uuid());
            "due_at": "timestamptz[]" as Option<Time> = job.schedule.map(|(_, due)| due);
            "fairness_key": "text[]" as Option<&str> = job.fairness_key.as_deref();
            "round": "bigint[]" = job.round;
        },
        r#"), record AS (
            INSERT INTO jobs (id, command_version_id, command_id, queue, priority, profile_id, proxy_id, service_ids,
                input, input_sealed, labels, policy, run_at, idempotency_key, idempotency_hash, created_at,
                schedule_id, due_at, fairness_key)
            SELECT id, version_id, command_id, queue, priority, profile_id, proxy_id, service_ids::uuid[],
                input::jsonb, input_sealed, labels::text[], policy::jsonb, run_at, idempotency_key, idempotency_hash,
                created_at, schedule_id, due_at, fairness_key
            FROM new ON CONFLICT DO NOTHING
            RETURNING id
        ), accepted AS MATERIALIZED (SELECT new.* FROM new JOIN record USING (id)
        ), live AS (
            INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, expires_at,
                dispatched_at, profile_id, proxy_id, command_limits, schedule_id, fairness_key, round)
            SELECT id, queue, priority, state, 1, run_at, CASE WHEN state = 'queued' THEN created_at END, expires_at,
                CASE WHEN is_dispatched THEN created_at END, profile_id, proxy_id, command_limits::jsonb,
                schedule_id, fairness_key, round
            FROM accepted
        ), services AS (
            INSERT INTO live_job_services (job_id, service_id)
            SELECT id, unnest(service_ids::uuid[]) FROM accepted WHERE service_ids <> '{}'
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state)
            SELECT id, 1, created_at, 'enqueued', state FROM accepted
        ), queue AS (INSERT INTO queues (name) SELECT DISTINCT queue FROM accepted ON CONFLICT DO NOTHING
        ), delta AS (
            INSERT INTO queue_deltas (queue, blocked, scheduled, queued, enqueued)
            SELECT queue, count(*) FILTER (WHERE state = 'blocked'), count(*) FILTER (WHERE state = 'scheduled'),
                count(*) FILTER (WHERE state = 'queued'), count(*)
            FROM accepted GROUP BY queue
        )
        SELECT id AS "id!" FROM record"#,
    )
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(JobId::from).collect())
}

/// A savepoint of the caller's transaction: rolled back when dropped.
#[tracing::instrument(name = "db.insert.savepoint", level = "debug", skip_all)]
pub async fn savepoint(
    transaction: &mut crate::store::Transaction,
) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, StoreError> {
    Ok(sqlx::Connection::begin(&mut **transaction).await?)
}

/// The jobs that hold these idempotency keys.
#[tracing::instrument(name = "db.insert.key_holders", level = "debug", skip_all)]
pub async fn key_holders(connection: &mut Connection, keys: &[String]) -> Result<Vec<KeyHolder>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT idempotency_key AS "key!", idempotency_hash AS "hash!", id FROM jobs WHERE idempotency_key = ANY($1)"#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| KeyHolder { key: row.key, job: row.id.into(), hash: row.hash }).collect())
}
