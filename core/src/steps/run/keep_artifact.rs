//! Keep artifact: records a file of an attempt, once the file is in its place, in one transaction.
//!
//! If the process dies before, the attempt is lost and the file goes with its job's directory.

use crate::store::{
    Store, StoreError, commit,
    jobs::artifacts::{self, ArtifactRecord},
};

/// Stores the record. Returns false if the attempt no longer holds its job, and then the caller
/// must delete the file. The attempt must have no other file of this name. Repeating it changes
/// nothing.
pub async fn keep_artifact(store: &Store, artifact: &ArtifactRecord) -> Result<bool, StoreError> {
    let mut transaction = store.begin().await?;
    let is_kept = artifacts::keep(&mut transaction, artifact).await?;
    commit(transaction).await?;
    Ok(is_kept)
}
