//! Decides which web pages may use the API: those of its own address and of configured origins.
//!
//! Its own address is what the browser has asked for: `Host`, what a trusted proxy says that it
//! was, and the public URL. Whether an origin is also listed makes no difference then.
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

use crate::{auth::is_forwarded_from_https, client_address::ViaProxy};

/// How long a browser may cache a preflight response, in seconds.
const PREFLIGHT_SECONDS: HeaderValue = HeaderValue::from_static("600");

/// Longest part of a header in a message, in characters.
const SHOWN_CHARS_MAX: usize = 200;

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

/// Whose page a request is from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum PageOrigin {
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
    pub(crate) fn allow_socket(&self, headers: &HeaderMap, is_via_proxy: bool) -> bool {
        match self.of(headers, is_via_proxy) {
            PageOrigin::Own | PageOrigin::Configured => true,
            PageOrigin::Foreign => false,
        }
    }

    /// Says why the cookie of a session does not count in a request. `None` if it does, because the
    /// request is from a page of this address, or from no page at all. A browser sends a cookie by
    /// itself, also for a page of another port or host of the same site, and says where the page is
    /// from in `Origin` or `Sec-Fetch-Site`. Whoever sends neither is no browser that another
    /// site's page could use.
    pub(crate) fn cookie_refusal(&self, headers: &HeaderMap, is_via_proxy: bool) -> Option<Arc<str>> {
        let is_own = match self.of(headers, is_via_proxy) {
            PageOrigin::Own => true,
            PageOrigin::Configured | PageOrigin::Foreign => self.is_public(headers),
        };
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if is_own && matches!(site, None | Some(b"same-origin" | b"none")) {
            return None;
        }
        let sent = match headers.get(header::ORIGIN).filter(|_| !is_own) {
            Some(origin) => format!("this page is of {}", shown(origin)),
            None => format!("the browser says `Sec-Fetch-Site: {}`", site.map(shown).unwrap_or_default()),
        };
        let hint = match origin_in(headers).filter(|origin| !is_own && origin.is_tuple()) {
            Some(origin) => format!(
                ", or set CALLBOARD_PUBLIC_URL to {} if that is this server's address (a reverse proxy has to \
                 pass `Host` on)",
                origin.ascii_serialization()
            ),
            None => String::new(),
        };
        let expected = self.expected(headers, is_via_proxy);
        let message = format!(
            "The cookie of a session counts only for pages of {expected}, and {sent}. Open {expected} \
             instead{hint}. Other pages send an API key in the header `Authorization`."
        );
        Some(message.into())
    }

    /// The address whose pages may use cookies, for a message.
    fn expected(&self, headers: &HeaderMap, is_via_proxy: bool) -> String {
        if let Some(public) = &self.public {
            return public.to_string();
        }
        let scheme = if is_forwarded_from_https(headers) { "https" } else { "http" };
        let host = own_hosts(headers, is_via_proxy).last();
        host.map_or_else(|| "this server's address".to_owned(), |host| format!("{scheme}://{host}"))
    }

    /// Whether the page is of the public URL, whose host a reverse proxy may not pass on.
    fn is_public(&self, headers: &HeaderMap) -> bool {
        let origin = origin_in(headers).map(|origin| origin.ascii_serialization());
        origin.is_some() && origin.as_deref() == self.public.as_deref()
    }

    fn of(&self, headers: &HeaderMap, is_via_proxy: bool) -> PageOrigin {
        if !headers.contains_key(header::ORIGIN) {
            return PageOrigin::Own;
        }
        let Some(origin) = origin_in(headers) else { return PageOrigin::Foreign };
        // Only a reverse proxy knows whether clients use http or https, so both count as this
        // address. It comes first: in development the origins of this machine are allowed too, and
        // its own page must not be taken for another one.
        let is_own = own_hosts(headers, is_via_proxy)
            .flat_map(|host| ["http", "https"].map(|scheme| Url::parse(&format!("{scheme}://{host}"))))
            .flatten()
            .any(|own| own.host().is_some() && own.origin() == origin);
        let is_allowed = || self.listed.contains(&origin.ascii_serialization());
        if is_own {
            PageOrigin::Own
        } else if is_allowed() || self.allows_loopback && is_loopback(&origin) {
            PageOrigin::Configured
        } else {
            PageOrigin::Foreign
        }
    }
}

/// The origin of the page that a request is from, if there is one and it can be read. More than
/// scheme, host and port is no origin, and neither is a list, of which only one could count.
fn origin_in(headers: &HeaderMap) -> Option<Origin> {
    let mut values = headers.get_all(header::ORIGIN).iter();
    let (Some(origin), None) = (values.next(), values.next()) else { return None };
    let url = Url::parse(origin.to_str().ok()?).ok()?;
    let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    (is_bare && url.username().is_empty() && url.password().is_none()).then(|| url.origin())
}

/// The hosts that a request is for: the one that was asked for, and the one that the nearest
/// trusted proxy was asked for. What a client has written into the proxies' headers itself stands
/// before that.
fn own_hosts(headers: &HeaderMap, is_via_proxy: bool) -> impl Iterator<Item = &str> {
    // What cannot be read names no host, and neither does what stands before it.
    let nearest = |name: &str| {
        let last = headers.get_all(name).iter().next_back()?.as_bytes();
        let element = last.rsplit(|byte| *byte == b',').next()?;
        Some(str::from_utf8(element).unwrap_or_default())
    };
    let forwarded = move || {
        let host = nearest("x-forwarded-host");
        host.or_else(|| parameter(nearest("forwarded")?, "host")).map(str::trim)
    };
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    host.into_iter().chain(is_via_proxy.then(forwarded).flatten()).filter(|host| !host.is_empty())
}

/// The value of a parameter of an element of a header `Forwarded`.
fn parameter<'a>(element: &'a str, wanted: &str) -> Option<&'a str> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted))?;
    Some(value.trim().trim_matches('"'))
}

/// A header's value as it may stand in a message.
fn shown(value: impl AsRef<[u8]>) -> String {
    String::from_utf8_lossy(value.as_ref()).chars().take(SHOWN_CHARS_MAX).collect()
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

/// Middleware of [`with_cors`].
pub(super) async fn apply_cors(State(origins): State<Origins>, request: Request, next: Next) -> Response {
    with_cors(&origins, request, |request| next.run(request)).await
}

/// Handles preflights from configured origins, and lets their pages read the response.
pub(super) async fn with_cors<F: Future<Output = Response>>(
    origins: &Origins,
    request: Request,
    respond: impl FnOnce(Request) -> F,
) -> Response {
    let from = origins.of(request.headers(), ViaProxy::of(request.extensions()));
    let origin = request.headers().get(header::ORIGIN).cloned().filter(|_| from == PageOrigin::Configured);
    let is_preflight = request.method() == Method::OPTIONS
        && request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    let mut response = if is_preflight && from == PageOrigin::Configured {
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
        respond(request).await
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
mod tests;
