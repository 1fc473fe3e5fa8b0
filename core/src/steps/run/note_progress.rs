//! Note how far running attempts are. Called by the worker at most once a second for each attempt.

use crate::{
    ids::JobId,
    steps::After,
    store::{
        Store, StoreError, commit,
        jobs::progress::{self, Report},
    },
};

/// Stores reports; answers the jobs whose attempts still hold them. No two reports may be of the same job.
pub async fn note_progress(store: &Store, reports: &[Report]) -> Result<(Vec<JobId>, After), StoreError> {
    let mut transaction = store.begin().await?;
    let held = progress::report(&mut transaction, reports).await?;
    commit(transaction).await?;
    Ok((held.clone(), After { changed: held, ..After::default() }))
}
