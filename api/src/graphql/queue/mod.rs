//! Queues: where jobs wait, and the counters that are kept of them.

mod id;
mod mutation;
mod object;
mod subscription;

pub use id::QueueId;
pub use mutation::{QueueMutation, QueuePauseInput, QueuePayload, QueueResumeInput, QueueUpdateInput};
pub use object::{JobCounts, Queue, QueueQuery, load};
pub use subscription::QueueSubscription;
