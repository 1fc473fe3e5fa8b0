//! Drain: asks a worker to claim nothing new, finish what it runs, and end.
//!
//! One transaction that sets the worker's status. The worker learns of it from a hint, or from its
//! next renewal if the hint is lost.

use crate::{
    audit::{By, Object},
    clock::IdSource,
    ids::WorkerId,
    refusal::{Refusal, RefusalCode},
    steps::{After, StepError},
    store::{
        Store, audit, commit,
        workers::{self, WorkerStatus},
    },
};

/// Asks one worker to drain. Repeating it changes nothing.
pub async fn drain(store: &Store, worker: WorkerId, by: &By) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    let refusal = match workers::drain(&mut transaction, worker).await? {
        Some(WorkerStatus::Active | WorkerStatus::Draining) => {
            let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("worker", &worker, None)));
            audit::insert(&mut transaction, entry.as_slice()).await?;
            commit(transaction).await?;
            return Ok(After { drained: Some(worker), ..After::default() });
        }
        Some(WorkerStatus::Lost) => Refusal::new(
            RefusalCode::NotAllowedInState,
            "id",
            "The worker's lease ran out, so it holds no jobs.",
        ),
        Some(WorkerStatus::Gone) => {
            Refusal::new(RefusalCode::NotAllowedInState, "id", "The worker has already ended.")
        }
        None => Refusal::new(RefusalCode::NotFound, "id", format!("There is no worker {worker}.")),
    };
    Err(refusal.into())
}
