//! Attempts: the runs of a job, each on one worker.

mod list;
mod object;

pub use list::{AttemptConnection, AttemptEdge, list};
pub use object::{Attempt, AttemptOutcome, load};
