//! Report alive: a worker that was declared lost reports that it ended the attempt itself.
//!
//! One transaction for one attempt, once its processes are gone. The attempt stays LOST, but no
//! longer counts towards the three that make a job poison. A job that takes its worker down leaves
//! no worker to report. If the process dies before the commit, the attempt counts.

use crate::{
    ids::AttemptId,
    store::{Store, StoreError, commit, workers},
};

/// Repeating it changes nothing.
pub async fn report_alive(store: &Store, attempt: AttemptId) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::report_alive(&mut transaction, attempt).await?;
    commit(transaction).await
}
