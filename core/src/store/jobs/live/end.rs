//! Moves the rows of jobs that end to `ended_jobs`.

use serde_json::Value;

use super::{Change, save::LeftGates};
use crate::{
    clock::Time,
    job::{Failure, transition::Next},
    store::{
        Connection, StoreError,
        columns::{query_rows, storable},
        optional_json,
    },
};

/// Ends jobs, writes their events and counters, and flags the edges of dependent jobs as due.
/// Returns whether there are any.
pub(super) async fn end(
    connection: &mut Connection,
    changes: &[&Change],
    left: &LeftGates,
    (actor, now): (&str, Time),
) -> Result<bool, StoreError> {
    let has_dependents = query_rows!(
        query_scalar for row in changes.iter().filter_map(|change| EndRow::of(change)),
        "WITH change AS MATERIALIZED (SELECT * FROM",
        "change" {
            "job_id": "uuid[]" = row.change.before.job.uuid();
            "state": "text[]" as &str = row.change.applied.next.state().as_str();
            "event": "text[]" as &str = row.change.applied.event.as_str();
            "message": "text[]" as &str = row.change.applied.message.as_str();
            "result": "text[]" as Option<String> = optional_json("result", row.result)?;
            "failure": "text[]" as Option<String> = optional_json("failure", row.failure)?;
            "counted": "integer[]" = row.change.applied.counted as i32;
        },
        r#"), gone AS (
            DELETE FROM live_jobs USING change
            WHERE live_jobs.job_id = change.job_id AND live_jobs.job_id = ANY($1)
            RETURNING live_jobs.*
        ), left_gates AS (
            INSERT INTO gate_deltas (key, held)
            SELECT key, - count FROM unnest($3::text[], $4::integer[]) AS gate (key, count)
        ), services AS (
            DELETE FROM live_job_services WHERE job_id = ANY($1)
        ), ended AS (
            INSERT INTO ended_jobs (job_id, state, version, attempt, counted, started_at, finished_at,
                result, failure, progress_fraction, progress_message, log_lines)
            SELECT job_id, change.state, gone.version + 1, gone.attempt, change.counted, gone.started_at, $2,
                change.result::jsonb, change.failure::jsonb, gone.progress_fraction, gone.progress_message,
                gone.log_lines
            FROM gone JOIN change USING (job_id)
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message, actor)
            SELECT job_id, gone.version + 1, $2, change.event, change.state, gone.state,
                nullif(gone.attempt, 0), change.message, $5
            FROM gone JOIN change USING (job_id)
        ), edge AS (
            UPDATE job_dependencies SET outcome = change.state, is_due = true FROM change
            WHERE job_dependencies.needs_id = change.job_id AND job_dependencies.needs_id = ANY($1)
                AND job_dependencies.outcome IS NULL
            RETURNING job_dependencies.job_id
        ), delta AS (
            INSERT INTO queue_deltas
                (queue, blocked, scheduled, queued, running, succeeded, failed, cancelled)
            SELECT gone.queue,
                - count(*) FILTER (WHERE gone.state = 'blocked'),
                - count(*) FILTER (WHERE gone.state = 'scheduled'),
                - count(*) FILTER (WHERE gone.state = 'queued'),
                - count(*) FILTER (WHERE gone.state = 'running'),
                count(*) FILTER (WHERE change.state = 'succeeded'),
                count(*) FILTER (WHERE change.state = 'failed'),
                count(*) FILTER (WHERE change.state = 'cancelled')
            FROM gone JOIN change USING (job_id) GROUP BY gone.queue
        )
        SELECT EXISTS (SELECT FROM edge) AS "has_dependents!""#,
        now,
        &left.keys,
        &left.counts,
        storable(actor),
    )
    .fetch_one(connection)
    .await?;
    Ok(has_dependents)
}

/// A job that ends.
struct EndRow<'a> {
    change: &'a Change,
    failure: Option<&'a Failure>,
    result: Option<&'a Value>,
}

impl<'a> EndRow<'a> {
    /// `None` if the job stays live.
    fn of(change: &'a Change) -> Option<Self> {
        let Next::Ended { ending: _, failure, result } = &change.applied.next else { return None };
        Some(Self { change, failure: failure.as_ref(), result: result.as_ref() })
    }
}
