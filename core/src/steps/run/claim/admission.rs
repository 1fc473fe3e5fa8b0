//! The gates of a batch of claims: locked once, asked for each job in its turn, written once.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use crate::{
    clock::Time,
    ids::{JobId, ProxyId},
    limit::{
        GateKey, Limits, explain,
        gate::{Block, Demand, Gate, judge},
    },
    steps::limits::{
        demands::{JobDemands, load_demands},
        wake::{self, Occasion},
    },
    store::{
        Connection, StoreError,
        jobs::live::{LiveJob, Terms},
        limits::gates::{self, LockedGates, Saved, Wake},
    },
};

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Admission {
    demands: HashMap<JobId, Vec<Demand>>,
    proxies: HashMap<JobId, ProxyId>,
    gates: HashMap<GateKey, Gate>,
    /// The database's time once all gates were locked; null when there was none.
    pub(super) at: Option<Time>,
    changed: BTreeSet<GateKey>,
    parked: HashMap<GateKey, (Arc<Limits>, Option<Duration>)>,
    forwarded: HashMap<GateKey, u32>,
    /// Gates that jobs were parked on because all of their places were taken, and how many those are.
    full: HashMap<GateKey, u32>,
    /// Gates that others are parked on, whom whoever has not been called is parked behind, without their locks.
    awaited: BTreeSet<GateKey>,
    /// Those of them that jobs were parked on.
    joined: BTreeSet<GateKey>,
}

/// Where a job is parked, and why.
pub(super) struct Parking {
    pub(super) on: GateKey,
    pub(super) block: Block,
    /// In words.
    pub(super) reason: String,
}

impl Admission {
    /// Finds out what these locked jobs have to pass, and locks it, but for jobs that only queue up behind others: with thousands of
    /// those, whoever is called would wait for a lock with them.
    pub(super) async fn load<'a>(
        connection: &mut Connection,
        rows: impl Iterator<Item = &'a (LiveJob, Terms)> + Clone,
    ) -> Result<Self, StoreError> {
        let JobDemands { demands, proxies } = load_demands(connection, rows.clone()).await?;
        if demands.is_empty() {
            return Ok(Self { proxies, ..Self::default() });
        }
        let keys: BTreeSet<&GateKey> = demands.values().flatten().map(|demand| &demand.key).collect();
        let awaited = gates::awaited(connection, &keys.into_iter().collect::<Vec<_>>()).await?;
        let mut admission =
            Self { demands, proxies, awaited: awaited.into_iter().collect(), ..Self::default() };
        let keys: BTreeSet<GateKey> = rows
            .filter(|(row, _)| admission.waits_behind(row).is_none())
            .flat_map(|(row, _)| admission.demands_of(row.job))
            .map(|demand| demand.key.clone())
            .collect();
        let LockedGates { gates, at, demands: _ } =
            gates::lock(connection, &keys.into_iter().collect::<Vec<_>>()).await?;
        (admission.gates, admission.at) = (gates, at);
        Ok(admission)
    }

    fn demands_of(&self, job: JobId) -> &[Demand] {
        self.demands.get(&job).map_or(&[][..], Vec::as_slice)
    }

    /// The gate at which a job queues up behind others for sure: it has not been called for anything.
    fn waits_behind(&self, row: &LiveJob) -> Option<&Demand> {
        let mut demands = self.demands_of(row.job).iter();
        demands.find(|demand| self.awaited.contains(&demand.key)).filter(|_| row.woken_for.is_empty())
    }

    /// Whether a job may pass, and when; or where it has to wait.
    pub(super) fn judge(&self, row: &LiveJob, now: Time) -> Result<Time, Parking> {
        if let Some(demand) = self.waits_behind(row) {
            let reason = explain(&demand.key, &demand.name, &Block::BehindWaiters, None);
            return Err(Parking { on: demand.key.clone(), block: Block::BehindWaiters, reason });
        }
        let demands = self.demands_of(row.job);
        judge(demands, &self.gates, |key| row.woken_for.contains(key), now).map_err(|(demand, block)| {
            let by = self.gates.get(&demand.key).and_then(Gate::holder).map(|job| job.to_string());
            let reason = explain(&demand.key, &demand.name, &block, by.as_deref());
            Parking { on: demand.key.clone(), block, reason }
        })
    }

    /// Through which proxy a job goes.
    pub(super) fn proxy(&self, job: JobId) -> Option<ProxyId> {
        self.proxies.get(&job).copied()
    }

    /// The job passes at that moment; answers the gates that it is behind now. What it was called for and does not pass, because its
    /// services or its proxy are others now, goes to the next in line there.
    pub(super) fn pass(&mut self, row: &LiveJob, at: Time) -> Arc<[GateKey]> {
        let demands = self.demands.get(&row.job).map_or(&[][..], Vec::as_slice);
        for key in row.woken_for.iter().filter(|key| demands.iter().all(|demand| demand.key != **key)) {
            *self.forwarded.entry(key.clone()).or_default() += 1;
        }
        for demand in demands {
            let gate = self.gates.entry(demand.key.clone()).or_default();
            gate.pass(demand, at);
            if let GateKey::Profile(_) = &demand.key {
                gate.last = Some(row.job);
                if row.proxy.is_none() {
                    gate.proxy = self.proxies.get(&row.job).copied().or(gate.proxy);
                }
            }
            self.changed.insert(demand.key.clone());
        }
        demands.iter().map(|demand| demand.key.clone()).collect()
    }

    /// The job is parked. Whatever else it was called for goes to the next in line there.
    pub(super) fn park(&mut self, row: &LiveJob, on: &GateKey, block: &Block, now: Time) {
        self.forward_wakeup(row, Some(on));
        if self.waits_behind(row).is_some() {
            self.joined.insert(on.clone());
            return;
        }
        let gate = self.gates.entry(on.clone()).or_default();
        gate.has_waiters = true;
        let demand = self.demands.get(&row.job).and_then(|all| all.iter().find(|demand| demand.key == *on));
        let limits = demand.map(|demand| demand.limits.clone()).unwrap_or_default();
        let wake_in = block.until().map(|until| wake::lead(block, until, now));
        let entry = self.parked.entry(on.clone()).or_insert((limits, wake_in));
        entry.1 = entry.1.into_iter().chain(wake_in).min();
        self.changed.insert(on.clone());
        if let Block::NoSlots { max } = block {
            self.full.insert(on.clone(), *max);
        }
    }

    /// What is to be looked at again after the commit: gates that were full, with their places, and gates that were not locked.
    pub(super) fn take_uncertain(&mut self) -> (HashMap<GateKey, u32>, BTreeSet<GateKey>) {
        (std::mem::take(&mut self.full), std::mem::take(&mut self.joined))
    }

    /// The job does not use the turns that it was called for.
    pub(super) fn forward_wakeup(&mut self, row: &LiveJob, but: Option<&GateKey>) {
        for key in row.woken_for.iter().filter(|key| Some(*key) != but) {
            *self.forwarded.entry(key.clone()).or_default() += 1;
        }
    }

    /// Whether jobs are parked until a moment that is known.
    pub(super) fn has_timed(&self) -> bool {
        self.parked.values().any(|(_, wake_in)| wake_in.is_some())
    }

    /// Writes the gates, and calls those whose turn it is now.
    pub(super) async fn commit_gates(self, connection: &mut Connection) -> Result<wake::Woken, StoreError> {
        if !self.changed.is_empty() {
            let saved = self.changed.iter().map(|key| {
                let parked = self.parked.get(key);
                Saved {
                    key,
                    gate: &self.gates[key],
                    demand: parked.map(|(limits, _)| &**limits),
                    wake: Wake::Soonest(parked.and_then(|(_, wake_in)| *wake_in)),
                }
            });
            gates::save(connection, &saved.collect::<Vec<_>>()).await?;
        }
        wake::wake(connection, self.forwarded, Occasion::Freed).await
    }
}
