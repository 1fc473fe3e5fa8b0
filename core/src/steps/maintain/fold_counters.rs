//! Fold counters: adds appended counters to their totals, counts the last 24 hours anew every
//! minute, and makes the coming days' partitions.
//!
//! Duties of every worker and of the API, because jobs may be enqueued for days before there is a
//! worker. Folding is one transaction a round, and what a dead process leaves, the next round
//! folds. Counting reads first and then writes in one statement.

use std::{convert::Infallible, time::Duration};

use crate::{
    clock::jittered,
    store::{Store, StoreError, commit, limits::usage, queues::counters},
};

/// Most rows of one round, of each kind.
const FOLD_MAX: i64 = 10_000;
/// How often counters are folded and partitions are made.
const FOLD_EVERY: Duration = Duration::from_secs(1);
/// How often the last 24 hours are counted.
const COUNT_DAY_EVERY: Duration = Duration::from_mins(1);
const PARTITIONS_EVERY: Duration = Duration::from_hours(1);
/// Pause after making partitions has failed.
const RETRY_AFTER: Duration = Duration::from_secs(10);

/// Folds one batch. Returns true if there may be more.
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

/// Counts the jobs of each queue that ended in the last 24 hours, unless another process has.
pub async fn count_day(store: &Store) -> Result<(), StoreError> {
    let mut connection = store.connection().await?;
    match counters::sum_day(&mut connection).await? {
        Some(day) => counters::store_day(&mut connection, &day).await,
        None => Ok(()),
    }
}

/// Does all of it for as long as it is polled. Logs failures and tries again.
pub async fn keep_folded(store: &Store) -> Infallible {
    tokio::join!(keep_folding(store), keep_counting_days(store), keep_making_partitions(store)).0
}

async fn pause(around: Duration) {
    tokio::time::sleep(jittered(around)).await;
}

async fn keep_folding(store: &Store) -> Infallible {
    loop {
        match fold_counters(store).await {
            Ok(true) => continue,
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "could not fold counters, retrying"),
        }
        pause(FOLD_EVERY).await;
    }
}

async fn keep_counting_days(store: &Store) -> Infallible {
    loop {
        if let Err(error) = count_day(store).await {
            tracing::warn!(%error, "could not count the jobs that ended in the last 24 hours, retrying");
        }
        pause(COUNT_DAY_EVERY).await;
    }
}

async fn keep_making_partitions(store: &Store) -> Infallible {
    loop {
        match make_partitions(store).await {
            Ok(()) => pause(PARTITIONS_EVERY).await,
            Err(error) => {
                tracing::error!(%error, "could not make partitions for the coming days");
                pause(RETRY_AFTER).await;
            }
        }
    }
}
