//! Observe: what services answered moves their gates, for everybody.
//!
//! Called by the worker for answers to its attempts, and by the API when somebody resumes a service; [`reopen`] by `catalogue::proxies`
//! as well. An attempt is not settled before its observation is committed: what it was refused is not asked again.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    clock::Time,
    ids::ServiceId,
    limit::{GateKey, HoldBack, observed::Shut, response::Observation},
    steps::After,
    store::{
        Connection, Store, StoreError, commit,
        limits::gates::{self, Saved, Wake},
    },
};

/// Most observations of one batch.
pub const OBSERVE_BATCH_MAX: usize = 200;
/// What a service answered.
#[derive(Debug, Clone)]
pub struct RateLimitObservation {
    /// Which service.
    pub service: ServiceId,
    /// When, by the clock of whoever saw it.
    pub at: Time,
    /// What it says, by the same clock.
    pub seen: Observation,
}

/// Takes in a batch.
pub async fn observe(store: &Store, observations: Vec<RateLimitObservation>) -> Result<After, StoreError> {
    let keys: BTreeSet<GateKey> =
        observations.iter().map(|observation| GateKey::Service(observation.service)).collect();
    let keys: Vec<GateKey> = keys.into_iter().collect();
    let mut transaction = store.begin().await?;
    let mut locked = gates::lock(&mut transaction, &keys).await?;
    let Some(now) = locked.at else { return Ok(After::default()) };
    let mut closed: HashMap<ServiceId, Option<Time>> = HashMap::new();
    for RateLimitObservation { service, at, seen } in observations {
        let gate = locked.gates.entry(GateKey::Service(service)).or_default();
        let is_refusal = seen.closed.is_some();
        gate.apply(&seen.moved(now - at), now);
        match &gate.shut {
            Some(Shut::Until(until)) if is_refusal => drop(closed.insert(service, Some(*until))),
            Some(Shut::Suspended { .. }) if is_refusal => drop(closed.insert(service, None)),
            Some(Shut::Until(_) | Shut::Suspended { .. }) | None => {}
        }
    }
    let saved = locked.gates.iter();
    let saved = saved.map(|(key, gate)| Saved { key, gate, demand: None, wake: Wake::Soonest(None) });
    gates::save(&mut transaction, &saved.collect::<Vec<_>>()).await?;
    commit(transaction).await?;
    let held_back =
        closed.into_iter().filter_map(|(service, until)| HoldBack::new(service, until, now)).collect();
    Ok(After { held_back, ..After::default() })
}

/// Lets jobs pass again, whatever the service said. Nothing happens if nothing is in their way.
pub async fn resume_service(store: &Store, service: ServiceId) -> Result<After, StoreError> {
    let mut transaction = store.begin().await?;
    if !reopen(&mut transaction, &GateKey::Service(service)).await? {
        return Ok(After::default());
    }
    commit(transaction).await?;
    Ok(After { has_timed: true, held_back: vec![HoldBack::lifted(service)], ..After::default() })
}

/// Opens a gate that is shut, and plans a look at whoever is parked there; false if nothing was in their way.
pub(crate) async fn reopen(connection: &mut Connection, key: &GateKey) -> Result<bool, StoreError> {
    let mut locked = gates::lock(connection, std::slice::from_ref(key)).await?;
    let Some(now) = locked.at else { return Ok(false) };
    let gate = locked.gates.entry(key.clone()).or_default();
    if !gate.resume(now) {
        return Ok(false);
    }
    let wake = Wake::At(gate.has_waiters.then_some(Duration::ZERO));
    gates::save(connection, &[Saved { key, gate, demand: None, wake }]).await?;
    Ok(true)
}
