//! A proxy: the value and its rules. Pure.
//!
//! Only protocols that browsers and HTTP clients speak themselves are here. To add one, add a
//! variant to [`ProxyProtocol`] with its two matches below, and change the CHECK in a migration.

use serde::{Deserialize, Serialize};

use crate::{clock::Time, ids::ProxyId, limit::Limits, percent, refusal::Refusal};

/// A proxy as the catalogue keeps it. Its credentials are kept apart and encrypted.
#[derive(Debug, Clone, PartialEq)]
pub struct Proxy {
    /// Its id.
    pub id: ProxyId,
    /// Unique among proxies.
    pub name: String,
    /// The protocol.
    pub protocol: ProxyProtocol,
    /// `host:port`. See [`check_address`].
    pub address: String,
    /// Whether a user name or password is stored.
    pub has_credentials: bool,
    /// Result of the last check or attempt.
    pub health: ProxyHealth,
    /// How many jobs may go through it at once, and how often they may start.
    pub limits: Limits,
    /// Rises with every change by an admin.
    pub version: i32,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

/// The protocol of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ProxyProtocol {
    /// HTTP proxy, `CONNECT` for TLS.
    Http,
    /// The same, over TLS.
    Https,
    /// SOCKS version 5. The proxy resolves names.
    Socks5,
}

impl ProxyProtocol {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Http, Self::Https, Self::Socks5];

    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5",
        }
    }

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }

    /// The URL scheme for browsers and HTTP clients. With `socks5h` the proxy resolves names.
    pub const fn scheme(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Socks5 => "socks5h",
        }
    }
}

/// The health of a proxy.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ProxyHealth {
    /// Healthy, down, or unknown.
    pub status: HealthStatus,
    /// How long the last successful check took, in milliseconds.
    pub latency_ms: Option<i32>,
    /// The address that the outside sees.
    pub exit_address: Option<String>,
    /// When it was last checked.
    pub checked_at: Option<Time>,
    /// Why it is down.
    pub failure: Option<String>,
}

/// Healthy, down, or unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HealthStatus {
    /// Never checked.
    #[default]
    Unknown,
    /// The last check succeeded.
    Healthy,
    /// The last check failed.
    Down,
}

impl HealthStatus {
    /// As stored.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Down => "down",
        }
    }

    /// From what is stored.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Unknown, Self::Healthy, Self::Down].into_iter().find(|each| each.as_str() == text)
    }
}

/// Why no client can use a proxy. Never names a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum UnusableProxy {
    /// A client would silently go without the proxy.
    #[error("the proxy's address must be a host of ASCII letters, digits, `-` and `.`, and a port")]
    Address,
    /// SOCKS5 cannot pass it on (RFC 1929).
    #[error("the user name and the password for a SOCKS5 proxy must be at most 255 bytes each")]
    TooLong,
}

/// The URL by which an HTTP client is told of a proxy, so that exactly these bytes of user name and
/// password reach it. Jobs and checks use it alike. `server` is `scheme://host:port`.
///
/// Clients percent-decode user name and password, so that every special character is encoded.
pub fn client_url(
    server: &str,
    username: Option<&str>,
    password: Option<&str>,
) -> Result<String, UnusableProxy> {
    let (scheme, address) = server.split_once("://").ok_or(UnusableProxy::Address)?;
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-._:[]".contains(c);
    if address.is_empty() || !address.chars().all(is_plain) {
        return Err(UnusableProxy::Address);
    }
    let (username, password) = (username.unwrap_or_default(), password.unwrap_or_default());
    if scheme.starts_with("socks") && username.len().max(password.len()) > 255 {
        return Err(UnusableProxy::TooLong);
    }
    let mut url = format!("{scheme}://");
    if !username.is_empty() || !password.is_empty() {
        url.extend(percent::encoded(username));
        if !password.is_empty() {
            url.push(':');
            url.extend(percent::encoded(password));
        }
        url.push('@');
    }
    url.push_str(address);
    Ok(url)
}

/// `host:port`, where the host is a name, an IPv4 address or an IPv6 address in brackets, and the
/// port is 1 to 65535.
pub fn check_address(field: &str, address: &str) -> Result<(), Refusal> {
    // Nothing longer is parsed.
    let parsed = Some(address).filter(|address| address.len() <= 260);
    let parsed =
        parsed.and_then(|address| url::Url::parse(&format!("socks5://{address}")).ok()).filter(|url| {
            let is_bare = url.username().is_empty() && url.password().is_none() && url.path().is_empty();
            is_bare && url.query().is_none() && url.fragment().is_none() && url.host().is_some()
        });
    match parsed.and_then(|url| url.port()) {
        Some(port) if port > 0 && address.is_ascii() => Ok(()),
        _ => Err(Refusal::invalid(
            field,
            "must be host:port, such as proxy.example:3128 or [2001:db8::1]:1080",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_encoded_and_nothing_else_is_accepted() {
        let url = |server, username, password| client_url(server, username, password);
        for (server, username, password, expected) in [
            ("http://h:1", None, None, "http://h:1"),
            ("http://h:1", Some("u"), Some("p:/?#%40"), "http://u:p%3A%2F%3F%23%2540@h:1"),
            ("socks5h://[::1]:1", Some("a@b"), None, "socks5h://a%40b@[::1]:1"),
            ("https://h:1", None, Some("ä b"), "https://:%C3%A4%20b@h:1"),
        ] {
            assert_eq!(url(server, username, password).as_deref(), Ok(expected));
        }
        for bad in ["h:1", "http://", "http://pröxy:1", "http://h%20:1", "http://u@h:1", "http://h:1/x"] {
            assert_eq!(url(bad, None, None), Err(UnusableProxy::Address), "{bad}");
        }
        let long = "x".repeat(256);
        assert_eq!(url("socks5h://h:1", Some("u"), Some(&long)), Err(UnusableProxy::TooLong));
        assert!(url("http://h:1", Some("u"), Some(&long)).is_ok());
    }

    #[test]
    fn an_address_is_a_host_and_a_port_and_nothing_else() {
        for fine in ["127.0.0.1:3128", "proxy.example:1", "[::1]:65535"] {
            assert_eq!(check_address("address", fine), Ok(()), "{fine}");
        }
        for bad in [
            "",
            "proxy",
            "proxy:",
            "proxy:0",
            "proxy:65536",
            "http://p:1",
            "u:p@h:1",
            "h:1/x",
            "h:1?x",
            ":80",
            "a b:1",
        ] {
            assert!(check_address("address", bad).is_err(), "{bad}");
        }
    }
}
