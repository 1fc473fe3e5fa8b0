//! Revives ended jobs under their ids.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    ids::{JobId, ProfileId},
    job::{JobState, Lane, state::Ending},
    store::{
        Connection, StoreError,
        columns::{query_rows, storable},
    },
};

/// Locks ended jobs in order of id, and returns how they ended. Jobs that are live, unknown or
/// being pruned are left out.
#[tracing::instrument(name = "db.revive.lock_ended", level = "debug", skip_all)]
pub async fn lock_ended(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<Vec<(JobId, Ending)>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT job_id, state FROM ended_jobs WHERE job_id = ANY($1) AND NOT is_going ORDER BY job_id FOR UPDATE",
        &ids
    )
    .fetch_all(connection)
    .await?;
    rows.into_iter()
        .map(|row| {
            let ending = JobState::parse(&row.state).and_then(Ending::of);
            let ending = ending.ok_or_else(|| StoreError::corrupt("ended_jobs", "state", &row.state))?;
            Ok((row.job_id.into(), ending))
        })
        .collect()
}

/// A job to revive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revival {
    /// The job.
    pub job: JobId,
    /// Whether it waits for other jobs first. Otherwise it is ready.
    pub is_blocked: bool,
    /// Its round if it is ready, otherwise 0.
    pub round: i64,
}

/// The lanes of jobs, from their records.
#[tracing::instrument(name = "db.revive.lanes_of", level = "debug", skip_all)]
pub async fn lanes_of(
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<HashMap<JobId, Lane>, StoreError> {
    let ids: Vec<Uuid> = jobs.iter().map(|job| job.uuid()).collect();
    let rows = sqlx::query!(
        "SELECT id, queue, priority, fairness_key, profile_id FROM jobs WHERE id = ANY($1)",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let lane = |queue: &str, priority, key: Option<&str>, profile: Option<Uuid>| {
        Lane::of(queue, priority, key, profile.map(ProfileId::from))
    };
    Ok(rows
        .into_iter()
        .map(|row| {
            (row.id.into(), lane(&row.queue, row.priority, row.fairness_key.as_deref(), row.profile_id))
        })
        .collect())
}

/// Moves locked ended jobs back to the live table with fresh counts. `is_dispatched` marks the
/// ready ones as handed to Redis. Their attempts, events and log lines stay, and their numbering
/// continues. The time in which they have to start begins again.
#[tracing::instrument(name = "db.revive.revive", level = "debug", skip_all)]
pub async fn revive(
    connection: &mut Connection,
    revivals: &[Revival],
    is_dispatched: bool,
    actor: &str,
) -> Result<(), StoreError> {
    query_rows!(
        query for revival in revivals,
        "WITH revival AS MATERIALIZED (
            SELECT job_id, CASE WHEN is_blocked THEN 'blocked' ELSE 'queued' END AS state, round
            FROM",
        "revival" {
            "job_id": "uuid[]" = revival.job.uuid();
            "is_blocked": "boolean[]" = revival.is_blocked;
            "round": "bigint[]" = revival.round;
        },
        "        ), ended AS (
            DELETE FROM ended_jobs WHERE job_id = ANY($1) RETURNING *
        ), live AS (
            INSERT INTO live_jobs (job_id, queue, priority, state, version, run_at, queued_at, dispatched_at,
                expires_at, profile_id, proxy_id, schedule_id, attempt, log_lines, command_limits, fairness_key,
                round)
            SELECT jobs.id, jobs.queue, jobs.priority, revival.state, ended.version + 1, clock_timestamp(),
                CASE WHEN revival.state = 'queued' THEN clock_timestamp() END,
                CASE WHEN revival.state = 'queued' AND $2 THEN clock_timestamp() END,
                clock_timestamp() + (coalesce(jobs.policy, version.policy) ->> 'expiresAfter')::interval,
                jobs.profile_id, jobs.proxy_id, jobs.schedule_id, ended.attempt, ended.log_lines,
                -- As `steps::enqueue::prepare` resolves them.
                CASE WHEN coalesce(jobs.policy, version.policy) ?| ARRAY['maxConcurrency', 'rateLimits', 'caps']
                    THEN jsonb_build_object('command', jobs.command_id,
                        'maxConcurrency', coalesce(jobs.policy, version.policy) -> 'maxConcurrency',
                        'rateLimits', coalesce(coalesce(jobs.policy, version.policy) -> 'rateLimits', '[]'),
                        'caps', coalesce(coalesce(jobs.policy, version.policy) -> 'caps', '[]'))
                END,
                jobs.fairness_key, revival.round
            FROM ended JOIN jobs ON jobs.id = ended.job_id JOIN revival ON revival.job_id = ended.job_id
                JOIN command_versions AS version ON version.id = jobs.command_version_id
            RETURNING job_id, queue, version, state
        ), services AS (
            INSERT INTO live_job_services (job_id, service_id)
            SELECT jobs.id, unnest(jobs.service_ids) FROM ended JOIN jobs ON jobs.id = ended.job_id
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, actor)
            SELECT live.job_id, live.version, clock_timestamp(), 'retried', live.state, ended.state, $3
            FROM live JOIN ended USING (job_id)
        )
        INSERT INTO queue_deltas (queue, blocked, queued, enqueued)
        SELECT queue, count(*) FILTER (WHERE state = 'blocked'), count(*) FILTER (WHERE state = 'queued'), count(*)
        FROM live GROUP BY queue",
        is_dispatched,
        storable(actor),
    )
    .execute(connection)
    .await?;
    Ok(())
}
