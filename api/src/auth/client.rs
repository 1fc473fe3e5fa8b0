//! Where an operation comes from: the client's address, and the transport that it uses.

use std::{net::IpAddr, sync::Arc};

use async_graphql::Context;
use axum::http::{HeaderMap, header};

/// The transport of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A request with one response.
    Http,
    /// A request that is answered by server-sent events.
    EventStream,
    /// A WebSocket.
    Socket,
}

impl Transport {
    /// The name in logs, metrics and the audit.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::EventStream => "sse",
            Self::Socket => "socket",
        }
    }
}

/// Where an operation comes from. In the data of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Client {
    /// The client's address. `None` only for a connection that a test accepts itself.
    pub address: Option<IpAddr>,
    /// The transport.
    pub transport: Transport,
    /// Whether the client has reached this address by https, as far as its request says so.
    pub is_https: bool,
    /// Why the cookie of a session does not count in its requests, if it does not.
    pub cookie_refusal: Option<Arc<str>>,
}

impl Client {
    /// Reads it from a request's headers and the address that it came from.
    pub fn of_request(
        headers: &HeaderMap,
        address: Option<IpAddr>,
        transport: Transport,
        cookie_refusal: Option<Arc<str>>,
    ) -> Self {
        Self { address, transport, is_https: is_https(headers), cookie_refusal }
    }

    /// Returns where an operation comes from.
    pub fn of<'a>(ctx: &Context<'a>) -> Option<&'a Self> {
        ctx.data_opt::<Self>()
    }
}

/// Whether the client's side of the connection is https. A browser says so by the origin of its
/// page, and otherwise a reverse proxy by a header. The origin comes first, because a browser drops
/// a cookie for https that a page of http is sent. The answer only decides the attributes of a
/// cookie, so a client that lies harms itself.
fn is_https(headers: &HeaderMap) -> bool {
    match text(headers, header::ORIGIN.as_str()) {
        origin if origin.starts_with("https://") => true,
        origin if origin.starts_with("http://") => false,
        _ => is_forwarded_from_https(headers),
    }
}

/// Whether a reverse proxy says that it was asked by https.
pub(crate) fn is_forwarded_from_https(headers: &HeaderMap) -> bool {
    let first = |name| text(headers, name).split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    let is_said = |part: &str| matches!(part.trim(), "proto=https" | "proto=\"https\"");
    first("x-forwarded-proto") == "https" || first("forwarded").split(';').any(is_said)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_is_told_by_a_proxy_or_by_the_page() {
        for (name, value, expected) in [
            ("x-forwarded-proto", "https", true),
            ("x-forwarded-proto", "HTTPS, http", true),
            ("x-forwarded-proto", "http, https", false),
            ("forwarded", "for=10.0.0.1;proto=https;by=10.0.0.2, for=10.0.0.3", true),
            ("forwarded", "for=10.0.0.1;Proto=\"https\"", true),
            ("forwarded", "for=10.0.0.1;proto=http", false),
            ("origin", "https://callboard.example", true),
            ("origin", "http://127.0.0.1:4000", false),
            ("x-other", "https", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(is_https(&headers), expected, "{name}: {value}");
        }
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-proto", "https".parse().unwrap());
        for (origin, expected) in
            [("http://127.0.0.1:4000", false), ("https://a.example", true), ("null", true)]
        {
            headers.insert("origin", origin.parse().unwrap());
            assert_eq!(is_https(&headers), expected, "{origin}");
        }
    }
}
