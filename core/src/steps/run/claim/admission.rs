//! Admission: decides which jobs of a claim's batch may start, under the locks of their gates.
//!
//! 1. [`Admission::load`] finds the gates that each job must pass, and locks them. If a gate
//!    has waiters, a job that was not woken must wait behind them whatever else its gates say, so
//!    these are not locked for it.
//! 2. [`Admission::judge`] says when a job may start or which gate blocks it. The claim then calls
//!    [`Admission::pass`], which takes from all gates of the job, or [`Admission::park`], which
//!    makes it a waiter of one. Later jobs of the batch see the changed gates.
//! 3. [`Admission::save_gates`] writes the changed gates.
//!
//! A woken job carries the gates that it was woken for. If it does not pass one of them after all,
//! its wakeup is forwarded to the next waiter of that gate.

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

/// The gates of one batch, and what its jobs have changed.
#[derive(Debug, Default)]
pub(super) struct Admission {
    demands: HashMap<JobId, Vec<Demand>>,
    proxies: HashMap<JobId, ProxyId>,
    gates: HashMap<GateKey, Gate>,
    /// The database's time once all gates were locked. `None` if there were none.
    pub(super) at: Option<Time>,
    changed: BTreeSet<GateKey>,
    parked: HashMap<GateKey, (Arc<Limits>, Option<Duration>)>,
    forwarded: HashMap<GateKey, u32>,
    /// Gates where jobs were parked for lack of a slot, with their number of slots.
    full: HashMap<GateKey, u32>,
    /// Gates that already had waiters. Jobs that were not woken park there without the gate's lock.
    awaited: BTreeSet<GateKey>,
    /// Gates of `awaited` where this batch parked jobs.
    joined: BTreeSet<GateKey>,
}

/// Where a job is parked, and why.
pub(super) struct Parking {
    pub(super) on: GateKey,
    pub(super) block: Block,
    pub(super) reason: String,
}

impl Admission {
    /// Loads what these locked jobs demand and locks their gates. Jobs that only wait behind others
    /// lock nothing, because thousands of them would hold up the woken jobs.
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

    /// The gate whose waiters a job must wait behind in any case. `None` for jobs that were woken.
    fn waits_behind(&self, row: &LiveJob) -> Option<&Demand> {
        let mut demands = self.demands_of(row.job).iter();
        demands.find(|demand| self.awaited.contains(&demand.key)).filter(|_| row.woken_for.is_empty())
    }

    /// When a job may start, or where it is parked.
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

    pub(super) fn proxy(&self, job: JobId) -> Option<ProxyId> {
        self.proxies.get(&job).copied()
    }

    /// Lets the job start at that moment and returns the gates that it holds now. Wakeups at gates
    /// that it no longer demands, because its services or its proxy have changed, are forwarded.
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

    /// Parks the job. Its wakeups at other gates are forwarded.
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

    /// The gates to recheck after the commit: those without a free slot, with their number of
    /// slots, and those where jobs were parked without a lock.
    pub(super) fn take_uncertain(&mut self) -> (HashMap<GateKey, u32>, BTreeSet<GateKey>) {
        (std::mem::take(&mut self.full), std::mem::take(&mut self.joined))
    }

    /// Forwards all wakeups of a job but the one at `but`.
    pub(super) fn forward_wakeup(&mut self, row: &LiveJob, but: Option<&GateKey>) {
        for key in row.woken_for.iter().filter(|key| Some(*key) != but) {
            *self.forwarded.entry(key.clone()).or_default() += 1;
        }
    }

    /// Whether jobs were parked until a known moment.
    pub(super) fn has_timed(&self) -> bool {
        self.parked.values().any(|(_, wake_in)| wake_in.is_some())
    }

    /// Writes the changed gates, and wakes the next waiters for forwarded wakeups.
    pub(super) async fn save_gates(self, connection: &mut Connection) -> Result<wake::Woken, StoreError> {
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
