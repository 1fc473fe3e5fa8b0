//! Serves the embedded files, with their media types and cache headers.

use std::borrow::Cow;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};

use super::headers;
use crate::entity_tag;

include!(concat!(env!("OUT_DIR"), "/pages.rs"));

/// Files with a hash of their content in the name never change.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// Pages are revalidated each time, usually with a 304.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// The encodings in which the build has copies of files, best first, with the ends of their names.
const ENCODINGS: [(&str, &str); 2] = [("br", "br"), ("gzip", "gz")];

/// Serves a file by its path below the build, compressed if the client accepts that and the build
/// has it.
pub(super) fn serve(path: &str, request: &HeaderMap) -> Response {
    let compressed = ENCODINGS
        .into_iter()
        .filter(|(encoding, _)| accepts(request, encoding))
        .find_map(|(encoding, end)| Some((Pages::get(&format!("{path}.{end}"))?, Some(encoding))));
    let plain = || Pages::get(path).map(|file| (file, None));
    let Some((file, encoding)) = compressed.or_else(plain) else {
        return (StatusCode::NOT_FOUND, "Not found.\n").into_response();
    };
    let tag = format!("\"{}\"", hex::encode(&file.metadata.sha256_hash()[..16]));
    let mut response = if entity_tag::is_known(request, &tag) {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        Response::new(match file.data {
            Cow::Borrowed(bytes) => Body::from(bytes),
            Cow::Owned(bytes) => Body::from(bytes),
        })
    };
    let kept = if path.contains("assets/") { FOR_EVER } else { ASK_AGAIN };
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, kept);
    headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    if let Some(encoding) = encoding {
        headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    headers.extend(
        [(header::ETAG, HeaderValue::from_str(&tag)), (header::CONTENT_TYPE, content_type(path))]
            .into_iter()
            .filter_map(|(name, value)| value.ok().map(|value| (name, value))),
    );
    let policy =
        if path.starts_with("playground/") { headers::playground_policy() } else { headers::page_policy() };
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

/// Whether a client accepts this encoding (RFC 9110, section 12.5.3). One that is not named is not
/// sent, also if `*` would allow it.
fn accepts(request: &HeaderMap, encoding: &str) -> bool {
    let lists = request.get_all(header::ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    lists.flat_map(|list| list.split(',')).any(|entry| {
        let (name, weight) = entry.split_once(';').unwrap_or((entry, ""));
        let weight = weight.trim().strip_prefix("q=").and_then(|weight| weight.parse::<f32>().ok());
        name.trim().eq_ignore_ascii_case(encoding) && weight != Some(0.0)
    })
}

fn content_type(path: &str) -> Result<HeaderValue, header::InvalidHeaderValue> {
    let r#type = match path.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "json" => "application/json",
        "png" => "image/png",
        "woff2" => "font/woff2",
        "ttf" => "font/ttf",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    };
    HeaderValue::from_str(r#type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoding_is_sent_only_to_those_who_accept_it() {
        let accepts = |list: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static(list));
            super::accepts(&headers, "br")
        };
        for fine in ["br", "gzip, deflate, br", "gzip;q=1.0, BR;q=0.5", "br; q=0.001"] {
            assert!(accepts(fine), "{fine}");
        }
        for other in ["", "gzip", "brotli", "*", "br;q=0", "br; q=0.0", "gzip, br;q=0.000"] {
            assert!(!accepts(other), "{other}");
        }
    }
}
