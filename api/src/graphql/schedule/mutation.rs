//! The mutations that create, update and delete schedules.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{steps::StepError, store::catalogue::schedules};

use super::{Schedule, ScheduleCreateInput, ScheduleDeleteInput, ScheduleUpdateInput};
use crate::graphql::{
    catalogue::acting,
    inputs::id_of,
    job::JobContext,
    payload::{DeletePayload, settle},
    user_error::UserError,
};

/// Returned by scheduleCreate and scheduleUpdate.
#[derive(Debug, SimpleObject)]
pub struct SchedulePayload {
    /// The schedule as it is now. Null when the input was refused.
    pub schedule: Option<Schedule>,
    /// Why the input was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl SchedulePayload {
    fn of(ctx: &Context<'_>, done: Result<schedules::Schedule, StepError>) -> Result<Self> {
        let (schedule, user_errors) = settle(ctx, done)?;
        Ok(Self { schedule: schedule.map(Schedule::from), user_errors })
    }
}

/// The mutations of schedules.
#[derive(Debug, Default, Clone, Copy)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Creates a schedule. Its job is checked as if it were enqueued now. Requires an ADMIN key.
    async fn schedule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule to create.")] input: ScheduleCreateInput,
    ) -> Result<SchedulePayload> {
        let submit = &JobContext::of(ctx)?.submit;
        SchedulePayload::of(ctx, Box::pin(acting(ctx)?.schedule_create(submit, input.into())).await)
    }

    /// Updates, pauses or resumes a schedule. Requires an ADMIN key.
    async fn schedule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule to update, and the changes.")] input: ScheduleUpdateInput,
    ) -> Result<SchedulePayload> {
        let submit = &JobContext::of(ctx)?.submit;
        SchedulePayload::of(ctx, Box::pin(acting(ctx)?.schedule_update(submit, input.into())).await)
    }

    /// Deletes a schedule. Jobs that it has enqueued continue. Requires an ADMIN key.
    async fn schedule_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule to delete.")] input: ScheduleDeleteInput,
    ) -> Result<DeletePayload> {
        let done = acting(ctx)?.schedule_delete(id_of(&input.id), input.version).await;
        DeletePayload::of(ctx, input.id, done)
    }
}
