//! A job: its states, what may happen to it, its attempts and its events. Pure.
//!
//! [`transition::apply`] is the one function that decides every change. The steps load a job, ask it, and write
//! exactly what it answered.

pub mod attempt;
pub mod event;
pub mod lane;
pub mod state;
pub mod transition;
pub mod wait;

pub use attempt::{Failure, FailureCode, Outcome, Progress, Used};
pub use event::EventKind;
pub use lane::{HEAD_START, Lane};
pub use state::{JobState, Standing};
pub use transition::{Applied, Next, Refused, Transition, apply};
pub use wait::Waits;

/// A reference to a ready job, as it is handed to Redis: nothing but what orders it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadyJob {
    /// The job.
    pub job: crate::ids::JobId,
    /// Its queue.
    pub queue: String,
    /// 0 to 9; 9 runs first.
    pub priority: i16,
    /// Its round among those of its priority; lower ones run first (`store::lanes`).
    pub round: i64,
}
