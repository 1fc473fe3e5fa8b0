//! What is done about each attempt to sign in: failures are slowed by address, counted, logged and
//! written to the audit, and so is the first use of a key from an address.

use std::{net::IpAddr, time::Duration};

use callboard::{
    audit::Actor,
    cache::{self, Cache},
};
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    Access, Caller, Client, Proof,
    failures::{FAILURES_MAX, Failures, REGAINED_EVERY, network},
};
use crate::{
    audit::AuditLog,
    client_address::Network,
    error::{ApiError, Code},
};

/// Maximum number of keys and addresses whose first use is remembered.
const USES_MAX: usize = 10_000;
/// Maximum number of addresses whose last line in the log is remembered.
const ADDRESSES_MAX: usize = 10_000;
/// Least time between two lines in the log about failures at one address.
const LOGGED_EVERY: Duration = Duration::from_secs(1);
const TOO_MANY: &str = "Too many sign-ins from this address have failed.";

/// The attempts to sign in.
pub(super) struct SignIns {
    failures: Failures,
    /// Which key was used from where.
    uses: Mutex<Cache<(Proof, Option<IpAddr>), ()>>,
    /// The last line about each address, and how many failures since are in none.
    logged: Mutex<Cache<Option<Network>, (Instant, u32)>>,
    audit: Option<AuditLog>,
}

impl SignIns {
    pub(super) fn new() -> Self {
        Self {
            failures: Failures::new(FAILURES_MAX, REGAINED_EVERY),
            uses: Mutex::new(cache::bounded(USES_MAX)),
            logged: Mutex::new(cache::bounded(ADDRESSES_MAX)),
            audit: None,
        }
    }

    pub(super) fn with_failures(self, max: u32, regained_every: Duration) -> Self {
        Self { failures: Failures::new(max, regained_every), ..self }
    }

    pub(super) fn with_audit(self, audit: AuditLog) -> Self {
        Self { audit: Some(audit), ..self }
    }

    /// Refuses to try another key if too many from this address were wrong.
    pub(super) fn may_try(&self, client: &Client) -> Result<(), ApiError> {
        let Some(wait) = self.failures.wait(Instant::now(), client.address) else { return Ok(()) };
        let seconds = wait.as_secs() + 1;
        let message = format!("{TOO_MANY} Try again in {seconds} s.");
        let error = ApiError::new(Code::RateLimited, message).with_retry_after(seconds);
        Err(self.failed(client, "too_many", None, error))
    }

    /// Counts a guess at a key.
    pub(super) fn charge(&self, client: &Client) {
        self.failures.charge(Instant::now(), client.address);
    }

    /// Records the first use of a key from an address since the process started.
    pub(super) fn succeeded(&self, proof: Proof, caller: &Caller, client: &Client) {
        let Some(audit) = &self.audit else { return };
        if self.uses.lock().put((proof, client.address), ()).is_none() {
            audit.signed_in(&caller.actor(client));
        }
    }

    /// Counts, logs and records a failure of the key with this name, if it is known. Returns why it
    /// failed.
    pub(super) fn failed(
        &self,
        client: &Client,
        reason: &'static str,
        name: Option<String>,
        why: ApiError,
    ) -> ApiError {
        metrics::counter!("callboard_sign_ins_failed_total", "reason" => reason).increment(1);
        if let Some(unlogged) = self.to_log(Instant::now(), client.address) {
            let address = client.address.map(tracing::field::display);
            tracing::warn!(
                address,
                transport = client.transport.as_str(),
                reason,
                unlogged,
                "a sign-in failed"
            );
        }
        if let Some(audit) = &self.audit {
            let actor = Actor { name: name.unwrap_or_default(), ..Access::Anonymous.actor(client) };
            // Equal entries of one second become one, so the time to wait is no part of them.
            let is_slowed = why.code == Code::RateLimited;
            audit.sign_in_failed(&actor, if is_slowed { TOO_MANY } else { &why.message });
        }
        why
    }

    /// Whether a failure at this address gets a line in the log, and how many before it got none.
    fn to_log(&self, now: Instant, address: Option<IpAddr>) -> Option<u32> {
        let mut logged = self.logged.lock();
        let address = network(address);
        match logged.get_mut(&address) {
            Some((at, unlogged)) if now < *at + LOGGED_EVERY => {
                *unlogged = unlogged.saturating_add(1);
                None
            }
            _ => Some(logged.put(address, (now, 0)).map_or(0, |(_, unlogged)| unlogged)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_flood_of_failures_is_a_line_a_second_for_each_address() {
        let (sign_ins, began) = (SignIns::new(), Instant::now());
        let [one, other] = [1, 2].map(|last| Some(Ipv4Addr::new(192, 0, 2, last).into()));
        for (address, expected) in [(one, [0, 399, 399]), (other, [0, 399, 399]), (None, [0, 399, 399])] {
            let lines: Vec<u32> = (0..1200_u32)
                .filter_map(|number| sign_ins.to_log(began + LOGGED_EVERY / 400 * number, address))
                .collect();
            assert_eq!(lines, expected, "{address:?}");
        }
        for number in 0..ADDRESSES_MAX as u32 * 2 {
            sign_ins.to_log(began, Some(Ipv4Addr::from(number).into()));
        }
        assert!(sign_ins.logged.lock().len() <= ADDRESSES_MAX);
    }
}
