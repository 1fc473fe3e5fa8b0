//! What a job's history is made of: one event for every change, numbered by the job's version. Pure.

/// What happened. Stored with the state and the version as of the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// The job was accepted.
    Enqueued,
    /// It waits for its time.
    Scheduled,
    /// It is ready, or what it waits for has changed.
    Queued,
    /// An attempt began.
    Started,
    /// The attempt told how far it is.
    Progressed,
    /// A service that the attempt called said "not now".
    Throttled,
    /// An attempt failed; the next one waits for its backoff.
    RetryScheduled,
    /// Ended well.
    Succeeded,
    /// Ended badly.
    Failed,
    /// Somebody asked to cancel a running job.
    CancelRequested,
    /// Ended by request or expiry.
    Cancelled,
    /// The worker of an attempt vanished.
    Lost,
    /// A worker gave the job back.
    Released,
    /// A finished job was revived.
    Retried,
}

impl EventKind {
    /// All of them.
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

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}
