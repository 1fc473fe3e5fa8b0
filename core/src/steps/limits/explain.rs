//! Why: what stands in the way of ready jobs, by the code that decides on their claims.
//!
//! Called by the API for `Job.waiting`. Locks nothing and changes nothing. [`load_demands`](super::demands::load_demands) is the claim's too.

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

/// Farthest place in a queue that is told exactly.
pub const PLACE_MAX: i64 = 1000;

/// What stands in a job's way.
#[derive(Debug, Clone, PartialEq)]
pub struct Obstacle {
    /// The gate.
    pub at: Demand,
    /// What is the matter with it.
    pub block: Block,
    /// A job that is behind it.
    pub by: Option<JobId>,
}

/// What stands in the way of these jobs as of now; those that are not ready, or that nothing but other jobs' turns is in the way
/// of, are left out.
pub async fn explain(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, Obstacle>, StoreError> {
    let mut connection = store.connection().await?;
    let (rows, Some(now)) = live::look(&mut connection, jobs).await? else { return Ok(HashMap::new()) };
    let is_ready = |row: &LiveJob| matches!(row.standing, Standing::Queued { .. });
    let ready: Vec<(LiveJob, Terms)> = rows.into_iter().filter(|(row, _)| is_ready(row)).collect();
    let demands = load_demands(&mut connection, ready.iter()).await?.demands;
    let keys: BTreeSet<GateKey> = demands.values().flatten().map(|demand| demand.key.clone()).collect();
    let gates = gates::look(&mut connection, &keys.into_iter().collect::<Vec<_>>()).await?.gates;
    let obstacles = ready.iter().filter_map(|(row, _)| {
        // One that is parked is among those who are waited for.
        let (demand, block) =
            judge(demands.get(&row.job)?, &gates, |key| row.has_waited_at(key), now).err()?;
        let by = gates.get(&demand.key).and_then(Gate::holder);
        Some((row.job, Obstacle { at: demand.clone(), block, by }))
    });
    Ok(obstacles.collect())
}

/// The place of ready jobs in their queues: 1 for the next one, exact up to [`PLACE_MAX`]; more than that for all beyond. Those that
/// are parked, or not ready, have none.
pub async fn places(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, i64>, StoreError> {
    let ahead = backlog::ahead(&mut *store.connection().await?, jobs, PLACE_MAX).await?;
    Ok(ahead.into_iter().map(|(job, ahead)| (job, ahead + 1)).collect())
}
