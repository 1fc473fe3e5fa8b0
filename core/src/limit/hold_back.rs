//! Holding attempts back that were claimed just before a service refused. Pure.
//!
//! Told to all workers as a hint, best effort; the gate in Postgres is what keeps further jobs from being claimed.

use std::time::Duration;

use crate::{clock::Time, ids::ServiceId};

/// Longest that attempts are held back by a hint: those that were claimed before the gate was shut have begun by then.
const LENGTH_MAX: Duration = Duration::from_secs(5);
/// A hint is under way so long at most. What is claimed later has passed the gate, and must not be held back by it.
const UNDER_WAY_MAX: Duration = Duration::from_millis(100);

/// A service that wants no requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldBack {
    /// Which service.
    pub service: ServiceId,
    /// For how long, from now on; zero to hold nothing back any more.
    pub length: Duration,
}

impl HoldBack {
    /// For attempts that have been claimed and have not begun; none if there is nothing to hold back. Without `until` the
    /// service is suspended.
    pub fn new(service: ServiceId, until: Option<Time>, now: Time) -> Option<Self> {
        let wait = until.map_or(LENGTH_MAX, |until| (until - now).to_std().unwrap_or_default());
        let length = wait.min(LENGTH_MAX).saturating_sub(UNDER_WAY_MAX);
        (!length.is_zero()).then_some(Self { service, length })
    }

    /// The service is asked again.
    pub const fn lifted(service: ServiceId) -> Self {
        Self { service, length: Duration::ZERO }
    }
}
