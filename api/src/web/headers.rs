//! The headers that keep pages apart from other sites, on every answer of the server.

use std::sync::LazyLock;

use axum::{
    extract::Request,
    http::{HeaderName, HeaderValue, header},
    middleware::Next,
    response::Response,
};

/// The policies of the pages, as their build is tested with them.
const POLICIES: &str = include_str!("../../../dashboard/csp.json");

/// For answers that are no page.
const NOTHING: HeaderValue =
    HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'; base-uri 'none'");

const ALWAYS: [(HeaderName, HeaderValue); 5] = [
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static("same-origin")),
    (HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-site")),
];

static PAGE: LazyLock<HeaderValue> = LazyLock::new(|| policy("page"));
static PLAYGROUND: LazyLock<HeaderValue> = LazyLock::new(|| policy("playground"));

/// Only what the server itself serves.
pub(super) fn page_policy() -> HeaderValue {
    PAGE.clone()
}

/// The editor needs inline styles and workers.
pub(super) fn playground_policy() -> HeaderValue {
    PLAYGROUND.clone()
}

/// A policy of the file; everything is forbidden if the file has none, which a test would tell.
fn policy(name: &str) -> HeaderValue {
    let policies: serde_json::Value = serde_json::from_str(POLICIES).unwrap_or_default();
    policies[name].as_str().and_then(|text| HeaderValue::from_str(text).ok()).unwrap_or(NOTHING)
}

/// Sets what an answer has not set itself.
pub async fn secure(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_policies_are_in_the_file() {
        assert_ne!(page_policy(), NOTHING);
        assert_ne!(playground_policy(), NOTHING);
    }
}
