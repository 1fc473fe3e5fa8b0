//! Pause: no job of a queue starts until it is resumed. What runs goes on.
//!
//! Called by the API. The flag is all there is: claims read it, and dispatch leaves paused queues alone.

use crate::{
    refusal::{Refusal, RefusalCode},
    steps::{After, StepError},
    store::{Store, commit, queues::counters},
};

/// Pauses or resumes a queue; the inner error says why not. Doing it again changes nothing.
pub async fn set_paused(store: &Store, queue: &str, is_paused: bool) -> Result<After, StepError> {
    let mut transaction = store.begin().await?;
    if !counters::set_paused(&mut transaction, queue, is_paused).await? {
        return Err(no_queue().into());
    }
    commit(transaction).await?;
    Ok(After { has_backlog: !is_paused, ..After::default() })
}

/// No queue has the name.
pub fn no_queue() -> Refusal {
    let message = "there is no queue of this name; a queue begins with its first job";
    Refusal::new(RefusalCode::NotFound, "name", message)
}
