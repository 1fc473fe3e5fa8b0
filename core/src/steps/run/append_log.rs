//! Append log: stores log lines of many attempts, fenced and numbered, in one transaction.
//!
//! If the process dies before the commit, the lines are lost with the attempt.

use crate::{
    mutant::Mutant,
    steps::{After, Done},
    store::{
        Store, StoreError, commit,
        jobs::{
            logs::{self, Appended, Batch},
            mutants,
        },
    },
};

/// Appends the batches and returns their results in order. Each attempt may have only one batch.
pub async fn append_log(store: &Store, batches: &[Batch]) -> Result<Done<Vec<Appended>>, StoreError> {
    let mut transaction = store.begin().await?;
    let appended = if Mutant::LogWithoutFence.is_on() {
        let unfenced = mutants::unfenced(&mut transaction, batches).await?;
        logs::append(&mut transaction, &unfenced).await?
    } else {
        logs::append(&mut transaction, batches).await?
    };
    commit(transaction).await?;
    let logged = batches.iter().map(|batch| batch.job).collect();
    Ok(Done::new(appended, After { logged, ..After::default() }))
}
