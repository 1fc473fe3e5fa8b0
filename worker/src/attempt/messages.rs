//! The events that our own children speak on standard output, one JSON object a line: the runner's protocol, version 1
//! (runner/README.md), which the HTTP child speaks as well.
//!
//! Tolerant: unknown events and fields are left alone, and a line that is no event is a line of the log.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

/// One event.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum Message {
    /// A line of the log.
    Log { level: Option<String>, text: String },
    /// A line of the browser's console.
    Console { level: Option<String>, text: String },
    /// An error that a page did not catch.
    PageError { text: String },
    /// Something that deserves attention.
    Warning { text: String },
    /// The child has started.
    Hello { runner: String, version: String },
    /// The browser has started.
    Browser { version: String },
    /// A step of the script.
    Step {
        name: String,
        status: String,
        #[serde(rename = "durationMs")]
        duration_ms: Option<f64>,
        error: Option<String>,
    },
    /// How far it is.
    Progress { fraction: Option<f64>, message: Option<String> },
    /// A file is complete.
    Artifact {
        name: String,
        #[serde(rename = "contentType")]
        content_type: String,
        path: String,
    },
    /// What a service of the job answered, as far as limits go.
    Limits {
        service: String,
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<String>,
    },
    /// What it returns.
    Result { value: Value },
    /// Why it failed.
    Failure { code: String, message: String, retryable: bool },
    /// Anything newer.
    #[serde(other)]
    Unknown,
}

impl Message {
    /// Reads a line; none when it is no event.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        if line.first() != Some(&b'{') {
            return None;
        }
        serde_json::from_slice(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_told_from_lines() {
        let parse = |line: &str| Message::parse(line.as_bytes());
        assert!(matches!(parse(r#"{"v":1,"type":"log","text":"hi"}"#), Some(Message::Log { .. })));
        assert!(matches!(
            parse(r#"{"v":1,"type":"pageerror","text":"hi"}"#),
            Some(Message::PageError { .. })
        ));
        assert!(matches!(parse(r#"{"v":1,"type":"brand new","x":1}"#), Some(Message::Unknown)));
        assert!(parse("plain").is_none());
        assert!(parse(r#"{"not":"an event"}"#).is_none());
        assert!(parse(r#"{"type":"log"#).is_none());
    }
}
