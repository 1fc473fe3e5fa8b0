//! Take stock: statistics that are of an emptier queue are taken again.
//!
//! Duty of every worker. Autovacuum that comes while the queue is empty tells the planner of one row, and it joins a batch by comparing
//! each row of it with each: a backlog that comes then drains at a tenth to a third of its pace, until autovacuum comes again, a minute later.

use crate::store::{Store, StoreError, commit, maintenance::statistics};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refreshed {
    /// The planner knows how full the queue is, within ten times.
    UpToDate,
    /// It did not, and does now.
    Done,
    /// It does not: Postgres passes over a table that somebody has locked, and one that this role does not own.
    Skipped,
}

/// Looks, and takes statistics if they are of less than a tenth of the rows that there are.
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
