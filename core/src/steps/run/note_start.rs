//! Note start: records what an attempt runs while its process starts, a batch in one transaction.

use crate::{
    ids::AttemptId,
    store::{
        Store, StoreError, commit,
        jobs::attempts::{self, Start},
    },
};

/// Records the attempts and returns those that still hold their job. The caller stops the others.
pub async fn note_start(store: &Store, starts: &[Start]) -> Result<Vec<AttemptId>, StoreError> {
    let mut transaction = store.begin().await?;
    let held = attempts::note(&mut transaction, starts).await?;
    commit(transaction).await?;
    Ok(held)
}
