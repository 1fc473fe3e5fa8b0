//! Observe: applies what services say about their limits to the services' gates, for all workers.
//!
//! One transaction for a batch. An attempt is settled only after its observation is committed, so
//! that its retry meets the closed gate. If the process dies before the commit, the next attempt
//! makes the same observation.

use std::{
    collections::{BTreeSet, HashMap},
    time::Duration,
};

use crate::{
    audit::{By, Object},
    clock::{IdSource, Time},
    ids::ServiceId,
    limit::{GateKey, HoldBack, observed::Shut, response::Observation},
    steps::After,
    store::{
        Connection, Store, StoreError, audit, commit,
        limits::gates::{self, Saved, Wake},
    },
};

/// Most observations of one batch.
pub const OBSERVE_BATCH_MAX: usize = 200;
/// What one response of a service said.
#[derive(Debug, Clone)]
pub struct RateLimitObservation {
    /// The service.
    pub service: ServiceId,
    /// When the response came, by the clock of the process that received it.
    pub at: Time,
    /// What it says, by the same clock.
    pub seen: Observation,
}

/// Applies a batch. The [`After`] makes attempts hold back from services that refused.
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

/// Opens the gate of a service, whatever the service said before. Does nothing if the gate is open.
pub async fn resume_service(store: &Store, service: ServiceId, by: &By) -> Result<After, StoreError> {
    let mut transaction = store.begin().await?;
    let is_reopened = reopen(&mut transaction, &GateKey::Service(service)).await?;
    let entry = by.entry(IdSource).map(|entry| entry.on(Object::new("service", &service, None)));
    audit::insert(&mut transaction, entry.as_slice()).await?;
    commit(transaction).await?;
    if !is_reopened {
        return Ok(After::default());
    }
    Ok(After { has_timed: true, held_back: vec![HoldBack::lifted(service)], ..After::default() })
}

/// Opens a closed gate and makes it due at once if it has waiters. Returns false if it was open.
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
