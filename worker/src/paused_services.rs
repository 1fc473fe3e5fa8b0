//! Services that refuse requests at the moment, so that claimed attempts for them do not start.
//!
//! Fed by this worker's own attempts and by hints of other workers. Best effort: the rule itself is
//! the service's gate in Postgres, which holds back every later claim.

use std::{collections::HashMap, sync::Arc, time::Instant};

use callboard::{ids::ServiceId, limit::HoldBack};
use parking_lot::Mutex;

/// The paused services, each with the end of its pause. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct PausedServices(Arc<Mutex<HashMap<ServiceId, Instant>>>);

impl PausedServices {
    /// Applies a hint, which replaces an earlier one for its service.
    pub(crate) fn apply(&self, hint: HoldBack) {
        let now = Instant::now();
        let mut paused = self.0.lock();
        paused.retain(|_, until| *until > now);
        paused.insert(hint.service, now + hint.length);
    }

    /// The first of these services that is paused now.
    pub(crate) fn find(&self, services: &[ServiceId]) -> Option<ServiceId> {
        let now = Instant::now();
        let paused = self.0.lock();
        services.iter().copied().find(|service| paused.get(service).is_some_and(|until| *until > now))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use callboard::clock::IdSource;

    use super::*;

    #[test]
    fn a_service_is_paused_until_the_pause_ends_or_is_lifted() {
        let (one, other): (ServiceId, ServiceId) = (IdSource.make(), IdSource.make());
        let paused_services = PausedServices::default();
        assert_eq!(paused_services.find(&[one]), None);
        paused_services.apply(HoldBack { service: one, length: Duration::from_mins(1) });
        assert_eq!(paused_services.find(&[other, one]), Some(one));
        assert_eq!(paused_services.find(&[other]), None);
        paused_services.apply(HoldBack::lifted(one));
        assert_eq!(paused_services.find(&[one]), None);
    }
}
