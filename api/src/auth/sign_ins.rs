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
    failures::{FAILURES_MAX, Failures, REGAINED_EVERY},
};
use crate::{
    audit::AuditLog,
    error::{ApiError, Code},
};

/// Maximum number of keys and addresses whose first use is remembered.
const USES_MAX: usize = 10_000;
const TOO_MANY: &str = "Too many sign-ins from this address have failed.";

/// The attempts to sign in.
pub(super) struct SignIns {
    failures: Failures,
    /// Which key was used from where.
    uses: Mutex<Cache<(Proof, Option<IpAddr>), ()>>,
    audit: Option<AuditLog>,
}

impl SignIns {
    pub(super) fn new() -> Self {
        Self {
            failures: Failures::new(FAILURES_MAX, REGAINED_EVERY),
            uses: Mutex::new(cache::bounded(USES_MAX)),
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
        let address = client.address.map(tracing::field::display);
        tracing::warn!(address, transport = client.transport.as_str(), reason, "a sign-in failed");
        if let Some(audit) = &self.audit {
            let actor = Actor { name: name.unwrap_or_default(), ..Access::Anonymous.actor(client) };
            // Equal entries of one second become one, so the time to wait is no part of them.
            let is_slowed = why.code == Code::RateLimited;
            audit.sign_in_failed(&actor, if is_slowed { TOO_MANY } else { &why.message });
        }
        why
    }
}
