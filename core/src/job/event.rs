//! The events of a job's history, one for each change, numbered by the job's version. Pure.

/// What happened. Stored with the job's state and version after the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The job was accepted.
    Enqueued,
    /// It waits for its start time.
    Scheduled,
    /// It became ready, was parked at a gate, or was woken.
    Queued,
    /// An attempt started.
    Started,
    /// The attempt reported progress.
    Progressed,
    /// A service refused the attempt for now.
    Throttled,
    /// An attempt failed, and the next one waits for its backoff.
    RetryScheduled,
    /// The job succeeded.
    Succeeded,
    /// The job failed.
    Failed,
    /// A cancel of a running job was requested.
    CancelRequested,
    /// The job was cancelled on request, expired, or lost a dependency.
    Cancelled,
    /// The worker of an attempt was lost.
    Lost,
    /// A worker returned the job to the queue.
    Released,
    /// A finished job was retried by hand.
    Retried,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 14] = [
        Self::Enqueued,
        Self::Scheduled,
        Self::Queued,
        Self::Started,
        Self::Progressed,
        Self::Throttled,
        Self::RetryScheduled,
        Self::Succeeded,
        Self::Failed,
        Self::CancelRequested,
        Self::Cancelled,
        Self::Lost,
        Self::Released,
        Self::Retried,
    ];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enqueued => "enqueued",
            Self::Scheduled => "scheduled",
            Self::Queued => "queued",
            Self::Started => "started",
            Self::Progressed => "progressed",
            Self::Throttled => "throttled",
            Self::RetryScheduled => "retry_scheduled",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::CancelRequested => "cancel_requested",
            Self::Cancelled => "cancelled",
            Self::Lost => "lost",
            Self::Released => "released",
            Self::Retried => "retried",
        }
    }

    /// Parses the stored name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}
