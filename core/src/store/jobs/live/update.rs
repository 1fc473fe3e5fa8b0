//! Writes the rows of jobs that stay live.

use uuid::Uuid;

use super::{Change, LiveJob, save::LeftGates};
use crate::{
    clock::Time,
    ids::{AttemptId, ProxyId, WorkerId},
    job::{HEAD_START, Standing, transition::Next},
    limit::GateKey,
    store::{
        Connection, StoreError, array_literal,
        columns::{query_rows, storable},
    },
};

/// Writes changed rows, their events and counters. Counts how long each new attempt waited, as a
/// code of `job::wait`.
///
/// `rounds.round` follows the round of the jobs that start, up or down, because jobs may start out
/// of order and newcomers must not queue behind jobs that were passed over. A start within a lane's
/// head start does not lower it. A job that becomes ready again is raised to it, so it cannot lower
/// it either. Rows of `rounds` that another claim has locked are skipped, because both claims have
/// about the same rounds.
#[expect(clippy::too_many_lines, reason = "one statement, one round trip")]
pub(super) async fn update(
    connection: &mut Connection,
    changes: &[&Change],
    left: &LeftGates,
    (actor, now): (&str, Time),
) -> Result<(), StoreError> {
    let mut last_holds = (&[][..], "{}".to_owned());
    query_rows!(
        query for row in changes.iter().filter_map(|change| LiveRow::of(change, now)),
        "WITH change AS MATERIALIZED (SELECT * FROM",
        "change" {
            "job_id": "uuid[]" = row.before.job.uuid();
            "state": "text[]" as &str = row.standing.state().as_str();
            "prior_state": "text[]" as &str = row.before.standing.state().as_str();
            "run_at": "timestamptz[]" = row.run_at;
            "is_retry": "boolean[]" = row.is_retry;
            "queued_at": "timestamptz[]" as Option<Time> = row.queued_at;
            "dispatched_at": "timestamptz[]" as Option<Time> = row.dispatched_at;
            "parked_on": "text[]" as Option<String> = row.parked_on.map(ToString::to_string);
            "called_for": "text[]" = woken_for(row.before, row.standing);
            "holds": "text[]" = holds_literal(row.holds, &mut last_holds);
            "attempt": "integer[]" = row.before.attempt + i32::from(row.has_new_attempt);
            "has_new_attempt": "boolean[]" = row.has_new_attempt;
            "attempt_id": "uuid[]" as Option<Uuid> = row.attempt.map(Uuid::from);
            "worker_id": "uuid[]" as Option<Uuid> = row.worker.map(Uuid::from);
            "proxy_id": "uuid[]" as Option<Uuid> = row.proxy.map(Uuid::from);
            "attempt_at": "timestamptz[]" as Option<Time> = row.attempt_at;
            "cancel_asked_at": "timestamptz[]" as Option<Time> = row.cancel_asked_at;
            "counted": "integer[]" = row.change.applied.counted as i32;
            "lost": "integer[]" = row.change.applied.lost as i32;
            "round": "bigint[]" = row.before.round;
            "event": "text[]" as &str = row.change.applied.event.as_str();
            "message": "text[]" as &str = row.change.applied.message.as_str();
            "at": "timestamptz[]" = row.change.started.as_ref().map_or(now, |started| started.at);
        },
        r#"), saved AS (
            UPDATE live_jobs AS live SET
                state = change.state, version = live.version + 1, run_at = change.run_at,
                is_retry = change.is_retry, queued_at = change.queued_at,
                dispatched_at = change.dispatched_at, parked_on = change.parked_on,
                called_for = change.called_for::text[], holds = change.holds::text[],
                attempt = change.attempt,
                round = CASE WHEN change.state = 'queued' AND change.parked_on IS NULL AND live.round > 0
                    THEN greatest(change.round, (SELECT round FROM rounds
                        WHERE (queue, priority) = (live.queue, live.priority)))
                    ELSE change.round END,
                counted = change.counted, lost = change.lost, attempt_id = change.attempt_id,
                worker_id = change.worker_id, attempt_at = change.attempt_at,
                attempt_proxy_id = CASE WHEN change.has_new_attempt THEN change.proxy_id
                    WHEN change.state = 'running' THEN live.attempt_proxy_id END,
                started_at = coalesce(live.started_at, change.attempt_at),
                cancel_asked_at = change.cancel_asked_at,
                progress_fraction =
                    CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_fraction END,
                progress_message = CASE WHEN change.has_new_attempt THEN NULL ELSE live.progress_message END,
                log_batch = CASE WHEN change.has_new_attempt THEN 0 ELSE live.log_batch END
            FROM change WHERE live.job_id = change.job_id AND live.job_id = ANY($1)
            RETURNING live.job_id, live.queue, live.priority, live.round, live.version, live.state,
                live.attempt, floor(4 * ln(1 + 1000
                    * greatest(extract(epoch FROM live.attempt_at - live.queued_at), 0)::float8)
                    / ln(2::float8))::smallint AS wait
        ), left_gates AS (
            INSERT INTO gate_deltas (key, held)
            SELECT key, - count FROM unnest($3::text[], $4::integer[]) AS gate (key, count)
        ), event AS (
            INSERT INTO job_events (job_id, version, at, kind, state, prior_state, attempt, message, actor)
            SELECT saved.job_id, saved.version, change.at, change.event, saved.state, change.prior_state,
                nullif(saved.attempt, 0), change.message, $5
            FROM saved JOIN change USING (job_id)
        ), moved AS (
            SELECT saved.queue, saved.wait, saved.state, change.prior_state AS prior
            FROM saved JOIN change USING (job_id)
        ), delta AS (
            INSERT INTO queue_deltas (queue, blocked, scheduled, queued, running, started, waits)
            SELECT queue, - count(*) FILTER (WHERE prior = 'blocked' AND state <> 'blocked'),
                count(*) FILTER (WHERE state = 'scheduled') - count(*) FILTER (WHERE prior = 'scheduled'),
                count(*) FILTER (WHERE state = 'queued') - count(*) FILTER (WHERE prior = 'queued'),
                count(*) FILTER (WHERE state = 'running') - count(*) FILTER (WHERE prior = 'running'),
                count(*) FILTER (WHERE state = 'running' AND prior <> 'running'),
                array_agg(wait) FILTER (WHERE state = 'running' AND prior <> 'running')
            FROM moved GROUP BY queue HAVING count(*) FILTER (WHERE state <> prior) > 0
        ), begun AS (
            SELECT queue, priority, max(round) AS round FROM saved WHERE state = 'running'
            GROUP BY queue, priority
        ), reached AS (
            SELECT queue, priority, begun.round FROM rounds JOIN begun USING (queue, priority)
            WHERE NOT begun.round BETWEEN rounds.round - $2 AND rounds.round
            FOR NO KEY UPDATE OF rounds SKIP LOCKED
        )
        UPDATE rounds SET round = reached.round FROM reached
        WHERE (rounds.queue, rounds.priority) = (reached.queue, reached.priority)"#,
        HEAD_START,
        &left.keys,
        &left.counts,
        storable(actor),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// A changed job that stays live.
struct LiveRow<'a> {
    change: &'a Change,
    before: &'a LiveJob,
    standing: &'a Standing,
    run_at: Time,
    is_retry: bool,
    queued_at: Option<Time>,
    dispatched_at: Option<Time>,
    parked_on: Option<&'a GateKey>,
    has_new_attempt: bool,
    attempt: Option<AttemptId>,
    attempt_at: Option<Time>,
    worker: Option<WorkerId>,
    proxy: Option<ProxyId>,
    holds: &'a [GateKey],
    cancel_asked_at: Option<Time>,
}

impl<'a> LiveRow<'a> {
    /// `None` if the job ends.
    fn of(change: &'a Change, now: Time) -> Option<Self> {
        let Next::Live(standing) = &change.applied.next else { return None };
        let before = &change.before;
        let mut row = Self {
            change,
            before,
            standing,
            run_at: before.run_at,
            is_retry: false,
            queued_at: None,
            dispatched_at: None,
            parked_on: None,
            has_new_attempt: false,
            attempt: None,
            attempt_at: None,
            worker: None,
            proxy: None,
            holds: &[],
            cancel_asked_at: None,
        };
        match standing {
            Standing::Blocked | Standing::Ended(_) => {}
            Standing::Scheduled { run_at, is_retry } => (row.run_at, row.is_retry) = (*run_at, *is_retry),
            Standing::Queued { parked_on } => {
                // A job that is run now has a start time that has not come.
                row.run_at = before.run_at.min(now);
                let was_queued = matches!(before.standing, Standing::Queued { .. });
                row.queued_at = if was_queued { before.queued_at } else { Some(now) };
                row.parked_on = parked_on.as_ref();
                row.dispatched_at = change.is_dispatched.then_some(now);
            }
            Standing::Running { attempt, cancel_asked } => {
                row.queued_at = before.queued_at;
                row.attempt = Some(*attempt);
                row.cancel_asked_at = cancel_asked.then_some(now);
                (row.worker, row.attempt_at, row.holds) = (before.worker, before.attempt_at, &before.holds);
                if let Some(started) = &change.started {
                    row.has_new_attempt = true;
                    row.proxy = started.proxy;
                    (row.worker, row.attempt_at, row.holds) =
                        (Some(started.worker), Some(started.at), &started.holds);
                }
            }
        }
        Some(row)
    }
}

/// The gates that a job was woken for, as an array literal: its previous ones and the gate that it
/// was parked at until now. A job that is parked again queues again at that gate, and a job that
/// leaves the queue has none.
fn woken_for(before: &LiveJob, standing: &Standing) -> String {
    let (Standing::Queued { parked_on: was_on }, Standing::Queued { parked_on: is_on }) =
        (&before.standing, standing)
    else {
        return "{}".to_owned();
    };
    let all = before.woken_for.iter().chain(was_on).filter(|key| Some(*key) != is_on.as_ref());
    array_literal(all.map(ToString::to_string))
}

/// Gates as an array literal. Keeps the last one, because the jobs of a batch mostly hold the same
/// gates.
fn holds_literal<'a>(holds: &'a [GateKey], last: &mut (&'a [GateKey], String)) -> String {
    if last.0 != holds {
        *last = (holds, array_literal(holds.iter().map(ToString::to_string)));
    }
    last.1.clone()
}
