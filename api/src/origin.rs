//! Decides which web pages may use the API: those of its own address and of configured origins.
//!
//! Browsers send the page's origin with every socket and every cross-site request. A socket from
//! any other page is refused, because browsers do not apply CORS to sockets. Other pages get no
//! CORS headers, so their browsers neither send a POST nor reveal a response. Programs send no
//! origin and are allowed, since they need a key anyway.

use std::sync::Arc;

use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, Method, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use url::{Host, Origin, Url};

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// Origins (`https://dashboard.example.com`) whose pages may use the API, besides its own.
#[derive(Debug, Clone, Default)]
pub struct Origins {
    listed: Arc<[String]>,
    /// Whether pages of this machine (`localhost`, 127.0.0.0/8, `[::1]`), on any port, may too.
    allows_loopback: bool,
    /// The origin of the public URL.
    public: Option<Arc<str>>,
}

/// The text is not an origin.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not an origin. Write the scheme and host, such as https://dashboard.example.com")]
pub struct BadOrigin(String);

/// The source of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    /// A program, or a page of this address.
    Own,
    /// A page of a configured origin.
    Configured,
    /// Any other page.
    Foreign,
}

impl Origins {
    /// Parses a list of origins.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Self, BadOrigin> {
        let origins = list.into_iter().map(str::trim).filter(|text| !text.is_empty()).map(|text| {
            let url = Url::parse(text).map_err(|_| BadOrigin(text.into()))?;
            let origin = url.origin().ascii_serialization();
            (origin != "null" && url.path() == "/" && url.query().is_none())
                .then_some(origin)
                .ok_or_else(|| BadOrigin(text.into()))
        });
        Ok(Self { listed: origins.collect::<Result<Vec<_>, _>>()?.into(), ..Self::default() })
    }

    /// Allows the pages of this machine too, such as those of a development server.
    #[must_use]
    pub fn with_loopback(self) -> Self {
        Self { allows_loopback: true, ..self }
    }

    /// Allows the pages of the public URL, which are pages of this address.
    #[must_use]
    pub fn with_public(self, url: &Url) -> Self {
        let origin = url.origin().ascii_serialization();
        let listed = self.listed.iter().cloned().chain([origin.clone()]).collect();
        Self { listed, public: Some(origin.into()), ..self }
    }

    /// Whether a socket may be opened.
    pub(crate) fn allow_socket(&self, headers: &HeaderMap) -> bool {
        match self.of(headers) {
            From::Own | From::Configured => true,
            From::Foreign => false,
        }
    }

    /// Whether a request is from a page of this address, or from no page at all, so that a cookie
    /// counts. A browser sends a cookie by itself, also for a page of another port or host of the
    /// same site, and says where the page is from in one of these headers. Whoever sends neither is
    /// no browser that another site's page could use.
    pub(crate) fn allow_cookie(&self, headers: &HeaderMap) -> bool {
        let is_own = match self.of(headers) {
            From::Own => true,
            From::Configured | From::Foreign => self.is_public(headers),
        };
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        is_own && matches!(site, None | Some(b"same-origin" | b"none"))
    }

    /// Whether the page is of the public URL, whose host a reverse proxy may not pass on.
    fn is_public(&self, headers: &HeaderMap) -> bool {
        let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
        origin.is_some() && origin == self.public.as_deref()
    }

    fn of(&self, headers: &HeaderMap) -> From {
        let Some(origin) = headers.get(header::ORIGIN) else { return From::Own };
        let Some(origin) =
            origin.to_str().ok().and_then(|text| Url::parse(text).ok()).map(|url| url.origin())
        else {
            return From::Foreign;
        };
        let is_allowed = self.listed.contains(&origin.ascii_serialization());
        if is_allowed || self.allows_loopback && is_loopback(&origin) {
            return From::Configured;
        }
        // Only a reverse proxy knows whether clients use http or https, so both count as this
        // address.
        let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let is_own = ["http", "https"]
            .into_iter()
            .filter_map(|scheme| Url::parse(&format!("{scheme}://{host}")).ok())
            .any(|own| own.host().is_some() && own.origin() == origin);
        if is_own { From::Own } else { From::Foreign }
    }
}

/// Whether an origin is one of this machine, by http or https.
fn is_loopback(origin: &Origin) -> bool {
    let Origin::Tuple(scheme, host, _) = origin else { return false };
    let is_here = match host {
        Host::Domain(name) => name == "localhost" || name.ends_with(".localhost"),
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    is_here && matches!(scheme.as_str(), "http" | "https")
}

/// Middleware that handles preflights from configured origins and lets their pages read responses.
pub(super) async fn apply_cors(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    let from = origins.of(request.headers());
    let origin = request.headers().get(header::ORIGIN).cloned().filter(|_| from == From::Configured);
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight && from == From::Configured {
        let allowed = [
            (header::ACCESS_CONTROL_ALLOW_METHODS, HeaderValue::from_static("GET, POST")),
            (
                header::ACCESS_CONTROL_ALLOW_HEADERS,
                HeaderValue::from_static("accept, authorization, content-type, if-range, range"),
            ),
            (header::ACCESS_CONTROL_MAX_AGE, PREFLIGHT_SECONDS),
        ];
        (StatusCode::NO_CONTENT, allowed).into_response()
    } else {
        next.run(request).await
    };
    response.headers_mut().append(header::VARY, HeaderValue::from_static("origin"));
    if let Some(origin) = origin {
        response.headers_mut().insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        let exposed = HeaderValue::from_static(
            "accept-ranges, content-disposition, content-length, content-range, etag, retry-after, x-request-id",
        );
        response.headers_mut().insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_and_configured_origins_are_distinguished_from_foreign_ones() {
        let origins = Origins::parse(["https://dash.example.com", " http://localhost:5173/ ", ""]).unwrap();
        for (origin, host, from) in [
            (None, "127.0.0.1:4000", From::Own),
            (Some("http://127.0.0.1:4000"), "127.0.0.1:4000", From::Own),
            (Some("https://api.example.com"), "api.example.com", From::Own),
            (Some("https://dash.example.com"), "127.0.0.1:4000", From::Configured),
            (Some("http://localhost:5173"), "127.0.0.1:4000", From::Configured),
            (Some("http://localhost:4000"), "127.0.0.1:4000", From::Foreign),
            (Some("http://127.0.0.1:4001"), "127.0.0.1:4000", From::Foreign),
            (Some("http://dash.example.com"), "127.0.0.1:4000", From::Foreign),
            (Some("https://dash.example.com.evil.net"), "127.0.0.1:4000", From::Foreign),
            (Some("null"), "127.0.0.1:4000", From::Foreign),
            (Some(""), "127.0.0.1:4000", From::Foreign),
            (Some("file://"), "", From::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            assert_eq!(origins.of(&headers), from, "{origin:?} at {host}");
        }
        let here = Origins::default().with_loopback();
        for (origin, from) in [
            ("http://localhost:5173", From::Configured),
            ("https://localhost", From::Configured),
            ("http://dash.localhost:3000", From::Configured),
            ("http://127.0.0.1:3000", From::Configured),
            ("http://127.1.2.3:3000", From::Configured),
            ("http://[::1]:3000", From::Configured),
            ("http://localhost.evil.net", From::Foreign),
            ("http://notlocalhost:3000", From::Foreign),
            ("http://128.0.0.1:3000", From::Foreign),
            ("http://192.168.0.1:3000", From::Foreign),
            ("ws://localhost:3000", From::Foreign),
            ("null", From::Foreign),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:4000".parse().unwrap());
            headers.insert(header::ORIGIN, origin.parse().unwrap());
            assert_eq!(here.of(&headers), from, "{origin}");
        }
        let public = origins.with_public(&Url::parse("https://callboard.example/base").unwrap());
        for (headers, expected) in [
            (&[][..], true),
            (&[("origin", "http://127.0.0.1:4000")], true),
            (&[("origin", "https://callboard.example")], true),
            (&[("origin", "https://callboard.example"), ("sec-fetch-site", "same-origin")], true),
            (&[("origin", "http://localhost:5173")], false),
            (&[("origin", "http://127.0.0.1:4001")], false),
            (&[("origin", "https://evil.example")], false),
            (&[("origin", "null")], false),
            (&[("sec-fetch-site", "same-origin")], true),
            (&[("sec-fetch-site", "none")], true),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "cross-site")], false),
            (&[("origin", "http://127.0.0.1:4000"), ("sec-fetch-site", "cross-site")], false),
        ] {
            let mut map = HeaderMap::new();
            map.insert(header::HOST, "127.0.0.1:4000".parse().unwrap());
            for (name, value) in headers {
                map.insert(*name, value.parse().unwrap());
            }
            assert_eq!(public.allow_cookie(&map), expected, "{headers:?}");
        }
        for bad in ["example.com", "*", "https://a.example/path", "null", "file:///x"] {
            assert!(Origins::parse([bad]).is_err(), "{bad}");
        }
    }
}
