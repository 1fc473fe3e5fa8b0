//! Own up: a worker that was declared lost tells that it lives, and has ended those attempts itself.
//!
//! Called by the worker, once the processes of such an attempt are gone. The attempt stays LOST; it only ceases to count
//! to the three that make a job poison: a job that takes its worker down leaves nobody to own up.

use crate::{
    ids::AttemptId,
    store::{Store, StoreError, commit, workers},
};

/// For one attempt. Telling it again changes nothing.
pub async fn report_alive(store: &Store, attempt: AttemptId) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::report_alive(&mut transaction, attempt).await?;
    commit(transaction).await
}
