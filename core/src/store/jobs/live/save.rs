//! Writes transitions: live rows, their events, and the counters of queues and gates.

use std::collections::HashMap;

use super::{Change, end::end, update::update};
use crate::{
    audit::WORKER,
    clock::Time,
    job::{Standing, transition::Next},
    limit::GateKey,
    store::{Connection, StoreError},
};

/// What is left to do for other steps after [`save`].
#[derive(Debug, Default)]
pub struct Saved {
    /// Whether other jobs wait for a job that ended. `steps::hand_out::unblock` decides them.
    pub has_dependents: bool,
    /// Freed slots by gate. `steps::limits::wake` decides which jobs get them.
    pub freed: HashMap<GateKey, u32>,
}

/// Writes what a worker decided. The caller has locked the row of every job.
pub async fn save(connection: &mut Connection, changes: &[Change], now: Time) -> Result<Saved, StoreError> {
    save_by(connection, changes, WORKER, now).await
}

/// Writes transitions, with the actor of their events. The caller has locked the row of every job.
#[tracing::instrument(name = "db.live.save", level = "debug", skip_all)]
pub async fn save_by(
    connection: &mut Connection,
    changes: &[Change],
    actor: &str,
    now: Time,
) -> Result<Saved, StoreError> {
    let (ended, live): (Vec<_>, Vec<_>) =
        changes.iter().partition(|change| matches!(change.applied.next, Next::Ended { .. }));
    let mut saved = Saved::default();
    if !live.is_empty() {
        let left = LeftGates::of(&live, &mut saved.freed);
        update(connection, &live, &left, (actor, now)).await?;
    }
    if !ended.is_empty() {
        let left = LeftGates::of(&ended, &mut saved.freed);
        saved.has_dependents = end(connection, &ended, &left, (actor, now)).await?;
    }
    Ok(saved)
}

/// Freed slots by gate, as columns.
#[derive(Default)]
pub(super) struct LeftGates {
    pub(super) keys: Vec<String>,
    pub(super) counts: Vec<i32>,
}

impl LeftGates {
    /// Also adds the counts to `freed`.
    fn of(changes: &[&Change], freed: &mut HashMap<GateKey, u32>) -> Self {
        let mut counts: HashMap<&GateKey, u32> = HashMap::new();
        for change in changes {
            if !matches!(change.applied.next, Next::Live(Standing::Running { .. })) {
                change.before.holds.iter().for_each(|key| *counts.entry(key).or_default() += 1);
            }
        }
        let mut left = Self::default();
        for (key, count) in counts {
            left.keys.push(key.to_string());
            left.counts.push(count.cast_signed());
            *freed.entry(key.clone()).or_default() += count;
        }
        left
    }
}
