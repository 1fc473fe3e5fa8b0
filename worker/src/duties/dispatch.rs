//! Dispatch: refills the window of references in Redis, and pushes again what Redis has lost.

use std::{sync::Arc, time::Duration};

use callboard::steps::hand_out::dispatch::{self, DispatchError, MARK_AGE};

use super::repeat::{Duty, Next, RETRY_AFTER};
use crate::shared::Shared;

/// Pause of refilling while there is a backlog, and while there is none.
const REFILL_EVERY: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(500));
/// How often marks are compared with Redis. An emptied Redis is looked for twice as often.
const COMPARE_EVERY: Duration = Duration::from_millis(500);

/// Hands ready jobs to Redis. Rung when a queue has ready jobs that are not marked yet.
pub(super) struct Refill(pub(super) Arc<Shared>);

impl Duty for Refill {
    type Error = DispatchError;

    async fn run(&mut self) -> Result<Next, DispatchError> {
        let has_backlog = dispatch::refill(&self.0.store, &self.0.redis).await?;
        Ok(Next::About(if has_backlog { REFILL_EVERY.0 } else { REFILL_EVERY.1 }))
    }

    fn failed(&mut self, error: DispatchError) -> Next {
        tracing::debug!(%error, "dispatch failed, retrying");
        Next::About(RETRY_AFTER)
    }
}

/// Compares marks with the references in Redis.
pub(super) struct Compare {
    shared: Arc<Shared>,
    /// Whether the next run compares. Every other one does.
    is_due: bool,
}

impl Compare {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_due: true }
    }

    /// When Redis has lost everything, even the newest marks are missing.
    async fn compare(&self, is_due: bool) -> Result<usize, DispatchError> {
        let Shared { store, redis, .. } = &*self.shared;
        if redis.has_forgotten().await? {
            return dispatch::compare(store, redis, Duration::ZERO).await;
        }
        if is_due { dispatch::compare(store, redis, MARK_AGE).await } else { Ok(0) }
    }
}

impl Duty for Compare {
    type Error = DispatchError;

    async fn run(&mut self) -> Result<Next, DispatchError> {
        let is_due = self.is_due;
        self.is_due = !is_due;
        let count = self.compare(is_due).await?;
        if count > 0 {
            tracing::info!(count, "pushed references again that Redis had lost");
        }
        Ok(Next::About(COMPARE_EVERY / 2))
    }

    fn failed(&mut self, error: DispatchError) -> Next {
        tracing::debug!(%error, "could not compare marks with Redis, retrying");
        Next::About(COMPARE_EVERY / 2)
    }
}
