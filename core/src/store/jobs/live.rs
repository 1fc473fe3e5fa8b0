//! The live rows of jobs: locking them, and writing what `apply` decided.
//!
//! [`save`] is the one writer of all transitions. It writes the row, the event and the queue's
//! counters, and moves ended jobs to `ended_jobs`.
//!
//! Every statement that joins a batch with `live_jobs` also has `job_id = ANY($1)`. When the
//! statistics date from an empty queue, Postgres expects a single row and would scan the whole
//! backlog for every row of the batch (20 seconds for 500 jobs of 150,000). With the ids it uses
//! the index. `core/tests/steps/plans.rs` checks this.

mod end;
mod row;
mod save;
mod update;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    clock::Time,
    ids::{AttemptId, JobId, ProfileId, ProxyId, WorkerId},
    job::{
        Lane, Progress, ReadyJob, Standing,
        transition::{Applied, Facts},
    },
    limit::{Cap, GateKey, Limits},
    store::{Connection, StoreError, columns::query_rows},
};
use row::Row;
pub use save::{Saved, save, save_by};

/// The live part of a job, as of when its row was locked.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveJob {
    /// The job.
    pub job: JobId,
    /// Its queue.
    pub queue: String,
    /// Its priority, 0 to 9.
    pub priority: i16,
    /// Its own fairness key.
    pub fairness_key: Option<String>,
    /// Its round, or 0 until it is ready for the first time.
    pub round: i64,
    /// Its state, which is never `Ended`.
    pub standing: Standing,
    /// Number of its newest event.
    pub version: i32,
    /// When it may start.
    pub run_at: Time,
    /// When it became ready. Kept while it runs.
    pub queued_at: Option<Time>,
    /// The mark: set while its reference is, or should be, in Redis.
    pub dispatched_at: Option<Time>,
    /// The profile that it runs on.
    pub profile: Option<ProfileId>,
    /// The proxy that overrides the profile's choice.
    pub proxy: Option<ProxyId>,
    /// Number of its newest attempt, or 0 before the first.
    pub attempt: i32,
    /// Counted attempts since the last manual retry.
    pub counted: i32,
    /// Lost attempts since the last manual retry.
    pub lost: i32,
    /// The worker of the running attempt.
    pub worker: Option<WorkerId>,
    /// The proxy of the running attempt.
    pub attempt_proxy: Option<ProxyId>,
    /// When the running attempt started.
    pub attempt_at: Option<Time>,
    /// When the first attempt started.
    pub started_at: Option<Time>,
    /// Its last progress report.
    pub progress: Progress,
    /// Sequence of its last log line.
    pub log_lines: i64,
    /// The gates that it was woken for since it became ready. It does not wait behind other jobs
    /// there.
    pub woken_for: Vec<GateKey>,
    /// The gates at which it holds a slot while it runs.
    pub holds: Arc<[GateKey]>,
}

/// What limits whether a job may start, apart from its services and its proxy.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Whether its queue is paused.
    pub is_paused: bool,
    /// Most jobs of its queue that may run at once.
    pub queue_concurrency: Option<u32>,
    /// The caps of its profile.
    pub profile_caps: Vec<Cap>,
    /// The limits of its command, as of when it was enqueued.
    pub command_limits: Option<Arc<CommandLimits>>,
}

/// The limits that a command's policy sets for this job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandLimits {
    /// The command, which names the gate.
    pub command: Uuid,
    /// The limits of the job's own policy, or of the version's.
    #[serde(flatten)]
    pub limits: Arc<Limits>,
}

impl LiveJob {
    /// The facts from which `apply` decides.
    pub fn facts(&self) -> Facts {
        let standing = self.standing.clone();
        Facts { standing, counted: self.counted as u32, lost: self.lost as u32 }
    }

    /// Whether it has queued at this gate since it became ready: it is parked there, or was woken
    /// for it.
    pub fn has_waited_at(&self, gate: &GateKey) -> bool {
        let is_parked = match &self.standing {
            Standing::Queued { parked_on } => parked_on.as_ref() == Some(gate),
            Standing::Blocked
            | Standing::Scheduled { .. }
            | Standing::Running { .. }
            | Standing::Ended(_) => false,
        };
        is_parked || self.woken_for.contains(gate)
    }

    /// The lane that gives it its round.
    pub fn lane(&self) -> Lane {
        Lane::of(&self.queue, self.priority, self.fairness_key.as_deref(), self.profile)
    }

    /// Its reference in Redis.
    pub fn reference(&self) -> ReadyJob {
        ReadyJob { job: self.job, queue: self.queue.clone(), priority: self.priority, round: self.round }
    }
}

/// Live rows with their terms, and the database's time once all were read. `None` if none was
/// found.
pub type RowsWithTerms = (Vec<(LiveJob, Terms)>, Option<Time>);

/// A transition of one job, to be written.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job as of when it was locked.
    pub before: LiveJob,
    /// The decision of `apply`.
    pub applied: Applied,
    /// The attempt that a claim granted.
    pub started: Option<Started>,
    /// Whether the caller pushes the job's reference to Redis after the commit.
    pub is_dispatched: bool,
}

/// A new attempt.
#[derive(Debug, Clone)]
pub struct Started {
    /// The worker that runs it.
    pub worker: WorkerId,
    /// When it starts: now or a moment later.
    pub at: Time,
    /// The gates at which it holds a slot while it runs. The caller has locked them and counts it
    /// there.
    pub holds: Arc<[GateKey]>,
    /// The proxy that it uses.
    pub proxy: Option<ProxyId>,
}

/// A statement that returns live rows. Its parts are what comes before the SELECT, the columns of
/// the terms, the table with its condition, and the jobs (`$1`).
macro_rules! live_rows {
    ($before:literal, $terms:literal, $from:literal, $jobs:expr) => {
        sqlx::query_as!(
            Row,
            $before
                + r#" SELECT job_id, queue, priority, state, version, run_at, is_retry, queued_at,
                    dispatched_at, parked_on, profile_id, proxy_id, attempt, counted, lost, attempt_id,
                    worker_id, attempt_proxy_id, attempt_at, started_at, cancel_asked_at,
                    progress_fraction, progress_message, log_lines, clock_timestamp() AS "now!",
                    called_for, holds, fairness_key, round, "#
                + $terms
                + " FROM "
                + $from,
            &$jobs.iter().map(|job| job.uuid()).collect::<Vec<_>>()
        )
    };
    (with terms: $before:literal, $from:literal, $jobs:expr) => {
        live_rows!(
            $before,
            r#"command_limits::text,
                coalesce((SELECT is_paused FROM queues WHERE name = live.queue), false) AS "is_paused!",
                (SELECT max_concurrency FROM queues WHERE name = live.queue) AS queue_concurrency,
                (SELECT caps FROM profiles WHERE id = live.profile_id AND caps <> '[]')::text
                    AS profile_caps"#,
            $from,
            $jobs
        )
    };
}

/// Locks the live rows of jobs, in order of id. Jobs that are not live are left out. The second
/// value is the database's time once all locks were held, or `None` if no job is live.
///
/// Does not read their [`Terms`], which only a claim needs and which cost as much as the rest.
#[tracing::instrument(name = "db.live.lock", level = "debug", skip_all)]
pub async fn lock(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<(Vec<LiveJob>, Option<Time>), StoreError> {
    let rows = live_rows!(
        "WITH live AS MATERIALIZED (
            SELECT * FROM live_jobs WHERE job_id = ANY($1) ORDER BY job_id FOR UPDATE
        )",
        r#"NULL AS command_limits, false AS "is_paused!", NULL::integer AS queue_concurrency,
            NULL AS profile_caps"#,
        "live",
        jobs
    );
    let (jobs, now) = row::read(rows.fetch_all(connection).await?)?;
    Ok((jobs.into_iter().map(|(job, _not_read)| job).collect(), now))
}

/// Like [`lock`], with the terms of the jobs.
#[tracing::instrument(name = "db.live.lock_with_terms", level = "debug", skip_all)]
pub async fn lock_with_terms(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<RowsWithTerms, StoreError> {
    let rows = live_rows!(
        with terms: "WITH live AS MATERIALIZED (
            SELECT * FROM live_jobs WHERE job_id = ANY($1) ORDER BY job_id FOR UPDATE
        )",
        "live",
        jobs
    );
    row::read(rows.fetch_all(connection).await?)
}

/// Reads the live rows of jobs and their terms without locking them. The second value is the
/// database's time, or `None` if no job is live.
#[tracing::instrument(name = "db.live.look", level = "debug", skip_all)]
pub async fn look(connection: &mut Connection, jobs: &[JobId]) -> Result<RowsWithTerms, StoreError> {
    let rows = live_rows!(with terms: "", "live_jobs AS live WHERE job_id = ANY($1)", jobs);
    row::read(rows.fetch_all(connection).await?)
}

/// Locks the live rows of jobs that are still held by these attempts, in order of id. Returns these
/// attempts. Each job is given at most once.
///
/// Deliberately separate from the write. If one statement locks the newest version of a row but
/// updates the older one that it sees, the UPDATE queues behind waiters for its own lock.
#[tracing::instrument(name = "db.live.fence", level = "debug", skip_all)]
pub async fn fence(
    connection: &mut Connection,
    attempts: impl Iterator<Item = (JobId, AttemptId)>,
) -> Result<Vec<AttemptId>, StoreError> {
    let held = query_rows!(
        query_scalar for (job, attempt) in attempts,
        r#"SELECT attempt_id AS "attempt_id!" FROM live_jobs AS live JOIN"#,
        "told" {
            "job_id": "uuid[]" = job.uuid();
            "attempt_id": "uuid[]" = attempt.uuid();
        },
        "USING (job_id, attempt_id)
         WHERE live.job_id = ANY($1) ORDER BY live.job_id FOR NO KEY UPDATE OF live",
    )
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(AttemptId::from).collect())
}
