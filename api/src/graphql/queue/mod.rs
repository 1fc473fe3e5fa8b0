//! Queues: where jobs wait, and the counters that are kept of them.

mod id;
mod mutation;
mod object;

pub use id::QueueId;
pub use mutation::{QueueMutation, QueuePauseInput, QueuePayload, QueueResumeInput};
pub use object::{JobCounts, Queue, QueueQuery, load};
