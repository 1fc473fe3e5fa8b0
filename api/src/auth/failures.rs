//! Slows down who tries keys that are wrong, by address.
//!
//! Each address may fail [`FAILURES_MAX`] times at once, and then once every [`REGAINED_EVERY`]. So
//! whoever shares an address with an attacker is kept from signing in for seconds, and never from
//! using a key that has been accepted before. Texts that Callboard did not make are counted apart
//! from those that it did: they can only be guesses at the configured key, and whoever tries them
//! does not slow down a key of the catalogue.

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
    /// When the failures of an address will all have been forgotten.
    even_at: Mutex<Cache<(Option<Network>, bool), Instant>>,
}

impl Failures {
    pub(super) fn new(max: u32, regained_every: Duration) -> Self {
        Self { max, regained_every, even_at: Mutex::new(cache::bounded(ADDRESSES_MAX)) }
    }

    /// Counts a try, or returns how long to wait if there were too many failures.
    pub(super) fn count(&self, now: Instant, address: Option<IpAddr>, is_made: bool) -> Result<(), Duration> {
        let key = (network(address), is_made);
        let mut all = self.even_at.lock();
        let even_at = all.get(&key).copied().filter(|at| *at > now).unwrap_or(now) + self.regained_every;
        let over = (even_at - now).saturating_sub(self.regained_every.saturating_mul(self.max));
        if over.is_zero() {
            all.put(key, even_at);
            return Ok(());
        }
        Err(over)
    }

    /// Takes a try back, because it was none.
    pub(super) fn take_back(&self, address: Option<IpAddr>, is_made: bool) {
        let mut all = self.even_at.lock();
        if let Some(at) = all.get_mut(&(network(address), is_made))
            && let Some(earlier) = at.checked_sub(self.regained_every)
        {
            *at = earlier;
        }
    }
}

/// Whose failures count together.
fn network(address: Option<IpAddr>) -> Option<Network> {
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
        for _ in 0..FAILURES_MAX {
            failures.count(now, one, false).unwrap();
        }
        assert_eq!(failures.count(now, one, false), Err(REGAINED_EVERY));
        assert_eq!(failures.count(now, one, true), Ok(()), "what Callboard made is counted apart");
        assert_eq!(failures.count(now, Some(address("192.0.2.2")), false), Ok(()));
        assert_eq!(failures.count(now, None, false), Ok(()));
        now += Duration::from_secs(1);
        assert_eq!(failures.count(now, one, false), Err(Duration::from_secs(2)));
        now += REGAINED_EVERY;
        failures.count(now, one, false).unwrap();
        failures.count(now, one, false).unwrap_err();
        failures.take_back(one, false);
        failures.count(now, one, false).unwrap();
        now += REGAINED_EVERY * 100;
        for _ in 0..FAILURES_MAX {
            failures.count(now, one, false).unwrap();
        }
        failures.count(now, one, false).unwrap_err();
    }

    #[test]
    fn the_addresses_of_one_network_count_as_one_and_their_number_is_bounded() {
        let (failures, now) = (Failures::new(1, REGAINED_EVERY), Instant::now());
        let count = |address| failures.count(now, Some(address), false);
        count(address("2001:db8::1")).unwrap();
        count(address("2001:db8::ffff:1")).unwrap_err();
        count(address("2001:db8:0:1::1")).unwrap();
        count(address("192.0.2.1")).unwrap();
        count(address("::ffff:192.0.2.1")).unwrap_err();
        for number in 0..ADDRESSES_MAX as u32 * 2 {
            count(IpAddr::V4(number.into())).unwrap();
        }
        assert!(failures.even_at.lock().len() <= ADDRESSES_MAX);
    }
}
