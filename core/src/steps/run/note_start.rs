//! Note start: records what an attempt runs before its process starts, a batch in one transaction.
//!
//! If the process dies right after, rescue gives the job back.

use crate::{
    ids::AttemptId,
    store::{
        Store, StoreError, commit,
        jobs::attempts::{self, Start},
    },
};

/// Records the attempts and returns those that still hold their job. The others must not start
/// anything.
pub async fn note_start(store: &Store, starts: &[Start]) -> Result<Vec<AttemptId>, StoreError> {
    let mut transaction = store.begin().await?;
    let held = attempts::note(&mut transaction, starts).await?;
    commit(transaction).await?;
    Ok(held)
}
