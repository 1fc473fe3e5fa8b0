//! Writing transitions: the one writer of live rows, their events, the queues' counters and what gates count.
//!
//! Called by the steps with what `apply` decided, under the rows' locks.

use std::collections::HashMap;

use uuid::Uuid;

use super::{
    Change,
    columns::{EndColumns, LeftColumns, LiveColumns},
};
use crate::{
    clock::Time,
    job::{HEAD_START, transition::Next},
    limit::GateKey,
    store::{Connection, StoreError},
};

/// What other steps have to know of what was saved.
#[derive(Debug, Default)]
pub struct Saved {
    /// Whether other jobs wait for any that ended: what becomes of them is up to `steps::unblock`.
    pub has_dependents: bool,
    /// How many jobs are not behind these gates any more: who comes next is up to `steps::call`.
    pub freed: HashMap<GateKey, u32>,
}

/// Writes transitions: live rows or ended rows, their events, holds and counters. Every row must be locked.
pub async fn save(connection: &mut Connection, changes: &[Change], now: Time) -> Result<Saved, StoreError> {
    let (ended, live): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| matches!(change.applied.next, Next::Ended { .. }));
    let mut saved = Saved::default();
    if !live.is_empty() {
        let left = LeftColumns::of(&live, &mut saved.freed);
        update(connection, &LiveColumns::of(&live, now), &left).await?;
    }
    if !ended.is_empty() {
        let left = LeftColumns::of(&ended, &mut saved.freed);
        saved.has_dependents = end(connection, &ended, &left, now).await?;
    }
    Ok(saved)
}

/// What an attempt waited is appended as a code of `job::wait`.
///
/// The round that is being run is that of what starts, forward or back: jobs may start out of order, and whoever comes next must not stand
/// behind what has been left out. Only those that start within a lane's head start do not set it back; and a job that is ready again is
/// lifted to it, so that its old round does not either. While another claim moves it, it is left: the rounds of the two are about the same.
#[expect(clippy::too_many_lines, reason = "one statement, one round trip")]
async fn update(
    connection: &mut Connection,
    column: &LiveColumns<'_>,
    left: &LeftColumns,
) -> Result<(), StoreError> {
    sqlx::query!(
        r#"
        WITH change AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::boolean[], $5::timestamptz[], $6::timestamptz[],
                $7::text[], $8::integer[], $9::integer[], $10::integer[], $11::uuid[], $12::uuid[], $13::timestamptz[],
                $14::timestamptz[], $15::text[], $16::text[], $17::boolean[], $18::text[], $19::timestamptz[], $21::bigint[], $23::text[], $26::uuid[])
            AS change (job_id, state, run_at, is_retry, queued_at, dispatched_at, parked_on, attempt, counted, lost,
                attempt_id, worker_id, attempt_at, cancel_asked_at, event, message, has_new_attempt, called_for, at, round, holds, proxy_id)
        ), saved AS (
            UPDATE live_jobs AS live SET
                state = change.state, version = live.version + 1, run_at = change.run_at, is_retry = change.is_retry,
                queued_at = change.queued_at, dispatched_at = change.dispatched_at, parked_on = change.parked_on,
                called_for = change.called_for::text[], holds = change.holds::text[], attempt = change.attempt,
                round = CASE WHEN change.state = 'queued' AND change.parked_on IS NULL AND live.round > 0
                    THEN greatest(change.round, (SELECT round FROM rounds WHERE (queue, priority) = (live.queue, live.priority)))
                    ELSE change.round END,
                counted = change.counted, lost = change.lost, attempt_id = change.attempt_id, worker_id = change.worker_id,
                attempt_at = change.attempt_at, attempt_proxy_id = CASE WHEN change.has_new_attempt THEN change.proxy_id WHEN change.state = 'running' THEN live.attempt_proxy_id END,
                started_at = coalesce(live.started_at, change.attempt_at), cancel_asked_at = change.cancel_asked_at,
                progress_fraction = CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_fraction END,
                progress_message = CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_message END,
                log_batch = CASE WHEN change.has_new_attempt THEN 0 ELSE live.log_batch END
            FROM change WHERE live.job_id = change.job_id AND live.job_id = ANY($1)
            RETURNING live.job_id, live.queue, live.priority, live.round, live.version, live.state, live.attempt,
                floor(4 * ln(1 + 1000 * greatest(extract(epoch FROM live.attempt_at - live.queued_at), 0)::float8) / ln(2::float8))::smallint AS wait
        ), left_gates AS (
            INSERT INTO gate_deltas (key, held) SELECT key, - count FROM unnest($24::text[], $25::integer[]) AS gate (key, count)
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
        )
        UPDATE rounds SET round = reached.round FROM reached
        WHERE (rounds.queue, rounds.priority) = (reached.queue, reached.priority)
        "#,
        &column.jobs,
        &column.states as &[&str],
        &column.run_ats,
        &column.are_retries,
        &column.queued_ats as &[Option<Time>],
        &column.dispatched_ats as &[Option<Time>],
        &column.parked_ons as &[Option<String>],
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
        &column.woken_fors,
        &column.ats,
        &column.prior_states as &[&str],
        &column.rounds,
        HEAD_START,
        &column.holds,
        &left.keys,
        &left.counts,
        &column.proxies as &[Option<Uuid>],
    )
    .execute(connection)
    .await?;
    Ok(())
}

async fn end(
    connection: &mut Connection,
    changes: &[&Change],
    left: &LeftColumns,
    now: Time,
) -> Result<bool, StoreError> {
    let mut column = EndColumns::default();
    for change in changes {
        column.push(change)?;
    }
    let has_dependents = sqlx::query_scalar!(
        r#"
        WITH change AS MATERIALIZED (
            SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::integer[])
            AS change (job_id, state, event, message, result, failure, counted)
        ), gone AS (
            DELETE FROM live_jobs USING change WHERE live_jobs.job_id = change.job_id AND live_jobs.job_id = ANY($1)
            RETURNING live_jobs.*
        ), left_gates AS (
            INSERT INTO gate_deltas (key, held) SELECT key, - count FROM unnest($9::text[], $10::integer[]) AS gate (key, count)
        ), services AS (
            DELETE FROM live_job_services WHERE job_id = ANY($1)
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
        SELECT EXISTS (SELECT FROM edge) AS "has_dependents!"
        "#,
        &column.jobs,
        &column.states as &[&str],
        &column.events as &[&str],
        &column.messages as &[&str],
        &column.results as &[Option<String>],
        &column.failures as &[Option<String>],
        &column.counteds,
        now,
        &left.keys,
        &left.counts,
    )
    .fetch_one(connection)
    .await?;
    Ok(has_dependents)
}
