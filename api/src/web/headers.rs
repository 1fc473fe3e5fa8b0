//! Security headers that isolate pages from other sites, set on every response.

use std::sync::LazyLock;

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

/// The policies of the pages. Their build is tested with the same file.
const POLICIES: &str = include_str!("../../../dashboard/csp.json");

/// The policy for responses that are not pages.
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

/// Allows only what the server itself serves.
pub(super) fn page_policy() -> HeaderValue {
    PAGE.clone()
}

/// Allows inline styles and workers, which the editor needs.
pub(super) fn playground_policy() -> HeaderValue {
    PLAYGROUND.clone()
}

/// Reads a policy from the file. A missing one forbids everything, which a test would catch.
fn policy(name: &str) -> HeaderValue {
    let policies: serde_json::Value = serde_json::from_str(POLICIES).unwrap_or_default();
    policies[name].as_str().and_then(|text| HeaderValue::from_str(text).ok()).unwrap_or(NOTHING)
}

/// Sets the headers which a response has not set itself.
pub fn secure(headers: &mut HeaderMap) {
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert(NOTHING);
    for (name, value) in ALWAYS {
        headers.entry(name).or_insert(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_has_both_policies() {
        assert_ne!(page_policy(), NOTHING);
        assert_ne!(playground_policy(), NOTHING);
    }
}
