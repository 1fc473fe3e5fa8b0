//! The states of a job, as the API names them.

use async_graphql::Enum;
use callboard::job;

/// Where a job stands. BLOCKED, SCHEDULED, QUEUED and RUNNING jobs are live; the others have ended, until somebody
/// retries them. New states may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[graphql(remote = "job::JobState")]
pub enum JobState {
    /// Waits for other jobs to succeed.
    Blocked,
    /// Waits for a time: `runAt`, or a retry's backoff.
    Scheduled,
    /// Ready: runs as soon as a worker is free and nothing stands in its way. `waiting` says what it waits for.
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
