//! A proxy that cannot be reached is no failure of a job's: it cools down for everybody, and the attempt costs nothing.
//!
//! Called when a process has ended. Never decides by the words of the failure alone: a browser says the same of a proxy that is gone, of
//! one that wants another password, and of one that cannot reach the site. Only the first is a reason to leave it alone.

use std::time::Duration;

use callboard::{
    clock::written,
    ids::ProxyId,
    job::{FailureCode, Outcome},
    steps::limits::cool_down::cool_down,
};
use tokio::net::TcpStream;

use super::{Attempt, log_pump::Log};

/// How long a proxy may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What the attempt comes to.
pub(super) async fn throttle_if_unreachable(
    attempt: Attempt<'_>,
    proxy: Option<ProxyId>,
    outcome: Outcome,
    log: &Log,
) -> Outcome {
    let failed_there = matches!(&outcome, Outcome::Failed(failure) if failure.code == FailureCode::PROXY && failure.is_retryable);
    let proxy =
        proxy.filter(|_| failed_there).and_then(|id| Some((id, attempt.work.found.proxies.get(&id)?)));
    let Some((id, stored)) = proxy else { return outcome };
    let Err(why) = reach(&stored.proxy.address).await else { return outcome };
    let until = match cool_down(&attempt.shared.store, id).await {
        Ok(done) => done.announce_soon(&attempt.shared.redis),
        Err(error) => {
            tracing::warn!(%error, proxy = %id, "a proxy that cannot be reached is not left alone");
            None
        }
    };
    // Whoever tried again at once would find it the same.
    let Some(until) = until else { return outcome };
    let reason = format!(
        "The proxy {} could not be reached ({why}); it is left alone until {}.",
        stored.proxy.name,
        written(until)
    );
    log.system(reason.clone()).await;
    Outcome::Throttled { reason }
}

/// Whether anybody listens at this `host:port`.
async fn reach(address: &str) -> Result<(), String> {
    match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
        Ok(Ok(_connected)) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("no answer for {} seconds", CONNECT_TIMEOUT.as_secs())),
    }
}
