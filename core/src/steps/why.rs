//! Why: what stands in the way of ready jobs, by the code that decides on their claims.
//!
//! Called by the API for `Job.waiting`. Locks nothing and changes nothing. [`demands`] is the claim's too.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    ids::{JobId, ProxyId, ServiceId},
    job::Standing,
    limit::{
        Cap, GateKey, Limits,
        gate::{Block, Demand, Gate, judge},
    },
    mutant::Mutant,
    store::{
        Connection, Store, StoreError, backlog,
        declared::{self, Declared},
        gates,
        live::{self, LiveJob, Terms},
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
pub async fn why(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, Obstacle>, StoreError> {
    let mut connection = store.read().await?;
    let (rows, Some(now)) = live::look(&mut connection, jobs).await? else { return Ok(HashMap::new()) };
    let is_ready = |row: &LiveJob| matches!(row.standing, Standing::Queued { .. });
    let ready: Vec<(LiveJob, Terms)> = rows.into_iter().filter(|(row, _)| is_ready(row)).collect();
    let demands = demands(&mut connection, ready.iter()).await?;
    let keys: BTreeSet<GateKey> = demands.values().flatten().map(|demand| demand.key.clone()).collect();
    let gates = gates::look(&mut connection, &keys.into_iter().collect::<Vec<_>>()).await?.gates;
    let obstacles = ready.iter().filter_map(|(row, _)| {
        let parked_on = match &row.standing {
            Standing::Queued { parked_on: Some(key) } => key.parse::<GateKey>().ok(),
            Standing::Queued { parked_on: None }
            | Standing::Blocked
            | Standing::Scheduled { .. }
            | Standing::Running { .. }
            | Standing::Ended(_) => None,
        };
        // One that is parked is among those who are waited for.
        let is_called = |key: &GateKey| parked_on.as_ref() == Some(key) || row.called_for.contains(key);
        let (demand, block) = judge(demands.get(&row.job)?, &gates, is_called, now).err()?;
        let by = gates.get(&demand.key).and_then(Gate::holder);
        Some((row.job, Obstacle { at: demand.clone(), block, by }))
    });
    Ok(obstacles.collect())
}

/// The place of ready jobs in their queues: 1 for the next one, exact up to [`PLACE_MAX`]; more than that for all beyond. Those that
/// are parked, or not ready, have none.
pub async fn places(store: &Store, jobs: &[JobId]) -> Result<HashMap<JobId, i64>, StoreError> {
    let ahead = backlog::ahead(&mut *store.read().await?, jobs, PLACE_MAX).await?;
    Ok(ahead.into_iter().map(|(job, ahead)| (job, ahead + 1)).collect())
}

/// What a profile is limited to: one job at a time, and its caps.
pub(crate) fn limits_of_profile(caps: &[Cap]) -> Limits {
    Limits { max_concurrency: Some(1), caps: caps.to_vec(), ..Limits::default() }
}

/// What each of these jobs has to pass.
pub(super) async fn demands<'a>(
    connection: &mut Connection,
    rows: impl Iterator<Item = &'a (LiveJob, Terms)>,
) -> Result<HashMap<JobId, Vec<Demand>>, StoreError> {
    let rows: Vec<&(LiveJob, Terms)> = rows.collect();
    let jobs: Vec<JobId> = rows.iter().map(|(row, _)| row.job).collect();
    let services = declared::of_services(connection, &jobs).await?;
    let mut services_of: HashMap<JobId, Vec<(ServiceId, &Declared)>> = HashMap::new();
    for (service, declared, users) in &services {
        for job in users {
            services_of.entry(*job).or_default().push((*service, declared));
        }
    }
    let ids: BTreeSet<ProxyId> = rows.iter().filter_map(|(row, _)| row.proxy).collect();
    let proxies = if ids.is_empty() {
        HashMap::new()
    } else {
        declared::of_proxies(connection, &ids.into_iter().collect::<Vec<_>>()).await?
    };
    let alone = Arc::new(limits_of_profile(&[]));
    let mut all = HashMap::new();
    for (row, terms) in rows {
        let mut demands = Vec::new();
        let mut demand = |key, name: &Arc<str>, limits: &Arc<Limits>| {
            demands.push(Demand { key, name: name.clone(), limits: limits.clone() });
        };
        let nameless: Arc<str> = "".into();
        if let Some(most) = terms.queue_concurrency {
            let limits = Limits { max_concurrency: Some(most), ..Limits::default() };
            demand(GateKey::Queue(row.queue.clone()), &row.queue.as_str().into(), &Arc::new(limits));
        }
        if let Some(of_command) = &terms.command_limits {
            demand(GateKey::Command(of_command.command.into()), &nameless, &of_command.limits);
        }
        for (service, declared) in services_of.remove(&row.job).unwrap_or_default() {
            if !Mutant::ClaimWithoutLimits.is_on() {
                demand(GateKey::Service(service), &declared.name, &declared.limits);
            }
        }
        if let Some((proxy, declared)) = row.proxy.and_then(|id| Some((id, proxies.get(&id)?))) {
            demand(GateKey::Proxy(proxy), &declared.name, &declared.limits);
        }
        if let Some(profile) = row.profile.filter(|_| !Mutant::ClaimWithoutExclusivity.is_on()) {
            let capped =
                (!terms.profile_caps.is_empty()).then(|| Arc::new(limits_of_profile(&terms.profile_caps)));
            demand(GateKey::Profile(profile), &nameless, &capped.unwrap_or_else(|| alone.clone()));
        }
        if !demands.is_empty() {
            all.insert(row.job, demands);
        }
    }
    Ok(all)
}
