//! Keep the record of a file that an attempt made. Called by the worker once the file is in its place.

use crate::store::{
    Store, StoreError, commit,
    jobs::artifacts::{self, ArtifactRecord},
};

/// Stores it; false when the attempt does not hold its job any more, and the file must go.
pub async fn keep_artifact(store: &Store, artifact: &ArtifactRecord) -> Result<bool, StoreError> {
    let mut transaction = store.begin().await?;
    let is_kept = artifacts::keep(&mut transaction, artifact).await?;
    commit(transaction).await?;
    Ok(is_kept)
}
