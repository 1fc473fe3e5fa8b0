//! Queues: the GraphQL object with its counters, history, mutations and subscription.

mod history;
mod id;
mod mutation;
mod object;
mod subscription;

pub use history::{QueuePoint, cost};
pub use id::QueueId;
pub use mutation::{QueueMutation, QueuePauseInput, QueuePayload, QueueResumeInput, QueueUpdateInput};
pub use object::{JobCounts, Queue, QueueQuery, demand, load};
pub use subscription::QueueSubscription;

/// Converts a count for GraphQL. Unfolded deltas may sum up to less than zero for a moment, which
/// is shown as zero.
fn shown(count: i64) -> i32 {
    i32::try_from(count.max(0)).unwrap_or(i32::MAX)
}
