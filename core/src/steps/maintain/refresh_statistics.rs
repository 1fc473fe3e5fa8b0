//! Take stock: statistics that are of an emptier queue are taken again.
//!
//! Duty of every worker. Autovacuum that comes while the queue is empty tells the planner of one row, and it joins a batch by comparing
//! each row of it with each: a backlog that comes then drains at a tenth to a third of its pace, until autovacuum comes again, a minute later.

use crate::store::{Store, StoreError, commit, maintenance::statistics};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stock {
    /// The planner knows how full the queue is, within ten times.
    Known,
    /// It did not, and does now.
    Taken,
    /// It does not: Postgres passes over a table that somebody has locked, and one that this role does not own.
    PassedOver,
}

/// Looks, and takes statistics if they are of less than a tenth of the rows that there are.
pub async fn take_stock(store: &Store) -> Result<Stock, StoreError> {
    if !statistics::are_outgrown(&mut *store.read().await?).await? {
        return Ok(Stock::Known);
    }
    let mut transaction = store.begin().await?;
    statistics::renew(&mut transaction).await?;
    commit(transaction).await?;
    let are_outgrown = statistics::are_outgrown(&mut *store.read().await?).await?;
    Ok(if are_outgrown { Stock::PassedOver } else { Stock::Taken })
}
