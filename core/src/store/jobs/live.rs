//! The live rows of jobs: locking them, and writing what `apply` decided.
//!
//! Called by the steps, inside their transactions. One writer for every transition: [`save`]. It never decides;
//! it writes the row, the event and the queue's counters, and moves ended jobs to `ended_jobs`.
//!
//! Every statement that joins a batch with `live_jobs` says `job_id = ANY($1)` as well. Statistics that were taken while
//! the queue was empty tell Postgres that the table has one row; it would read the whole backlog for every row of the
//! batch (20 seconds for 500 jobs of 150,000). With the ids at hand it looks them up. `core/tests/steps/plans.rs` watches.

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
pub use save::{Saved, save};

/// The live part of a job, as it was when its row was locked.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveJob {
    /// The job.
    pub job: JobId,
    /// Its queue.
    pub queue: String,
    /// 0 to 9.
    pub priority: i16,
    /// Its own fairness key.
    pub fairness_key: Option<String>,
    /// Its round; 0 until it is ready for the first time.
    pub round: i64,
    /// Its state, without `Ended`.
    pub standing: Standing,
    /// Number of its newest event.
    pub version: i32,
    /// When it may start.
    pub run_at: Time,
    /// Since when it is ready; kept while it runs.
    pub queued_at: Option<Time>,
    /// Set while its reference is (or should be) in Redis.
    pub dispatched_at: Option<Time>,
    /// The profile that it runs on.
    pub profile: Option<ProfileId>,
    /// The proxy that overrides the profile's choice.
    pub proxy: Option<ProxyId>,
    /// Number of its newest attempt, from 1; 0 before the first.
    pub attempt: i32,
    /// Attempts that counted since the last retry by hand.
    pub counted: i32,
    /// Attempts that were lost since the last retry by hand.
    pub lost: i32,
    /// Who runs it.
    pub worker: Option<WorkerId>,
    /// The proxy of the running attempt.
    pub attempt_proxy: Option<ProxyId>,
    /// When the running attempt began.
    pub attempt_at: Option<Time>,
    /// When the first attempt began.
    pub started_at: Option<Time>,
    /// What it last told.
    pub progress: Progress,
    /// Sequence of its last log line.
    pub log_lines: i64,
    /// The gates that it has been called for since it is ready: it does not wait behind others there.
    pub woken_for: Vec<GateKey>,
    /// The gates that it is behind while it runs.
    pub holds: Arc<[GateKey]>,
}

/// What decides, beside the job itself and its services and proxy, whether it may start.
#[derive(Debug, Clone, PartialEq)]
pub struct Terms {
    /// Whether its queue is paused.
    pub is_paused: bool,
    /// How many jobs of its queue may run at once.
    pub queue_concurrency: Option<u32>,
    /// The caps of its profile.
    pub profile_caps: Vec<Cap>,
    /// The limits of its command, as they were when it was enqueued.
    pub command_limits: Option<Arc<CommandLimits>>,
}

/// The limits that a command's policy sets for this job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandLimits {
    /// Whose gate it is.
    pub command: Uuid,
    /// The job's own limits, or the version's.
    #[serde(flatten)]
    pub limits: Arc<Limits>,
}

impl LiveJob {
    /// What `apply` decides from.
    pub fn facts(&self) -> Facts {
        let standing = self.standing.clone();
        Facts { standing, counted: self.counted as u32, lost: self.lost as u32 }
    }

    /// Whether it has queued up at this gate since it is ready: it is parked there, or has been called.
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

    /// Who gives it its round.
    pub fn lane(&self) -> Lane {
        Lane::of(&self.queue, self.priority, self.fairness_key.as_deref(), self.profile)
    }

    /// What is handed to Redis.
    pub fn reference(&self) -> ReadyJob {
        ReadyJob { job: self.job, queue: self.queue.clone(), priority: self.priority, round: self.round }
    }
}

/// Live rows with their terms, and the database's time once all were read. `None` if none was found.
pub type RowsWithTerms = (Vec<(LiveJob, Terms)>, Option<Time>);

/// A transition of one job, to be written.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job as it was locked.
    pub before: LiveJob,
    /// What `apply` answered.
    pub applied: Applied,
    /// The attempt that a claim has granted.
    pub started: Option<Started>,
    /// Whether the caller pushes the job's reference to Redis right after the commit.
    pub is_dispatched: bool,
}

/// A new attempt.
#[derive(Debug, Clone)]
pub struct Started {
    /// Who runs it.
    pub worker: WorkerId,
    /// When it begins: now or a moment later.
    pub at: Time,
    /// The gates that it is behind while it runs. They are locked, and count it.
    pub holds: Arc<[GateKey]>,
    /// Through which proxy it goes.
    pub proxy: Option<ProxyId>,
}

/// A statement that returns whole live rows of `$1`: what stands before them, the columns of their terms, their table.
macro_rules! live_rows {
    ($before:literal, $terms:literal, $from:literal, $jobs:expr) => {
        sqlx::query_as!(
            Row,
            $before
                + r#" SELECT job_id, queue, priority, state, version, run_at, is_retry, queued_at, dispatched_at, parked_on,
                    profile_id, proxy_id, attempt, counted, lost, attempt_id, worker_id, attempt_proxy_id, attempt_at,
                    started_at, cancel_asked_at, progress_fraction, progress_message, log_lines,
                    clock_timestamp() AS "now!", called_for, holds, fairness_key, round, "#
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
                (SELECT caps FROM profiles WHERE id = live.profile_id AND caps <> '[]')::text AS profile_caps"#,
            $from,
            $jobs
        )
    };
}

/// Locks the live rows of these jobs, in order of id. Jobs that are not live are left out. The second value is the
/// database's time once all locks were held; null when nothing was found.
///
/// Their [`Terms`] are left out: nobody but who claims needs them, and they cost as much as the rest.
#[tracing::instrument(name = "db.live.lock", level = "debug", skip_all)]
pub async fn lock(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<(Vec<LiveJob>, Option<Time>), StoreError> {
    let rows = live_rows!(
        "WITH live AS MATERIALIZED (
            SELECT * FROM live_jobs WHERE job_id = ANY($1) ORDER BY job_id FOR UPDATE
        )",
        r#"NULL AS command_limits, false AS "is_paused!", NULL::integer AS queue_concurrency, NULL AS profile_caps"#,
        "live",
        jobs
    );
    let (jobs, now) = row::read(rows.fetch_all(connection).await?)?;
    Ok((jobs.into_iter().map(|(job, _not_read)| job).collect(), now))
}

/// The same with their terms.
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

/// The live rows of these jobs as they are, without locking them, with their terms and the database's time.
#[tracing::instrument(name = "db.live.look", level = "debug", skip_all)]
pub async fn look(connection: &mut Connection, jobs: &[JobId]) -> Result<RowsWithTerms, StoreError> {
    let rows = live_rows!(with terms: "", "live_jobs AS live WHERE job_id = ANY($1)", jobs);
    row::read(rows.fetch_all(connection).await?)
}

/// Locks the live rows of these jobs that these attempts (one for each) still hold, in order of id; answers those attempts.
///
/// A statement of its own before the one that writes: an UPDATE that comes upon an older version of a row than its own
/// statement has locked queues up behind those who wait for that lock, and so for itself.
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
