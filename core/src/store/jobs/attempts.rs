//! Writes rows of attempts.
//!
//! The hot path writes one row per attempt, when it is settled. An attempt that runs a process gets
//! its row when it starts, so that the API can show it.

use std::sync::Arc;

use uuid::Uuid;

pub use super::attempt_records::{AttemptRecord, AttemptsPage, Newest, by_ids, composed, newest, pages};
use super::live;
use crate::{
    clock::Time,
    compose::ComposedCommand,
    ids::{AttemptId, JobId, ProxyId, WorkerId},
    job::{Failure, Used},
    store::{Connection, StoreError, columns::query_rows, limits::usage, optional_json, to_json},
};

/// What an attempt runs and through which proxy. Its worker stores this while the process starts.
#[derive(Debug, Clone)]
pub struct Start {
    /// The job.
    pub job: JobId,
    /// The attempt, which is the fence.
    pub attempt: AttemptId,
    /// The proxy that was chosen.
    pub proxy: Option<ProxyId>,
    /// The command, masked.
    pub composed: Arc<ComposedCommand>,
}

/// How a process ended.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ExitRecord {
    /// Its exit code.
    pub exit_code: Option<i32>,
    /// The signal that ended it, e.g. `SIGKILL`.
    pub signal: Option<String>,
    /// Peak resident memory of the largest process in the tree, in bytes.
    pub peak_memory_bytes: Option<i64>,
    /// Processor time of the tree, in milliseconds.
    pub cpu_ms: Option<i64>,
}

/// A finished attempt.
#[derive(Debug, Clone)]
pub struct Finish {
    /// The job.
    pub job: JobId,
    /// The attempt.
    pub attempt: AttemptId,
    /// Its number within the job, from 1.
    pub number: i32,
    /// The name of its outcome.
    pub outcome: &'static str,
    /// The worker that ran it.
    pub worker: WorkerId,
    /// The proxy that it used.
    pub proxy: Option<ProxyId>,
    /// The masked command, if it was composed.
    pub composed: Option<Arc<ComposedCommand>>,
    /// When the job became ready.
    pub queued_at: Time,
    /// When the attempt started.
    pub started_at: Time,
    /// How the process ended.
    pub exit: ExitRecord,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What it used, for metering. `None` if unknown.
    pub used: Option<Used>,
}

/// Stores the rows of attempts that start. Returns the attempts that still hold their job. The
/// others have been fenced off.
#[tracing::instrument(name = "db.attempts.note", level = "debug", skip_all)]
pub async fn note(connection: &mut Connection, starts: &[Start]) -> Result<Vec<AttemptId>, StoreError> {
    live::fence(connection, starts.iter().map(|start| (start.job, start.attempt))).await?;
    let held = query_rows!(
        query_scalar for start in starts,
        "WITH start AS MATERIALIZED (SELECT * FROM",
        "start" {
            "job_id": "uuid[]" = start.job.uuid();
            "attempt_id": "uuid[]" = start.attempt.uuid();
            "proxy_id": "uuid[]" as Option<Uuid> = start.proxy.map(Uuid::from);
            "composed": "text[]" = to_json("composed", &*start.composed)?;
        },
        "), fenced AS (
            UPDATE live_jobs AS live SET attempt_proxy_id = start.proxy_id
            FROM start
            WHERE live.job_id = start.job_id AND live.job_id = ANY($1)
                AND live.attempt_id = start.attempt_id
            RETURNING live.job_id, live.attempt_id, live.attempt, live.worker_id, live.queued_at,
                live.attempt_at
        )
        INSERT INTO attempts (id, job_id, number, worker_id, proxy_id, composed, queued_at, started_at)
        SELECT attempt_id, job_id, fenced.attempt, fenced.worker_id, start.proxy_id, start.composed::jsonb,
            fenced.queued_at, fenced.attempt_at
        FROM fenced JOIN start USING (job_id, attempt_id)
        ON CONFLICT (id) DO UPDATE SET composed = excluded.composed
        RETURNING id",
    )
    .fetch_all(connection)
    .await?;
    Ok(held.into_iter().map(AttemptId::from).collect())
}

/// Completes attempts. The caller has locked the rows of their jobs, which these attempts hold.
#[tracing::instrument(name = "db.attempts.finish", level = "debug", skip_all)]
pub async fn finish(connection: &mut Connection, finished: &[Finish], now: Time) -> Result<(), StoreError> {
    let busy_ms = |finish: &Finish| (now - finish.started_at).num_milliseconds().max(0);
    let used = usage::Columns::of(
        finished.iter().filter_map(|finish| Some((finish.used.as_ref()?, busy_ms(finish)))),
    );
    query_rows!(
        query for finish in finished,
        "WITH used AS (
            INSERT INTO usage_deltas (day, command_id, profile_id, service_id, attempts, busy_ms)
            SELECT ($2::timestamptz AT TIME ZONE 'UTC')::date, command_id, profile_id, service_id,
                attempts, busy_ms
            FROM unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::bigint[], $7::bigint[])
                AS used (command_id, profile_id, service_id, attempts, busy_ms)
        )
        INSERT INTO attempts (id, job_id, number, outcome, worker_id, proxy_id, composed, queued_at,
            started_at, finished_at, exit_code, signal, failure, peak_memory_bytes, cpu_ms)
        SELECT id, job_id, number, outcome, worker_id, proxy_id, composed::jsonb, queued_at, started_at,
            $2, exit_code, signal, failure::jsonb, peak_memory_bytes, cpu_ms
        FROM",
        "finish" {
            "id": "uuid[]" = finish.attempt.uuid();
            "job_id": "uuid[]" = finish.job.uuid();
            "number": "integer[]" = finish.number;
            "outcome": "text[]" as &str = finish.outcome;
            "worker_id": "uuid[]" = finish.worker.uuid();
            "proxy_id": "uuid[]" as Option<Uuid> = finish.proxy.map(Uuid::from);
            "composed": "text[]" as Option<String> = optional_json("composed", finish.composed.as_deref())?;
            "queued_at": "timestamptz[]" = finish.queued_at;
            "started_at": "timestamptz[]" = finish.started_at;
            "exit_code": "integer[]" as Option<i32> = finish.exit.exit_code;
            "signal": "text[]" as Option<&str> = finish.exit.signal.as_deref();
            "failure": "text[]" as Option<String> = optional_json("failure", finish.failure.as_ref())?;
            "peak_memory_bytes": "bigint[]" as Option<i64> = finish.exit.peak_memory_bytes;
            "cpu_ms": "bigint[]" as Option<i64> = finish.exit.cpu_ms;
        },
        "ON CONFLICT (id) DO UPDATE SET outcome = excluded.outcome, finished_at = excluded.finished_at,
            composed = coalesce(excluded.composed, attempts.composed), exit_code = excluded.exit_code,
            signal = excluded.signal, failure = excluded.failure,
            peak_memory_bytes = excluded.peak_memory_bytes, cpu_ms = excluded.cpu_ms",
        now,
        &used.commands,
        &used.profiles,
        &used.services,
        &used.attempts,
        &used.busy_ms,
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Returns the attempts that were already settled with this outcome, so that a repeated settlement
/// recognises itself. An attempt that was rescued meanwhile is settled with another outcome: lost.
#[tracing::instrument(name = "db.attempts.settled", level = "debug", skip_all)]
pub async fn settled(
    connection: &mut Connection,
    attempts: &[(AttemptId, &'static str)],
) -> Result<Vec<AttemptId>, StoreError> {
    let ids: Vec<Uuid> = attempts.iter().map(|(attempt, _)| attempt.uuid()).collect();
    let outcomes: Vec<&str> = attempts.iter().map(|(_, outcome)| *outcome).collect();
    let rows = sqlx::query_scalar!(
        "SELECT id FROM attempts JOIN unnest($1::uuid[], $2::text[]) AS told (id, outcome) USING (id, outcome)",
        &ids,
        &outcomes as &[&str]
    )
    .fetch_all(connection)
    .await?;
    Ok(rows.into_iter().map(AttemptId::from).collect())
}
