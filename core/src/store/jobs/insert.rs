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
    store::{Connection, StoreError, array_literal, to_json},
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

/// Inserts jobs that are new and answers which; one whose id, idempotency key or due time exists already is left out.
#[expect(clippy::too_many_lines, reason = "one statement, one round trip")]
pub async fn insert(connection: &mut Connection, jobs: &[NewJob]) -> Result<Vec<JobId>, StoreError> {
    let column = Columns::of(jobs)?;
    let inserted = sqlx::query_scalar!(
        r#"
        WITH new AS MATERIALIZED (
            SELECT * FROM unnest(
                $1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::smallint[], $6::uuid[], $7::uuid[], $8::text[], $9::text[],
                $10::bytea[], $11::text[], $12::text[], $13::timestamptz[], $14::text[], $15::timestamptz[], $16::boolean[],
                $17::text[], $18::bytea[], $19::timestamptz[], $20::text[], $21::uuid[], $22::timestamptz[], $23::text[],
                $24::bigint[]) AS new (id, version_id, command_id, queue, priority, profile_id, proxy_id, service_ids, input, input_sealed, labels,
                policy, run_at, state, expires_at, is_dispatched, idempotency_key, idempotency_hash, created_at, command_limits,
                schedule_id, due_at, fairness_key, round)
        ), record AS (
            INSERT INTO jobs (id, command_version_id, command_id, queue, priority, profile_id, proxy_id, service_ids,
                input, input_sealed, labels, policy, run_at, idempotency_key, idempotency_hash, created_at, schedule_id, due_at,
                fairness_key)
            SELECT id, version_id, command_id, queue, priority, profile_id, proxy_id, service_ids::uuid[], input::jsonb, input_sealed,
                labels::text[], policy::jsonb, run_at, idempotency_key, idempotency_hash, created_at, schedule_id, due_at, fairness_key
            FROM new ON CONFLICT DO NOTHING
            RETURNING id
        ), accepted AS MATERIALIZED (SELECT new.* FROM new JOIN record USING (id)
        ), live AS (
            INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, expires_at,
                dispatched_at, profile_id, proxy_id, command_limits, schedule_id, fairness_key, round)
            SELECT id, queue, priority, state, 1, run_at, CASE WHEN state = 'queued' THEN created_at END, expires_at,
                CASE WHEN is_dispatched THEN created_at END, profile_id, proxy_id, command_limits::jsonb, schedule_id, fairness_key, round
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
            SELECT queue, count(*) FILTER (WHERE state = 'blocked'),
                count(*) FILTER (WHERE state = 'scheduled'), count(*) FILTER (WHERE state = 'queued'), count(*)
            FROM accepted GROUP BY queue
        )
        SELECT id AS "id!" FROM record
        "#,
        &column.ids,
        &column.version_ids,
        &column.command_ids,
        &column.queues,
        &column.priorities,
        &column.profile_ids as &[Option<Uuid>],
        &column.proxy_ids as &[Option<Uuid>],
        &column.service_ids,
        &column.inputs as &[&str],
        &column.inputs_sealed as &[Option<&[u8]>],
        &column.labels,
        &column.policies as &[Option<String>],
        &column.run_ats,
        &column.states as &[&str],
        &column.expires_ats as &[Option<Time>],
        &column.are_dispatched,
        &column.keys as &[Option<&str>],
        &column.hashes as &[Option<&[u8]>],
        &column.created_ats,
        &column.command_limits as &[Option<String>],
        &column.schedule_ids as &[Option<Uuid>],
        &column.due_ats as &[Option<Time>],
        &column.fairness_keys as &[Option<&str>],
        &column.rounds,
    )
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(JobId::from).collect())
}

/// A savepoint of the caller's transaction: rolled back when dropped.
pub async fn savepoint(
    transaction: &mut crate::store::Transaction,
) -> Result<sqlx::Transaction<'_, sqlx::Postgres>, StoreError> {
    Ok(sqlx::Connection::begin(&mut **transaction).await?)
}

/// The jobs that hold these idempotency keys.
pub async fn key_holders(connection: &mut Connection, keys: &[String]) -> Result<Vec<KeyHolder>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT idempotency_key AS "key!", idempotency_hash AS "hash!", id FROM jobs WHERE idempotency_key = ANY($1)"#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| KeyHolder { key: row.key, job: row.id.into(), hash: row.hash }).collect())
}

/// The jobs, column by column, as `unnest` takes them.
#[derive(Default)]
struct Columns<'a> {
    ids: Vec<Uuid>,
    version_ids: Vec<Uuid>,
    command_ids: Vec<Uuid>,
    queues: Vec<String>,
    priorities: Vec<i16>,
    profile_ids: Vec<Option<Uuid>>,
    proxy_ids: Vec<Option<Uuid>>,
    service_ids: Vec<String>,
    inputs: Vec<&'a str>,
    inputs_sealed: Vec<Option<&'a [u8]>>,
    labels: Vec<String>,
    policies: Vec<Option<String>>,
    run_ats: Vec<Time>,
    states: Vec<&'static str>,
    expires_ats: Vec<Option<Time>>,
    are_dispatched: Vec<bool>,
    keys: Vec<Option<&'a str>>,
    hashes: Vec<Option<&'a [u8]>>,
    created_ats: Vec<Time>,
    command_limits: Vec<Option<String>>,
    schedule_ids: Vec<Option<Uuid>>,
    due_ats: Vec<Option<Time>>,
    fairness_keys: Vec<Option<&'a str>>,
    rounds: Vec<i64>,
}

impl<'a> Columns<'a> {
    fn of(jobs: &'a [NewJob]) -> Result<Self, StoreError> {
        let mut columns = Self::default();
        for job in jobs {
            columns.ids.push(job.id.uuid());
            columns.version_ids.push(job.version_id.uuid());
            columns.command_ids.push(job.command_id.uuid());
            columns.queues.push(job.queue.clone());
            columns.priorities.push(job.priority);
            columns.profile_ids.push(job.profile_id.map(Uuid::from));
            columns.proxy_ids.push(job.proxy_id.map(Uuid::from));
            columns.service_ids.push(array_literal(job.service_ids.iter().map(|id| id.uuid().to_string())));
            columns.inputs.push(job.input.get());
            columns.inputs_sealed.push(job.input_sealed.as_deref());
            columns.labels.push(array_literal(job.labels.iter().cloned()));
            columns.policies.push(match &job.policy {
                Some(policy) => Some(to_json("policy", policy)?),
                None => None,
            });
            columns.run_ats.push(job.run_at);
            columns.states.push(job.state.as_str());
            columns.expires_ats.push(job.expires_at);
            columns.are_dispatched.push(job.is_dispatched);
            columns.keys.push(job.idempotency.as_ref().map(|(key, _)| key.as_str()));
            columns.hashes.push(job.idempotency.as_ref().map(|(_, hash)| hash.as_slice()));
            columns.created_ats.push(job.created_at);
            columns.schedule_ids.push(job.schedule.map(|(schedule, _)| schedule.uuid()));
            columns.fairness_keys.push(job.fairness_key.as_deref());
            columns.rounds.push(job.round);
            columns.due_ats.push(job.schedule.map(|(_, due)| due));
            let limits = job.command_limits.as_ref();
            columns.command_limits.push(limits.map(|limits| to_json("command_limits", limits)).transpose()?);
        }
        Ok(columns)
    }
}
