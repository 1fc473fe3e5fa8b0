//! Promotes scheduled jobs when they are due.

use std::{sync::Arc, time::Duration};

use callboard::{steps::hand_out::promote::promote, store::StoreError};

use super::repeat::{Duty, Next, RETRY_AFTER};
use crate::shared::Shared;

/// Bounds of the pause. There is always one, because jobs that another worker holds locked are due
/// too.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

pub(super) struct Promote(pub(super) Arc<Shared>);

impl Duty for Promote {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let next = promote(&self.0.store).await?.announce(&self.0.redis).await;
        Ok(Next::In(next.unwrap_or(PAUSE.1).clamp(PAUSE.0, PAUSE.1)))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not promote jobs, retrying");
        Next::In(RETRY_AFTER)
    }
}
