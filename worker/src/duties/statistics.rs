//! Re-runs ANALYZE when the planner's statistics describe a much emptier queue.

use std::{sync::Arc, time::Duration};

use callboard::{
    steps::maintain::refresh_statistics::{Refreshed, refresh_statistics},
    store::StoreError,
};

use super::repeat::{Duty, Next};
use crate::shared::Shared;

/// Doubles with each ANALYZE in a row that Postgres skips, up to about a minute, which is how often
/// autovacuum comes.
const EVERY: Duration = Duration::from_secs(1);
const DOUBLINGS_MAX: u32 = 6;
/// After this many skips in a row it is not a transient lock.
const STUCK_AFTER: u32 = 3;

pub(super) struct RefreshStatistics {
    shared: Arc<Shared>,
    /// Skips in a row.
    skipped: u32,
}

impl RefreshStatistics {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, skipped: 0 }
    }

    fn next(&self) -> Next {
        Next::About(EVERY * 2u32.pow(self.skipped.min(DOUBLINGS_MAX)))
    }
}

impl Duty for RefreshStatistics {
    type Error = StoreError;

    async fn run(&mut self) -> Result<Next, StoreError> {
        match refresh_statistics(&self.shared.store).await? {
            Refreshed::UpToDate => self.skipped = 0,
            Refreshed::Done => {
                self.skipped = 0;
                tracing::info!("refreshed the planner's statistics, which described a much emptier queue");
            }
            Refreshed::Skipped => {
                self.skipped = self.skipped.saturating_add(1);
                if self.skipped == STUCK_AFTER {
                    tracing::warn!(
                        "Postgres skips ANALYZE, and the planner's statistics describe a much emptier queue. \
                         A table is locked, or this role does not own it. Batches may be slow until \
                         autovacuum has run"
                    );
                }
            }
        }
        Ok(self.next())
    }

    fn failed(&mut self, error: StoreError) -> Next {
        tracing::warn!(%error, "could not check the planner's statistics, retrying");
        self.next()
    }
}
