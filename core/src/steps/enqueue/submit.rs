//! Submit: checks, composes and inserts the jobs of many callers together, with a result for each.
//!
//! The API's enqueuer collects the submissions that arrive while the previous commit is under way.
//! Those whose jobs are not light are prepared each alone, without a connection to Postgres. A
//! caller's jobs are inserted all or none, and its mistakes never fail its neighbours. If the
//! process dies right after, the jobs are safe and dispatch finds them.

use tokio::time::{Duration, Instant};

use super::{
    context::SubmitContext,
    prepare::{Prefetched, Preparing},
    write::write,
};
use crate::{
    audit::Actor,
    compose::Input,
    evaluator::{Failure, Purpose, Turn, Unavailable},
    ids::JobId,
    job::JobRequest,
    refusal::{Refusal, RefusalCode},
    steps::{After, Done, StepError},
    store::StoreError,
};

pub use super::write::PreparedSubmission;

/// Most jobs of one submission.
pub const JOBS_MAX: usize = 1000;
/// The priority of a job that names none.
pub const DEFAULT_PRIORITY: i16 = 4;
/// Most jobs that one job may depend on.
pub const DEPENDENCIES_MAX: usize = 10_000;
/// Longest idempotency or fairness key, in bytes.
pub const KEY_BYTES_MAX: usize = 255;

/// Longest time in which submissions are prepared together.
const LIGHT_MAX: Duration = Duration::from_millis(250);

/// A job that exists after the submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub job: JobId,
    /// Whether the job already existed, because the same request used its idempotency key before.
    pub was_duplicate: bool,
}

/// The result for one caller.
pub type SubmitResult = Result<Vec<Accepted>, StepError>;

/// Whether the caller of a submission, by its place among them, still waits. What nobody waits for
/// is not written, because its caller has left or may not act any more.
pub type IsAwaited<'a> = &'a (dyn Fn(usize) -> bool + Send + Sync);

/// Submits for several callers, first those whose jobs are light, together, and then each of the
/// others. Returns their results in order. With `is_dispatched`, the caller of this function pushes
/// the references of ready jobs right after.
pub async fn submit(
    context: &SubmitContext,
    submissions: &[Vec<JobRequest>],
    is_dispatched: bool,
) -> Done<Vec<SubmitResult>> {
    let Done { value: mut results, after: mut all } =
        submit_light(context, submissions, is_dispatched, &|_| true).await;
    for (result, submission) in results.iter_mut().zip(submissions) {
        if matches!(result, Err(StepError::Evaluator(Unavailable::NotLight))) {
            *result = match prepare_alone(context, submission, is_dispatched).await {
                Ok(prepared) => {
                    let Done { mut value, after } = write_alone(context, &prepared, &|_| true).await;
                    all.merge(after);
                    value.pop().unwrap_or_else(|| Ok(Vec::new()))
                }
                Err(error) => Err(error),
            };
        }
    }
    Done::new(results, all)
}

/// [`submit`] for what is light. Submissions that are not, and those that are left after
/// [`LIGHT_MAX`], fail with [`Unavailable::NotLight`], so that none waits for another's.
pub async fn submit_light(
    context: &SubmitContext,
    submissions: &[Vec<JobRequest>],
    is_dispatched: bool,
    is_awaited: IsAwaited<'_>,
) -> Done<Vec<SubmitResult>> {
    match attempt(context, submissions, is_dispatched, is_awaited).await {
        Ok(done) => done,
        Err(error @ (StoreError::Constraint { .. } | StoreError::Contended(_))) if submissions.len() > 1 => {
            tracing::debug!(%error, "a batch of submissions failed, retrying each alone");
            let (mut results, mut all) = (Vec::new(), After::default());
            for (place, submission) in submissions.iter().enumerate() {
                let (alone, is_awaited) = (std::slice::from_ref(submission), |_| is_awaited(place));
                let Done { value: to_results, after } =
                    Box::pin(submit_light(context, alone, is_dispatched, &is_awaited)).await;
                results.extend(to_results);
                all.merge(after);
            }
            Done::new(results, all)
        }
        Err(error) => {
            let error = failed(error);
            Done::unchanged(submissions.iter().map(|_| Err(error.clone())).collect())
        }
    }
}

/// Prepares a submission that is not light. Waits for its caller's turn and holds no connection to
/// Postgres meanwhile. Dropping the future ends the work.
pub async fn prepare_alone(
    context: &SubmitContext,
    submission: &[JobRequest],
    is_dispatched: bool,
) -> Result<PreparedSubmission, StepError> {
    let nobody = Actor::default();
    let by = submission.first().and_then(|request| request.by.as_ref());
    let mut turn = context.evaluator.turn(Purpose::Enqueue(by.map_or(&nobody, |by| &by.actor)));
    turn.begin().await.map_err(StepError::Evaluator)?;
    let mut connection = context.store.connection().await?;
    let prefetched = Prefetched::load(context, &mut connection, &[submission]).await?;
    drop(connection);
    let preparing = Preparing { context, prefetched: &prefetched, is_dispatched, until: None };
    let prepared = prepare_submission(&preparing, submission, &mut turn).await;
    match prepared.jobs {
        Err(Failure::Unavailable(why)) => Err(StepError::Evaluator(why)),
        Ok(_) | Err(Failure::Refused(_)) => Ok(prepared),
    }
}

/// Writes a submission that [`prepare_alone`] has prepared. Returns its one result.
pub async fn write_alone(
    context: &SubmitContext,
    prepared: &PreparedSubmission,
    is_awaited: IsAwaited<'_>,
) -> Done<Vec<SubmitResult>> {
    let written = async {
        let connection = context.store.connection().await?;
        write(context, connection, vec![prepared.clone()], is_awaited).await
    };
    written.await.unwrap_or_else(|error| Done::unchanged(vec![Err(failed(error))]))
}

/// What the caller of a submission learns of an error.
fn failed(error: StoreError) -> StepError {
    match error.constraint().and_then(deleted_meanwhile) {
        Some(path) => {
            Refusal::new(RefusalCode::NotFound, path, "It was deleted while the job was submitted.").into()
        }
        None => error.into(),
    }
}

/// The path of the input whose foreign key was violated.
fn deleted_meanwhile(constraint: &str) -> Option<&'static str> {
    match constraint {
        "live_jobs_profile_id_fkey" => Some("profileId"),
        "live_jobs_proxy_id_fkey" => Some("proxyId"),
        "live_job_services_service_id_fkey" => Some("serviceIds"),
        _ => None,
    }
}

async fn attempt(
    context: &SubmitContext,
    submissions: &[Vec<JobRequest>],
    is_dispatched: bool,
    is_awaited: IsAwaited<'_>,
) -> Result<Done<Vec<SubmitResult>>, StoreError> {
    let mut connection = context.store.connection().await?;
    let prefetched = Prefetched::load(context, &mut connection, submissions).await?;
    let until = Some(Instant::now() + LIGHT_MAX);
    let preparing = Preparing { context, prefetched: &prefetched, is_dispatched, until };
    let mut prepared = Vec::with_capacity(submissions.len());
    for submission in submissions {
        let mut turn = context.evaluator.turn(Purpose::Light);
        prepared.push(prepare_submission(&preparing, submission, &mut turn).await);
    }
    write(context, connection, prepared, is_awaited).await
}

async fn prepare_submission(
    preparing: &Preparing<'_>,
    submission: &[JobRequest],
    turn: &mut Turn<'_>,
) -> PreparedSubmission {
    let jobs = preparing.submission(submission, turn).await;
    let given = match &jobs {
        Err(Failure::Refused(_)) => preparing.given(submission, turn).await,
        Ok(_) | Err(Failure::Unavailable(_)) => Ok(None),
    };
    match given {
        Ok(given) => PreparedSubmission { jobs, given },
        Err(why) => PreparedSubmission { jobs: Err(why.into()), given: None },
    }
}

/// Whether a job request would be accepted now. Returns its input as it may be stored, without the
/// schema's defaults.
pub async fn check(
    context: &SubmitContext,
    turn: &mut Turn<'_>,
    request: &JobRequest,
) -> Result<Input, StepError> {
    let mut connection = context.store.connection().await?;
    let submission = std::slice::from_ref(request);
    let prefetched = Prefetched::load(context, &mut connection, &[submission]).await?;
    drop(connection);
    let preparing = Preparing { context, prefetched: &prefetched, is_dispatched: false, until: None };
    preparing.submission(submission, turn).await?;
    Ok(prefetched.split_input(turn, request).await?)
}
