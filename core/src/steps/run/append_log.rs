//! Append log lines of many attempts in one transaction, fenced and numbered. Called by the worker's log writer.

use crate::{
    mutant::Mutant,
    steps::After,
    store::{
        Store, StoreError, commit,
        jobs::{
            logs::{self, Appended, Batch},
            mutants,
        },
    },
};

/// Appends; answers are in the order of the batches. No two batches may be of the same attempt.
pub async fn append_log(store: &Store, batches: &[Batch]) -> Result<(Vec<Appended>, After), StoreError> {
    let mut transaction = store.begin().await?;
    let appended = if Mutant::LogWithoutFence.is_on() {
        let unfenced = mutants::unfenced(&mut transaction, batches).await?;
        logs::append(&mut transaction, &unfenced).await?
    } else {
        logs::append(&mut transaction, batches).await?
    };
    commit(transaction).await?;
    let logged = batches.iter().map(|batch| batch.job).collect();
    Ok((appended, After { logged, ..After::default() }))
}
