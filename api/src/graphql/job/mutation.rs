//! The mutations that enqueue, cancel and retry jobs.

use crate::{
    audit::by,
    enqueuer::EnqueueError,
    error::{ApiError, Code},
    graphql::{
        inputs::id_or_refusal,
        job_loaders::outage,
        payload::{refuse, settle, unevaluated},
        user_error::UserError,
    },
};
use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    ids::JobId,
    job::JobRequest,
    refusal::{Refusal, RefusalCode},
    steps::{
        After, StepError,
        enqueue::submit::{Accepted, JOBS_MAX},
        finish::{cancel::cancel, retry::retry},
    },
};

use super::{Job, JobCancelInput, JobContext, JobEnqueueInput, JobRetryInput, JobsEnqueueInput, object};

/// Longest reason of a cancellation, in characters.
const REASON_CHARS_MAX: usize = 500;

/// Returned by jobEnqueue and jobEnqueueAgain.
#[derive(Debug, Default, SimpleObject)]
pub struct JobEnqueuePayload {
    /// The job, durably stored. Null when the input was refused.
    pub job: Option<Job>,
    /// Whether the idempotency key was used before for the same request. `job` is then the existing
    /// job.
    pub was_duplicate: bool,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// Returned by jobsEnqueue.
#[derive(Debug, Default, SimpleObject)]
pub struct JobsEnqueuePayload {
    /// The jobs in the order of the input, durably stored. Empty when any of them was refused.
    pub jobs: Vec<Job>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// Returned by jobCancel, jobRetry and jobRunNow.
#[derive(Debug, Default, SimpleObject)]
pub struct JobPayload {
    /// The job as it is now. Null when the input was refused.
    pub job: Option<Job>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl JobEnqueuePayload {
    pub(super) fn of(accepted: &[Accepted]) -> Self {
        let accepted = accepted.first();
        Self {
            job: accepted.map(|accepted| Job::known(accepted.job)),
            was_duplicate: accepted.is_some_and(|accepted| accepted.was_duplicate),
            user_errors: Vec::new(),
        }
    }
}

impl JobPayload {
    pub(super) fn refused(ctx: &Context<'_>, refusal: Refusal) -> Self {
        Self { user_errors: refuse(ctx, [refusal]), ..Self::default() }
    }
}

/// The mutations of jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobMutation;

#[Object]
impl JobMutation {
    /// Enqueues a job. Returns once the job is durably stored. Requires an OPERATOR key.
    async fn job_enqueue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job to enqueue.")] input: JobEnqueueInput,
    ) -> Result<JobEnqueuePayload> {
        Ok(match enqueue(ctx, "jobEnqueue", vec![input.into()]).await? {
            Ok(accepted) => JobEnqueuePayload::of(&accepted),
            Err(user_errors) => JobEnqueuePayload { user_errors, ..JobEnqueuePayload::default() },
        })
    }

    /// Enqueues 1 to 1000 jobs, either all or none. Requires an OPERATOR key.
    async fn jobs_enqueue(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The jobs to enqueue.")] input: JobsEnqueueInput,
    ) -> Result<JobsEnqueuePayload> {
        if let Some(refusal) = refuse_count(input.jobs.len()) {
            return Ok(JobsEnqueuePayload {
                user_errors: refuse(ctx, [refusal]),
                ..JobsEnqueuePayload::default()
            });
        }
        let requests: Vec<JobRequest> = input.jobs.into_iter().map(JobRequest::from).collect();
        let is_single = requests.len() == 1;
        Ok(match enqueue(ctx, "jobsEnqueue", requests).await? {
            Ok(accepted) => {
                let jobs = accepted.iter().map(|accepted| Job::known(accepted.job)).collect();
                JobsEnqueuePayload { jobs, user_errors: Vec::new() }
            }
            Err(mut user_errors) => {
                // The enqueuer does not prefix the paths of a single job request with its index in
                // the list.
                for error in user_errors.iter_mut().filter(|_| is_single) {
                    error.path.splice(1..1, ["jobs".to_owned(), "0".to_owned()]);
                }
                JobsEnqueuePayload { user_errors, ..JobsEnqueuePayload::default() }
            }
        })
    }

    /// Cancels a job. A job that has not started is cancelled at once, a running job as soon as its
    /// processes are gone. Cancelling a running job again changes nothing. A finished job is
    /// refused with NOT_ALLOWED_IN_STATE. Requires an OPERATOR key.
    async fn job_cancel(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job to cancel, and the reason.")] input: JobCancelInput,
    ) -> Result<JobPayload> {
        let reason = match check_reason(input.reason) {
            Ok(reason) => reason,
            Err(refusal) => {
                return Ok(JobPayload::refused(ctx, refusal));
            }
        };
        let job = match id_or_refusal(&input.id, "job") {
            Ok(job) => job,
            Err(refusal) => return Ok(JobPayload::refused(ctx, refusal)),
        };
        let done = cancel(&JobContext::of(ctx)?.submit.store, job, reason, &by(ctx, "jobCancel")).await;
        announce(ctx, job, done).await
    }

    /// Runs a finished job again under the same id, with fresh attempts. Its history is kept. An
    /// unfinished job is refused with NOT_ALLOWED_IN_STATE, and an OPERATOR with INVALID if the job
    /// runs on what they may not choose for it now. Requires an OPERATOR key.
    async fn job_retry(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job to run again.")] input: JobRetryInput,
    ) -> Result<JobPayload> {
        let job = match id_or_refusal(&input.id, "job") {
            Ok(job) => job,
            Err(refusal) => return Ok(JobPayload::refused(ctx, refusal)),
        };
        let done = retry(&JobContext::of(ctx)?.submit.store, job, &by(ctx, "jobRetry")).await;
        announce(ctx, job, done).await
    }
}

/// Checks the reason of a cancellation. An empty one counts as absent.
pub(super) fn check_reason(reason: Option<String>) -> Result<Option<String>, Refusal> {
    let reason = reason.filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_CHARS_MAX) {
        return Err(Refusal::invalid("reason", format!("must have at most {REASON_CHARS_MAX} characters")));
    }
    Ok(reason)
}

fn refuse_count(count: usize) -> Option<Refusal> {
    match count {
        0 => Some(Refusal::invalid("jobs", "must have at least one job")),
        1..=JOBS_MAX => None,
        _ => {
            let message = format!("must have at most {JOBS_MAX} jobs, not {count}");
            Some(Refusal::new(RefusalCode::TooMany, "jobs", message))
        }
    }
}

/// Passes job requests to the enqueuer. The inner error holds what the caller can fix.
async fn enqueue(
    ctx: &Context<'_>,
    mutation: &'static str,
    mut requests: Vec<JobRequest>,
) -> Result<Result<Vec<Accepted>, Vec<UserError>>> {
    let by = by(ctx, mutation);
    for request in &mut requests {
        request.by = Some(by.clone());
    }
    let accepted = submit(ctx, requests).await?;
    Ok(accepted.map_err(|refusals| refuse(ctx, refusals)))
}

/// Passes job requests, which name who makes them, to the enqueuer. The inner error holds what the
/// caller can fix.
pub async fn submit(
    ctx: &Context<'_>,
    requests: Vec<JobRequest>,
) -> Result<Result<Vec<Accepted>, Vec<Refusal>>> {
    match JobContext::of(ctx)?.enqueuer.submit(requests).await {
        Ok(accepted) => Ok(Ok(accepted)),
        Err(EnqueueError::Refused(refusals)) => Ok(Err(refusals)),
        Err(EnqueueError::Store(error)) => Err(outage(error)),
        Err(EnqueueError::Evaluator(why)) => Err(unevaluated(&why)),
        Err(EnqueueError::Full) => Err(ApiError::new(
            Code::Unavailable,
            "Too many jobs are being enqueued. Nothing was stored. Try again.",
        )
        .into()),
        Err(EnqueueError::Stopped) => {
            let message = "The server did not reply, and the jobs may or may not have been stored. With an \
                           idempotencyKey, send the same request again. Otherwise check first.";
            Err(ApiError::new(Code::Unavailable, message).into())
        }
    }
}

/// Announces what a step changed and returns the job as it is now.
pub(super) async fn announce(
    ctx: &Context<'_>,
    job: JobId,
    done: Result<After, StepError>,
) -> Result<JobPayload> {
    let (done, user_errors) = settle(ctx, done)?;
    let Some(after) = done else { return Ok(JobPayload { user_errors, ..JobPayload::default() }) };
    after.announce_soon(&JobContext::of(ctx)?.redis);
    Ok(JobPayload { job: object::load(ctx, job).await?, user_errors })
}
