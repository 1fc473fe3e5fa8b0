//! Drain: ask a worker to take nothing new, to let what it runs finish, and to end.
//!
//! Called by the API. The worker learns it from a hint or with its next renewal, and does the rest by itself.

use crate::{
    ids::WorkerId,
    refusal::{Refusal, RefusalCode},
    steps::{After, StepError},
    store::{
        Store, commit,
        workers::{self, WorkerStatus},
    },
};

/// Asks one worker; the inner error says why it cannot be. Asking again changes nothing.
pub async fn drain(store: &Store, worker: WorkerId) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    let refusal = match workers::drain(&mut transaction, worker).await? {
        Some(WorkerStatus::Active | WorkerStatus::Draining) => {
            commit(transaction).await?;
            return Ok(After { drained: Some(worker), ..After::default() });
        }
        Some(WorkerStatus::Lost) => {
            Refusal::new(RefusalCode::NotAllowedInState, "id", "the worker's lease ran out: it holds nothing")
        }
        Some(WorkerStatus::Gone) => {
            Refusal::new(RefusalCode::NotAllowedInState, "id", "the worker has ended already")
        }
        None => Refusal::new(RefusalCode::NotFound, "id", format!("there is no worker {worker}")),
    };
    Err(refusal.into())
}
