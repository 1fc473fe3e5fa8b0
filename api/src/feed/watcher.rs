//! Compares the positions of all followed jobs when hints may be incomplete.
//!
//! That is when more jobs have changed than the hints name, after a lost connection, and every
//! second or two in case a hint was lost.

use std::{sync::Arc, time::Duration};

use callboard::{
    clock,
    store::{Store, StoreError, jobs::records},
};
use tokio::{sync::watch, time::Instant};

use super::topics::Topics;

/// Minimum time between two comparisons.
const PAUSE: Duration = Duration::from_millis(50);
/// Pause after a comparison, as a multiple of its duration. It limits comparisons to a tenth of one
/// core, however many jobs are followed.
const REST: u32 = 9;
/// Maximum time between two comparisons, plus a random part of up to the same length.
const FALLBACK: Duration = Duration::from_secs(1);
/// Maximum number of jobs in one statement.
const JOBS_MAX: usize = 1000;

/// Compares until dropped. `many` is notified when many jobs have changed.
pub(super) async fn run(store: Store, topics: Arc<Topics>, mut many: watch::Receiver<()>) {
    let mut many_ends = false;
    loop {
        let began = Instant::now();
        if let Err(error) = compare(&store, &topics).await {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "positions of followed jobs could not be compared"
            );
        }
        tokio::time::sleep((began.elapsed() * REST).clamp(PAUSE, FALLBACK)).await;
        let fallback = FALLBACK.mul_f64(1.0 + clock::random_fraction());
        tokio::select! {
            changed = many.changed(), if !many_ends => many_ends = changed.is_err(),
            () = tokio::time::sleep(fallback) => {}
        }
    }
}

async fn compare(store: &Store, topics: &Topics) -> Result<(), StoreError> {
    let jobs = topics.watched();
    for jobs in jobs.chunks(JOBS_MAX) {
        let positions = records::positions(&mut *store.connection().await?, jobs).await?;
        topics.compare(&positions);
    }
    Ok(())
}
