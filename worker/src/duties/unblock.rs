//! Decides about blocked jobs whose dependencies have ended.

use std::{sync::Arc, time::Duration};

use callboard::{steps::hand_out::unblock::unblock, store::StoreError};

use super::repeat::{Duty, Next};
use crate::shared::Shared;

/// Pause when there is no hint.
const EVERY: Duration = Duration::from_millis(500);

/// Rung when a job that others depend on has ended.
pub(super) struct Unblock(pub(super) Arc<Shared>);

impl Duty for Unblock {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let has_more = unblock(&self.0.store).await?.announce(&self.0.redis).await;
        Ok(if has_more { Next::AtOnce } else { Next::About(EVERY) })
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not unblock dependent jobs, retrying");
        Next::About(EVERY)
    }
}
