//! Following all queues.

use async_graphql::{Context, Result, Subscription};
use callboard::duration::IsoDuration;
use futures::{Stream, StreamExt as _};

use super::Queue;
use crate::{
    error::{ApiError, Code},
    graphql::{job::JobContext, scalars::Duration},
};

/// The time between two messages when nobody says.
const INTERVAL: Duration = Duration(IsoDuration(std::time::Duration::from_secs(1)));
/// Its bounds.
const INTERVAL_MIN: std::time::Duration = std::time::Duration::from_millis(100);
const INTERVAL_MAX: std::time::Duration = std::time::Duration::from_hours(1);

/// The subscriptions of queues.
#[derive(Debug, Default, Clone, Copy)]
pub struct QueueSubscription;

#[Subscription]
impl QueueSubscription {
    /// All queues with their counters, in order of name: at once, and whenever anything of them has changed.
    #[expect(clippy::unused_async, reason = "the macro takes no other functions")]
    async fn queue_stats(
        &self,
        ctx: &Context<'_>,
        #[graphql(
            desc = "Least time between two messages, PT0.1S to PT1H.",
            default_with = "Some(INTERVAL)"
        )]
        interval: Option<Duration>,
    ) -> Result<impl Stream<Item = Vec<Queue>> + use<>> {
        let interval = interval.unwrap_or(INTERVAL).0.0;
        if !(INTERVAL_MIN..=INTERVAL_MAX).contains(&interval) {
            return Err(ApiError::new(Code::BadRequest, "`interval` must be PT0.1S to PT1H.").into());
        }
        let boards = JobContext::of(ctx)?.feed.queues(interval);
        Ok(boards.map(|queues| queues.iter().cloned().map(Queue::from).collect()))
    }
}
