//! Changing schedules.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{catalogue::Catalogue, steps::CatalogueError, store::catalogue::schedules};

use super::{Schedule, ScheduleCreateInput, ScheduleDeleteInput, ScheduleUpdateInput};
use crate::{
    auth::{Caller, Role},
    graphql::{
        inputs::id_of,
        job::JobContext,
        payload::{DeletePayload, settle},
        user_error::UserError,
    },
};

/// The answer to a change of a schedule.
#[derive(Debug, SimpleObject)]
pub struct SchedulePayload {
    /// As it is now; null when the change was refused.
    pub schedule: Option<Schedule>,
    /// Why it was refused; empty when it was made.
    pub user_errors: Vec<UserError>,
}

impl SchedulePayload {
    fn of(done: Result<schedules::Schedule, CatalogueError>) -> Result<Self> {
        let (schedule, user_errors) = settle(done)?;
        Ok(Self { schedule: schedule.map(Schedule::from), user_errors })
    }
}

/// The mutations of schedules.
#[derive(Debug, Default, Clone, Copy)]
pub struct ScheduleMutation;

#[Object]
impl ScheduleMutation {
    /// Makes a schedule. Its job is checked as if it were enqueued now. Needs an ADMIN key.
    async fn schedule_create(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The new schedule.")] input: ScheduleCreateInput,
    ) -> Result<SchedulePayload> {
        Caller::require(ctx, Role::Admin)?;
        let desk = &JobContext::of(ctx)?.desk;
        SchedulePayload::of(ctx.data::<Catalogue>()?.schedule_create(desk, input.into()).await)
    }

    /// Changes, pauses or resumes a schedule. Needs an ADMIN key.
    async fn schedule_update(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule, and what to change.")] input: ScheduleUpdateInput,
    ) -> Result<SchedulePayload> {
        Caller::require(ctx, Role::Admin)?;
        let desk = &JobContext::of(ctx)?.desk;
        SchedulePayload::of(ctx.data::<Catalogue>()?.schedule_update(desk, input.into()).await)
    }

    /// Deletes a schedule. Jobs that it has enqueued go on. Needs an ADMIN key.
    async fn schedule_delete(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "Which schedule.")] input: ScheduleDeleteInput,
    ) -> Result<DeletePayload> {
        Caller::require(ctx, Role::Admin)?;
        let done = ctx.data::<Catalogue>()?.schedule_delete(id_of(&input.id), input.version).await;
        Ok(DeletePayload::of(input.id, done)?)
    }
}
