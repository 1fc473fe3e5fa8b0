//! Cool down: keeps all jobs from a proxy that an attempt could not reach, for a while.
//!
//! One transaction, committed before that attempt is settled, so that later claims find the proxy's
//! gate closed. The pause ends by itself. `catalogue::proxies` ends it early when a check succeeds
//! or when the proxy's address changes. If the process dies before the commit, the next attempt on
//! the proxy fails and closes the gate.

use std::{slice::from_ref, time::Duration};

use super::wake::{Woken, wake_all};
use crate::{
    clock::Time,
    ids::ProxyId,
    limit::{
        GateKey,
        response::{Closed, Observation},
    },
    steps::{After, Done},
    store::{
        Store, StoreError, commit,
        limits::gates::{self, Saved, Wake},
    },
};

/// First pause. A pause that follows soon after another is twice as long, up to 15 minutes
/// (`limit::observed`).
pub const PAUSE: Duration = Duration::from_secs(5);

/// Closes the proxy's gate and returns until when. Its waiters are woken, because some may have
/// another proxy. A failure while the gate is closed does not prolong the pause.
pub async fn cool_down(store: &Store, proxy: ProxyId) -> Result<Done<Option<Time>>, StoreError> {
    let key = GateKey::Proxy(proxy);
    let mut transaction = store.begin().await?;
    let mut locked = gates::lock(&mut transaction, from_ref(&key)).await?;
    let Some(now) = locked.at else { return Ok(Done::unchanged(None)) };
    let gate = locked.gates.entry(key.clone()).or_default();
    let was_shut = gate.why_shut(now).is_some();
    gate.apply(&Observation { limits: Vec::new(), closed: Some(Closed::AtLeast(PAUSE)) }, now);
    let until = gate.shut_until(now);
    // The gate is due then, whether or not it still has waiters.
    let wake = Wake::Soonest(until.and_then(|until| (until - now).to_std().ok()));
    gates::save(&mut transaction, &[Saved { key: &key, gate, demand: None, wake }]).await?;
    let woken = if was_shut { Woken::default() } else { wake_all(&mut transaction, &key).await? };
    commit(transaction).await?;
    Ok(Done::new(until, After { has_timed: true, ..woken.after() }))
}
