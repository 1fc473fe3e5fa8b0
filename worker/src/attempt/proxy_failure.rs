//! Cools down a proxy that cannot be reached, and turns the failure into a throttled attempt.
//!
//! The failure's code alone does not decide. A browser reports the same error for a proxy that is
//! down, one that wants another password, and one that cannot reach the site. Only the first cools
//! down, so the worker tries to connect itself.

use std::time::Duration;

use callboard::{
    clock::written,
    ids::ProxyId,
    job::{FailureCode, Outcome},
    steps::limits::cool_down::cool_down,
};
use tokio::net::TcpStream;

use super::{Attempt, log_pump::Log};
use crate::batcher::repeated;

/// How long a proxy may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Returns `Throttled` if the attempt failed because its proxy is down, and else the outcome
/// unchanged.
pub(super) async fn throttle_if_unreachable(
    attempt: Attempt<'_>,
    proxy: Option<ProxyId>,
    outcome: Outcome,
    log: &Log,
) -> Outcome {
    let (Some(id), Outcome::Failed(failure)) = (proxy, &outcome) else { return outcome };
    if failure.code != FailureCode::PROXY || !failure.is_retryable {
        return outcome;
    }
    let Some(stored) = attempt.work.found.proxies.get(&id) else { return outcome };
    let Err(why) = reach(&stored.proxy.address).await else { return outcome };
    let until = match repeated("cool down", || cool_down(&attempt.shared.store, id)).await {
        Ok(done) => done.announce_soon(&attempt.shared.redis),
        Err(error) => {
            tracing::warn!(%error, proxy = %id, "a proxy that cannot be reached could not be cooled down");
            None
        }
    };
    // Without the cool-down a throttled job would try the same proxy again at once.
    let Some(until) = until else { return outcome };
    let reason = format!(
        "The proxy {} could not be reached ({why}). It cools down until {}.",
        stored.proxy.name,
        written(until)
    );
    log.system(reason.clone()).await;
    Outcome::Throttled { reason }
}

/// Whether `address`, a `host:port`, accepts a connection.
async fn reach(address: &str) -> Result<(), String> {
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_connected)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no reply within {} seconds", CONNECT_TIMEOUT.as_secs())),
    }
}
