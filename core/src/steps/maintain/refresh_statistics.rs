//! Refresh statistics: re-runs ANALYZE when the planner's statistics describe a much emptier queue.
//!
//! A duty of every worker, in one transaction. After an autovacuum of an empty queue the planner
//! expects one row, and compares each row of a batch with each row of the table. A backlog then
//! drains at a tenth to a third of the usual pace, until the next autovacuum a minute later.

use crate::store::{Store, StoreError, commit, maintenance::statistics};

/// The result of a round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The planner's row count is within a factor of ten.
    UpToDate,
    /// It was not, and is now.
    Done,
    /// It still is not. Postgres skips a table that is locked, or that this role does not own.
    Skipped,
}

/// Re-runs ANALYZE if the statistics count less than a tenth of the rows.
pub async fn refresh_statistics(store: &Store) -> Result<Refreshed, StoreError> {
    if !statistics::are_outgrown(&mut *store.connection().await?).await? {
        return Ok(Refreshed::UpToDate);
    }
    let mut transaction = store.begin().await?;
    statistics::renew(&mut transaction).await?;
    commit(transaction).await?;
    let are_outgrown = statistics::are_outgrown(&mut *store.connection().await?).await?;
    Ok(if are_outgrown { Refreshed::Skipped } else { Refreshed::Done })
}
