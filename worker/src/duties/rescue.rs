//! Watches the leases of all workers, and gives back the jobs of workers whose leases ran out.

use std::{sync::Arc, time::Duration};

use callboard::{
    steps::{
        Done,
        finish::rescue::{self, Watch},
    },
    store::{StoreError, workers::Lease},
};

use super::repeat::{Duty, Next};
use crate::{process::boottime_now, shared::Shared};

const EVERY: Duration = Duration::from_millis(500);

pub(super) struct Rescue {
    shared: Arc<Shared>,
    lease: Duration,
    watch: Watch,
}

impl Rescue {
    pub(super) fn new(shared: Arc<Shared>, lease: Duration) -> Self {
        Self { shared, lease, watch: Watch::default() }
    }

    /// Declares one worker lost, if given, and gives back the jobs of all lost workers.
    async fn rescue(&self, lease: Option<&Lease>) -> Result<(), StoreError> {
        loop {
            let Done { value: rescued, after } = rescue::rescue(&self.shared.store, lease).await?;
            if let Some(lease) = lease.filter(|_| rescued.is_lost) {
                tracing::warn!(worker = %lease.worker, "declared a worker lost, because its lease ran out");
            }
            if rescued.jobs > 0 {
                tracing::warn!(jobs = rescued.jobs, "gave back jobs of lost workers");
            }
            after.announce(&self.shared.redis).await;
            if !rescued.has_more {
                return Ok(());
            }
        }
    }
}

impl Duty for Rescue {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        let Some(leases) = rescue::leases(&self.shared.store).await? else {
            self.watch.lose_contact();
            return Ok(Next::About(EVERY));
        };
        let over = self.watch.look(&leases, Duration::from_nanos(boottime_now()), self.lease);
        for lease in over.iter().map(Some).chain([None]) {
            self.rescue(lease).await?;
        }
        Ok(Next::About(EVERY))
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "lost contact with Postgres; no worker is declared lost until it is back");
        self.watch.lose_contact();
        Next::About(EVERY)
    }
}
