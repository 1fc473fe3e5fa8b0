//! Changing queues: pause and resume.

use async_graphql::{Context, InputObject, Object, Result, SimpleObject};
use callboard::steps::pause::set_paused;

use super::{Queue, QueueId, load};
use crate::{
    auth::{Caller, Role},
    graphql::{
        job::JobContext,
        user_error::{UserError, user_errors},
    },
};

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
