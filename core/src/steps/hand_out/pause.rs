//! Pause: keeps the jobs of a queue from starting until it is resumed. Running jobs go on.
//!
//! One transaction that sets a flag. Claims read it, and dispatch leaves paused queues alone. If
//! the process dies right after a resume, the next round of dispatch finds the backlog.

use crate::{
    audit::{By, Object},
    clock::IdSource,
    refusal::{Refusal, RefusalCode},
    steps::{After, StepError},
    store::{Store, audit, commit, queues::counters},
};

/// Pauses or resumes a queue. Repeating it changes nothing.
pub async fn set_paused(store: &Store, queue: &str, is_paused: bool, by: &By) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    if !counters::set_paused(&mut transaction, queue, is_paused).await? {
        return Err(no_queue().into());
    }
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("queue", &queue, Some(queue))));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    Ok(After { has_backlog: !is_paused, ..After::default() })
}

/// The refusal of a name that no queue has.
pub fn no_queue() -> Refusal {
    let message = "There is no queue with this name. A queue is created by its first job.";
    Refusal::new(RefusalCode::NotFound, "name", message)
}
