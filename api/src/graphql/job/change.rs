//! The mutations that change a job before it runs.

use async_graphql::{Context, Object, Result};
use callboard::{
    ids::JobId,
    refusal::{Refusal, RefusalCode},
    steps::{StepError, hand_out::run_now::run_now},
};

use super::{JobContext, JobPayload, JobRunNowInput, Waiting, mutation::announce};
use crate::{audit::by, graphql::inputs::id_or_refusal};

/// The mutations that change a job before it runs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobChangeMutation;

#[Object]
impl JobChangeMutation {
    /// Makes a SCHEDULED job ready now, whether it waits for its start time or for the backoff of a
    /// retry. What else it waits for (a limit, a paused queue, a worker) still holds. A job in
    /// another state is refused with NOT_ALLOWED_IN_STATE, and the message says what it waits for.
    /// Requires an OPERATOR key.
    async fn job_run_now(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job to run now.")] input: JobRunNowInput,
    ) -> Result<JobPayload> {
        let job = match id_or_refusal(&input.id, "job") {
            Ok(job) => job,
            Err(refusal) => return Ok(JobPayload::refused(ctx, refusal)),
        };
        let done = run_now(&JobContext::of(ctx)?.submit.store, job, &by(ctx, "jobRunNow")).await;
        let done = match done {
            Err(StepError::Refused(refusals)) => Err(explained(ctx, job, refusals).await?),
            done => done,
        };
        announce(ctx, job, done).await
    }
}

/// Adds to a refusal because of the job's state what the job waits for, and what helps.
async fn explained(ctx: &Context<'_>, job: JobId, mut refusals: Vec<Refusal>) -> Result<StepError> {
    for refusal in refusals.iter_mut().filter(|refusal| refusal.code == RefusalCode::NotAllowedInState) {
        let record = JobContext::of(ctx)?.readers.record(job).await?;
        let waiting = match record {
            Some(record) => Box::pin(Waiting::of(ctx, &record)).await?,
            None => None,
        };
        if let Some(Waiting { reason, explanation, .. }) = waiting {
            refusal.message =
                format!("{} {explanation} {}", refusal.message, reason.remedy()).trim_end().into();
        }
    }
    Ok(StepError::Refused(refusals))
}
