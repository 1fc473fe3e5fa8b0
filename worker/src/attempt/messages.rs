//! The events that the runner and the HTTP child write to standard output, one JSON object per
//! line.
//!
//! runner/README.md describes the protocol, version 1. Unknown events and fields are ignored, and a
//! line that is not an event is a line of the log.

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
    /// An uncaught error in a page.
    PageError { text: String },
    /// Something that the author of the command should look at.
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
    /// How far the job is.
    Progress { fraction: Option<f64>, message: Option<String> },
    /// A file is complete.
    Artifact {
        name: String,
        #[serde(rename = "contentType")]
        content_type: String,
        path: String,
    },
    /// A response of one of the job's services that says something about its limits.
    Limits {
        service: String,
        status: u16,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        body: Option<String>,
    },
    /// The job's result.
    Result { value: Value },
    /// Why the job failed.
    Failure { code: String, message: String, retryable: bool },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

impl Message {
    /// Parses a line. Returns `None` if it is not an event.
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
    fn events_are_distinguished_from_lines() {
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
