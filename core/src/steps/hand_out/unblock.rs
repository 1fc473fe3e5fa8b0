//! Unblock: decides blocked jobs when the jobs that they depend on have finished.
//!
//! A duty of every worker, hurried by a hint. The statement that ends a job flags its edges to
//! dependent jobs. One transaction clears these flags and decides the dependent jobs. A job becomes
//! ready or scheduled once all dependencies have succeeded, and is cancelled once one ended
//! otherwise. That may flag further edges for the next round. If the process dies before the
//! commit, the flags stay.

use crate::{
    job::{
        Standing,
        transition::{Next, Transition, apply},
    },
    steps::{After, Done},
    store::{
        Store, StoreError, commit,
        jobs::{
            dependencies,
            live::{self, Change},
        },
        queues::lanes::account,
    },
};

/// Most edges of one round.
const UNBLOCK_BATCH_MAX: i64 = 500;

/// Decides one batch. Also returns whether there may be more.
pub async fn unblock(store: &Store) -> Result<Done<bool>, StoreError> {
    let mut transaction = store.begin().await?;
    let jobs = dependencies::take_due(&mut transaction, UNBLOCK_BATCH_MAX).await?;
    if jobs.is_empty() {
        return Ok(Done::unchanged(false));
    }
    let (rows, now) = live::lock(&mut transaction, &jobs).await?;
    // Read after the flags were cleared. An edge that closes from now on is flagged again, for the
    // next batch.
    let blocked = dependencies::blocked(&mut transaction, &jobs).await?;
    let (mut changes, mut after) = (Vec::new(), After::default());
    for before in rows {
        let Some(found) = blocked.iter().find(|found| found.job == before.job) else { continue };
        let transition = match (found.broken, found.open) {
            (Some(broken), _) => Transition::DependencyBroken { on: broken.job },
            (None, 0) => Transition::Unblocked { run_at: before.run_at },
            (None, _) => continue,
        };
        let facts = before.facts();
        // A job that was cancelled or decided before is refused.
        let Some(applied) = now.and_then(|now| apply(&facts, transition, now).ok()) else { continue };
        after.changed.push(before.job);
        after.has_backlog |= matches!(applied.next, Next::Live(Standing::Queued { .. }));
        changes.push(Change { before, applied, started: None, is_dispatched: false });
    }
    if let Some(now) = now {
        account(&mut transaction, &mut changes).await?;
        after.has_dependents = live::save(&mut transaction, &changes, now).await?.has_dependents;
    }
    commit(transaction).await?;
    Ok(Done::new(true, after))
}
