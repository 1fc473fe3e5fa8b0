//! Changing queues: pause, resume and bound.

use async_graphql::{Context, InputObject, MaybeUndefined, Object, Result, SimpleObject};
use callboard::steps::{
    hand_out::pause::{no_queue, set_paused},
    limits::bound::bound,
};

use super::{Queue, QueueId, load};
use crate::{
    auth::{Caller, Role},
    graphql::{
        job::JobContext,
        user_error::{UserError, user_errors},
    },
};

/// Changes of a queue. Absent fields stay as they are.
#[derive(Debug, InputObject)]
pub struct QueueUpdateInput {
    /// Its name.
    pub name: String,
    /// How many of its jobs may run at once, 1 to 1000000; null for as many as there are slots. A bound below
    /// what runs at that moment is refused.
    pub max_concurrency: MaybeUndefined<i32>,
}

/// Which queue to pause.
#[derive(Debug, InputObject)]
pub struct QueuePauseInput {
    /// Its name.
    pub name: String,
}

/// Which queue to resume.
#[derive(Debug, InputObject)]
pub struct QueueResumeInput {
    /// Its name.
    pub name: String,
}

/// The answer to a change of a queue.
#[derive(Debug, Default, SimpleObject)]
pub struct QueuePayload {
    /// As it is now; null when the change was refused.
    pub queue: Option<Queue>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

/// The mutations of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueMutation;

#[Object]
impl QueueMutation {
    /// Changes a queue. Needs an ADMIN key.
    async fn queue_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "What to change.")] input: QueueUpdateInput,
    ) -> Result<QueuePayload> {
        Caller::require(ctx, Role::Admin)?;
        let context = JobContext::of(ctx)?;
        let most = match input.max_concurrency {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            // Negative: none that may run, which is refused.
            MaybeUndefined::Value(most) => Some(Some(u32::try_from(most).unwrap_or(0))),
        };
        if let Some(most) = most {
            match bound(&context.desk.store, &input.name, most).await? {
                Ok(after) => after.announce_soon(&context.redis),
                Err(refusals) => {
                    return Ok(QueuePayload {
                        user_errors: user_errors(refusals),
                        ..QueuePayload::default()
                    });
                }
            }
        }
        let queue = load(ctx, QueueId::of(&input.name)).await?;
        let user_errors = if queue.is_none() { user_errors([no_queue()]) } else { Vec::new() };
        Ok(QueuePayload { queue, user_errors })
    }

    /// Pauses a queue: from now on none of its jobs starts, whatever its priority; what runs goes on, and new jobs are
    /// accepted. Pausing it again changes nothing. Needs an ADMIN key.
    async fn queue_pause(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which queue.")] input: QueuePauseInput,
    ) -> Result<QueuePayload> {
        change(ctx, &input.name, true).await
    }

    /// Lets the jobs of a paused queue start again. Needs an ADMIN key.
    async fn queue_resume(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which queue.")] input: QueueResumeInput,
    ) -> Result<QueuePayload> {
        change(ctx, &input.name, false).await
    }
}

async fn change(ctx: &Context<'_>, name: &str, is_paused: bool) -> Result<QueuePayload> {
    Caller::require(ctx, Role::Admin)?;
    let context = JobContext::of(ctx)?;
    match set_paused(&context.desk.store, name, is_paused).await? {
        Ok(after) => {
            after.announce_soon(&context.redis);
            Ok(QueuePayload { queue: load(ctx, QueueId::of(name)).await?, user_errors: Vec::new() })
        }
        Err(refusal) => Ok(QueuePayload { user_errors: user_errors([refusal]), ..QueuePayload::default() }),
    }
}
