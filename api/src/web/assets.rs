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

/// Serves a file by its path below the build.
pub(super) fn serve(path: &str, request: &HeaderMap) -> Response {
    let Some(file) = Pages::get(path) else {
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
