//! The events that the runner and the HTTP child write to standard output, one JSON object per
//! line.
//!
//! runner/README.md describes the protocol, version 1. Unknown events and fields are ignored, and a
//! line that is not an event is a line of the log. An event that cannot be read is never a line of
//! the log, because it may hold half of a secret.

use std::{borrow::Cow, collections::BTreeMap};

use callboard::{
    bounds::RESULT_DEPTH_MAX,
    secret::Redactor,
    text::{JsonError, parse_json, well_formed_json},
};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Value, value::RawValue};

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
    Failure {
        code: String,
        message: String,
        retryable: bool,
        #[serde(rename = "retryAfterMs", default)]
        retry_after_ms: Option<u64>,
        /// How long ago the job failed.
        #[serde(rename = "closingMs", default)]
        closing_ms: u64,
    },
    /// An event of a newer version.
    #[serde(other)]
    Unknown,
}

impl Message {
    /// The same without secrets, before anything of it is cut. The texts of `Log` and `Console`
    /// stay, because they are redacted as streams. So does what is compared with names that the
    /// worker knows: the service, and the path.
    pub(super) fn redacted(self, redactor: &Redactor) -> Self {
        let text = |text: String| redactor.redact(&text).into_owned();
        match self {
            Self::Log { level, text } => Self::Log { level, text },
            Self::Console { level, text: said } => Self::Console { level: level.map(text), text: said },
            Self::PageError { text: said } => Self::PageError { text: text(said) },
            Self::Warning { text: said } => Self::Warning { text: text(said) },
            Self::Hello { runner, version } => Self::Hello { runner: text(runner), version: text(version) },
            Self::Browser { version } => Self::Browser { version: text(version) },
            Self::Step { name, status, duration_ms, error } => {
                Self::Step { name: text(name), status: text(status), duration_ms, error: error.map(text) }
            }
            Self::Progress { fraction, message } => Self::Progress { fraction, message: message.map(text) },
            Self::Artifact { name, content_type, path } => {
                Self::Artifact { name: text(name), content_type: text(content_type), path }
            }
            Self::Limits { service, status, headers, body } => {
                let headers = headers.into_iter().map(|(name, value)| (text(name), text(value))).collect();
                Self::Limits { service, status, headers, body: body.map(text) }
            }
            Self::Result { value } => Self::Result { value: redactor.redact_value(value) },
            Self::Failure { code, message, retryable, retry_after_ms, closing_ms } => Self::Failure {
                code: text(code),
                message: text(message),
                retryable,
                retry_after_ms,
                closing_ms,
            },
            Self::Unknown => Self::Unknown,
        }
    }
}

/// What a line of standard output is.
#[derive(Debug)]
pub(super) enum Line {
    Event(Message),
    /// A line of the log.
    Text,
    /// An event that cannot be read.
    Unreadable {
        /// Whether it held the job's result.
        is_result: bool,
        why: Unreadable,
    },
}

/// Why an event cannot be read, as the end of a sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unreadable {
    #[error("it is nested deeper than {RESULT_DEPTH_MAX} levels")]
    TooDeep,
    #[error("its line is longer than {0} bytes")]
    TooLong(u64),
    #[error("its line is not JSON")]
    Malformed,
}

impl From<JsonError> for Unreadable {
    fn from(error: JsonError) -> Self {
        match error {
            JsonError::TooDeep => Self::TooDeep,
            JsonError::Malformed => Self::Malformed,
        }
    }
}

/// The parts of an event that are read first. The result is read on its own, because it may be as
/// deep as any value, and the event around it is one level more.
#[derive(Deserialize)]
struct Envelope<'a> {
    v: Option<IgnoredAny>,
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

impl Line {
    /// Reads a line. Halves of surrogate pairs in its strings become U+FFFD.
    pub(super) fn read(line: &[u8]) -> Self {
        if line.first() != Some(&b'{') {
            return Self::Text;
        }
        let text = well_formed_json(line);
        let Ok(envelope) = serde_json::from_str::<Envelope<'_>>(&text) else {
            return Self::cut(line, Unreadable::Malformed);
        };
        if envelope.kind == "result" {
            let value = envelope.value.map_or(Ok(Value::Null), |value| parse_json(value.get().as_bytes()));
            return match value {
                Ok(value) => Self::Event(Message::Result { value }),
                Err(why) => Self::Unreadable { is_result: true, why: why.into() },
            };
        }
        match serde_json::from_str(&text) {
            Ok(message) => Self::Event(message),
            Err(_) if envelope.v.is_some() => {
                Self::Unreadable { is_result: false, why: Unreadable::Malformed }
            }
            Err(_) => Self::Text,
        }
    }

    /// The beginning of a line whose rest is missing.
    pub(super) fn cut(beginning: &[u8], why: Unreadable) -> Self {
        let is = |kind: &[u8]| {
            [br#"{"v":1,"type":""#.as_slice(), br#"{"type":""#.as_slice()]
                .iter()
                .any(|before| beginning.strip_prefix(*before).is_some_and(|rest| rest.starts_with(kind)))
        };
        if is(br#"result""#) {
            Self::Unreadable { is_result: true, why }
        } else if beginning.starts_with(br#"{"v":"#) || is(br#"limits""#) || is(br#"failure""#) {
            Self::Unreadable { is_result: false, why }
        } else {
            Self::Text
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_test_support::fuzz::fuzz;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn events_are_distinguished_from_lines() {
        let read = |line: &str| Line::read(line.as_bytes());
        assert!(matches!(read(r#"{"v":1,"type":"log","text":"hi"}"#), Line::Event(Message::Log { .. })));
        assert!(matches!(
            read(r#"{"v":1,"type":"pageerror","text":"hi"}"#),
            Line::Event(Message::PageError { .. })
        ));
        assert!(matches!(read(r#"{"v":1,"type":"brand new","x":1}"#), Line::Event(Message::Unknown)));
        assert!(matches!(read("plain"), Line::Text));
        assert!(matches!(read(r#"{"not":"an event"}"#), Line::Text));
        assert!(matches!(read(r#"{"type":"log"#), Line::Text));
    }

    #[test]
    fn every_text_of_an_event_is_redacted() {
        let secret = secrecy::SecretString::from("hunter22/x");
        let redactor = Redactor::new([&secret]);
        for line in [
            r#"{"type":"console","level":"SECRET","text":""}"#,
            r#"{"type":"pageerror","text":"SECRET"}"#,
            r#"{"type":"warning","text":"SECRET"}"#,
            r#"{"type":"hello","runner":"SECRET","version":"SECRET"}"#,
            r#"{"type":"browser","version":"SECRET"}"#,
            r#"{"type":"step","name":"SECRET","status":"SECRET","error":"SECRET"}"#,
            r#"{"type":"progress","message":"SECRET"}"#,
            r#"{"type":"artifact","name":"SECRET","contentType":"SECRET","path":"x"}"#,
            r#"{"type":"limits","service":"x","status":429,"headers":{"SECRET":"SECRET"},"body":"SECRET"}"#,
            r#"{"type":"result","value":{"SECRET":["SECRET"]}}"#,
            r#"{"type":"failure","code":"SECRET","message":"SECRET","retryable":true}"#,
        ] {
            for spelled in
                ["hunter22/x", r"hunter22\/x", r"\u0068unter22/x", "hunter22%2Fx", "aHVudGVyMjIveA=="]
            {
                let Line::Event(message) = Line::read(line.replace("SECRET", spelled).as_bytes()) else {
                    panic!("{line} is no event")
                };
                let shown = format!("{:?}", message.redacted(&redactor));
                let masks = shown.matches("***").count();
                assert_eq!(masks, line.matches("SECRET").count(), "{shown}");
                assert!(!shown.contains("22") && !shown.contains("HVudGVy"), "{shown}");
            }
        }
    }

    #[test]
    fn an_event_that_cannot_be_read_is_no_line_of_the_log() {
        for (line, is_result) in [
            (r#"{"v":1,"type":"log","text":5}"#, false),
            (r#"{"v":1,"type":"log","text":"cu"#, false),
            (r#"{"v":1,"type":"result","value":{"a":"cu"#, true),
            (r#"{"type":"result","value":{"a":"cu"#, true),
            (r#"{"type":"failure","code":"#, false),
        ] {
            let read = Line::read(line.as_bytes());
            let Line::Unreadable { is_result: found, why: Unreadable::Malformed } = read else {
                panic!("{line}: {read:?}")
            };
            assert_eq!(found, is_result, "{line}");
        }
    }

    #[test]
    fn a_result_may_be_as_deep_as_any_value() {
        let most = RESULT_DEPTH_MAX;
        for (levels, is_kept) in
            [(1, true), (most - 1, true), (most, true), (most + 1, false), (128, false), (100_000, false)]
        {
            let value = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            for line in [
                format!(r#"{{"v":1,"type":"result","value":{value}}}"#),
                format!(r#"{{"type":"result","value":{value},"v":1}}"#),
            ] {
                match Line::read(line.as_bytes()) {
                    Line::Event(Message::Result { value: read }) => {
                        assert!(is_kept, "{levels}");
                        assert_eq!(read.to_string(), value);
                    }
                    Line::Unreadable { is_result: true, why: Unreadable::TooDeep } => assert!(!is_kept),
                    other @ (Line::Event(_) | Line::Text | Line::Unreadable { .. }) => {
                        panic!("{levels}: {other:?}")
                    }
                }
            }
        }
    }

    #[test]
    fn ill_formed_text_in_an_event_is_repaired() {
        for unit in 0xD800_u16..0xE000 {
            for (before, after) in [("", ""), ("é", "x"), (r"\\", r"\n"), (r"\ud83d\ude00", "")] {
                let line = format!(r#"{{"v":1,"type":"log","text":"{before}\u{unit:04x}{after}"}}"#);
                let Line::Event(Message::Log { text, .. }) = Line::read(line.as_bytes()) else {
                    panic!("{line} is not an event")
                };
                assert!(text.contains('\u{FFFD}'), "{line} became {text}");
            }
        }
    }

    /// Pieces of events, cut and joined anywhere, with anything between them.
    fn hostile_line() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            4 => prop::sample::select(vec![
                r#"{"v":1,"type":""#, r#"{"type":""#, r#""type":"result""#, r#""value":"#, r#""text":""#, "log\"",
                "result\"", "failure\"", "limits\"", "artifact\"", "step\"", "progress\"", r"\ud83d", r"\udc00",
                r"\u00", "{", "}", "[", "]", ",", ":", "\"", "\\", "1e999", "-0", "NaN", "null", r#""headers":{"#,
                r#""status":99999"#, r#""fraction":1e308"#, r#""retryAfterMs":-1"#, r#""v":{}"#, "\u{FFFD}",
            ]).prop_map(|text| text.as_bytes().to_vec()),
            1 => prop::collection::vec(any::<u8>(), 0..20),
            1 => (prop::sample::select(vec!["[", "{\"a\":", "\"\\ud800\",", "]"]), 1..3000_usize)
                .prop_map(|(text, times)| text.repeat(times).into_bytes()),
        ];
        prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn fuzzed_lines_of_a_child_are_read_without_panic_or_growth() {
        for line in fuzz(hostile_line()) {
            for line in [line.clone(), [&br#"{"v":1,"type":""#[..], &line].concat()] {
                let read = Line::read(&line);
                // U+FFFD has three bytes for one, and Debug writes escapes.
                let most = 40 * line.len() + 1000;
                assert!(format!("{read:?}").len() <= most, "what is read is not much larger than the line");
                let _cut = Line::cut(&line, Unreadable::TooLong(1));
            }
        }
    }
}
