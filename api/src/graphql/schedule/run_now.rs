//! The mutation `scheduleRunNow`, which enqueues a schedule's job by hand.

use async_graphql::{Context, Object, Result, SimpleObject};
use callboard::{
    refusal::Refusal,
    steps::{
        StepError,
        enqueue::run_schedule::{ByHand, by_hand},
    },
};

use super::ScheduleRunNowInput;
use crate::{
    audit::by,
    graphql::{
        inputs::id_or_refusal,
        job::{Job, JobContext, submit},
        payload::{refuse, settle},
        user_error::UserError,
    },
};

/// Returned by scheduleRunNow.
#[derive(Debug, Default, SimpleObject)]
pub struct ScheduleRunNowPayload {
    /// The job, durably stored. Null when it was refused.
    pub job: Option<Job>,
    /// Why it was refused. Empty on success.
    pub user_errors: Vec<UserError>,
}

impl ScheduleRunNowPayload {
    fn refused(ctx: &Context<'_>, refusals: impl IntoIterator<Item = Refusal>) -> Self {
        Self { job: None, user_errors: refuse(ctx, refusals) }
    }
}

/// The mutation of schedules that enqueues.
#[derive(Debug, Default, Clone, Copy)]
pub struct ScheduleRunMutation;

#[Object]
impl ScheduleRunMutation {
    /// Enqueues one job of a schedule now, also while the schedule is paused. The schedule itself
    /// does not change: its next time stays. The job is the caller's (`createdBy`), is checked as
    /// jobEnqueue checks it, and has `schedule` set and no `scheduledFor`. It is enqueued although
    /// an earlier job of the schedule is unfinished. For the next firing it counts as one: with
    /// SKIP that firing enqueues nothing while it is unfinished, and with CANCEL_RUNNING it is
    /// cancelled. Each call enqueues another job. Requires an OPERATOR key.
    async fn schedule_run_now(
        &self,
        ctx: &Context<'_>,
        #[graphql(desc = "The schedule to run now.")] input: ScheduleRunNowInput,
    ) -> Result<ScheduleRunNowPayload> {
        Box::pin(run_now(ctx, input)).await
    }
}

async fn run_now(ctx: &Context<'_>, input: ScheduleRunNowInput) -> Result<ScheduleRunNowPayload> {
    let made = match id_or_refusal(&input.id, "schedule") {
        Ok(id) => by_hand(&JobContext::of(ctx)?.submit, id, &by(ctx, "scheduleRunNow")).await,
        Err(refusal) => Err(StepError::from(refusal)),
    };
    let (made, user_errors) = settle(ctx, made)?;
    let Some(ByHand { name, request }) = made else {
        return Ok(ScheduleRunNowPayload { job: None, user_errors });
    };
    Ok(match submit(ctx, vec![request]).await? {
        Ok(accepted) => {
            let job = accepted.first().map(|accepted| Job::known(accepted.job));
            ScheduleRunNowPayload { job, user_errors: Vec::new() }
        }
        Err(refusals) => ScheduleRunNowPayload::refused(ctx, ByHand::refused(&name, refusals)),
    })
}
