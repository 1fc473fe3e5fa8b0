//! Replays every job's history, from Postgres and the ledger, against the model of the protocol
//! (`protocol-model/`).

use std::collections::BTreeMap;

use callboard::{ids::JobId, job::JobState};
use callboard_protocol_model::{End, Misfit, Recorded, replay};
use sqlx::{FromRow, PgConnection, types::Uuid};

use crate::ledger::Runs;

/// One event, with its attempt.
#[derive(FromRow)]
struct Event {
    job_id: Uuid,
    kind: String,
    state: String,
    prior_state: Option<String>,
    attempt: Option<i32>,
    outcome: Option<String>,
    worker_id: Option<Uuid>,
    is_worker_lost: bool,
    failure: Option<String>,
    is_retryable: bool,
}

/// Returns the histories that the model does not allow.
pub(crate) async fn check(connection: &mut PgConnection, runs: &Runs) -> Vec<String> {
    let events: Vec<Event> = sqlx::query_as(
        "SELECT event.job_id, event.kind, event.state, event.prior_state, event.attempt, attempts.outcome, worker_id,
            coalesce(workers.status = 'lost', false) AS is_worker_lost, attempts.failure ->> 'code' AS failure,
            coalesce((attempts.failure ->> 'isRetryable')::boolean, true) AS is_retryable
         FROM job_events AS event
         LEFT JOIN attempts ON attempts.job_id = event.job_id AND attempts.number = event.attempt
         LEFT JOIN workers ON workers.id = worker_id
         WHERE EXISTS (SELECT FROM ended_jobs WHERE ended_jobs.job_id = event.job_id)
         ORDER BY event.job_id, event.version",
    )
    .fetch_all(connection)
    .await
    .unwrap();
    let histories = events.chunk_by(|one, other| one.job_id == other.job_id);
    let misfits = histories.filter_map(|events| {
        let job = JobId::from(events[0].job_id).to_string();
        let mut workers = BTreeMap::new();
        let history: Vec<_> =
            events.iter().flat_map(|event| recorded(event, &job, &mut workers, runs)).collect();
        let Err(Misfit(why)) = replay(workers.len(), &history) else { return None };
        Some(format!("a history that the model does not allow: {job}: {why}"))
    });
    misfits.collect()
}

fn recorded(
    event: &Event,
    job: &str,
    workers: &mut BTreeMap<Uuid, usize>,
    runs: &Runs,
) -> Vec<(Recorded, Option<JobState>)> {
    let state = JobState::parse(&event.state);
    match (event.kind.as_str(), event.prior_state.as_deref()) {
        ("started", _) => {
            let next = workers.len();
            let worker = *workers.entry(event.worker_id.unwrap()).or_insert(next);
            let has_run = runs.contains_key(&(job.to_owned(), event.attempt.unwrap()));
            let mut both = vec![(Recorded::Started { worker }, state)];
            both.extend(has_run.then_some((Recorded::Ran, None)));
            both
        }
        ("queued", Some("scheduled")) => vec![(Recorded::Due, state)],
        ("cancel_requested", _) | ("cancelled", Some("queued" | "scheduled")) => {
            vec![(Recorded::CancelAsked, state)]
        }
        (_, Some("running")) => ended(event, state),
        // Enqueued, parked, woken, unblocked, cancelled with its dependency: before any claim.
        _ => Vec::new(),
    }
}

/// The end of the running attempt.
fn ended(event: &Event, state: Option<JobState>) -> Vec<(Recorded, Option<JobState>)> {
    match event.outcome.as_deref().unwrap() {
        "succeeded" => vec![(Recorded::Settled(End::Succeeded), state)],
        "failed" | "timed_out" if event.is_retryable => vec![(Recorded::Settled(End::Failed), state)],
        "failed" => vec![(Recorded::Settled(End::FailedForGood), state)],
        "cancelled" => vec![(Recorded::Settled(End::Cancelled), state)],
        "released" | "throttled" => vec![(Recorded::Settled(End::Released), state)],
        "lost" => {
            // The number of lost attempts that fail a job leaves out those whose worker had
            // reported alive by then, which is not recorded.
            let state = state.filter(|state| *state != JobState::Failed);
            let way = if event.is_worker_lost { Recorded::Rescued } else { Recorded::Settled(End::Lost) };
            let mut both = vec![(way, state)];
            both.extend((event.failure.as_deref() == Some("FENCED")).then_some((Recorded::OwnedUp, None)));
            both
        }
        other => panic!("unknown outcome: {other}"),
    }
}
