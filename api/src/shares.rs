//! Shares: how much of the server one address or one key may take at a time.
//!
//! Clients that have not signed in share the quota of their address. The others use that of their
//! key. So a stranger takes nothing from those who have a key, and one key takes nothing from the
//! others.

use std::{collections::HashMap, hash::Hash, net::IpAddr, sync::Arc, time::Duration};

use axum::{
    http::{HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use callboard::{
    cache::{self, Cache},
    ids::ApiKeyId,
};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::{
    auth::Access,
    client_address::{ClientAddress, Network},
    error::{ApiError, Code},
};

/// Addresses and keys whose rates are remembered. The least recently seen is evicted first, so a
/// flood of addresses takes no memory.
const REMEMBERED_MAX: usize = 20_000;
/// A holder that was quiet may send as many requests at once as it may send in this time.
const BURST_SECONDS: f64 = 2.0;

/// The size of the shares. 0 for no bound.
#[derive(Debug, Clone, Copy)]
pub struct ShareLimits {
    /// Open connections of an address that have not signed in.
    pub connections_per_address: u32,
    /// Open connections of a key.
    pub connections_per_key: u32,
    /// Open sockets and event streams of an address that have not signed in.
    pub sockets_per_address: u32,
    /// Open sockets and event streams of a key.
    pub sockets_per_key: u32,
    /// Requests, and messages on sockets, of an address that has not signed in, per second.
    pub requests_per_address: u32,
    /// Requests, and messages on sockets, of a key, per second.
    pub requests_per_key: u32,
}

impl ShareLimits {
    /// The defaults of the settings.
    pub const DEFAULT: Self = Self {
        connections_per_address: 5000,
        connections_per_key: 15_000,
        sockets_per_address: 4000,
        sockets_per_key: 10_000,
        requests_per_address: 1000,
        requests_per_key: 10_000,
    };
}

impl Default for ShareLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Whose share it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Holder {
    /// Of who has not signed in.
    Address(Network),
    /// Of a key, with its sessions. `None` for the configured key.
    Key(Option<ApiKeyId>),
}

impl Holder {
    /// The holder of what this caller takes. `None` for what a test sends without a connection.
    pub fn of(access: &Access, address: Option<IpAddr>) -> Option<Self> {
        let key = access.caller().map(|caller| Self::Key(caller.credential.key()));
        key.or_else(|| address.map(Self::at))
    }

    /// Whoever is at this address and has not signed in.
    pub fn at(address: IpAddr) -> Self {
        Self::Address(ClientAddress(address).network())
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Address(_) => "address",
            Self::Key(_) => "key",
        }
    }
}

/// All shares of this process. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shares(Arc<State>);

#[derive(Debug)]
struct State {
    limits: ShareLimits,
    /// Has an entry only for who has something open.
    connections: Counts<Holder>,
    sockets: Counts<Holder>,
    requests: Mutex<Cache<Holder, Bucket>>,
}

type Counts<K> = Arc<Mutex<HashMap<K, u32>>>;

impl Default for State {
    fn default() -> Self {
        Self::new(ShareLimits::DEFAULT)
    }
}

impl State {
    fn new(limits: ShareLimits) -> Self {
        Self {
            limits,
            connections: Arc::default(),
            sockets: Arc::default(),
            requests: Mutex::new(cache::bounded(REMEMBERED_MAX)),
        }
    }
}

impl Shares {
    /// Shares of this size.
    pub fn new(limits: ShareLimits) -> Self {
        Self(Arc::new(State::new(limits)))
    }

    /// Counts a connection until it is dropped. `None` if the holder has its share.
    pub fn connection(&self, holder: Holder) -> Option<ShareGuard> {
        let limit = match holder {
            Holder::Address(_) => self.0.limits.connections_per_address,
            Holder::Key(_) => self.0.limits.connections_per_key,
        };
        let held = take(&self.0.connections, holder, limit);
        count_refusal(held.is_none(), "connection", holder.as_str());
        held
    }

    /// Counts a socket or an event stream until it is dropped. `None` if the holder has its share.
    pub fn socket(&self, holder: Holder) -> Option<ShareGuard> {
        let limit = match holder {
            Holder::Address(_) => self.0.limits.sockets_per_address,
            Holder::Key(_) => self.0.limits.sockets_per_key,
        };
        let held = take(&self.0.sockets, holder, limit);
        count_refusal(held.is_none(), "socket", holder.as_str());
        held
    }

    /// Counts a request, or says when there is room for the next one.
    pub fn request(&self, holder: Holder) -> Result<(), ApiError> {
        self.request_at(holder, Instant::now()).map_err(|wait| {
            let who = match holder {
                Holder::Address(_) => "This address sends too many requests without a key.",
                Holder::Key(_) => "This key sends too many requests.",
            };
            too_many(who, wait.as_secs() + 1)
        })
    }

    fn request_at(&self, holder: Holder, now: Instant) -> Result<(), Duration> {
        let limit = match holder {
            Holder::Address(_) => self.0.limits.requests_per_address,
            Holder::Key(_) => self.0.limits.requests_per_key,
        };
        if limit == 0 {
            return Ok(());
        }
        let rate = f64::from(limit);
        let taken =
            self.0.requests.lock().get_or_insert_mut(holder, || Bucket::full(rate, now)).take(rate, now);
        count_refusal(taken.is_err(), "request", holder.as_str());
        taken
    }
}

/// The refusal of a socket or an event stream whose holder has its share.
pub(crate) fn too_many_sockets(holder: Holder) -> ApiError {
    let what = match holder {
        Holder::Address(_) => {
            "This address has too many sockets and event streams open that have not signed in."
        }
        Holder::Key(_) => "This key has too many sockets and event streams open.",
    };
    too_many(what, 5)
}

/// The refusal of a connection whose key has its share.
pub(crate) fn too_many_connections() -> ApiError {
    too_many("This key has too many connections open.", 5)
}

fn too_many(what: &str, seconds: u64) -> ApiError {
    ApiError::new(Code::RateLimited, format!("{what} Try again in {seconds} s.")).with_retry_after(seconds)
}

/// The response to what is refused before it is read, in the form of GraphQL: mostly 429 with
/// `Retry-After`.
pub(crate) fn refusal(error: &ApiError) -> Response {
    let mut response = (error.code.status(), body(error)).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    if let Some(seconds) = error.retry_after {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same as bytes, for a connection that nobody serves.
pub(crate) fn refused_connection() -> String {
    let seconds = 5;
    let body =
        body(&too_many("This address has too many connections open that have not signed in.", seconds));
    format!(
        "HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json; charset=utf-8\r\n\
         content-length: {}\r\nretry-after: {seconds}\r\ncache-control: no-store\r\nconnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn body(error: &ApiError) -> String {
    serde_json::json!({ "errors": [error.to_server_error()] }).to_string()
}

fn count_refusal(is_refused: bool, what: &'static str, by: &'static str) {
    if is_refused {
        metrics::counter!("callboard_share_refusals_total", "what" => what, "by" => by).increment(1);
    }
}

/// Something that is open and counts. Dropped when it closes, or when it counts elsewhere.
pub struct ShareGuard(Option<Box<dyn FnOnce() + Send + Sync>>);

impl std::fmt::Debug for ShareGuard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ShareGuard")
    }
}

impl Drop for ShareGuard {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

fn take<K: Hash + Eq + Copy + Send + Sync + 'static>(
    counts: &Counts<K>,
    key: K,
    limit: u32,
) -> Option<ShareGuard> {
    if limit == 0 {
        return Some(ShareGuard(None));
    }
    let mut open = counts.lock();
    let count = open.entry(key).or_default();
    if *count >= limit {
        return None;
    }
    *count += 1;
    let counts = Arc::clone(counts);
    Some(ShareGuard(Some(Box::new(move || {
        let mut open = counts.lock();
        if let Some(count) = open.get_mut(&key) {
            *count -= 1;
            if *count == 0 {
                open.remove(&key);
            }
        }
    }))))
}

/// Tokens for requests, which time refills.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Bucket {
    const fn full(rate: f64, at: Instant) -> Self {
        Self { tokens: rate * BURST_SECONDS, at }
    }

    fn take(&mut self, rate: f64, now: Instant) -> Result<(), Duration> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(rate * BURST_SECONDS);
        self.at = now;
        if self.tokens < 1.0 {
            return Err(Duration::from_secs_f64((1.0 - self.tokens) / rate));
        }
        self.tokens -= 1.0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client_address::ClientAddress;

    fn network(text: &str) -> Network {
        ClientAddress(text.parse().unwrap()).network()
    }

    fn limited(most: u32) -> Shares {
        Shares::new(ShareLimits {
            connections_per_address: most,
            connections_per_key: most,
            sockets_per_address: most,
            sockets_per_key: most,
            requests_per_address: most,
            requests_per_key: most,
        })
    }

    #[test]
    fn what_is_open_is_counted_until_it_is_dropped() {
        let shares = limited(2);
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| Holder::Address(network(text)));
        let held = [shares.connection(one), shares.connection(one)];
        assert!(held.iter().all(Option::is_some) && shares.connection(one).is_none());
        assert!(shares.connection(other).is_some());
        drop(held);
        assert!(shares.connection(one).is_some());
        assert!(shares.0.connections.lock().is_empty(), "no entry for who has nothing open");

        let key = Holder::Key(None);
        let _held = [shares.socket(one), shares.socket(one)];
        assert!(shares.socket(one).is_none() && shares.socket(key).is_some());
        let _held = [shares.connection(key), shares.connection(key)];
        assert!(shares.connection(key).is_none() && shares.connection(one).is_some());
    }

    #[test]
    fn requests_are_counted_by_the_second() {
        let (shares, now) = (limited(10), Instant::now());
        let [one, other] = ["192.0.2.1", "192.0.2.2"].map(|text| Holder::Address(network(text)));
        for _ in 0..20 {
            shares.request_at(one, now).unwrap();
        }
        let wait = shares.request_at(one, now).unwrap_err();
        assert!(wait > Duration::from_millis(90) && wait <= Duration::from_millis(100), "{wait:?}");
        shares.request_at(other, now).unwrap();
        shares.request_at(Holder::Key(None), now).unwrap();
        shares.request_at(one, now + wait).unwrap();
        shares.request_at(one, now + wait).unwrap_err();
        let later = now + Duration::from_hours(1);
        let taken = (0..100).filter(|_| shares.request_at(one, later).is_ok()).count();
        assert_eq!(taken, 20, "no more than the burst");
    }

    #[test]
    fn a_flood_of_addresses_takes_no_memory() {
        let shares = limited(1);
        for number in 0..3 * REMEMBERED_MAX as u32 {
            let address = std::net::Ipv4Addr::from(number).into();
            shares.request(Holder::at(address)).unwrap();
        }
        assert_eq!(shares.0.requests.lock().len(), REMEMBERED_MAX);
    }

    #[test]
    fn zero_is_no_bound() {
        let shares = limited(0);
        let held: Vec<_> = (0..1000).map(|_| shares.connection(Holder::Address(network("::1")))).collect();
        assert!(held.iter().all(Option::is_some));
        assert!((0..10_000).all(|_| shares.request(Holder::Key(None)).is_ok()));
    }
}
