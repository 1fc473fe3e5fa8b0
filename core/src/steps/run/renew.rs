//! Renew: keep a worker's lease, and learn what it should hold and what it should cancel, in one statement.
//!
//! Called by the worker's heartbeat every second, from a thread and a connection of its own.

use crate::{
    ids::WorkerId,
    store::{
        Store, StoreError, commit,
        workers::{self, HeldAttempt, NewWorker, WorkerStatus},
    },
};

/// The answer to a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// The lease goes on.
    Kept {
        /// The attempts that the worker holds.
        held: Vec<HeldAttempt>,
        /// Whether somebody, or the worker itself, has asked it to take nothing new and to end.
        is_draining: bool,
    },
    /// The worker has been declared lost: its attempts belong to others now.
    Lost,
}

/// Begins a lease.
pub async fn register(store: &Store, worker: &NewWorker) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::register(&mut transaction, worker).await?;
    commit(transaction).await
}

/// Renews it. `is_draining` tells that the worker takes nothing new.
pub async fn renew(store: &Store, worker: WorkerId, is_draining: bool) -> Result<Renewal, StoreError> {
    let mut connection = store.connection().await?;
    Ok(match workers::renew(&mut connection, worker, is_draining).await? {
        Some((status, held)) => Renewal::Kept { held, is_draining: status == WorkerStatus::Draining },
        None => Renewal::Lost,
    })
}

/// Ends a lease in good order. The worker must hold nothing.
pub async fn leave(store: &Store, worker: WorkerId) -> Result<(), StoreError> {
    let mut transaction = store.begin().await?;
    workers::leave(&mut transaction, worker).await?;
    commit(transaction).await
}
