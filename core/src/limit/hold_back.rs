//! Holds back attempts that were claimed just before their service refused. Pure.
//!
//! Published to all workers as a hint, best effort. The gate in Postgres keeps further jobs from
//! being claimed.

use std::time::Duration;

use crate::{clock::Time, ids::ServiceId};

/// Longest hold. Attempts claimed before the gate was shut have started by then.
const LENGTH_MAX: Duration = Duration::from_secs(5);
/// Upper bound on hint delivery. Attempts claimed later than this already saw the closed gate.
const UNDER_WAY_MAX: Duration = Duration::from_millis(100);

/// A service that allows no requests for a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldBack {
    /// The service.
    pub service: ServiceId,
    /// Only attempts that were claimed before this are held, by the database's clock. Later ones
    /// were claimed through the open gate, even if this hint is late.
    pub claimed_before: Time,
    /// How long to hold attempts back, from now. Zero lifts the hold.
    pub length: Duration,
}

impl HoldBack {
    /// A hold for attempts that are claimed and have not started, or `None` if it would end before
    /// the hint is delivered. `until` is `None` for a suspended service. Both times are by the
    /// database's clock.
    pub fn new(service: ServiceId, until: Option<Time>, now: Time) -> Option<Self> {
        let wait = until.map_or(LENGTH_MAX, |until| (until - now).to_std().unwrap_or_default());
        let length = wait.min(LENGTH_MAX).saturating_sub(UNDER_WAY_MAX);
        (!length.is_zero()).then_some(Self { service, claimed_before: now + wait.min(LENGTH_MAX), length })
    }

    /// Lifts the hold.
    pub const fn lifted(service: ServiceId) -> Self {
        Self { service, claimed_before: Time::UNIX_EPOCH, length: Duration::ZERO }
    }
}
