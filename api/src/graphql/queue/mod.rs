//! Queues: where jobs wait, and the counters that are kept of them.

mod id;
mod object;

pub use id::QueueId;
pub use object::{JobCounts, Queue, QueueQuery, load};
