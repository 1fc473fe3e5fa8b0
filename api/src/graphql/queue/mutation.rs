//! The mutations that update, pause and resume queues.

use crate::{
    audit::by,
    graphql::{
        job::JobContext,
        payload::{refuse, settle},
        user_error::UserError,
    },
};
use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use callboard::steps::{
    hand_out::pause::{no_queue, set_paused},
    limits::queue_limit::set_queue_limit,
};

use super::{Queue, QueueId, load};

/// Input of queueUpdate. Absent fields stay unchanged.
#[derive(Debug, InputObject)]
pub struct QueueUpdateInput {
    /// Name of the queue.
    pub name: String,
    /// Maximum number of its jobs that run at once, 1 to 1000000. Null for no limit. A limit below
    /// the number of jobs running at that moment is refused.
    pub max_concurrency: MaybeUndefined<i32>,
}

/// Input of queuePause.
#[derive(Debug, InputObject)]
pub struct QueuePauseInput {
    /// Name of the queue.
    pub name: String,
}

/// Input of queueResume.
#[derive(Debug, InputObject)]
pub struct QueueResumeInput {
    /// Name of the queue.
    pub name: String,
}

/// Returned by queueUpdate, queuePause and queueResume.
#[derive(Debug, Default, SimpleObject)]
pub struct QueuePayload {
    /// The queue as it is now. Null when the input was refused.
    pub queue: Option<Queue>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

/// The mutations of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueMutation;

#[Object]
impl QueueMutation {
    /// Updates a queue. Requires an ADMIN key.
    async fn queue_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The queue to update, and the changes.")] input: QueueUpdateInput,
    ) -> Result<QueuePayload> {
        let context = JobContext::of(ctx)?;
        let most = match input.max_concurrency {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            // A negative number becomes 0, which is refused.
            MaybeUndefined::Value(most) => Some(Some(u32::try_from(most).unwrap_or(0))),
        };
        if let Some(most) = most {
            let (done, user_errors) = settle(
                ctx,
                set_queue_limit(&context.submit.store, &input.name, most, &by(ctx, "queueUpdate")).await,
            )?;
            let Some(after) = done else {
                return Ok(QueuePayload { user_errors, ..QueuePayload::default() });
            };
            after.announce_soon(&context.redis);
        }
        let queue = load(ctx, QueueId::of(&input.name)).await?;
        let user_errors = if queue.is_none() { refuse(ctx, [no_queue()]) } else { Vec::new() };
        Ok(QueuePayload { queue, user_errors })
    }

    /// Pauses a queue, so that none of its jobs starts, whatever its priority. Running jobs
    /// continue and new jobs are accepted. Pausing it again changes nothing. Requires an ADMIN key.
    async fn queue_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The queue to pause.")] input: QueuePauseInput,
    ) -> Result<QueuePayload> {
        change(ctx, &input.name, true).await
    }

    /// Lets the jobs of a paused queue start again. Requires an ADMIN key.
    async fn queue_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The queue to resume.")] input: QueueResumeInput,
    ) -> Result<QueuePayload> {
        change(ctx, &input.name, false).await
    }
}

async fn change(ctx: &Context<'_>, name: &str, is_paused: bool) -> Result<QueuePayload> {
    let context = JobContext::of(ctx)?;
    let by = by(ctx, if is_paused { "queuePause" } else { "queueResume" });
    let (done, user_errors) = settle(ctx, set_paused(&context.submit.store, name, is_paused, &by).await)?;
    let Some(after) = done else { return Ok(QueuePayload { user_errors, ..QueuePayload::default() }) };
    after.announce_soon(&context.redis);
    Ok(QueuePayload { queue: load(ctx, QueueId::of(name)).await?, user_errors })
}
