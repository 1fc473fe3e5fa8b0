//! What a GraphQL request is made of, as HTTP and sockets carry it: `query`, `operationName`, `variables`, `extensions`.
//!
//! Read strictly: an array is no request, a number no name. `async_graphql_axum::GraphQLRequest` is not used for this,
//! because it takes every content type, batches, uploads and bodies without bound, and knows no `operationName` in a URL.

use async_graphql::{Executor, Request, Variables};
use axum::{
    extract,
    http::{HeaderMap, Method, StatusCode, header},
    response::Response,
};
use serde::Deserialize;
use serde_json::{Map, Value};
use url::form_urlencoded;

use super::{answer, body};
use crate::operation::{Engine, RequestId};

/// The parameters of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    /// Checked and not used.
    #[serde(default)]
    #[expect(dead_code, reason = "only its form counts")]
    extensions: Option<Map<String, Value>>,
}

impl Envelope {
    /// Reads an object; none for anything else.
    pub(crate) fn from_value(value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("A request is one JSON object. Batches are not taken.".into());
        }
        let envelope: Self =
            serde_json::from_value(value).map_err(|error| format!("Not a GraphQL request: {error}."))?;
        if envelope.query.trim().is_empty() {
            return Err("`query` is empty.".into());
        }
        Ok(envelope)
    }

    /// As async-graphql takes it.
    pub(crate) fn into_request(self) -> Request {
        let mut request = Request::new(self.query);
        request.operation_name = self.operation_name;
        request.variables =
            self.variables.map(|fields| Variables::from_json(Value::Object(fields))).unwrap_or_default();
        request
    }
}

/// Why a request is none.
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
            Some(methods) => answer::wrong_method(engine, &self.message, methods, id),
            None => answer::malformed(engine, self.status, &self.message, id),
        }
    }
}

/// Reads a request by its method.
pub(super) async fn read(request: extract::Request) -> Result<Envelope, Refused> {
    let bad = |message: String| Refused::new(StatusCode::BAD_REQUEST, message);
    match *request.method() {
        Method::GET => {
            Envelope::from_value(of_url(request.uri().query().unwrap_or_default()).map_err(bad)?).map_err(bad)
        }
        Method::POST => {
            check_content(request.headers())?;
            let bytes = body::read(request.into_body())
                .await
                .map_err(|(status, message)| Refused::new(status, message))?;
            let value = serde_json::from_slice(&bytes)
                .map_err(|error| bad(format!("The body is not JSON: {error}.")))?;
            Envelope::from_value(value).map_err(bad)
        }
        _ => Err(Refused {
            allow: Some("GET, POST"),
            ..Refused::new(StatusCode::METHOD_NOT_ALLOWED, "Use GET or POST.")
        }),
    }
}

/// A POST must be JSON, which no form of another site can send, and not packed.
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
    if headers.get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity") {
        return refuse("The body must not be packed (Content-Encoding).");
    }
    Ok(())
}

/// The parameters of a URL as the object that a POST would have had.
fn of_url(query: &str) -> Result<Value, String> {
    let mut fields = Map::new();
    for (name, text) in form_urlencoded::parse(query.as_bytes()) {
        let value = match &*name {
            "query" | "operationName" => Value::String(text.into_owned()),
            "variables" | "extensions" => {
                serde_json::from_str(&text).map_err(|error| format!("`{name}` is not JSON: {error}."))?
            }
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
    fn a_request_is_one_object_of_the_right_types() {
        for fine in [
            json!({ "query": "{ a }" }),
            json!({ "query": "{ a }", "operationName": null, "variables": null, "extensions": null }),
            json!({ "query": "{ a }", "operationName": "A", "variables": { "x": 1 }, "extensions": {}, "other": 1 }),
        ] {
            assert!(Envelope::from_value(fine.clone()).is_ok(), "{fine}");
        }
        for bad in [
            json!([{ "query": "{ a }" }]),
            json!("query"),
            json!(null),
            json!({}),
            json!({ "query": "" }),
            json!({ "query": " \n" }),
            json!({ "query": 7 }),
            json!({ "query": ["{ a }"] }),
            json!({ "query": "{ a }", "operationName": 7 }),
            json!({ "query": "{ a }", "variables": "{}" }),
            json!({ "query": "{ a }", "variables": [] }),
            json!({ "query": "{ a }", "extensions": true }),
        ] {
            assert!(Envelope::from_value(bad.clone()).is_err(), "{bad}");
        }
    }

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
