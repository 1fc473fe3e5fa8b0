//! Cool down: a proxy that an attempt could not reach is left alone for a while, by everybody.
//!
//! Called by the worker before it settles such an attempt, so that whatever comes after it meets the proxy's gate shut. The pause ends
//! by itself; `catalogue::proxies` ends it when a check goes through, or when the proxy is another way out.

use std::{slice::from_ref, time::Duration};

use super::wake::{Woken, wake_all};
use crate::{
    clock::Time,
    ids::ProxyId,
    limit::{
        GateKey,
        response::{Closed, Observation},
    },
    steps::After,
    store::{
        Store, StoreError, commit,
        limits::gates::{self, Saved, Wake},
    },
};

/// The first pause. Each that follows upon another is twice as long, up to 15 minutes (`limit::learn`).
pub const PAUSE: Duration = Duration::from_secs(5);

/// Shuts the proxy's gate, and answers until when; those who wait there are called away, since some may have another way out. Attempts
/// that fail while it is shut say nothing new.
pub async fn cool_down(store: &Store, proxy: ProxyId) -> Result<(Option<Time>, After), StoreError> {
    let key = GateKey::Proxy(proxy);
    let mut transaction = store.begin().await?;
    let mut locked = gates::lock(&mut transaction, from_ref(&key)).await?;
    let Some(now) = locked.at else { return Ok((None, After::default())) };
    let gate = locked.gates.entry(key.clone()).or_default();
    let was_shut = gate.why_shut(now).is_some();
    gate.apply(&Observation { limits: Vec::new(), closed: Some(Closed::AtLeast(PAUSE)) }, now);
    let until = gate.shut_until(now);
    // Whether anybody waits there any more is found out then.
    let wake = Wake::Soonest(until.and_then(|until| (until - now).to_std().ok()));
    gates::save(&mut transaction, &[Saved { key: &key, gate, demand: None, wake }]).await?;
    let woken = if was_shut { Woken::default() } else { wake_all(&mut transaction, &key).await? };
    commit(transaction).await?;
    Ok((until, After { has_timed: true, ..woken.after() }))
}
