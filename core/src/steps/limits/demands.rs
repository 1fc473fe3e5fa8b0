//! Demands: the gates that a job must pass with their limits, and the proxy that it takes.
//!
//! The claim and [`explain`](super::explain) both load them here, so that they decide alike.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use crate::{
    ids::{JobId, ProfileId, ProxyId, ServiceId},
    limit::{Cap, GateKey, Limits, gate::Demand},
    mutant::Mutant,
    profile::ProxySelection,
    store::{
        Connection, StoreError,
        jobs::live::{LiveJob, Terms},
        limits::declared::{self, Choice, Declared, DeclaredProxy},
    },
};

/// The limits of a profile: one job at a time, and its caps.
pub(crate) fn limits_of_profile(caps: &[Cap]) -> Limits {
    Limits { max_concurrency: Some(1), caps: caps.to_vec(), ..Limits::default() }
}

/// What the jobs of a batch demand.
#[derive(Debug, Default)]
pub(crate) struct JobDemands {
    /// The gates of each job. Leaves out jobs without any.
    pub(crate) demands: HashMap<JobId, Vec<Demand>>,
    /// The proxy of each job that goes through one.
    pub(crate) proxies: HashMap<JobId, ProxyId>,
}

pub(crate) async fn load_demands<'a>(
    connection: &mut Connection,
    rows: impl Iterator<Item = &'a (LiveJob, Terms)>,
) -> Result<JobDemands, StoreError> {
    let rows: Vec<&(LiveJob, Terms)> = rows.collect();
    let jobs: Vec<JobId> = rows.iter().map(|(row, _)| row.job).collect();
    let services = declared::of_services(connection, &jobs).await?;
    let mut services_of: HashMap<JobId, Vec<(ServiceId, &Declared)>> = HashMap::new();
    for (service, declared, users) in &services {
        for job in users {
            services_of.entry(*job).or_default().push((*service, declared));
        }
    }
    let mut proxies = Proxies::of(connection, rows.iter().map(|(row, _)| row)).await?;
    let alone = Arc::new(limits_of_profile(&[]));
    let mut loaded = JobDemands::default();
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
        if let Some(proxy) = proxies.pick(row) {
            loaded.proxies.insert(row.job, proxy);
            if let Some(DeclaredProxy { declared, .. }) = proxies.found.get(&proxy) {
                demand(GateKey::Proxy(proxy), &declared.name, &declared.limits);
            }
        }
        if let Some(profile) = row.profile.filter(|_| !Mutant::ClaimWithoutExclusivity.is_on()) {
            let capped =
                (!terms.profile_caps.is_empty()).then(|| Arc::new(limits_of_profile(&terms.profile_caps)));
            demand(GateKey::Profile(profile), &nameless, &capped.unwrap_or_else(|| alone.clone()));
        }
        if !demands.is_empty() {
            loaded.demands.insert(row.job, demands);
        }
    }
    Ok(loaded)
}

/// The proxies that the jobs of a batch name or may choose.
#[derive(Debug, Default)]
struct Proxies {
    choices: HashMap<ProfileId, Choice>,
    found: HashMap<ProxyId, DeclaredProxy>,
    /// Running attempts by proxy, including the jobs that this batch picked it for.
    busy: HashMap<ProxyId, i64>,
}

impl Proxies {
    async fn of(
        connection: &mut Connection,
        rows: impl Iterator<Item = &LiveJob> + Clone,
    ) -> Result<Self, StoreError> {
        let mut proxies = Self::default();
        let profiles: BTreeSet<ProfileId> =
            rows.clone().filter(|row| row.proxy.is_none()).filter_map(|row| row.profile).collect();
        if !profiles.is_empty() {
            proxies.choices = declared::choices(connection, &Vec::from_iter(profiles)).await?;
        }
        let chosen = proxies.choices.values().flat_map(|choice| &choice.proxies).copied();
        let ids: BTreeSet<ProxyId> = rows.filter_map(|row| row.proxy).chain(chosen).collect();
        if !ids.is_empty() {
            proxies.found = declared::of_proxies(connection, &Vec::from_iter(ids)).await?;
        }
        let by_load = proxies.choices.values().filter(|choice| choice.selection == ProxySelection::LeastBusy);
        let counted: BTreeSet<ProxyId> = by_load.flat_map(|choice| &choice.proxies).copied().collect();
        if !counted.is_empty() {
            proxies.busy = declared::busy(connection, &Vec::from_iter(counted)).await?;
        }
        Ok(proxies)
    }

    /// Returns the job's own proxy, else a usable one that it waited for, else its profile's
    /// choice. If none is usable, prefers one that it waited for, then the one usable soonest.
    fn pick(&mut self, row: &LiveJob) -> Option<ProxyId> {
        if row.proxy.is_some() {
            return row.proxy;
        }
        let choice = self.choices.get(&row.profile?)?;
        let cools_until = |id: &ProxyId| self.found.get(id).and_then(|proxy| proxy.cools_until);
        let is_down = |id: &ProxyId| self.found.get(id).is_none_or(|proxy| proxy.is_down);
        let is_out = |id: &ProxyId| is_down(id) || cools_until(id).is_some();
        let has_waited_for = |id: &ProxyId| row.has_waited_at(&GateKey::Proxy(*id));
        let choose = || {
            let busy = |id: &ProxyId| self.busy.get(id).copied().unwrap_or_default();
            // `None` sorts before any time.
            let fallback_rank = |id: &ProxyId| (!has_waited_for(id), cools_until(id));
            choice.selection.pick(&choice.proxies, is_out, busy, choice.last, fallback_rank)
        };
        let waited_for = choice.proxies.iter().find(|id| has_waited_for(id) && !is_out(id)).copied();
        let picked = waited_for.or_else(choose)?;
        *self.busy.entry(picked).or_default() += 1;
        Some(picked)
    }
}
