//! The parameters of a GraphQL request over HTTP and sockets: `query`, `operationName`, `variables`
//! and `extensions`.
//!
//! They are read strictly. An array is not a request and a number is not a name.

use async_graphql::{Request, Variables};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::json_text::place_of;

/// The parameters of a request.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Envelope {
    query: String,
    #[serde(default)]
    operation_name: Option<String>,
    #[serde(default)]
    variables: Option<Map<String, Value>>,
    /// Checked but not used.
    #[serde(default)]
    #[expect(dead_code, reason = "only its type is checked")]
    extensions: Option<Map<String, Value>>,
}

impl Envelope {
    /// Reads a JSON object. The error is a message for the client.
    pub(crate) fn from_value(value: Value) -> Result<Self, String> {
        if !value.is_object() {
            return Err("A request must be one JSON object. Batches are not supported.".into());
        }
        // The reader does not say which of them is wrong.
        for (name, is_fine, form) in [
            ("query", value["query"].is_string(), "a text"),
            (
                "operationName",
                value["operationName"].is_string() || value["operationName"].is_null(),
                "a text",
            ),
            ("variables", value["variables"].is_object() || value["variables"].is_null(), "an object"),
            ("extensions", value["extensions"].is_object() || value["extensions"].is_null(), "an object"),
        ] {
            if !is_fine {
                return Err(format!("Not a GraphQL request: `{name}` must be {form}."));
            }
        }
        let envelope: Self =
            serde_json::from_value(value).map_err(|error| format!("Not a GraphQL request: {error}."))?;
        if envelope.query.trim().is_empty() {
            return Err("`query` is empty.".into());
        }
        Ok(envelope)
    }

    /// Converts the parameters for async-graphql.
    pub(crate) fn into_request(self) -> Request {
        let mut request = Request::new(self.query);
        request.operation_name = self.operation_name;
        request.variables =
            self.variables.map(|fields| Variables::from_json(Value::Object(fields))).unwrap_or_default();
        request
    }
}

/// Says why a text from a client cannot be read as JSON, and where. `what` names the text.
pub(crate) fn unreadable(what: &str, text: &[u8], error: &serde_json::Error) -> String {
    let reason = error.to_string();
    let place = str::from_utf8(text).map(|text| place_of(text, error)).unwrap_or_default();
    let within = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    // JavaScript strings may be cut within a pair, and its JSON writes the half as an escape.
    if reason.contains("surrogate") || reason.contains("hex escape") {
        format!(
            "{what} holds half of a surrogate pair, which is no character,{within} at line {} column {}. In \
             JavaScript, `toWellFormed()` mends such text.",
            error.line(),
            error.column()
        )
    } else {
        format!("{what} cannot be read as JSON{within}: {reason}.")
    }
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
}
