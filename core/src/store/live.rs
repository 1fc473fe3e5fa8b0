//! The live rows of jobs: locking them, and writing what `apply` decided.
//!
//! Called by the steps, inside their transactions. One writer for every transition: [`save`]. It never decides;
//! it writes the row, the event and the queue's counters, and moves ended jobs to `ended_jobs`.
//!
//! Every statement that joins a batch with `live_jobs` says `job_id = ANY($1)` as well. Statistics that were taken while
//! the queue was empty tell Postgres that the table has one row; it would read the whole backlog for every row of the
//! batch (20 seconds for 500 jobs of 150,000). With the ids at hand it looks them up. `core/tests/steps/plans.rs` watches.

mod columns;
mod row;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Connection, StoreError,
    lanes::{HEAD_START, Lane},
};
use crate::{
    clock::Time,
    ids::{AttemptId, JobId, ProfileId, ProxyId, WorkerId},
    job::{
        Progress, ReadyJob, Standing,
        transition::{Applied, Facts, Next},
    },
    limit::{Cap, GateKey, Limits},
    policy::Policy,
};
use columns::{EndColumns, LiveColumns};
use row::Row;

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
    /// Whether its queue is paused.
    pub is_paused: bool,
    /// How many jobs of its queue may run at once.
    pub queue_concurrency: Option<u32>,
    /// The caps of its profile.
    pub profile_caps: Vec<Cap>,
    /// The limits of its command, as they were when it was enqueued.
    pub command_limits: Option<CommandLimits>,
    /// The gates that it has been called for since it is ready: it does not wait behind others there.
    pub called_for: Vec<GateKey>,
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
    pub fn facts<'a>(&self, policy: &'a Policy) -> Facts<'a> {
        let standing = self.standing.clone();
        Facts { standing, counted: self.counted as u32, lost: self.lost as u32, policy }
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

/// A transition of one job, to be written.
#[derive(Debug, Clone)]
pub struct Change {
    /// The job as it was locked.
    pub before: LiveJob,
    /// What `apply` answered.
    pub applied: Applied,
    /// For a claim: the worker.
    pub worker: Option<WorkerId>,
    /// For a claim: when the attempt begins, if that is later than the claim.
    pub starts_at: Option<Time>,
    /// Whether the caller pushes the job's reference to Redis right after the commit.
    pub is_dispatched: bool,
}

/// Locks the live rows of these jobs, in order of id. Jobs that are not live are left out. The second value is the
/// database's time once all locks were held; null when nothing was found.
pub async fn lock(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<(Vec<LiveJob>, Option<Time>), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        WITH locked AS MATERIALIZED (
            SELECT * FROM live_jobs WHERE job_id = ANY($1) ORDER BY job_id FOR UPDATE
        )
        SELECT job_id, queue, priority, state, version, run_at, is_retry, queued_at, dispatched_at, parked_on,
            profile_id, proxy_id, attempt, counted, lost, attempt_id, worker_id, attempt_proxy_id, attempt_at,
            started_at, cancel_asked_at, progress_fraction, progress_message, log_lines, clock_timestamp() AS "now!",
            command_limits, called_for, fairness_key, round,
            coalesce((SELECT is_paused FROM queues WHERE name = locked.queue), false) AS "is_paused!",
            (SELECT max_concurrency FROM queues WHERE name = locked.queue) AS queue_concurrency,
            (SELECT caps FROM profiles WHERE id = locked.profile_id) AS profile_caps
        FROM locked
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let now = rows.iter().map(|row| row.now).max();
    Ok((rows.into_iter().map(Row::read).collect::<Result<_, _>>()?, now))
}

/// The live rows of these jobs as they are, without locking them, with the database's time.
pub async fn look(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<(Vec<LiveJob>, Option<Time>), StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query_as!(
        Row,
        r#"
        SELECT job_id, queue, priority, state, version, run_at, is_retry, queued_at, dispatched_at, parked_on,
            profile_id, proxy_id, attempt, counted, lost, attempt_id, worker_id, attempt_proxy_id, attempt_at,
            started_at, cancel_asked_at, progress_fraction, progress_message, log_lines, clock_timestamp() AS "now!",
            command_limits, called_for, fairness_key, round,
            coalesce((SELECT is_paused FROM queues WHERE name = live_jobs.queue), false) AS "is_paused!",
            (SELECT max_concurrency FROM queues WHERE name = live_jobs.queue) AS queue_concurrency,
            (SELECT caps FROM profiles WHERE id = live_jobs.profile_id) AS profile_caps
        FROM live_jobs WHERE job_id = ANY($1)
        "#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let now = rows.iter().map(|row| row.now).max();
    Ok((rows.into_iter().map(Row::read).collect::<Result<_, _>>()?, now))
}

/// Locks the live rows of these jobs that these attempts (one for each) still hold, in order of id; answers those attempts.
///
/// A statement of its own before the one that writes: an UPDATE that comes upon an older version of a row than its own
/// statement has locked queues up behind those who wait for that lock, and so for itself.
pub async fn fence(
    connection: &mut Connection,
    jobs: &[Uuid],
    attempts: &[Uuid],
) -> Result<Vec<AttemptId>, StoreError> {
    let held = sqlx::query_scalar!(
        r#"SELECT attempt_id AS "attempt_id!" FROM live_jobs AS live
           JOIN unnest($1::uuid[], $2::uuid[]) AS told (job_id, attempt_id) USING (job_id, attempt_id)
           WHERE live.job_id = ANY($1) ORDER BY live.job_id FOR NO KEY UPDATE OF live"#,
        jobs,
        attempts
    )
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(AttemptId::from).collect())
}

/// What other steps have to know of what was saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Whether other jobs wait for any that ended: what becomes of them is up to `steps::unblock`.
    pub has_dependents: bool,
    /// The keys of gates that jobs are not behind any more, once for each job: who comes next is up to `steps::call`.
    pub freed: Vec<String>,
}

/// Writes transitions: live rows or ended rows, their events, holds and counters. Every row must be locked.
pub async fn save(connection: &mut Connection, changes: &[Change], now: Time) -> Result<Saved, StoreError> {
    let (ended, live): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| matches!(change.applied.next, Next::Ended { .. }));
    let mut saved = Saved::default();
    if !live.is_empty() {
        saved.freed = update(connection, &LiveColumns::of(&live, now)).await?;
    }
    if !ended.is_empty() {
        let (has_dependents, freed) = end(connection, &ended, now).await?;
        saved.has_dependents = has_dependents;
        saved.freed.extend(freed);
    }
    Ok(saved)
}

/// What an attempt waited is appended as a code of `job::wait`.
///
/// The round that is being run is that of what starts, forward or back: jobs may start out of order, and whoever comes next must not stand
/// behind what has been left out. Only those that start within a lane's head start do not set it back; and a job that is ready again is
/// lifted to it, so that its old round does not either. While another claim moves it, it is left: the rounds of the two are about the same.
#[expect(clippy::too_many_lines, reason = "one statement, one round trip")]
async fn update(connection: &mut Connection, column: &LiveColumns<'_>) -> Result<Vec<String>, StoreError> {
    Ok(sqlx::query_scalar!(
        r#"
        WITH change AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::timestamptz[],
                $7::text[], $8::integer[], $9::integer[], $10::integer[], $11::uuid[], $12::uuid[], $13::timestamptz[],
                $14::timestamptz[], $15::text[], $16::text[], $17::boolean[], $18::text[], $19::timestamptz[], $21::bigint[])
            AS change (job_id, state, run_at, is_retry, queued_at, dispatched_at, parked_on, attempt, counted, lost,
                attempt_id, worker_id, attempt_at, cancel_asked_at, event, message, has_new_attempt, called_for, at, round)
        ), saved AS (
            UPDATE live_jobs AS live SET
                state = change.state, version = live.version + 1, run_at = change.run_at, is_retry = change.is_retry,
                queued_at = change.queued_at, dispatched_at = change.dispatched_at, parked_on = change.parked_on,
                called_for = change.called_for::text[], attempt = change.attempt,
                round = CASE WHEN change.state = 'queued' AND change.parked_on IS NULL AND live.round > 0
                    THEN greatest(change.round, (SELECT round FROM rounds WHERE (queue, priority) = (live.queue, live.priority)))
                    ELSE change.round END,
                counted = change.counted, lost = change.lost, attempt_id = change.attempt_id, worker_id = change.worker_id,
                attempt_at = change.attempt_at, attempt_proxy_id = CASE WHEN change.state = 'running' THEN live.attempt_proxy_id END,
                started_at = coalesce(live.started_at, change.attempt_at), cancel_asked_at = change.cancel_asked_at,
                progress_fraction = CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_fraction END,
                progress_message = CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_message END,
                log_batch = CASE WHEN change.has_new_attempt THEN 0 ELSE live.log_batch END
            FROM change WHERE live.job_id = change.job_id AND live.job_id = ANY($1)
            RETURNING live.job_id, live.queue, live.priority, live.round, live.version, live.state, live.attempt,
                floor(4 * ln(1 + 1000 * greatest(extract(epoch FROM live.attempt_at - live.queued_at), 0)::float8) / ln(2::float8))::smallint AS wait
        ), released AS (
            DELETE FROM holds USING change WHERE holds.job_id = change.job_id AND change.state <> 'running'
            RETURNING holds.key
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message)
            SELECT saved.job_id, saved.version, change.at, change.event, saved.state, prior.state, nullif(saved.attempt, 0), change.message
            FROM saved JOIN change USING (job_id) JOIN unnest($1::uuid[], $20::text[]) AS prior (job_id, state) USING (job_id)
        ), delta AS (
            INSERT INTO queue_deltas (queue, blocked, scheduled, queued, running, started, waits)
            SELECT saved.queue, - count(*) FILTER (WHERE prior.state = 'blocked' AND saved.state <> 'blocked'),
                count(*) FILTER (WHERE saved.state = 'scheduled') - count(*) FILTER (WHERE prior.state = 'scheduled'),
                count(*) FILTER (WHERE saved.state = 'queued') - count(*) FILTER (WHERE prior.state = 'queued'),
                count(*) FILTER (WHERE saved.state = 'running') - count(*) FILTER (WHERE prior.state = 'running'),
                count(*) FILTER (WHERE saved.state = 'running' AND prior.state <> 'running'),
                array_agg(saved.wait) FILTER (WHERE saved.state = 'running' AND prior.state <> 'running')
            FROM saved JOIN unnest($1::uuid[], $20::text[]) AS prior (job_id, state) USING (job_id)
            GROUP BY saved.queue HAVING count(*) FILTER (WHERE saved.state <> prior.state) > 0
        ), begun AS (SELECT queue, priority, max(round) AS round FROM saved WHERE state = 'running' GROUP BY queue, priority
        ), reached AS (
            SELECT queue, priority, begun.round FROM rounds JOIN begun USING (queue, priority)
            WHERE NOT begun.round BETWEEN rounds.round - $22 AND rounds.round FOR NO KEY UPDATE OF rounds SKIP LOCKED
        ), moved_on AS (
            UPDATE rounds SET round = reached.round FROM reached
            WHERE (rounds.queue, rounds.priority) = (reached.queue, reached.priority)
        )
        SELECT key AS "key!" FROM released
        "#,
        &column.jobs,
        &column.states as &[&str],
        &column.run_ats,
        &column.are_retries,
        &column.queued_ats as &[Option<Time>],
        &column.dispatched_ats as &[Option<Time>],
        &column.parked_ons as &[Option<&str>],
        &column.attempts,
        &column.counteds,
        &column.losts,
        &column.attempt_ids as &[Option<Uuid>],
        &column.worker_ids as &[Option<Uuid>],
        &column.attempt_ats as &[Option<Time>],
        &column.cancel_asked_ats as &[Option<Time>],
        &column.events as &[&str],
        &column.messages as &[&str],
        &column.have_new_attempt,
        &column.called_fors,
        &column.ats,
        &column.prior_states as &[&str],
        &column.rounds,
        HEAD_START,
    )
    .fetch_all(connection)
    .await?)
}

async fn end(
    connection: &mut Connection,
    changes: &[&Change],
    now: Time,
) -> Result<(bool, Vec<String>), StoreError> {
    let mut column = EndColumns::default();
    for change in changes {
        column.push(change)?;
    }
    let saved = sqlx::query!(
        r#"
        WITH change AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[])
            AS change (job_id, state, event, message, result, failure, counted)
        ), gone AS (
            DELETE FROM live_jobs USING change WHERE live_jobs.job_id = change.job_id AND live_jobs.job_id = ANY($1)
            RETURNING live_jobs.*
        ), released AS (
            DELETE FROM holds USING change WHERE holds.job_id = change.job_id RETURNING holds.key
        ), services AS (
            DELETE FROM live_job_services USING change WHERE live_job_services.job_id = change.job_id
        ), ended AS (
            INSERT INTO ended_jobs (job_id, state, version, attempt, counted, started_at, finished_at, result, failure,
                progress_fraction, progress_message, log_lines)
            SELECT job_id, change.state, gone.version + 1, gone.attempt, change.counted, gone.started_at, $8,
                change.result::jsonb, change.failure::jsonb, gone.progress_fraction, gone.progress_message,
                gone.log_lines
            FROM gone JOIN change USING (job_id)
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message)
            SELECT job_id, gone.version + 1, $8, change.event, change.state, gone.state, nullif(gone.attempt, 0),
                change.message
            FROM gone JOIN change USING (job_id)
        ), edge AS (
            UPDATE job_dependencies SET outcome = change.state, is_due = true FROM change
            WHERE job_dependencies.needs_id = change.job_id AND job_dependencies.needs_id = ANY($1)
                AND job_dependencies.outcome IS NULL
            RETURNING job_dependencies.job_id
        ), delta AS (
            INSERT INTO queue_deltas (queue, blocked, scheduled, queued, running, succeeded, failed, cancelled)
            SELECT gone.queue,
                - count(*) FILTER (WHERE gone.state = 'blocked'), - count(*) FILTER (WHERE gone.state = 'scheduled'),
                - count(*) FILTER (WHERE gone.state = 'queued'), - count(*) FILTER (WHERE gone.state = 'running'),
                count(*) FILTER (WHERE change.state = 'succeeded'), count(*) FILTER (WHERE change.state = 'failed'),
                count(*) FILTER (WHERE change.state = 'cancelled')
            FROM gone JOIN change USING (job_id) GROUP BY gone.queue
        )
        SELECT EXISTS (SELECT FROM edge) AS "has_dependents!", ARRAY(SELECT key FROM released) AS "freed!"
        "#,
        &column.jobs,
        &column.states as &[&str],
        &column.events as &[&str],
        &column.messages as &[&str],
        &column.results as &[Option<String>],
        &column.failures as &[Option<String>],
        &column.counteds,
        now,
    )
    .fetch_one(connection)
    .await?;
    Ok((saved.has_dependents, saved.freed))
}
