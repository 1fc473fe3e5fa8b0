//! Fires schedules when they are due.

use std::{sync::Arc, time::Duration};

use callboard::{steps::enqueue::fire_schedules::fire_schedules, store::StoreError};

use super::repeat::{Duty, Next, RETRY_AFTER};
use crate::shared::Shared;

/// Bounds of the pause. There is always one, because schedules that another worker fires are due
/// too.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

pub(super) struct FireSchedules(pub(super) Arc<Shared>);

impl Duty for FireSchedules {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let next = fire_schedules(&self.0.submit).await.announce(&self.0.redis).await?;
        Ok(Next::In(next.unwrap_or(PAUSE.1).clamp(PAUSE.0, PAUSE.1)))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not fire schedules, retrying");
        Next::In(RETRY_AFTER)
    }
}
