//! Writes new jobs: the record, the live row, the first event and the queue's counters.

use serde_json::{Value, json, value::RawValue};
use uuid::Uuid;

use super::live::CommandLimits;
use crate::{
    audit::By,
    clock::{IdSource, Time},
    duration::IsoDuration,
    ids::{AuditEventId, CommandId, CommandVersionId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId},
    job::JobState,
    policy::Policy,
    store::{
        Connection, StoreError, array_literal,
        columns::{query_rows, storable},
        optional_json, to_json,
    },
};

/// Most kinds of jobs that an entry of the audit names.
const KINDS_SHOWN_MAX: usize = 50;

/// A new job, which has passed all checks.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// Its id.
    pub id: JobId,
    /// The version of the command that it runs.
    pub version_id: CommandVersionId,
    /// The command that the version belongs to.
    pub command_id: CommandId,
    /// Its name, for the audit.
    pub command_name: String,
    /// Its queue.
    pub queue: String,
    /// Its priority, 0 to 9. Jobs of priority 9 run first.
    pub priority: i16,
    /// Its own fairness key. `None` for the lane of its profile.
    pub fairness_key: Option<String>,
    /// Its round, or 0 if it is not ready.
    pub round: i64,
    /// The profile that it runs on: its own or the command's.
    pub profile_id: Option<ProfileId>,
    /// The proxy that overrides the profile's choice.
    pub proxy_id: Option<ProxyId>,
    /// Its resolved services in order.
    pub service_ids: Vec<ServiceId>,
    /// The input as JSON, with `***` in place of its secrets.
    pub input: Box<RawValue>,
    /// The secrets of the input, sealed.
    pub input_sealed: Option<Vec<u8>>,
    /// Its labels, sorted and distinct.
    pub labels: Vec<String>,
    /// Its own policy. `None` for the policy of the version.
    pub policy: Option<Policy>,
    /// The limits of its policy, if any.
    pub command_limits: Option<CommandLimits>,
    /// When it may start. `None` for when it is written.
    pub run_at: Option<Time>,
    /// Its state: `Blocked`, `Scheduled` or `Queued`.
    pub state: JobState,
    /// How long after it is written it is cancelled, unless it has started.
    pub expires_after: Option<IsoDuration>,
    /// Jobs that must succeed before it, in order and distinct.
    pub needs: Vec<JobId>,
    /// Whether the caller is about to push its reference to Redis.
    pub is_dispatched: bool,
    /// The schedule that enqueues it, and the due time unless it is run by hand.
    pub schedule: Option<(ScheduleId, Option<Time>)>,
    /// Who enqueues it.
    pub by: Option<By>,
    /// How a repeat of the request is recognised.
    pub idempotency: Option<Idempotency>,
}

impl NewJob {
    fn created_by(&self) -> Option<&str> {
        self.by.as_ref().map(|by| by.actor.name.as_str())
    }

    fn idempotency_key(&self) -> Option<&str> {
        self.idempotency.as_ref().map(|idempotency| idempotency.key.as_str())
    }

    fn idempotency_hash(&self) -> Option<&[u8]> {
        self.idempotency.as_ref().map(|idempotency| idempotency.hash.as_slice())
    }

    fn expires_after(&self) -> Option<String> {
        self.expires_after.map(|after| after.to_string())
    }

    fn command_limits_json(&self) -> Result<Option<String>, StoreError> {
        optional_json("command_limits", self.command_limits.as_ref())
    }
}

/// An idempotency key, and what its request is kept as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Idempotency {
    /// The key.
    pub key: String,
    /// Stored with the job.
    pub hash: Vec<u8>,
    /// The hashes that releases before stored for this request.
    pub older: Vec<[u8; 32]>,
}

/// A job that holds an idempotency key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyHolder {
    /// The key.
    pub key: String,
    /// The job.
    pub job: JobId,
    /// What the request that created it is kept as.
    pub hash: Vec<u8>,
}

/// Inserts new jobs and returns their ids. Jobs whose id, idempotency key or due time already
/// exists are left out. Each caller's jobs of one mutation make one entry of the audit.
///
/// The jobs are created, and count their times, from this statement on, however long ago they were
/// prepared.
#[tracing::instrument(name = "db.insert.insert", level = "debug", skip_all)]
#[expect(clippy::too_many_lines, reason = "one statement, one round trip")]
pub async fn insert(connection: &mut Connection, jobs: &[&NewJob]) -> Result<Vec<JobId>, StoreError> {
    let callers = Callers::of(jobs);
    let inserted = query_rows!(
        query_scalar for job in jobs,
        "WITH new AS MATERIALIZED (SELECT new.*, statement_timestamp() AS created_at FROM",
        "new" {
            "id": "uuid[]" = job.id.uuid();
            "version_id": "uuid[]" = job.version_id.uuid();
            "command_id": "uuid[]" = job.command_id.uuid();
            "queue": "text[]" as &str = &job.queue;
            "priority": "smallint[]" = job.priority;
            "profile_id": "uuid[]" as Option<Uuid> = job.profile_id.map(Uuid::from);
            "proxy_id": "uuid[]" as Option<Uuid> = job.proxy_id.map(Uuid::from);
            "service_ids": "text[]" = array_literal(job.service_ids.iter().map(|id| id.uuid().to_string()));
            "input": "text[]" = to_json("input", &job.input)?;
            "input_sealed": "bytea[]" as Option<&[u8]> = job.input_sealed.as_deref();
            "labels": "text[]" = array_literal(job.labels.iter().cloned());
            "policy": "text[]" as Option<String> = optional_json("policy", job.policy.as_ref())?;
            "run_at": "timestamptz[]" as Option<Time> = job.run_at;
            "state": "text[]" as &str = job.state.as_str();
            "expires_after": "text[]" as Option<String> = job.expires_after();
            "is_dispatched": "boolean[]" = job.is_dispatched;
            "idempotency_key": "text[]" as Option<&str> = job.idempotency_key();
            "idempotency_hash": "bytea[]" as Option<&[u8]> = job.idempotency_hash();
            "command_limits": "text[]" as Option<String> = job.command_limits_json()?;
            "schedule_id": "uuid[]" as Option<Uuid> = job.schedule.map(|(schedule, _)| schedule.uuid());
            "due_at": "timestamptz[]" as Option<Time> = job.schedule.and_then(|(_, due)| due);
            "fairness_key": "text[]" as Option<&str> = job.fairness_key.as_deref();
            "round": "bigint[]" = job.round;
            "created_by": "text[]" as Option<&str> = job.created_by();
            "caller": "integer[]" as Option<i32> = callers.number(job);
        },
        r#"), record AS (
            INSERT INTO jobs (id, command_version_id, command_id, queue, priority, profile_id, proxy_id,
                service_ids, input, input_sealed, labels, policy, run_at, idempotency_key,
                idempotency_hash, created_at, schedule_id, due_at, fairness_key, created_by)
            SELECT id, version_id, command_id, queue, priority, profile_id, proxy_id,
                service_ids::uuid[], input::jsonb, input_sealed, labels::text[], policy::jsonb,
                coalesce(run_at, created_at), idempotency_key, idempotency_hash, created_at, schedule_id, due_at, fairness_key, created_by
            FROM new ON CONFLICT DO NOTHING
            RETURNING id
        ), accepted AS MATERIALIZED (SELECT new.* FROM new JOIN record USING (id)
        ), live AS (
            INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, expires_at,
                dispatched_at, profile_id, proxy_id, command_limits, schedule_id, fairness_key, round)
            SELECT id, queue, priority, state, 1, coalesce(run_at, created_at),
                CASE WHEN state = 'queued' THEN created_at END, created_at + expires_after::interval, CASE WHEN is_dispatched THEN created_at END, profile_id, proxy_id,
                command_limits::jsonb, schedule_id, fairness_key, round
            FROM accepted
        ), services AS (
            INSERT INTO live_job_services (job_id, service_id)
            SELECT id, unnest(service_ids::uuid[]) FROM accepted WHERE service_ids <> '{}'
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, actor)
            SELECT id, 1, created_at, 'enqueued', state, created_by FROM accepted
        ), audit AS (
            INSERT INTO audit_events (id, at, actor, role, key_id, address, transport, action, outcome, object_kind,
                object_name, after, job_ids, count)
            SELECT caller.id, made.at, caller.actor, caller.role, caller.key_id, caller.address, caller.transport,
                caller.action, 'done', 'job', caller.command, caller.after, made.ids, made.count
            FROM (
                SELECT caller AS number, max(created_at) AS at, array_agg(id) AS ids, count(*) AS count
                FROM accepted WHERE caller IS NOT NULL GROUP BY caller
            ) AS made JOIN json_to_recordset($2::text::json) AS caller (number integer, id uuid, actor text,
                role text, key_id uuid, address text, transport text, action text, command text, after jsonb)
                USING (number)
        ), queue AS (INSERT INTO queues (name) SELECT DISTINCT queue FROM accepted ON CONFLICT DO NOTHING
        ), delta AS (
            INSERT INTO queue_deltas (queue, blocked, scheduled, queued, enqueued)
            SELECT queue, count(*) FILTER (WHERE state = 'blocked'),
                count(*) FILTER (WHERE state = 'scheduled'),
                count(*) FILTER (WHERE state = 'queued'), count(*)
            FROM accepted GROUP BY queue
        )
        SELECT id AS "id!" FROM record"#,
        callers.to_json(),
    )
    .fetch_all(connection)
    .await?;
    Ok(inserted.into_iter().map(JobId::from).collect())
}

/// The callers of a batch of jobs: each actor with each mutation once, whose jobs make one entry of
/// the audit. Under load many callers share a transaction, and those of one key then share a row.
struct Callers<'a>(Vec<Caller<'a>>);

struct Caller<'a> {
    by: &'a By,
    entry: AuditEventId,
    /// What it enqueues, each command with its choices once, and how many of each. The first kinds.
    enqueues: Vec<(&'a NewJob, usize)>,
    /// How many jobs are of other kinds.
    others: usize,
    /// The name of the command, if there is only one.
    command: Option<&'a str>,
}

impl<'a> Callers<'a> {
    fn of(jobs: &[&'a NewJob]) -> Self {
        let mut callers: Vec<Caller<'a>> = Vec::new();
        for &job in jobs {
            let Some(by) = job.by.as_ref().filter(|by| by.mutation.is_some()) else { continue };
            match callers.iter_mut().find(|caller| caller.by == by) {
                Some(caller) => caller.add(job),
                None => callers.push(Caller {
                    by,
                    entry: IdSource.make(),
                    enqueues: vec![(job, 1)],
                    others: 0,
                    command: Some(&job.command_name),
                }),
            }
        }
        Self(callers)
    }

    fn number(&self, job: &NewJob) -> Option<i32> {
        let by = job.by.as_ref()?;
        let at = self.0.iter().position(|caller| caller.by == by)?;
        i32::try_from(at).ok()
    }

    fn to_json(&self) -> String {
        Value::Array(self.0.iter().enumerate().map(|(number, caller)| caller.to_json(number)).collect())
            .to_string()
    }
}

impl<'a> Caller<'a> {
    fn add(&mut self, job: &'a NewJob) {
        let schedule = |job: &NewJob| job.schedule.map(|(schedule, _)| schedule);
        let kind =
            |job: &'a NewJob| (job.command_id, job.profile_id, job.proxy_id, &job.service_ids, schedule(job));
        let has_room = self.enqueues.len() < KINDS_SHOWN_MAX;
        match self.enqueues.iter_mut().find(|(known, _)| kind(known) == kind(job)) {
            Some((_, count)) => *count += 1,
            None if has_room => self.enqueues.push((job, 1)),
            None => self.others += 1,
        }
        self.command = self.command.filter(|name| *name == job.command_name);
    }

    /// What is enqueued, without inputs.
    fn after(&self) -> Value {
        let shown = |(job, count): &(&NewJob, usize)| {
            let mut shown = json!({
                "command": job.command_name,
                "commandId": job.command_id,
                "profileId": job.profile_id,
                "proxyId": job.proxy_id,
                "serviceIds": job.service_ids,
                "count": count,
            });
            if let Some((schedule, _)) = job.schedule {
                shown["scheduleId"] = json!(schedule);
            }
            shown
        };
        let jobs: Vec<Value> = self.enqueues.iter().map(shown).collect();
        if self.others == 0 {
            json!({ "jobs": jobs })
        } else {
            json!({ "jobs": jobs, "others": self.others })
        }
    }

    fn to_json(&self, number: usize) -> Value {
        let actor = &self.by.actor;
        json!({
            "number": number,
            "id": self.entry.uuid(),
            "actor": storable(&actor.name),
            "role": actor.role,
            "key_id": actor.key.map(Uuid::from),
            "address": actor.address,
            "transport": actor.transport,
            "action": self.by.mutation,
            "command": self.command,
            "after": self.after(),
        })
    }
}

/// A savepoint in the caller's transaction. Rolled back when dropped.
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
        r#"SELECT idempotency_key AS "key!", idempotency_hash AS "hash!", id FROM jobs
           WHERE idempotency_key = ANY($1)"#,
        keys
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(|row| KeyHolder { key: row.key, job: row.id.into(), hash: row.hash }).collect())
}
