//! Sends one HTTP request and returns its response or a problem.

use std::{collections::BTreeMap, error::Error as _};

use callboard::text::{JSON_DEPTH_MAX, json_depth};
use reqwest::{Method, Proxy, StatusCode, Url, header::HeaderMap, redirect};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    emit,
    guard::{PublicOnly, is_public},
    limits::{ObservedResponse, ServiceSpec},
};

/// Longest body, in bytes. The rest is cut off, and `isTruncated` says so.
const BODY_BYTES_MAX: usize = 512 * 1024;
/// Most redirects that are followed.
const REDIRECTS_MAX: usize = 10;

/// The line on standard input.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RequestSpec {
    pub(super) v: u32,
    request: HttpRequest,
    proxy: Option<ProxySpec>,
    #[serde(default)]
    expect_status: Vec<u16>,
    #[serde(default)]
    allow_private_targets: bool,
    #[serde(default)]
    services: BTreeMap<String, ServiceSpec>,
}

#[derive(Debug, Deserialize)]
struct HttpRequest {
    method: String,
    url: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ProxySpec {
    server: String,
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

/// The job's result.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct HttpResponse {
    status: u16,
    headers: BTreeMap<String, String>,
    /// JSON if the response is JSON, and else text.
    body: Value,
    is_truncated: bool,
}

/// Why the job failed.
#[derive(Debug)]
pub(super) struct Problem {
    pub(super) code: &'static str,
    pub(super) message: String,
    pub(super) is_retryable: bool,
}

impl Problem {
    pub(super) const fn bad_input(message: String) -> Self {
        Self { code: "BAD_INPUT", message, is_retryable: false }
    }
}

/// Sends the request and reads the response.
pub(super) async fn perform(spec: RequestSpec) -> Result<HttpResponse, Problem> {
    let url = Url::parse(&spec.request.url).map_err(|error| Problem::bad_input(format!("url: {error}")))?;
    let method = Method::from_bytes(spec.request.method.as_bytes())
        .map_err(|error| Problem::bad_input(format!("method: {error}")))?;
    let guarded = !spec.allow_private_targets;
    if guarded {
        refuse_private(&url)?;
    }
    let client = client(&spec, guarded).map_err(|error| Problem::bad_input(chain(&error)))?;
    let mut request = client.request(method, url);
    for (name, value) in &spec.request.headers {
        request = request.header(name, value);
    }
    if let Some(body) = spec.request.body {
        request = request.body(body);
    }
    let response = request.send().await.map_err(|error| problem(&error, spec.proxy.is_some()))?;
    let refused = response.status() == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
    if refused && spec.proxy.as_ref().is_some_and(|proxy| proxy.answers_for(response.url())) {
        let message = "the proxy refused the credentials (407)".to_owned();
        return Err(Problem { code: "PROXY", message, is_retryable: true });
    }
    let status = response.status().as_u16();
    let observed = ObservedResponse::of(&spec.services, response.url(), status, response.headers());
    let (refusal, event) = match observed {
        Some(observed) if observed.wants_body() => (Some(observed), None),
        other => (None, other),
    };
    if let Some(event) = event {
        emit(&event.event(None));
    }
    let answer = read(response).await;
    if let Some(refusal) = refusal {
        let body = answer
            .as_ref()
            .ok()
            .map(|answer| answer.body.as_str().map_or_else(|| answer.body.to_string(), str::to_owned));
        emit(&refusal.event(body.as_deref()));
    }
    let answer = answer?;
    let is_expected = match spec.expect_status.as_slice() {
        [] => (200..300).contains(&status),
        expected => expected.contains(&status),
    };
    if is_expected {
        return Ok(answer);
    }
    let excerpt: String = answer.body.to_string().chars().take(500).collect();
    let is_retryable = status >= 500 || matches!(status, 408 | 425 | 429);
    Err(Problem { code: "HTTP_STATUS", message: format!("Status {status}: {excerpt}"), is_retryable })
}

fn client(spec: &RequestSpec, guarded: bool) -> Result<reqwest::Client, reqwest::Error> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::custom(move |attempt| {
            if attempt.previous().len() > REDIRECTS_MAX {
                return attempt.error("too many redirects");
            }
            match guarded.then(|| refuse_private(attempt.url())) {
                Some(Err(problem)) => attempt.error(problem.message),
                Some(Ok(())) | None => attempt.follow(),
            }
        }));
    if let Some(spec) = &spec.proxy {
        // The proxy resolves names, so only addresses in URLs can be checked here.
        let mut proxy = Proxy::all(&spec.server)?;
        if spec.username.is_some() || spec.password.is_some() {
            let text = |value: &Option<String>| value.clone().unwrap_or_default();
            proxy = proxy.basic_auth(&text(&spec.username), &text(&spec.password));
        }
        builder = builder.proxy(proxy);
    } else if guarded {
        builder = builder.dns_resolver(std::sync::Arc::new(PublicOnly));
    }
    builder.build()
}

/// Refuses a private address that the URL itself names, because no resolver sees it.
fn refuse_private(url: &Url) -> Result<(), Problem> {
    let address = match url.host() {
        Some(url::Host::Ipv4(address)) => Some(address.into()),
        Some(url::Host::Ipv6(address)) => Some(address.into()),
        Some(url::Host::Domain(name)) if name == "localhost" || name.ends_with(".localhost") => {
            Some(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
        }
        Some(url::Host::Domain(_)) | None => None,
    };
    match address {
        Some(address) if !is_public(address) => Err(Problem {
            code: "TARGET_REFUSED",
            message: format!(
                "{} is a private or loopback address, which CALLBOARD_ALLOW_PRIVATE_TARGETS forbids",
                url.host_str().unwrap_or_default()
            ),
            is_retryable: false,
        }),
        _ => Ok(()),
    }
}

async fn read(mut response: reqwest::Response) -> Result<HttpResponse, Problem> {
    let status = response.status().as_u16();
    let headers = visible(response.headers());
    let (mut bytes, mut is_truncated) = (Vec::new(), false);
    while let Some(chunk) = response.chunk().await.map_err(|error| problem(&error, false))? {
        let room = BODY_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            is_truncated = true;
            break;
        }
    }
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let is_json = headers.get("content-type").is_some_and(|kind| kind.contains("json"));
    // The result is one level deeper than the body. What cannot be kept as JSON is kept as text.
    let is_shallow = json_depth(&text) < JSON_DEPTH_MAX;
    let parsed = if is_json && is_shallow && !is_truncated { serde_json::from_str(&text).ok() } else { None };
    Ok(HttpResponse { status, headers, body: parsed.unwrap_or(Value::String(text)), is_truncated })
}

/// The headers, without those that may hold credentials.
fn visible(headers: &HeaderMap) -> BTreeMap<String, String> {
    let is_hidden = |name: &str| matches!(name, "set-cookie" | "www-authenticate" | "proxy-authenticate");
    headers
        .iter()
        .filter(|(name, _)| !is_hidden(name.as_str()))
        .map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        })
        .collect()
}

fn problem(error: &reqwest::Error, has_proxy: bool) -> Problem {
    let message = chain(error);
    let refused = message.contains("private or loopback address");
    let code = match () {
        () if refused => "TARGET_REFUSED",
        () if error.is_connect() && has_proxy => "PROXY",
        () if error.is_connect() => "CONNECT",
        () if error.is_redirect() => "REDIRECT",
        () => "REQUEST",
    };
    Problem { code, message, is_retryable: !refused && !error.is_builder() }
}

/// An error with its causes. The error's own text is left out, because it holds the URL, which may
/// be secret.
fn chain(error: &reqwest::Error) -> String {
    let mut text = match () {
        () if error.is_connect() => "could not connect".to_owned(),
        () if error.is_redirect() => "the redirect was not followed".to_owned(),
        () if error.is_builder() => "the request is invalid".to_owned(),
        () => "the request failed".to_owned(),
    };
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
