//! Note progress: records how far running attempts are, a batch in one fenced transaction.
//!
//! The worker reports each attempt at most once a second. What is lost is overtaken by the next
//! report.

use crate::{
    ids::JobId,
    steps::{After, Done},
    store::{
        Store, StoreError, commit,
        jobs::progress::{self, Report},
    },
};

/// Stores reports and returns the jobs whose attempts still hold them. Each job may have only one
/// report.
pub async fn note_progress(store: &Store, reports: &[Report]) -> Result<Done<Vec<JobId>>, StoreError> {
    let mut transaction = store.begin().await?;
    let held = progress::report(&mut transaction, reports).await?;
    commit(transaction).await?;
    Ok(Done::new(held.clone(), After { changed: held, ..After::default() }))
}
