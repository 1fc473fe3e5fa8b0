//! A job: its states and transitions, attempts, events, fairness lane and waits. Pure.
//!
//! [`transition::apply`] decides every change. A step loads a job, calls `apply`, and writes
//! exactly what it returns.

pub mod attempt;
pub mod event;
pub mod lane;
pub mod request;
pub mod state;
pub mod transition;
pub mod wait;

pub use attempt::{Failure, FailureCode, Outcome, Progress, Used};
pub use event::EventKind;
pub use lane::{HEAD_START, Lane};
pub use request::JobRequest;
pub use state::{JobState, Standing};
pub use transition::{Applied, Next, Refused, Transition, apply};
pub use wait::Waits;

/// A reference to a ready job, as handed to Redis: only what orders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyJob {
    /// The job.
    pub job: crate::ids::JobId,
    /// Its queue.
    pub queue: String,
    /// 0 to 9. 9 runs first.
    pub priority: i16,
    /// Its round. Lower rounds of a priority run first (`store::queues::lanes`).
    pub round: i64,
}
