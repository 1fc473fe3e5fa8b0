//! The GraphQL type `Attempt`: one run of a job on one worker.

mod list;
mod object;

pub use list::{AttemptConnection, AttemptEdge, list};
pub use object::{Attempt, AttemptOutcome, load};
