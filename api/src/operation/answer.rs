//! The answer to an operation, and how it is written.
//!
//! JSON values come as text (`JsonText`) in `Value::Binary`, which the
//! schema uses for nothing else, and are written as they are.

use std::ops::Deref;

use async_graphql::{Response, Value};
use serde::{
    Serialize, Serializer,
    ser::{Error as _, SerializeMap as _},
};
use serde_json::value::RawValue;

use crate::allowance::{Allowance, LargeAnswerSlot};

/// The response to an operation, with its slot among the large answers.
#[derive(Debug)]
pub struct Answer {
    response: Response,
    slot: Option<LargeAnswerSlot>,
    is_large: bool,
}

impl Answer {
    pub(super) fn new(response: Response, allowance: &Allowance) -> Self {
        let (slot, is_large) = allowance.take();
        Self { response, slot, is_large }
    }

    /// Writes it. A large answer is written on a thread of its own, because other requests would
    /// wait for it. Its slot is to be kept until it has been sent.
    pub async fn write<T: Send + 'static>(
        self,
        write: impl FnOnce(&Response) -> T + Send + 'static,
    ) -> (T, Option<LargeAnswerSlot>) {
        let Self { response, slot, is_large } = self;
        if !is_large {
            return (write(&response), slot);
        }
        match tokio::task::spawn_blocking(move || write(&response)).await {
            Ok(written) => (written, slot),
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

impl From<Response> for Answer {
    fn from(response: Response) -> Self {
        Self { response, slot: None, is_large: false }
    }
}

impl Deref for Answer {
    type Target = Response;

    fn deref(&self) -> &Response {
        &self.response
    }
}

/// A response as JSON.
#[derive(Debug)]
pub struct Written<'a>(pub &'a Response);

impl Written<'_> {
    /// The JSON text.
    pub fn to_text(&self) -> String {
        // Serialisation cannot fail, because there are only strings, numbers, lists, objects with
        // string keys, and JSON that has been written before.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Response { data, extensions, errors, .. } = self.0;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("data", &WrittenValue(data))?;
        if !extensions.is_empty() {
            map.serialize_entry("extensions", extensions)?;
        }
        if !errors.is_empty() {
            map.serialize_entry("errors", errors)?;
        }
        map.end()
    }
}

struct WrittenValue<'a>(&'a Value);

impl Serialize for WrittenValue<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::List(items) => serializer.collect_seq(items.iter().map(WrittenValue)),
            Value::Object(fields) => {
                serializer.collect_map(fields.iter().map(|(name, value)| (name, WrittenValue(value))))
            }
            Value::Binary(json) => {
                serde_json::from_slice::<&RawValue>(json).map_err(S::Error::custom)?.serialize(serializer)
            }
            plain @ (Value::Null
            | Value::Number(_)
            | Value::String(_)
            | Value::Boolean(_)
            | Value::Enum(_)) => plain.serialize(serializer),
        }
    }
}

#[cfg(test)]
mod tests {
    use async_graphql::{ServerError, value};

    use super::*;

    #[test]
    fn a_response_is_written_as_by_the_framework() {
        let mut response = Response::new(value!({ "z": [1, 2.5, null, true, "é\n"], "a": { "b": {} } }));
        assert_eq!(Written(&response).to_text(), serde_json::to_string(&response).unwrap());
        response.errors.push(ServerError::new("wrong", None));
        let response = response.extension("cost", value!(7));
        assert_eq!(Written(&response).to_text(), serde_json::to_string(&response).unwrap());
    }

    #[test]
    fn json_is_written_as_it_is() {
        let json = r#"{"b": 1.0, "a":  [1e400, 12345678901234567890123]}"#;
        let data = Value::Object(
            [(async_graphql::Name::new("result"), Value::Binary(json.to_owned().into()))]
                .into_iter()
                .collect(),
        );
        let text = Written(&Response::new(data)).to_text();
        assert_eq!(text, format!(r#"{{"data":{{"result":{json}}}}}"#));
    }
}
