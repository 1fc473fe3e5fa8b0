//! Roll up: fold the counters that the steps appended, and make the partitions of the days to come.
//!
//! Duties of every worker; the API makes partitions at its start as well.

use crate::store::{Store, StoreError, commit, counters, usage};

/// Most rows of one round.
const FOLD_MAX: i64 = 10_000;

/// Folds one batch; true when there may be more.
pub async fn fold_counters(store: &Store) -> Result<bool, StoreError> {
    let mut transaction = store.begin().await?;
    let folded = counters::fold(&mut transaction, FOLD_MAX).await?;
    let used = usage::fold(&mut transaction, FOLD_MAX).await?;
    commit(transaction).await?;
    Ok(folded == FOLD_MAX || used == FOLD_MAX)
}

/// Makes partitions of events and log lines for today and a week ahead.
pub async fn make_partitions(store: &Store) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    counters::ensure_partitions(&mut transaction).await?;
    commit(transaction).await
}
