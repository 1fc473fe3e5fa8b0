//! What has to be told to Redis after a step's commit: references to push and hints to publish.
//!
//! Every step answers an [`After`]; its caller announces it. Losing it costs a second at most.

use crate::{
    ids::{JobId, WorkerId},
    job::ReadyJob,
    limit::HoldBack,
    transport::{Hint, Redis, queue},
};

/// Collected by a step inside its transaction, announced after the commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "announce it after the commit"]
pub struct After {
    /// Jobs with new events.
    pub changed: Vec<JobId>,
    /// References of jobs that are ready and marked.
    pub ready: Vec<ReadyJob>,
    /// Running jobs for which a cancel has been asked.
    pub cancelled: Vec<JobId>,
    /// A worker that has been asked to end.
    pub drained: Option<WorkerId>,
    /// Jobs with new log lines.
    pub logged: Vec<JobId>,
    /// Whether jobs ended that others wait for.
    pub has_dependents: bool,
    /// Whether ready jobs were left unmarked, for a dispatcher to find.
    pub has_backlog: bool,
    /// Whether jobs were parked until a moment that is known.
    pub has_timed: bool,
    /// Services that want no requests: what has been claimed and has not begun is to be held back.
    pub held_back: Vec<HoldBack>,
}

impl After {
    /// Adds what another step of the same caller has to tell.
    pub fn merge(&mut self, other: Self) {
        self.changed.extend(other.changed);
        self.ready.extend(other.ready);
        self.cancelled.extend(other.cancelled);
        self.drained = self.drained.or(other.drained);
        self.logged.extend(other.logged);
        self.has_dependents |= other.has_dependents;
        self.has_backlog |= other.has_backlog;
        self.has_timed |= other.has_timed;
        self.held_back.extend(other.held_back);
    }

    /// [`After::announce`], for callers whose own answer must not wait for Redis.
    pub fn announce_soon(self, redis: &Redis) {
        let redis = redis.clone();
        tokio::spawn(async move { self.announce(&redis).await });
    }

    /// Pushes and publishes, best effort: what fails here is found again by dispatch and by every reader.
    pub async fn announce(self, redis: &Redis) {
        if let Err(error) = queue::push(redis, self.ready).await {
            tracing::debug!(%error, "references were not pushed; dispatch will push them again");
        }
        let mut hints = Vec::new();
        if !self.changed.is_empty() {
            hints.push(Hint::changed(self.changed));
        }
        if !self.logged.is_empty() {
            hints.push(Hint::Logged(self.logged));
        }
        if !self.cancelled.is_empty() {
            hints.push(Hint::Cancel(self.cancelled));
        }
        hints.extend(self.drained.map(Hint::Drain));
        if self.has_dependents {
            hints.push(Hint::Dependents);
        }
        if self.has_backlog {
            hints.push(Hint::Backlog);
        }
        hints.extend(self.held_back.into_iter().map(Hint::HoldBack));
        if self.has_timed {
            hints.push(Hint::Parked);
        }
        if !hints.is_empty() {
            redis.publish(&hints).await;
        }
    }
}
