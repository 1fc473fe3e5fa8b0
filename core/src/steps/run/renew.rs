//! Renew: keeps a worker's lease and returns what it holds and should cancel, in one statement.
//!
//! The worker's heartbeat calls it every second, from a thread and a connection of its own. If the
//! worker dies, the lease runs out and rescue takes its jobs.

use crate::{
    ids::WorkerId,
    store::{
        Store, StoreError, commit,
        workers::{self, HeldAttempt, NewWorker, WorkerStatus},
    },
};

/// The result of a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The lease continues.
    Kept {
        /// The attempts that the worker holds.
        held: Vec<HeldAttempt>,
        /// Whether the worker was asked, or has asked itself, to claim nothing new and to end.
        is_draining: bool,
    },
    /// The worker was declared lost, and its attempts no longer hold their jobs.
    Lost,
}

/// Begins a lease.
pub async fn register(store: &Store, worker: &NewWorker) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::register(&mut transaction, worker).await?;
    commit(transaction).await
}

/// Renews the lease. `is_draining` says that the worker claims nothing new.
pub async fn renew(store: &Store, worker: WorkerId, is_draining: bool) -> Result<Renewal, StoreError> {
    let mut connection = store.connection().await?;
    Ok(match workers::renew(&mut connection, worker, is_draining).await? {
        Some((status, held)) => Renewal::Kept { held, is_draining: status == WorkerStatus::Draining },
        None => Renewal::Lost,
    })
}

/// Ends the lease of a worker that holds no jobs.
pub async fn leave(store: &Store, worker: WorkerId) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::leave(&mut transaction, worker).await?;
    commit(transaction).await
}
