//! Note what an attempt runs, before its process starts. Called by the worker's attempt pipeline.

use crate::{
    ids::AttemptId,
    store::{
        Store, StoreError, commit,
        jobs::attempts::{self, Start},
    },
};

/// Notes attempts; answers those that still hold their job. The others must not start anything.
pub async fn note_start(store: &Store, starts: &[Start]) -> Result<Vec<AttemptId>, StoreError> {
    let mut transaction = store.begin().await?;
    let held = attempts::note(&mut transaction, starts).await?;
    commit(transaction).await?;
    Ok(held)
}
