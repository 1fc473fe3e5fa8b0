//! The bounds of what a child hands to its worker, which the Playwright runner has too.
//!
//! They stand once, in `runner/src/bounds.json`, which is compiled into this crate, so that a bound
//! of the runner cannot differ from the worker's. A name that is missing there does not compile.

/// Longest progress message, in characters.
pub const PROGRESS_CHARS_MAX: usize = bound("progressCharacters");
/// Longest failure message kept, in bytes.
pub const FAILURE_MESSAGE_BYTES_MAX: usize = bound("failureMessageBytes");
/// Largest result kept, in bytes of JSON.
pub const RESULT_BYTES_MAX: usize = bound("resultBytes");
/// Deepest nesting of arrays and objects in a result and in any other JSON from a child, in levels.
/// `[]` has one. serde_json reads 127 levels, and an event and the API's response put a few around
/// the result.
pub const RESULT_DEPTH_MAX: usize = bound("resultDepth");
/// Most files that a script or program keeps in one attempt.
pub const ARTIFACTS_MAX: usize = bound("artifacts");
/// Most files that the runner itself adds to them: screenshot, trace, videos, HAR.
pub const RECORDINGS_MAX: usize = bound("recordings");
/// Largest artifact, in bytes.
pub const ARTIFACT_BYTES_MAX: usize = bound("artifactBytes");
/// Most bytes of all artifacts of one attempt.
pub const ALL_ARTIFACTS_BYTES_MAX: usize = bound("allArtifactsBytes");
/// Longest name of an artifact, in bytes of UTF-8, as in most file systems.
pub const ARTIFACT_NAME_BYTES_MAX: usize = bound("artifactNameBytes");
/// Longest content type of an artifact, in bytes.
pub const CONTENT_TYPE_BYTES_MAX: usize = bound("contentTypeBytes");

const TABLE: &[u8] = include_bytes!("../../runner/src/bounds.json");

/// Reads a number of the table while compiling.
#[expect(clippy::panic, reason = "only while compiling")]
const fn bound(name: &str) -> usize {
    let name = name.as_bytes();
    let mut at = 0;
    while at + name.len() + 3 < TABLE.len() {
        if TABLE[at] == b'"' && is_at(name, at + 1) && TABLE[at + 1 + name.len()] == b'"' {
            return number(at + 1 + name.len() + 1);
        }
        at += 1;
    }
    panic!("a bound is missing in runner/src/bounds.json")
}

const fn is_at(name: &[u8], at: usize) -> bool {
    let mut index = 0;
    while index < name.len() {
        if TABLE[at + index] != name[index] {
            return false;
        }
        index += 1;
    }
    true
}

/// The number behind `: `.
const fn number(mut at: usize) -> usize {
    let mut value = 0;
    while !TABLE[at].is_ascii_digit() {
        at += 1;
    }
    while TABLE[at].is_ascii_digit() {
        value = value * 10 + (TABLE[at] - b'0') as usize;
        at += 1;
    }
    value
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_table_is_read_as_json_reads_it() {
        let table: BTreeMap<String, usize> = serde_json::from_slice(TABLE).unwrap();
        let read = [
            // The runner cuts its texts to this. The worker splits what is longer than a line.
            ("textCharacters", bound("textCharacters")),
            ("progressCharacters", PROGRESS_CHARS_MAX),
            ("failureMessageBytes", FAILURE_MESSAGE_BYTES_MAX),
            ("resultBytes", RESULT_BYTES_MAX),
            ("resultDepth", RESULT_DEPTH_MAX),
            ("artifacts", ARTIFACTS_MAX),
            ("recordings", RECORDINGS_MAX),
            ("artifactBytes", ARTIFACT_BYTES_MAX),
            ("allArtifactsBytes", ALL_ARTIFACTS_BYTES_MAX),
            ("artifactNameBytes", ARTIFACT_NAME_BYTES_MAX),
            ("contentTypeBytes", CONTENT_TYPE_BYTES_MAX),
        ];
        assert_eq!(table, read.map(|(name, value)| (name.to_owned(), value)).into());
    }

    #[test]
    fn a_result_at_the_bound_is_read_inside_an_event_and_a_response() {
        let nested = format!("{}{}", "[".repeat(RESULT_DEPTH_MAX), "]".repeat(RESULT_DEPTH_MAX));
        let response =
            format!(r#"{{"payload":{{"data":{{"jobsChanged":{{"job":{{"result":{nested}}}}}}}}}}}"#);
        assert!(serde_json::from_str::<serde_json::Value>(&response).is_ok());
    }
}
