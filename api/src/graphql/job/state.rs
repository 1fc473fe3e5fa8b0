//! The GraphQL enum `JobState`.

use async_graphql::Enum;
use callboard::job;

/// The state of a job. BLOCKED, SCHEDULED, QUEUED and RUNNING jobs are live, the others are
/// finished until they are retried. New values may be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Enum)]
#[graphql(remote = "job::JobState")]
pub enum JobState {
    /// Waits for other jobs to succeed.
    Blocked,
    /// Waits for a time: `runAt`, or the backoff of a retry.
    Scheduled,
    /// Ready to run as soon as a worker is free and no limit blocks it. `waiting` says what it
    /// waits for.
    Queued,
    /// An attempt is running.
    Running,
    /// The job succeeded.
    Succeeded,
    /// The job failed, with no attempts left or with a failure that cannot be retried.
    Failed,
    /// The job was cancelled on request, expired, or depended on a job that did not succeed.
    Cancelled,
}
