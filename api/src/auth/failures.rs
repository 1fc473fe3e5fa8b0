//! Slows down who guesses at the configured key, by address.
//!
//! Each address may fail [`FAILURES_MAX`] times at once, and then once every [`REGAINED_EVERY`]. A
//! key that has been accepted before is not asked for, so a neighbour can keep nobody from working.
//! Keys that Callboard made have 256 random bits and need no such limit.

use std::{net::IpAddr, time::Duration};

use callboard::cache::{self, Cache};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::client_address::{ClientAddress, Network};

/// How often an address may fail at once.
pub const FAILURES_MAX: u32 = 10;
/// Time after which an address may fail once more.
pub const REGAINED_EVERY: Duration = Duration::from_secs(3);
/// Maximum number of addresses. Beyond it, the one that has not failed for longest is forgotten.
const ADDRESSES_MAX: usize = 10_000;

/// The failures of all addresses. There is one per process.
#[derive(Debug)]
pub(super) struct Failures {
    max: u32,
    regained_every: Duration,
    /// When all failures of an address are forgiven.
    forgiven_at: Mutex<Cache<Option<Network>, Instant>>,
}

impl Failures {
    pub(super) fn new(max: u32, regained_every: Duration) -> Self {
        Self { max, regained_every, forgiven_at: Mutex::new(cache::bounded(ADDRESSES_MAX)) }
    }

    /// How long an address has to wait before it may fail again. `None` if it need not.
    pub(super) fn wait(&self, now: Instant, address: Option<IpAddr>) -> Option<Duration> {
        let forgiven_at = self.forgiven_at.lock().get(&network(address)).copied()?;
        let allowed = self.regained_every.saturating_mul(self.max.saturating_sub(1));
        Some(forgiven_at.saturating_duration_since(now).saturating_sub(allowed))
            .filter(|wait| !wait.is_zero())
    }

    /// Counts a failure.
    pub(super) fn charge(&self, now: Instant, address: Option<IpAddr>) {
        let network = network(address);
        let mut all = self.forgiven_at.lock();
        let forgiven_at = all.get(&network).copied().filter(|at| *at > now).unwrap_or(now);
        all.put(network, forgiven_at + self.regained_every);
    }
}

/// Whose failures count together.
pub(super) fn network(address: Option<IpAddr>) -> Option<Network> {
    address.map(|address| ClientAddress(address).network())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_may_fail_at_once_and_then_now_and_then() {
        let failures = Failures::new(FAILURES_MAX, REGAINED_EVERY);
        let (one, mut now) = (Some(address("192.0.2.1")), Instant::now());
        let fail_all = |now| {
            for _ in 0..FAILURES_MAX {
                assert_eq!(failures.wait(now, one), None);
                failures.charge(now, one);
            }
        };
        fail_all(now);
        assert_eq!(failures.wait(now, one), Some(REGAINED_EVERY));
        for other in [Some(address("192.0.2.2")), None] {
            assert_eq!(failures.wait(now, other), None);
        }
        now += Duration::from_secs(1);
        assert_eq!(failures.wait(now, one), Some(Duration::from_secs(2)));
        now += Duration::from_secs(2);
        assert_eq!(failures.wait(now, one), None);
        failures.charge(now, one);
        assert_eq!(failures.wait(now, one), Some(REGAINED_EVERY));
        now += REGAINED_EVERY * 100;
        fail_all(now);
        assert_eq!(failures.wait(now, one), Some(REGAINED_EVERY));
    }

    #[test]
    fn the_addresses_of_one_network_count_as_one_and_their_number_is_bounded() {
        let (failures, now) = (Failures::new(1, REGAINED_EVERY), Instant::now());
        let waits = |text: &str| failures.wait(now, Some(address(text))).is_some();
        failures.charge(now, Some(address("2001:db8::1")));
        failures.charge(now, Some(address("192.0.2.1")));
        assert!(waits("2001:db8::ffff:1") && waits("::ffff:192.0.2.1"));
        assert!(!waits("2001:db8:0:1::1"));
        for number in 0..ADDRESSES_MAX as u32 * 2 {
            failures.charge(now, Some(IpAddr::V4(number.into())));
        }
        assert!(failures.forgiven_at.lock().len() <= ADDRESSES_MAX);
    }
}
