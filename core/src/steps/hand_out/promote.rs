//! Promote: makes scheduled jobs ready when their time comes, and expires jobs that start too late.
//!
//! A duty of every worker, one batch in one transaction, skipping rows that another has locked.

use std::time::Duration;

use crate::{
    job::{
        Standing,
        transition::{Next, Transition, apply},
    },
    steps::{After, Done},
    store::{
        Store, StoreError, commit,
        jobs::live::{self, Change},
        queues::{backlog, lanes},
    },
};

/// Most jobs of one round, of each kind.
const PROMOTE_BATCH_MAX: i64 = 500;

/// Promotes and expires one batch. Also returns the time until the next job is due: zero when there
/// may be more to do, `None` when no job is scheduled or can expire.
pub async fn promote(store: &Store) -> Result<Done<Option<Duration>>, StoreError> {
    let mut transaction = store.begin().await?;
    let expired = backlog::expired(&mut transaction, PROMOTE_BATCH_MAX).await?;
    let due = backlog::due(&mut transaction, PROMOTE_BATCH_MAX).await?;
    let jobs: Vec<_> = expired.iter().chain(&due).copied().collect();
    let (rows, Some(now)) = live::lock(&mut transaction, &jobs).await? else {
        let next = backlog::next_due_in(&mut transaction).await?;
        return Ok(Done::unchanged(next));
    };
    let mut changes = Vec::new();
    for before in rows {
        let transition = if expired.contains(&before.job) { Transition::Expired } else { Transition::Due };
        let facts = before.facts();
        if let Ok(applied) = apply(&facts, transition, now) {
            changes.push(Change { before, applied, started: None, is_dispatched: false });
        }
    }
    lanes::account(&mut transaction, &mut changes).await?;
    let has_dependents = live::save(&mut transaction, &changes, now).await?.has_dependents;
    commit(transaction).await?;
    let has_backlog =
        changes.iter().any(|change| matches!(change.applied.next, Next::Live(Standing::Queued { .. })));
    let changed = changes.iter().map(|change| change.before.job).collect();
    let after = After { changed, has_dependents, has_backlog, ..After::default() };
    Ok(Done::new(Some(Duration::ZERO), after))
}
