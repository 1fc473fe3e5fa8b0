//! The address of a client, also behind reverse proxies.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

use axum::http::{Extensions, HeaderMap, HeaderName};

/// Entries of the proxies' header that are looked at, from its end.
const HOPS_MAX: usize = 32;

/// Where a request comes from. In the extensions of every request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ClientAddress(pub IpAddr);

impl ClientAddress {
    /// The address of a request. `None` only for a request that a test makes itself.
    pub(crate) fn of(extensions: &Extensions) -> Option<IpAddr> {
        extensions.get().map(|Self(address)| *address)
    }

    /// The network that shares are counted by: the address itself, or of IPv6 the first 64 bits,
    /// because one customer has all of them.
    pub fn network(self) -> Network {
        match self.0.to_canonical() {
            IpAddr::V4(address) => Network(address.into()),
            IpAddr::V6(address) => {
                let first = u128::from(address) & !u128::from(u64::MAX);
                Network(Ipv6Addr::from(first).into())
            }
        }
    }
}

/// A trusted proxy has passed the request on. In the extensions of such requests.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ViaProxy;

impl ViaProxy {
    /// Whether a trusted proxy has passed a request on.
    pub(crate) fn of(extensions: &Extensions) -> bool {
        extensions.get::<Self>().is_some()
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// An IPv4 address, or the first 64 bits of an IPv6 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network(IpAddr);

/// The reverse proxies that may say for whom a request is, and the header by which they do.
#[derive(Debug, Clone)]
pub struct TrustedProxies {
    networks: Vec<Range>,
    header: HeaderName,
}

/// Why a setting is not a list of proxies.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadProxies {
    /// Not an address or a network.
    #[error("`{0}` is not an IP address or a network such as 10.0.0.0/8")]
    Network(String),
    /// Not a name of a header.
    #[error("`{0}` is not the name of an HTTP header")]
    Header(String),
}

impl TrustedProxies {
    /// Reads addresses and networks, separated by commas, and the name of their header.
    pub fn parse(list: &str, header: &str) -> Result<Self, BadProxies> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let networks = entries
            .map(|entry| entry.parse::<Range>().map_err(|()| BadProxies::Network(entry.to_owned())))
            .collect::<Result<_, _>>()?;
        let name: Result<HeaderName, _> = header.trim().parse();
        let header = name.map_err(|_| BadProxies::Header(header.to_owned()))?;
        Ok(Self { networks, header })
    }

    /// Trusts nobody: every client is where its connection comes from.
    pub fn none() -> Self {
        Self { networks: Vec::new(), header: HeaderName::from_static("x-forwarded-for") }
    }

    /// Whether this address is that of a proxy.
    pub fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.networks.iter().any(|network| network.has(address))
    }

    /// The client of a request: where its connection comes from, or if that is a proxy, the last
    /// entry of the header that is none. What a client has written into the header itself stands
    /// before that, and is not believed.
    pub fn client(&self, peer: IpAddr, headers: &HeaderMap) -> ClientAddress {
        let mut nearest = peer.to_canonical();
        if self.networks.is_empty() {
            return ClientAddress(nearest);
        }
        // Entries are read one by one: a client that writes an unreadable one must not hide what
        // the proxy has added behind it.
        let values = headers.get_all(&self.header).iter().rev();
        for entry in values.flat_map(|value| value.as_bytes().rsplit(|byte| *byte == b',')).take(HOPS_MAX) {
            if !self.trusts(nearest) {
                break;
            }
            // Behind what cannot be read, the nearest proxy that was named is to blame.
            let Some(address) = str::from_utf8(entry).ok().and_then(address_in) else { break };
            nearest = address;
        }
        ClientAddress(nearest)
    }
}

/// Reads `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1` or `[2001:db8::1]:80`, also quoted.
fn address_in(entry: &str) -> Option<IpAddr> {
    let text = entry.trim().trim_matches('"');
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let address = bare.parse().ok().or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

/// The addresses that begin with some bits.
#[derive(Debug, Clone, Copy)]
struct Range {
    from: IpAddr,
    bits: u32,
}

impl Range {
    fn has(self, address: IpAddr) -> bool {
        match (self.from, address) {
            (IpAddr::V4(from), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(Ipv4Addr::BITS - self.bits).unwrap_or(0);
                u32::from(from) & mask == u32::from(address) & mask
            }
            (IpAddr::V6(from), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(Ipv6Addr::BITS - self.bits).unwrap_or(0);
                u128::from(from) & mask == u128::from(address) & mask
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Range {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits.parse::<u32>().map_err(|_| ())?)),
            None => (text, None),
        };
        let from: IpAddr = address.parse().map_err(|_| ())?;
        let most = match from {
            IpAddr::V4(_) => Ipv4Addr::BITS,
            IpAddr::V6(_) => Ipv6Addr::BITS,
        };
        let bits = bits.unwrap_or(most);
        if bits > most { Err(()) } else { Ok(Self { from, bits }) }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies(list: &str) -> TrustedProxies {
        TrustedProxies::parse(list, "X-Forwarded-For").unwrap()
    }

    fn client(list: &str, peer: &str, forwarded: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append("x-forwarded-for", value.parse().unwrap());
        }
        proxies(list).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn only_a_trusted_proxy_says_for_whom_a_request_is() {
        let lying = ["198.51.100.1, 198.51.100.2"];
        assert_eq!(client("", "192.0.2.9", &lying), "192.0.2.9");
        assert_eq!(client("10.0.0.0/8", "192.0.2.9", &lying), "192.0.2.9");
        assert_eq!(client("192.0.2.9", "192.0.2.9", &lying), "198.51.100.2", "not what the client wrote");
        assert_eq!(client("192.0.2.0/24, 198.51.100.2", "192.0.2.9", &lying), "198.51.100.1");
        assert_eq!(client("192.0.2.9", "192.0.2.9", &["198.51.100.1", "198.51.100.2:4711"]), "198.51.100.2");
        assert_eq!(client("0.0.0.0/0", "192.0.2.9", &lying), "198.51.100.1");
        assert_eq!(client("192.0.2.9", "192.0.2.9", &[]), "192.0.2.9");
        for unreadable in ["", "unknown", "198.51.100.1, _hidden", "198.51.100.1,"] {
            assert_eq!(client("192.0.2.9", "192.0.2.9", &[unreadable]), "192.0.2.9", "{unreadable}");
        }
        // What the client wrote may be no text. What the proxy has added counts, and nothing
        // before.
        for lines in [
            &[&b"\xff, 198.51.100.2"[..]][..],
            &[b"198.51.100.1, \xff, 198.51.100.2"],
            &[b"\xff", b"198.51.100.2"],
            &[b"198.51.100.1", b"\xff,198.51.100.2"],
        ] {
            let lines = lines.iter().map(|line| HeaderValue::from_bytes(line).unwrap());
            let headers: HeaderMap =
                lines.map(|line| (HeaderName::from_static("x-forwarded-for"), line)).collect();
            let found = proxies("192.0.2.9").client("192.0.2.9".parse().unwrap(), &headers);
            assert_eq!(found.to_string(), "198.51.100.2", "{headers:?}");
        }
        assert_eq!(client("::1", "::1", &["[2001:db8::5]:80"]), "2001:db8::5");
        assert_eq!(client("::1", "::1", &["\"[2001:db8::5]\""]), "2001:db8::5");
        assert_eq!(client("127.0.0.1", "::ffff:127.0.0.1", &["::ffff:192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn a_list_of_proxies_is_read_or_refused() {
        for fine in ["", " ", "10.0.0.1", "10.0.0.0/8, fd00::/8", "0.0.0.0/0", "::/0", "10.0.0.1/32"] {
            assert!(TrustedProxies::parse(fine, "x-real-ip").is_ok(), "{fine}");
        }
        for bad in ["10.0.0.0/33", "proxy", "10.0.0.0/x", "10.0.0.1:80", "::/129", "10.0.0.0/"] {
            assert!(matches!(TrustedProxies::parse(bad, "x-real-ip"), Err(BadProxies::Network(_))), "{bad}");
        }
        assert!(matches!(TrustedProxies::parse("", "x real"), Err(BadProxies::Header(_))));
    }

    #[test]
    fn one_customer_of_ipv6_is_one_network() {
        let network = |text: &str| ClientAddress(text.parse().unwrap()).network();
        assert_eq!(network("2001:db8:1:2:3::4"), network("2001:db8:1:2:ffff::9"));
        assert_ne!(network("2001:db8:1:2::"), network("2001:db8:1:3::"));
        assert_eq!(network("::ffff:192.0.2.1"), network("192.0.2.1"));
        assert_ne!(network("192.0.2.2"), network("192.0.2.1"));
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_it_panic(
            values in proptest::collection::vec(proptest::collection::vec(32..=255_u8, 0..200), 0..5),
            addresses in "[0-9a-f:.,\\[\\]\" /_]{0,200}",
        ) {
            let mut headers = HeaderMap::new();
            let texts = values.iter().map(Vec::as_slice).chain([addresses.as_bytes()]);
            for value in texts.filter_map(|value| HeaderValue::from_bytes(value).ok()) {
                headers.append("x-forwarded-for", value);
            }
            let list = proxies("0.0.0.0/0, ::/0");
            let _read = list.client("192.0.2.9".parse().unwrap(), &headers);
            let _read = TrustedProxies::parse(&addresses, &addresses);
        }
    }
}
