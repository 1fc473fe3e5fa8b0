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
