//! Reads a GraphQL request from the URL of a GET or the body of a POST.
//!
//! `async_graphql_axum::GraphQLRequest` is not used, because it accepts any content type, batches,
//! uploads and bodies of any size, and ignores `operationName` in a URL.

use std::time::Duration;

use async_graphql::Executor;
use axum::{
    extract,
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{body, response};
use crate::operation::{Engine, Envelope, RequestId, unreadable};

/// The response to a malformed request.
pub(super) struct Refused {
    status: StatusCode,
    message: String,
    allow: Option<&'static str>,
}

impl Refused {
    fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), allow: None }
    }

    pub(super) fn into_response<E: Executor>(self, engine: &Engine<E>, id: &RequestId) -> Response {
        match self.allow {
            Some(methods) => response::wrong_method(engine, &self.message, methods, id),
            None => response::malformed(engine, self.status, &self.message, id),
        }
    }
}

/// Reads a request according to its method. Its body must arrive in time.
pub(super) async fn read(request: extract::Request, arrival_max: Duration) -> Result<Envelope, Refused> {
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, message);
    match *request.method() {
        Method::GET => {
            Envelope::from_value(of_url(request.uri().query().unwrap_or_default()).map_err(bad)?).map_err(bad)
        }
        Method::POST => {
            check_content(request.headers())?;
            let bytes = body::read(request.into_body(), arrival_max)
                .await
                .map_err(|(status, message)| Refused::new(status, message))?;
            // Some editors and shells begin every file with a byte order mark.
            let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
            let value =
                serde_json::from_slice(text).map_err(|error| bad(unreadable("The body", text, &error)))?;
            Envelope::from_value(value).map_err(bad)
        }
        _ => Err(Refused {
            allow: Some("GET, POST"),
            ..Refused::new(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST.")
        }),
    }
}

/// Requires an uncompressed JSON body. No HTML form of another site can send JSON.
fn check_content(headers: &HeaderMap) -> Result<(), Refused> {
    let refuse = |message: &str| Err(Refused::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut parts = content_type.split(';').map(|part| part.trim().to_ascii_lowercase());
    if parts.next().as_deref() != Some("application/json") {
        return refuse("Send `Content-Type: application/json`.");
    }
    if parts.any(|part| {
        part.strip_prefix("charset=").is_some_and(|name| !matches!(name.trim_matches('"'), "utf-8" | "utf8"))
    }) {
        return refuse("The body must be UTF-8.");
    }
    if headers.get_all(header::CONTENT_ENCODING).iter().any(|value| value != "identity") {
        return refuse("The body must not be compressed (Content-Encoding).");
    }
    Ok(())
}

/// Converts the parameters of a URL into the object that a POST would carry.
fn of_url(query: &str) -> Result<Value, String> {
    let mut fields = Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = match &*name {
            "query" | "operationName" => Value::String(text.into_owned()),
            "variables" | "extensions" => serde_json::from_str(&text)
                .map_err(|error| unreadable(&format!("`{name}`"), text.as_bytes(), &error))?,
            _ => continue,
        };
        if fields.insert(name.to_string(), value).is_some() {
            return Err(format!("`{name}` is given twice."));
        }
    }
    Ok(Value::Object(fields))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_url_is_read_like_a_body() {
        let value =
            of_url("query=%7B+a+%7D&operationName=A&variables=%7B%22x%22%3A1%7D&extensions=null&other=1")
                .unwrap();
        assert_eq!(
            value,
            json!({ "query": "{ a }", "operationName": "A", "variables": { "x": 1 }, "extensions": null })
        );
        for bad in ["variables=", "variables=x", "query=a&query=b"] {
            assert!(of_url(bad).is_err(), "{bad}");
        }
    }
}
