//! Queues: where jobs wait, and the counters that are kept of them.

mod history;
mod id;
mod mutation;
mod object;
mod subscription;

pub use history::QueuePoint;
pub use id::QueueId;
pub use mutation::{QueueMutation, QueuePauseInput, QueuePayload, QueueResumeInput, QueueUpdateInput};
pub use object::{JobCounts, Queue, QueueQuery, demand, load};
pub use subscription::QueueSubscription;

/// A count as GraphQL has it: not below zero, which deltas that are not folded yet may sum up to for a moment.
fn shown(count: i64) -> i32 {
    i32::try_from(count.max(0)).unwrap_or(i32::MAX)
}
