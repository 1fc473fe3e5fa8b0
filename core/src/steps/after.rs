//! What a step leaves to do after its commit: references to push and hints to publish.
//!
//! Every step returns an [`After`] for its caller to announce, with a value or without ([`Done`]).
//! If it is not announced, polling finds everything but holds, within about two seconds.

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
    /// References of ready jobs that are already marked.
    pub ready: Vec<ReadyJob>,
    /// Running jobs that were asked to cancel.
    pub cancelled: Vec<JobId>,
    /// A worker that was asked to end.
    pub drained: Option<WorkerId>,
    /// Jobs with new log lines.
    pub logged: Vec<JobId>,
    /// Whether jobs finished that others depend on.
    pub has_dependents: bool,
    /// Whether ready jobs were left unmarked, for dispatch to find.
    pub has_backlog: bool,
    /// Whether a gate may be due earlier than before.
    pub has_timed: bool,
    /// Holds on services, to set or to lift.
    pub held_back: Vec<HoldBack>,
}

impl After {
    /// Adds what another step of the same caller left to announce.
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

    /// [`After::announce`], for callers whose own response must not wait for Redis.
    pub fn announce_soon(self, redis: &Redis) {
        let redis = redis.clone();
        tokio::spawn(async move { self.announce(&redis).await });
    }

    /// Pushes and publishes, best effort. Dispatch and the listeners make up for failures.
    pub async fn announce(self, redis: &Redis) {
        if let Err(error) = queue::push(redis, self.ready).await {
            tracing::debug!(%error, "could not push references, dispatch will push them");
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

/// What a step returns, with what it leaves to announce.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "announce what it left"]
pub struct Done<T> {
    /// What the caller asked for.
    pub value: T,
    /// To announce after the commit.
    pub after: After,
}

impl<T> Done<T> {
    pub(crate) const fn new(value: T, after: After) -> Self {
        Self { value, after }
    }

    pub(crate) fn unchanged(value: T) -> Self {
        Self { value, after: After::default() }
    }

    /// Returns the value after [`After::announce`].
    pub async fn announce(self, redis: &Redis) -> T {
        self.after.announce(redis).await;
        self.value
    }

    /// Returns the value at once, and announces concurrently.
    pub fn announce_soon(self, redis: &Redis) -> T {
        self.after.announce_soon(redis);
        self.value
    }
}
