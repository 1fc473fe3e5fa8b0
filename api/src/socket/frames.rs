//! The messages of `graphql-transport-ws`, and two of its predecessor that some clients still send.
//!
//! Python's gql compares the header of the negotiated protocol case-sensitively, misses it and
//! falls back to the old names. So `start` and `stop` are accepted too, and such an operation gets
//! its results in the old format (`data`).

use async_graphql::{Response, ServerError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Close, MESSAGE_BYTES_MAX, PING_PAYLOAD_BYTES_MAX};
use crate::operation::{self, Written};

/// Longest id of an operation, in bytes.
const ID_BYTES_MAX: usize = 128;

/// The protocol version that an operation was requested in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `subscribe`, `next`, `complete`.
    Transport,
    /// `start`, `data`, `stop`.
    Legacy,
}

/// A message from the client.
#[derive(Debug)]
pub(super) enum Incoming {
    Init(Map<String, Value>),
    Ping(Option<Value>),
    Pong,
    Subscribe {
        id: String,
        payload: Value,
        dialect: Dialect,
    },
    /// An operation of which only the id could be read, with the reason for its client.
    Unreadable {
        id: String,
        dialect: Dialect,
        why: String,
    },
    Complete(String),
    Terminate,
}

#[derive(Deserialize)]
struct Raw {
    r#type: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payload: Option<Value>,
}

/// The parts of a message that identify its operation.
#[derive(Debug, Default)]
struct Head {
    r#type: Option<String>,
    id: Option<String>,
}

impl Head {
    /// Reads them from a text that need not be JSON: the rest is only skipped, so that one value
    /// that cannot be read (half of a surrogate pair, Python's `NaN`) does not hide them.
    fn read(text: &str) -> Self {
        let (mut head, mut depth, mut at) = (Self::default(), 0_usize, 0);
        // The key before the value that begins next.
        let mut key = None;
        while let Some(byte) = text.as_bytes().get(at) {
            match byte {
                b'"' => {
                    let Some(end) = operation::end_of_string(text, at) else { break };
                    let string = || serde_json::from_str::<String>(&text[at..end]).ok();
                    let is_key = text[end..].trim_start().starts_with(':');
                    match key.take() {
                        None if depth == 1 && is_key => key = string(),
                        Some(key) if key == "type" => head.r#type = string(),
                        Some(key) if key == "id" => head.id = string(),
                        None | Some(_) => {}
                    }
                    at = end;
                    continue;
                }
                b'{' | b'[' => (depth, key) = (depth + 1, None),
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => key = None,
                _ => {}
            }
            at += 1;
        }
        head
    }
}

/// Reads a message. The error is the reason to close the socket.
pub(super) fn read(text: &str) -> Result<Incoming, Close> {
    if text.len() > MESSAGE_BYTES_MAX {
        let why = format!(
            "The message has {} bytes, more than {MESSAGE_BYTES_MAX}. Send the operation over HTTP.",
            text.len()
        );
        return unreadable(text, why).ok_or(Close::TooBig);
    }
    let Raw { r#type, id, payload } = match serde_json::from_str(text) {
        Ok(raw) => raw,
        Err(error) => {
            let why = operation::unreadable("The message", text.as_bytes(), &error);
            return unreadable(text, why).ok_or(Close::BadMessage);
        }
    };
    let id = || id.filter(|id| is_id(id)).ok_or(Close::BadMessage);
    match r#type.as_str() {
        "connection_init" => match payload {
            None | Some(Value::Null) => Ok(Incoming::Init(Map::new())),
            Some(Value::Object(fields)) => Ok(Incoming::Init(fields)),
            Some(_) => Err(Close::BadMessage),
        },
        "ping" => Ok(Incoming::Ping(payload)),
        "pong" => Ok(Incoming::Pong),
        "subscribe" => Ok(Incoming::Subscribe {
            id: id()?,
            payload: payload.ok_or(Close::BadMessage)?,
            dialect: Dialect::Transport,
        }),
        "start" => Ok(Incoming::Subscribe {
            id: id()?,
            payload: payload.ok_or(Close::BadMessage)?,
            dialect: Dialect::Legacy,
        }),
        "complete" | "stop" => Ok(Incoming::Complete(id()?)),
        "connection_terminate" => Ok(Incoming::Terminate),
        _ => Err(Close::BadMessage),
    }
}

/// The operation of a message that is not read as a whole. `None` if its id cannot be read either.
fn unreadable(text: &str, why: String) -> Option<Incoming> {
    let head = Head::read(text);
    let id = head.id.filter(|id| is_id(id))?;
    let dialect = match head.r#type.as_deref() {
        Some("subscribe") => Dialect::Transport,
        Some("start") => Dialect::Legacy,
        Some(_) | None => return None,
    };
    Some(Incoming::Unreadable { id, dialect, why })
}

const fn is_id(id: &str) -> bool {
    !id.is_empty() && id.len() <= ID_BYTES_MAX
}

/// A message to the client, with its keys in this order.
#[derive(Serialize)]
struct Outgoing<'a, P> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    r#type: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<P>,
}

fn write<P: Serialize>(id: Option<&str>, r#type: &str, payload: Option<P>) -> String {
    // Serialisation cannot fail, because there are only strings, numbers, lists, and objects with
    // string keys.
    serde_json::to_string(&Outgoing { id, r#type, payload }).unwrap_or_default()
}

pub(super) fn ack() -> String {
    write(None, "connection_ack", None::<()>)
}

/// The answer to a ping. It repeats a small payload only, so that nobody is answered much.
pub(super) fn pong(payload: Option<Value>) -> String {
    write(None, "pong", payload.filter(|payload| payload.to_string().len() <= PING_PAYLOAD_BYTES_MAX))
}

/// A result of an operation.
pub(super) fn next(dialect: Dialect, id: &str, response: &Response) -> String {
    let r#type = match dialect {
        Dialect::Transport => "next",
        Dialect::Legacy => "data",
    };
    write(Some(id), r#type, Some(Written(response)))
}

/// The operation was not run. The older protocol has a result without data instead, followed by
/// `complete`.
pub(super) fn error(id: &str, errors: &[ServerError]) -> String {
    write(Some(id), "error", Some(errors))
}

pub(super) fn complete(id: &str) -> String {
    write(Some(id), "complete", None::<()>)
}

#[cfg(test)]
mod tests {
    use callboard_test_support::fuzz::fuzz;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn messages_are_read_strictly() {
        assert!(
            matches!(read(r#"{"type":"connection_init"}"#), Ok(Incoming::Init(fields)) if fields.is_empty())
        );
        assert!(matches!(read(r#"{"type":"ping","payload":{"a":1}}"#), Ok(Incoming::Ping(Some(_)))));
        assert!(matches!(
            read(r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#),
            Ok(Incoming::Subscribe { dialect: Dialect::Transport, .. })
        ));
        assert!(matches!(
            read(r#"{"type":"start","id":"1","payload":{"query":"{a}"}}"#),
            Ok(Incoming::Subscribe { dialect: Dialect::Legacy, .. })
        ));
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(ID_BYTES_MAX + 1));
        for bad in [
            "",
            "x",
            "[]",
            "{}",
            r#"{"type":7}"#,
            r#"{"type":"next","id":"1"}"#,
            r#"{"type":"connection_init","payload":[]}"#,
            r#"{"type":"subscribe","payload":{}}"#,
            r#"{"type":"subscribe","id":"","payload":{}}"#,
            r#"{"type":"subscribe","id":7,"payload":{}}"#,
            r#"{"type":"subscribe","id":"1"}"#,
            r#"{"type":"complete"}"#,
            &long,
        ] {
            assert_eq!(read(bad).unwrap_err(), Close::BadMessage, "{bad}");
        }
    }

    #[test]
    fn the_id_of_an_operation_is_read_although_the_rest_cannot_be() {
        let deep = format!("{}1{}", "[".repeat(200), "]".repeat(200));
        let long = format!("\"{}\"", "x".repeat(MESSAGE_BYTES_MAX));
        for value in [
            r#""\ud83d""#,
            r#""\udc00x""#,
            r#"{"\ud83d":1}"#,
            r#""\x""#,
            "\"\n\"",
            "1e999",
            "NaN",
            "-Infinity",
            "undefined",
            "01",
            r#"{"id":"8","type":"complete"}x"#,
            r#""\ud83d\\\",\"id\":\"8""#,
            &deep,
            &long,
        ] {
            for text in [
                format!(r#"{{"id":"7","type":"subscribe","payload":{{"variables":{{"a":{value}}}}}}}"#),
                format!(r#"{{"payload":{{"variables":{value}}},"type":"subscribe","id":"7"}}"#),
            ] {
                let read = read(&text);
                assert!(
                    matches!(&read, Ok(Incoming::Unreadable { id, dialect: Dialect::Transport, .. }) if id == "7"),
                    "{read:?}"
                );
            }
        }
        for (bad, close) in [
            (r#"{"id":"\ud83d","type":"subscribe","payload":{}}"#.to_owned(), Close::BadMessage),
            (r#"{"type":"ping","payload":{"a":"\ud83d"}}"#.to_owned(), Close::BadMessage),
            (r#"{"payload":{"id":"1","type":"subscribe","a":"\ud83d"}}"#.to_owned(), Close::BadMessage),
            (r#"{"id":7,"type":"subscribe","payload":{"a":"\ud83d"}}"#.to_owned(), Close::BadMessage),
            (r#"{"id":"1","type":"subscri"#.to_owned(), Close::BadMessage),
            (format!(r#"{{"type":"connection_init","payload":{{"a":{long}}}}}"#), Close::TooBig),
            (long.clone(), Close::TooBig),
        ] {
            assert_eq!(read(&bad).unwrap_err(), close);
        }
    }

    #[test]
    fn keys_are_written_in_order() {
        assert_eq!(ack(), r#"{"type":"connection_ack"}"#);
        assert_eq!(complete("7"), r#"{"id":"7","type":"complete"}"#);
        let response = Response::new(async_graphql::value!({ "b": 1, "a": 2 }));
        assert_eq!(
            next(Dialect::Transport, "7", &response),
            r#"{"id":"7","type":"next","payload":{"data":{"b":1,"a":2}}}"#
        );
    }

    /// Pieces of messages, cut and joined anywhere, with anything between them.
    fn hostile_message() -> impl Strategy<Value = String> {
        let pieces = [
            r#"{"type":"#,
            r#""subscribe""#,
            r#""start""#,
            r#""ping""#,
            r#""connection_init""#,
            r#""complete""#,
            r#""id":"7""#,
            r#""id":"#,
            r#""payload":"#,
            r#"{"query":"{a}"}"#,
            r#""\ud83d""#,
            "{",
            "}",
            "[",
            "]",
            ":",
            ",",
            "\"",
            "\\",
            "7",
            "1e999",
            "NaN",
            "null",
            "\u{0}",
            "\u{85}",
            "é",
            "😀",
        ];
        let piece = prop_oneof![
            6 => prop::sample::select(pieces.to_vec()).prop_map(str::to_owned),
            1 => ".{0,20}",
            1 => (prop::sample::select(pieces.to_vec()), 1..2000_usize).prop_map(|(text, times)| text.repeat(times)),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn fuzzed_messages_are_read_without_panic_and_pongs_are_small() {
        for text in fuzz(hostile_message()) {
            for text in [text.clone(), format!(r#"{{"type":"ping","payload":{text}}}"#)] {
                if let Ok(Incoming::Ping(payload)) = read(&text) {
                    assert!(pong(payload).len() <= PING_PAYLOAD_BYTES_MAX + 50);
                }
            }
        }
    }
}
