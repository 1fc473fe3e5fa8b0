//! The mutation `jobDelete`.

use async_graphql::{Context, Object, Result};
use callboard::steps::{StepError, finish::delete::delete};

use super::{JobContext, JobDeleteInput};
use crate::{
    audit::by,
    graphql::{inputs::id_or_refusal, payload::DeletePayload},
};

/// The mutation that deletes jobs.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobDeleteMutation;

#[Object]
impl JobDeleteMutation {
    /// Deletes a finished job with its attempts, events, log and files. It is in no list from then
    /// on, and the URLs of its files end. The files themselves are removed from the disk within
    /// minutes. Jobs that depend on it keep its outcome and no longer list it. Its idempotency key
    /// is free. What was counted of it stays: the history of its queue, usage, and the audit.
    /// jobsChanged does not report it. A job that has not finished is refused with
    /// NOT_ALLOWED_IN_STATE. Requires an ADMIN key.
    async fn job_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job to delete.")] input: JobDeleteInput,
    ) -> Result<DeletePayload> {
        let done = match id_or_refusal(&input.id, "job") {
            Ok(job) => delete(&JobContext::of(ctx)?.submit.store, job, &by(ctx, "jobDelete")).await,
            Err(refusal) => Err(StepError::from(refusal)),
        };
        DeletePayload::of(ctx, input.id, done)
    }
}
