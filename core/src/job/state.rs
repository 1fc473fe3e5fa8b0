//! The states of a job.
//!
//! [`JobState`] is the name that people see; [`Standing`] is the state with its data, as `apply` takes it. A CHECK on
//! the `live_jobs` table ties the columns to the same rules.

use crate::{clock::Time, ids::AttemptId, limit::GateKey};

/// The name of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum JobState {
    /// Waits for other jobs to succeed.
    Blocked,
    /// Waits for a time: `run_at`, or a retry's backoff.
    Scheduled,
    /// Ready: runs as soon as a worker is free and nothing stands in its way.
    Queued,
    /// An attempt runs.
    Running,
    /// Ended well.
    Succeeded,
    /// Ended badly, with no attempts left or beyond retry.
    Failed,
    /// Ended because somebody asked, or because it expired.
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

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }

    /// Whether the job is over (until somebody retries it).
    pub const fn has_ended(self) -> bool {
        match self {
            Self::Blocked | Self::Scheduled | Self::Queued | Self::Running => false,
            Self::Succeeded | Self::Failed | Self::Cancelled => true,
        }
    }
}

/// Where a job stands: its state with the data that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Waits for other jobs.
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
        /// The gate that it is parked at, if a claim found it closed.
        parked_on: Option<GateKey>,
    },
    /// An attempt runs.
    Running {
        /// The attempt, which is the fencing token too.
        attempt: AttemptId,
        /// Whether a cancel has been asked for.
        cancel_asked: bool,
    },
    /// Over.
    Ended(Ending),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ending {
    /// Well.
    Succeeded,
    /// Badly.
    Failed,
    /// By request or expiry.
    Cancelled,
}

impl Ending {
    /// The ending that a state is; null for live ones.
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
