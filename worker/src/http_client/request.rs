//! Sends one HTTP request, follows its redirects, and returns the response or a problem.

use std::{cell::RefCell, collections::BTreeMap};

use callboard::{command::Redirects, limit::response::is_refusal, proxy::client_url};
use reqwest::{
    Method, Proxy, StatusCode, Url,
    header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue},
};
use secrecy::SecretString;
use serde::Deserialize;

use super::{
    emit,
    guard::{PublicOnly, refuse_private},
    limits::{ObservedResponse, ServiceSpec},
    masks::Masks,
    problem::{Problem, place},
    redirect::{Hop, HopResult, is_repeatable},
    response::{HttpResponse, Received},
};

/// Most headers of a response, as many as curl reads.
const HEADERS_MAX: usize = 5000;

/// The line on standard input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestSpec {
    pub(super) v: u32,
    request: HttpRequest,
    pub(super) proxy: Option<ProxySpec>,
    #[serde(default)]
    expect_status: Vec<u16>,
    #[serde(default)]
    pub(super) redirects: Redirects,
    /// The headers that may go to another origin.
    #[serde(default)]
    pub(super) harmless_headers: Vec<String>,
    #[serde(default)]
    pub(super) allow_private_targets: bool,
    #[serde(default)]
    services: BTreeMap<String, ServiceSpec>,
    #[serde(default)]
    secrets_to_mask: Vec<SecretString>,
}

#[derive(Debug, Deserialize)]
struct HttpRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

impl HttpRequest {
    /// Whether the request may change something at the server (RFC 9110, 9.2.1).
    fn changes(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS" | "TRACE")
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct ProxySpec {
    pub(super) server: String,
    username: Option<String>,
    password: Option<String>,
}

impl ProxySpec {
    /// Whether the proxy itself may have sent a status. A SOCKS proxy and a tunnel for HTTPS only
    /// pass on bytes.
    fn answers_for(&self, url: &Url) -> bool {
        self.server.starts_with("http") && url.scheme() == "http"
    }
}

/// How far a call is, for an attempt that has to end.
#[derive(Debug, Default)]
pub(super) struct Stage {
    /// As a sentence without a full stop.
    said: String,
    /// Whether the server has done what it was asked, so that the call must not be made again.
    is_done: bool,
}

impl Stage {
    /// The problem of a call that has to end now.
    pub(super) fn ended(&self) -> Problem {
        if self.is_done {
            return Problem::unkept(&format!("{} when the attempt had to end", self.said));
        }
        Problem::new("TERMINATED", self.said.clone(), true)
    }
}

/// Sends the request and reads the response. `stage` tells how far it is.
pub(super) async fn perform(spec: RequestSpec, stage: &RefCell<Stage>) -> Result<HttpResponse, Problem> {
    let masks = Masks::new(&spec.secrets_to_mask);
    let client = client(&spec)?;
    let mut hop = first_hop(&spec, &masks)?;
    loop {
        let said = format!("the call to {} had no response yet", place(&hop.url));
        *stage.borrow_mut() = Stage { said, is_done: hop.is_after_effect() };
        let response = send(&client, &spec, &hop).await?;
        let status = response.status().as_u16();
        let observed = ObservedResponse::of(&spec.services, &hop.url, status, response.headers(), &masks);
        let (refusal, event) = match observed {
            Some(observed) if observed.wants_body() => (Some(observed), None),
            other => (None, other),
        };
        if let Some(event) = event {
            emit(event.event(None));
        }
        let not_followed = match hop.advance(&response, &spec, &masks)? {
            HopResult::Followed => continue,
            HopResult::Stayed(why) => why,
        };
        let is_expected = is_expected(status, &spec.expect_status);
        *stage.borrow_mut() = Stage {
            said: format!(
                "the call to {} had the status {status} and a part of its response",
                place(&hop.url)
            ),
            is_done: hop.is_after_effect() || is_expected && !is_repeatable(&hop.method),
        };
        let received = Received::read(response, &hop.url, &masks).await;
        if let Some(refusal) = refusal {
            emit(refusal.event(Some(&received.text())));
        }
        let judged = received.judged(is_expected, not_followed.as_deref(), spec.request.changes());
        // A refusal of a service would repeat the call too.
        return judged.map_err(|problem| hop.after_effect(problem, is_refusal(status)));
    }
}

/// Whether the command counts a status as success: 200 to 299 without a list.
fn is_expected(status: u16, expected: &[u16]) -> bool {
    if expected.is_empty() { (200..300).contains(&status) } else { expected.contains(&status) }
}

fn first_hop(spec: &RequestSpec, masks: &Masks) -> Result<Hop, Problem> {
    let request = &spec.request;
    let url = Url::parse(&request.url).map_err(|error| Problem::bad_input(format!("url: {error}")))?;
    masks.hide(request.url.as_bytes(), &url);
    let method = Method::from_bytes(request.method.as_bytes())
        .map_err(|error| Problem::bad_input(format!("method: {error}")))?;
    if !spec.allow_private_targets {
        refuse_private(&url)?;
    }
    let mut headers = HeaderMap::new();
    for (name, value) in &request.headers {
        let parsed =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(HeaderValue::from_bytes(value.as_bytes()).ok());
        let (key, value) =
            parsed.ok_or_else(|| Problem::bad_input(format!("header {name} cannot be sent")))?;
        headers.insert(key, value);
    }
    Ok(Hop::new(method, url, headers, request.body.clone()))
}

async fn send(client: &reqwest::Client, spec: &RequestSpec, hop: &Hop) -> Result<reqwest::Response, Problem> {
    let mut headers = hop.headers.clone();
    hop.add_cookies(&mut headers);
    // A server may refuse a request of these methods that says nothing of its length (411).
    let has_length = matches!(hop.method, Method::POST | Method::PUT | Method::PATCH) || hop.body.is_some();
    if has_length && hop.body.as_deref().unwrap_or_default().is_empty() {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let mut request = client.request(hop.method.clone(), hop.url.clone()).headers(headers);
    if let Some(body) = hop.body.as_ref().filter(|body| !body.is_empty()) {
        request = request.body(body.clone());
    }
    let sent = request.send().await.map_err(|error| {
        let is_repeatable = is_repeatable(&hop.method);
        Problem::of(&error, &hop.url, spec.proxy.as_ref(), is_repeatable)
    });
    let sent = sent.and_then(|response| {
        let refused = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        if refused && spec.proxy.as_ref().is_some_and(|proxy| proxy.answers_for(&hop.url)) {
            return Err(Problem::new("PROXY", "the proxy refused the credentials (407)", true));
        }
        Ok(response)
    });
    sent.map_err(|problem| hop.after_effect(problem, false))
}

/// A client that follows no redirect, because a library's own rules let headers and the body cross
/// to another origin.
fn client(spec: &RequestSpec) -> Result<reqwest::Client, Problem> {
    let mut builder = callboard::startup::http_client!()
        .no_proxy()
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
        // What curl and browsers read too. Without it, a request that has had its effect would
        // count as one that broke off.
        .http1_allow_obsolete_multiline_headers_in_responses(true)
        .http1_allow_spaces_after_header_name_in_responses(true)
        .http1_ignore_invalid_headers_in_responses(true)
        .http1_max_headers(HEADERS_MAX)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(ProxySpec { server, username, password }) = &spec.proxy {
        // The proxy resolves names, so only addresses in URLs can be checked here.
        let url = client_url(server, username.as_deref(), password.as_deref())
            .map_err(|error| Problem::bad_input(error.to_string()))?;
        builder = builder.proxy(Proxy::all(url).map_err(|error| Problem::bad_client(&error))?);
    } else if !spec.allow_private_targets {
        builder = builder.dns_resolver(std::sync::Arc::new(PublicOnly));
    }
    builder.build().map_err(|error| Problem::bad_client(&error))
}
