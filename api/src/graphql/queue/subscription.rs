//! The subscription `queueStats`.

use async_graphql::{Context, Result, Subscription};
use callboard::duration::IsoDuration;
use futures::{Stream, StreamExt as _};

use super::Queue;
use crate::{
    error::{ApiError, Code},
    graphql::{job::JobContext, scalars::Duration},
    repeat::Repeat,
};

/// The default interval between two messages.
const INTERVAL: Duration = Duration(IsoDuration(std::time::Duration::from_secs(1)));
/// Bounds of the interval.
const INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(100);
const INTERVAL_MAX: std::time::Duration = std::time::Duration::from_hours(1);

/// The subscriptions of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueSubscription;

#[Subscription]
impl QueueSubscription {
    /// All queues with their counters, ordered by name. Sent at once and whenever a queue changes,
    /// at most one message per interval.
    #[expect(clippy::unused_async, reason = "the macro accepts only async functions")]
    async fn queue_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Minimum time between two messages, PT0.1S to PT1H.",
            default_with = "Some(INTERVAL)"
        )]
        interval: Option<Duration>,
    ) -> Result<impl Stream<Item = Vec<Queue>> + use<>> {
        let interval = interval.unwrap_or(INTERVAL).0.0;
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            return Err(ApiError::new(Code::BadRequest, "`interval` must be PT0.1S to PT1H.").into());
        }
        let boards = JobContext::of(ctx)?.feed.queues(interval);
        Ok(Repeat::each(ctx, boards).map(|queues| queues.iter().cloned().map(Queue::from).collect()))
    }
}
