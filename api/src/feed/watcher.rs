//! Compares where all followed jobs stand: when the hints say that more has changed than they name, when there was no
//! listening for a while, and every second or two for the case that a hint was lost.

use std::{sync::Arc, time::Duration};

use callboard::{
    clock,
    store::{Store, StoreError, jobs::records},
};
use tokio::{sync::watch, time::Instant};

use super::topics::Topics;

/// Least time between two comparisons.
const PAUSE: Duration = Duration::from_millis(50);
/// A comparison is followed by this many times its own duration of rest at least, so that it never takes more than a
/// tenth of a core's time, however many jobs are followed.
const REST: u32 = 9;
/// Longest time between two comparisons, of which up to as much again is drawn at random.
const FALLBACK: Duration = Duration::from_secs(1);
/// Most jobs of one statement.
const JOBS_MAX: usize = 1000;

/// Watches. `many` tells that many jobs have changed.
pub(super) async fn run(store: Store, topics: Arc<Topics>, mut many: watch::Receiver<()>) {
    let mut many_ends = false;
    loop {
        let began = Instant::now();
        if let Err(error) = compare(&store, &topics).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "followed jobs could not be compared");
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
        let positions = records::positions(&mut *store.read().await?, jobs).await?;
        topics.compare(&positions);
    }
    Ok(())
}
