//! Reads jobs: the record, joined with its live or its ended part.
//!
//! Payloads (input and result) are read separately, because lists do not show them. So are
//! positions, for the feed.

use serde_json::Value;
use uuid::Uuid;

pub use super::job_parts::{Input, Origin, Position, input_texts, inputs, origins, positions, result_texts};
use crate::{
    clock::Time,
    command_kind::Kind,
    ids::{
        AttemptId, CommandId, CommandVersionId, JobId, ProfileId, ProxyId, ScheduleId, ServiceId, WorkerId,
    },
    job::{Failure, JobState, Progress},
    policy::Policy,
    store::{Connection, StoreError, from_json},
};

/// A job without its payloads.
#[derive(Debug, Clone)]
pub struct JobRecord {
    /// Its id.
    pub id: JobId,
    /// The version of the command that it runs.
    pub version_id: CommandVersionId,
    /// The command of that version. It may have been deleted.
    pub command_id: CommandId,
    /// The kind of that version.
    pub kind: Kind,
    /// Its queue.
    pub queue: String,
    /// Its priority, 0 to 9.
    pub priority: i16,
    /// Its profile.
    pub profile_id: Option<ProfileId>,
    /// The proxy that overrides the profile's choice.
    pub proxy_id: Option<ProxyId>,
    /// Its services in order.
    pub service_ids: Vec<ServiceId>,
    /// Its labels.
    pub labels: Vec<String>,
    /// Its own policy, or the policy of the version.
    pub policy: Policy,
    /// When it may start: as requested, or the time of the next attempt.
    pub run_at: Time,
    /// The schedule that enqueued it, which may have been deleted, and the due time: `None` if it
    /// was run by hand.
    pub schedule: Option<(ScheduleId, Option<Time>)>,
    /// Its own fairness key.
    pub fairness_key: Option<String>,
    /// Its idempotency key.
    pub idempotency_key: Option<String>,
    /// Who enqueued it: the name of a key or of a schedule. `None` for old jobs.
    pub created_by: Option<String>,
    /// When it was accepted.
    pub created_at: Time,
    /// Its state.
    pub state: JobState,
    /// Number of its newest event.
    pub version: i32,
    /// Number of its newest attempt.
    pub attempt: i32,
    /// Counted attempts since the last manual retry.
    pub counted: i32,
    /// When the first attempt started.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// When it became ready.
    pub queued_at: Option<Time>,
    /// Whether it waits for a backoff.
    pub is_retry: bool,
    /// The running attempt and its worker.
    pub running: Option<(AttemptId, WorkerId)>,
    /// Its last progress report.
    pub progress: Progress,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// Sequence of its last log line.
    pub log_lines: i64,
}

/// Loads jobs by id, in any order. Ids that do not exist are left out.
#[tracing::instrument(name = "db.records.by_ids", level = "debug", skip_all)]
pub async fn by_ids(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<JobRecord>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT jobs.id AS "id!", jobs.command_version_id AS "command_version_id!", jobs.command_id AS "command_id!",
            version.kind AS "kind!", jobs.queue AS "queue!", jobs.priority AS "priority!",
            jobs.profile_id, jobs.proxy_id, jobs.service_ids AS "service_ids!", jobs.labels AS "labels!",
            coalesce(jobs.policy, version.policy) AS "policy!",
            coalesce(live.run_at, jobs.run_at) AS "run_at!", jobs.idempotency_key, jobs.fairness_key,
            jobs.schedule_id, jobs.due_at, jobs.created_by, jobs.created_at AS "created_at!",
            coalesce(live.state, ended.state) AS "state!", coalesce(live.version, ended.version) AS "version!",
            coalesce(live.attempt, ended.attempt) AS "attempt!", coalesce(live.counted, ended.counted) AS "counted!",
            coalesce(live.started_at, ended.started_at) AS started_at, ended.finished_at AS "finished_at?",
            live.queued_at, coalesce(live.is_retry, false) AS "is_retry!", live.attempt_id, live.worker_id,
            coalesce(live.progress_fraction, ended.progress_fraction) AS progress_fraction,
            coalesce(live.progress_message, ended.progress_message) AS progress_message,
            ended.failure, coalesce(live.log_lines, ended.log_lines) AS "log_lines!"
        FROM jobs
        JOIN command_versions AS version ON version.id = jobs.command_version_id
        LEFT JOIN live_jobs AS live ON live.job_id = jobs.id
        LEFT JOIN ended_jobs AS ended ON ended.job_id = jobs.id
        WHERE jobs.id = ANY($1)
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter().map(Row::read).collect()
}

/// The jobs of private commands: those whose version is private, and those of a command whose
/// newest version is. A command that was deleted stays as private as it was.
#[tracing::instrument(name = "db.records.private", level = "debug", skip_all)]
pub async fn private(connection: &mut Connection, jobs: &[JobId]) -> Result<Vec<JobId>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let private = sqlx::query_scalar!(
        "SELECT jobs.id FROM jobs JOIN command_versions AS version ON version.id = jobs.command_version_id
         WHERE jobs.id = ANY($1) AND (version.is_private OR (
             SELECT newest.is_private FROM command_versions AS newest
             WHERE newest.command_id = jobs.command_id ORDER BY newest.number DESC LIMIT 1))",
        &ids
    )
    .fetch_all(connection)
    .await?;
    Ok(private.into_iter().map(JobId::from).collect())
}

struct Row {
    id: Uuid,
    command_version_id: Uuid,
    command_id: Uuid,
    kind: String,
    queue: String,
    priority: i16,
    profile_id: Option<Uuid>,
    proxy_id: Option<Uuid>,
    service_ids: Vec<Uuid>,
    labels: Vec<String>,
    policy: Value,
    run_at: Time,
    schedule_id: Option<Uuid>,
    due_at: Option<Time>,
    idempotency_key: Option<String>,
    fairness_key: Option<String>,
    created_by: Option<String>,
    created_at: Time,
    state: String,
    version: i32,
    attempt: i32,
    counted: i32,
    started_at: Option<Time>,
    finished_at: Option<Time>,
    queued_at: Option<Time>,
    is_retry: bool,
    attempt_id: Option<Uuid>,
    worker_id: Option<Uuid>,
    progress_fraction: Option<f64>,
    progress_message: Option<String>,
    failure: Option<Value>,
    log_lines: i64,
}

impl Row {
    fn read(self) -> Result<JobRecord, StoreError> {
        Ok(JobRecord {
            id: self.id.into(),
            version_id: self.command_version_id.into(),
            command_id: self.command_id.into(),
            kind: Kind::parse(&self.kind)
                .ok_or_else(|| StoreError::corrupt("command_versions", "kind", &self.kind))?,
            queue: self.queue,
            priority: self.priority,
            profile_id: self.profile_id.map(ProfileId::from),
            proxy_id: self.proxy_id.map(ProxyId::from),
            service_ids: self.service_ids.into_iter().map(ServiceId::from).collect(),
            labels: self.labels,
            policy: from_json("jobs", "policy", self.policy)?,
            run_at: self.run_at,
            schedule: self.schedule_id.map(|schedule| (schedule.into(), self.due_at)),
            fairness_key: self.fairness_key,
            idempotency_key: self.idempotency_key,
            created_by: self.created_by,
            created_at: self.created_at,
            state: JobState::parse(&self.state)
                .ok_or_else(|| StoreError::corrupt("live_jobs", "state", &self.state))?,
            version: self.version,
            attempt: self.attempt,
            counted: self.counted,
            started_at: self.started_at,
            finished_at: self.finished_at,
            queued_at: self.queued_at,
            is_retry: self.is_retry,
            running: self.attempt_id.map(AttemptId::from).zip(self.worker_id.map(WorkerId::from)),
            progress: Progress { fraction: self.progress_fraction, message: self.progress_message },
            failure: self.failure.map(|json| from_json("ended_jobs", "failure", json)).transpose()?,
            log_lines: self.log_lines,
        })
    }
}
