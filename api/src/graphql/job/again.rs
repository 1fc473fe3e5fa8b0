//! The mutation `jobEnqueueAgain`, which enqueues a job like another one.

use async_graphql::{Context, Object, Result};
use callboard::steps::enqueue::again;

use super::{JobContext, JobEnqueueAgainInput, JobEnqueuePayload, submit};
use crate::{
    audit::by,
    graphql::{
        inputs::id_or_refusal,
        payload::{refuse, settle},
    },
};

/// The mutation `jobEnqueueAgain`.
#[derive(Debug, Default, Clone, Copy)]
pub struct JobAgainMutation;

#[Object]
impl JobAgainMutation {
    /// Enqueues a new job like one that exists, in any state, with changes. It is checked as
    /// jobEnqueue checks it, and runs the command as it is now. If the command has been deleted, it
    /// is refused. `dependsOn` and the idempotency key are not taken over. A path of `userErrors`
    /// that begins with `id` and goes on is a path within the command. Requires an OPERATOR key.
    async fn job_enqueue_again(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The job, and the changes.")] input: JobEnqueueAgainInput,
    ) -> Result<JobEnqueuePayload> {
        Box::pin(enqueue_again(ctx, input)).await
    }
}

async fn enqueue_again(ctx: &Context<'_>, input: JobEnqueueAgainInput) -> Result<JobEnqueuePayload> {
    let refused = |user_errors| JobEnqueuePayload { user_errors, ..JobEnqueuePayload::default() };
    let id = match id_or_refusal(&input.id, "job") {
        Ok(id) => id,
        Err(refusal) => return Ok(refused(refuse(ctx, [refusal]))),
    };
    let context = &JobContext::of(ctx)?.submit;
    let made = again::again(context, id, input.into(), &by(ctx, "jobEnqueueAgain")).await;
    let (request, user_errors) = settle(ctx, made)?;
    let Some(request) = request else { return Ok(refused(user_errors)) };
    Ok(match submit(ctx, vec![request]).await? {
        Ok(accepted) => JobEnqueuePayload::of(&accepted),
        Err(refusals) => refused(refuse(ctx, again::refused(id, refusals))),
    })
}
