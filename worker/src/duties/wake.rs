//! Wakes parked jobs: when their gate's time has come, and if a wakeup was lost.

use std::{sync::Arc, time::Duration};

use callboard::{
    clock,
    steps::limits::wake::{sweep_stranded, wake_due},
    store::StoreError,
};

use super::repeat::{Duty, Next, RETRY_AFTER};
use crate::shared::Shared;

/// Bounds of the pause between two looks at gates whose time may have come.
const DUE_PAUSE: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(500));
/// A random time up to this is added, so that not all workers look at the same moment.
const DUE_SPREAD: Duration = Duration::from_millis(5);
/// How often gates with waiters are swept.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Rung when jobs are parked until a known time.
pub(super) struct WakeDue(pub(super) Arc<Shared>);

fn spread(pause: Duration) -> Next {
    Next::In(pause + DUE_SPREAD.mul_f64(clock::random_fraction()))
}

impl Duty for WakeDue {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let next = wake_due(&self.0.store).await?.announce(&self.0.redis).await;
        Ok(spread(next.unwrap_or(DUE_PAUSE.1).clamp(DUE_PAUSE.0, DUE_PAUSE.1)))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not wake parked jobs, retrying");
        spread(RETRY_AFTER)
    }
}

/// Wakes waiters whose wakeup was lost. Sweeps all gates with waiters, a batch at a time.
pub(super) struct SweepStranded {
    shared: Arc<Shared>,
    /// The last gate of the previous batch; `None` to begin with the first gate.
    after: Option<String>,
}

impl SweepStranded {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, after: None }
    }
}

impl Duty for SweepStranded {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let last =
            sweep_stranded(&self.shared.store, self.after.take()).await?.announce(&self.shared.redis).await;
        self.after = last;
        Ok(Next::About(SWEEP_EVERY))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not sweep gates with waiters, retrying");
        Next::About(SWEEP_EVERY)
    }
}
