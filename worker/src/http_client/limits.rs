//! Finds the service that a response came from, and makes the `limits` event (runner/README.md) of
//! it.
//!
//! Reports only responses of the job's services, only headers about limits, and only the beginning
//! of a refusal's body.

use std::collections::BTreeMap;

use callboard::limit::response::{BODY_CHARS_MAX, is_limit_header, is_refusal};
use reqwest::{Url, header::HeaderMap};
use serde::Deserialize;
use serde_json::{Value, json};

use super::masks::Masks;

/// Most headers that are reported of a response, and most characters of each.
const HEADERS_MAX: usize = 32;
const VALUE_CHARS_MAX: usize = 1024;

/// One of the job's services.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServiceSpec {
    base_url: Option<String>,
}

/// A service's response that says something about its limits.
#[derive(Debug)]
pub(super) struct ObservedResponse {
    service: String,
    status: u16,
    host: String,
    headers: BTreeMap<String, String>,
}

impl ObservedResponse {
    /// Returns `None` if no service of the job sent the response, or if it says nothing about
    /// limits.
    pub(super) fn of(
        services: &BTreeMap<String, ServiceSpec>,
        url: &Url,
        status: u16,
        headers: &HeaderMap,
        masks: &Masks,
    ) -> Option<Self> {
        let service = service_at(services, url)?;
        let headers = limit_headers(headers, masks);
        let host = url.host_str().unwrap_or_default().to_owned();
        (is_refusal(status) || !headers.is_empty()).then_some(Self { service, status, host, headers })
    }

    /// Whether its body may say more.
    pub(super) const fn wants_body(&self) -> bool {
        is_refusal(self.status)
    }

    /// The event.
    pub(super) fn event(&self, body: Option<&str>) -> Value {
        let body: Option<String> = body.map(|body| body.chars().take(BODY_CHARS_MAX).collect());
        json!({
            "type": "limits", "service": self.service, "status": self.status, "host": self.host,
            "headers": self.headers, "body": body,
        })
    }
}

/// The service on the URL's host whose base path is the longest prefix of the URL's path, or else
/// any service on that host.
fn service_at(services: &BTreeMap<String, ServiceSpec>, url: &Url) -> Option<String> {
    let on_host = services.iter().filter_map(|(name, service)| {
        let base = Url::parse(service.base_url.as_deref()?).ok()?;
        let is_here =
            base.host() == url.host() && base.port_or_known_default() == url.port_or_known_default();
        is_here.then(|| (name, base.path().trim_end_matches('/').to_owned()))
    });
    let is_below = |path: &str| {
        url.path().strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let nearest = on_host.max_by_key(|(_, path)| is_below(path).then_some(path.len()));
    nearest.map(|(name, _)| name.clone())
}

/// The headers about limits, and with them `date`, which shows how far the service's clock is off.
fn limit_headers(headers: &HeaderMap, masks: &Masks) -> BTreeMap<String, String> {
    let text = |value: &reqwest::header::HeaderValue| {
        masks.of_bytes(value.as_bytes()).chars().take(VALUE_CHARS_MAX).collect::<String>()
    };
    let found = headers.iter().filter(|(name, _)| is_limit_header(name.as_str()));
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in found.take(HEADERS_MAX) {
        // A repeated header is one list.
        all.entry(masks.names.redact(name.as_str()).into_owned())
            .and_modify(|list| *list = format!("{list}, {}", text(value)))
            .or_insert_with(|| text(value));
    }
    let mut found = all;
    if !found.is_empty()
        && let Some(date) = headers.get("date")
    {
        found.insert("date".to_owned(), text(date));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn services(list: &[(&str, Option<&str>)]) -> BTreeMap<String, ServiceSpec> {
        let spec = |base: Option<&str>| ServiceSpec { base_url: base.map(str::to_owned) };
        list.iter().map(|(name, base)| ((*name).to_owned(), spec(*base))).collect()
    }

    #[test]
    fn a_response_belongs_to_the_service_with_the_longest_base_path() {
        let services = services(&[
            ("one", Some("https://api.example/v1")),
            ("two", Some("https://api.example/v1/two/")),
            ("other", Some("https://api.example:8443/")),
            ("none", None),
        ]);
        let at = |url: &str| service_at(&services, &Url::parse(url).unwrap());
        assert_eq!(at("https://api.example/v1").as_deref(), Some("one"));
        assert_eq!(at("https://api.example/v1/users").as_deref(), Some("one"));
        assert_eq!(at("https://api.example/v1/two/users").as_deref(), Some("two"));
        assert_eq!(at("https://api.example:443/v1/two?x=1").as_deref(), Some("two"));
        assert_eq!(at("https://api.example:8443/v1").as_deref(), Some("other"));
        assert!(at("https://api.example/v2").is_some(), "falls back to a service on the same host");
        assert_eq!(at("https://example/v1"), None);
    }

    #[test]
    fn only_headers_about_limits_are_reported() {
        let services = services(&[("one", Some("https://api.example"))]);
        let url = Url::parse("https://api.example/x").unwrap();
        let headers = |list: &[(&'static str, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in list {
                map.insert(*name, value.parse().unwrap());
            }
            map
        };
        let date = ("date", "Sun, 06 Nov 1994 08:49:37 GMT");
        let secret = secrecy::SecretString::from("hunter22");
        let masks = Masks::new(&[secret]);
        let observed =
            |status, list: &[_]| ObservedResponse::of(&services, &url, status, &headers(list), &masks);
        assert!(observed(200, &[date, ("set-cookie", "a=b")]).is_none());
        assert_eq!(observed(429, &[date]).unwrap().event(Some("no"))["body"], "no");
        let response = observed(200, &[date, ("X-RateLimit-Remaining", "7"), ("etag", "x")]).unwrap();
        assert!(!response.wants_body());
        let event = response.event(None);
        assert_eq!(event["service"], "one");
        assert_eq!(event["headers"], json!({ "x-ratelimit-remaining": "7", "date": date.1 }));
        let long: &'static str = format!("{}hunter22", "x".repeat(VALUE_CHARS_MAX - 4)).leak();
        let event = observed(200, &[("x-ratelimit-scope", long)]).unwrap().event(None);
        assert!(event["headers"]["x-ratelimit-scope"].as_str().unwrap().ends_with("x***"), "{event}");
    }
}
