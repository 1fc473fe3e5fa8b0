//! Take stock: statistics that are of an emptier queue are taken again.
//!
//! Duty of every worker. Autovacuum that comes while the queue is empty tells the planner of one row, and it joins a batch by comparing
//! each row of it with each: a backlog that comes then drains at a tenth to a third of its pace, until autovacuum comes again, a minute later.

use crate::store::{Store, StoreError, commit, statistics};

/// Looks, and takes them if they are of less than a tenth of the rows that there are; true if it did.
pub async fn take_stock(store: &Store) -> Result<bool, StoreError> {
    let are_outgrown = statistics::are_outgrown(&mut *store.read().await?).await?;
    if are_outgrown {
        let mut transaction = store.begin().await?;
        statistics::renew(&mut transaction).await?;
        commit(transaction).await?;
    }
    Ok(are_outgrown)
}
