//! Services that want no requests just now, as far as this worker has heard: what it has claimed of their jobs does not begin.
//!
//! Closed by what its own attempts were answered and by hints of other workers, asked by the pipeline right before an
//! attempt begins. Never the rule itself: that is the service's gate in Postgres, which nothing passes that is claimed later.

use std::{collections::HashMap, sync::Arc, time::Instant};

use callboard::{ids::ServiceId, limit::HoldBack};
use parking_lot::Mutex;

/// The services and their ends. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct PausedServices(Arc<Mutex<HashMap<ServiceId, Instant>>>);

impl PausedServices {
    /// Takes a hint in. The newest counts: it was told last.
    pub(crate) fn apply(&self, hint: HoldBack) {
        let now = Instant::now();
        let mut paused = self.0.lock();
        paused.retain(|_, until| *until > now);
        paused.insert(hint.service, now + hint.length);
    }

    /// The first of these services that is closed now.
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
    fn a_service_is_closed_until_it_is_over_or_lifted() {
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
