//! Explain: says what blocks ready jobs, by the same demands and rules as the claim.
//!
//! Locks nothing and writes nothing.

use std::collections::{BTreeSet, HashMap};

use super::demands::load_demands;
use crate::{
    ids::JobId,
    job::Standing,
    limit::{
        GateKey,
        gate::{Block, Demand, Gate, judge},
    },
    store::{
        Store, StoreError,
        jobs::live::{self, LiveJob, Terms},
        limits::gates,
        queues::backlog,
    },
};

/// Positions in a queue are exact up to this one.
pub const PLACE_MAX: i64 = 1000;

/// What blocks a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Obstacle {
    /// The gate that blocks it.
    pub at: Demand,
    /// Why the gate blocks it.
    pub block: Block,
    /// The job that holds the gate, if it is a profile's.
    pub by: Option<JobId>,
}

/// What blocks these jobs now. Leaves out jobs that are not ready, and jobs that only wait for the
/// jobs before them in the queue.
pub async fn explain(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, Obstacle>, StoreError> {
    let mut connection = store.connection().await?;
    let (rows, Some(now)) = live::look(&mut connection, jobs).await? else { return Ok(HashMap::new()) };
    let is_ready = |row: &LiveJob| matches!(row.standing, Standing::Queued { .. });
    let ready: Vec<(LiveJob, Terms)> = rows.into_iter().filter(|(row, _)| is_ready(row)).collect();
    let demands = load_demands(&mut connection, ready.iter()).await?.demands;
    let keys: BTreeSet<GateKey> = demands.values().flatten().map(|demand| demand.key.clone()).collect();
    let gates = gates::look(&mut connection, &keys.into_iter().collect::<Vec<_>>()).await?.gates;
    let obstacles = ready.iter().filter_map(|(row, _)| {
        // A parked job is one of the waiters, so it does not wait behind them.
        let (demand, block) =
            judge(demands.get(&row.job)?, &gates, |key| row.has_waited_at(key), now).err()?;
        let by = gates.get(&demand.key).and_then(Gate::holder);
        Some((row.job, Obstacle { at: demand.clone(), block, by }))
    });
    Ok(obstacles.collect())
}

/// The positions of ready jobs in their queues, 1 for the next one. Exact up to [`PLACE_MAX`]. Jobs
/// further back get `PLACE_MAX + 1`. Leaves out jobs that are parked or not ready.
pub async fn places(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, i64>, StoreError> {
    let ahead = backlog::ahead(&mut *store.connection().await?, jobs, PLACE_MAX).await?;
    Ok(ahead.into_iter().map(|(job, ahead)| (job, ahead + 1)).collect())
}
