//! The states of a job.
//!
//! [`JobState`] is the name that the API shows. [`Standing`] is the state with its data, as `apply`
//! takes it. A CHECK on `live_jobs` holds the columns to the same rules.

use crate::{clock::Time, ids::AttemptId, limit::GateKey};

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waits for the jobs that it depends on to succeed.
    Blocked,
    /// Waits for a time: `run_at`, or the end of a retry's backoff.
    Scheduled,
    /// Ready to run once a worker has a free slot and no gate blocks it.
    Queued,
    /// An attempt is running.
    Running,
    /// Finished with success.
    Succeeded,
    /// Finished with a failure, with no attempts left or not retryable.
    Failed,
    /// Finished without success, because of a cancel request, expiry or a failed dependency.
    Cancelled,
}

impl JobState {
    /// Every state, in the order of a job's life.
    pub const ALL: [Self; 7] = [
        Self::Blocked,
        Self::Scheduled,
        Self::Queued,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// Parses the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }

    /// Whether the job has finished. Only a retry revives it.
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Blocked | Self::Scheduled | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// A job's state with the data that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Waits for the jobs that it depends on.
    Blocked,
    /// Waits until `run_at`.
    Scheduled {
        /// When it becomes ready.
        run_at: Time,
        /// Whether a failed attempt's backoff put it here.
        is_retry: bool,
    },
    /// Ready.
    Queued {
        /// The gate at which it is parked, if a claim found that gate closed.
        parked_on: Option<GateKey>,
    },
    /// An attempt is running.
    Running {
        /// The attempt, which is also the fencing token.
        attempt: AttemptId,
        /// Whether a cancel was requested.
        cancel_asked: bool,
    },
    /// Finished.
    Ended(Ending),
}

/// How a job finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// It succeeded.
    Succeeded,
    /// It failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Ending {
    /// The ending of a finished state, `None` for live ones.
    pub const fn of(state: JobState) -> Option<Self> {
        match state {
            JobState::Succeeded => Some(Self::Succeeded),
            JobState::Failed => Some(Self::Failed),
            JobState::Cancelled => Some(Self::Cancelled),
            JobState::Blocked | JobState::Scheduled | JobState::Queued | JobState::Running => None,
        }
    }
}

impl Standing {
    /// The state's name.
    pub const fn state(&self) -> JobState {
        match self {
            Self::Blocked => JobState::Blocked,
            Self::Scheduled { .. } => JobState::Scheduled,
            Self::Queued { .. } => JobState::Queued,
            Self::Running { .. } => JobState::Running,
            Self::Ended(ending) => ending.state(),
        }
    }
}

impl Ending {
    /// The state's name.
    pub const fn state(self) -> JobState {
        match self {
            Self::Succeeded => JobState::Succeeded,
            Self::Failed => JobState::Failed,
            Self::Cancelled => JobState::Cancelled,
        }
    }
}
