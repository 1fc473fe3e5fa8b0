//! Services that refuse requests at the moment, so that claimed attempts for them do not start.
//!
//! Fed by this worker's own attempts and by hints of other workers. Best effort: the rule itself is
//! the service's gate in Postgres, which holds back every later claim.

use std::{collections::HashMap, sync::Arc, time::Instant};

use callboard::{clock::Time, ids::ServiceId, limit::HoldBack};
use parking_lot::Mutex;

/// The paused services, each with its pause. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct PausedServices(Arc<Mutex<HashMap<ServiceId, Pause>>>);

#[derive(Debug)]
struct Pause {
    end: Instant,
    claimed_before: Time,
}

impl PausedServices {
    /// Applies a hint, which replaces an earlier one for its service.
    pub(crate) fn apply(&self, hint: HoldBack) {
        let now = Instant::now();
        let mut paused = self.0.lock();
        paused.retain(|_, pause| pause.end > now);
        let pause = Pause { end: now + hint.length, claimed_before: hint.claimed_before };
        paused.insert(hint.service, pause);
    }

    /// The first of these services that is paused now for an attempt that was claimed at this time,
    /// by the database's clock.
    pub(crate) fn find(&self, services: &[ServiceId], claimed_at: Time) -> Option<ServiceId> {
        let now = Instant::now();
        let paused = self.0.lock();
        let holds = |pause: &Pause| pause.end > now && claimed_at < pause.claimed_before;
        services.iter().copied().find(|service| paused.get(service).is_some_and(holds))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callboard::clock::{self, IdSource};

    use super::*;

    #[test]
    fn a_service_is_paused_until_the_pause_ends_or_is_lifted() {
        let (one, other): (ServiceId, ServiceId) = (IdSource.make(), IdSource.make());
        let (at, length) = (clock::now(), Duration::from_mins(1));
        let paused_services = PausedServices::default();
        assert_eq!(paused_services.find(&[one], at), None);
        paused_services.apply(HoldBack { service: one, claimed_before: at + length, length });
        assert_eq!(paused_services.find(&[other, one], at), Some(one));
        assert_eq!(paused_services.find(&[other], at), None);
        assert_eq!(paused_services.find(&[one], at + length), None, "claimed through the open gate");
        paused_services.apply(HoldBack::lifted(one));
        assert_eq!(paused_services.find(&[one], at), None);
    }
}
