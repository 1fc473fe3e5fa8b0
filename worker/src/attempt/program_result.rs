//! Finds the result of a program: the JSON object or array with which its standard output ends.
//!
//! It is the last line, or pretty-printed lines. It is looked for in the output itself and not in
//! the log, whose lines are cut and redacted. Pure.

use callboard::{
    bounds::{RESULT_BYTES_MAX, RESULT_DEPTH_MAX},
    secret::Redactor,
    text::{first_rounded, json_depth, storable_json, string_length},
};
use serde_json::Value;

use super::redaction;

/// Bytes of the end of the output that are kept: room for the largest result, pretty-printed.
const TAIL_BYTES_MAX: usize = 2 * RESULT_BYTES_MAX;
/// How much more is gathered before the oldest bytes are dropped.
const SLACK_BYTES: usize = 256 * 1024;

/// Most lines that are tried as the beginning of a pretty-printed result.
const STARTS_MAX: usize = 100_000;
const INDENTED_STARTS_MAX: usize = 1000;
/// Most of them at which it is asked whether a value that is too deep begins there.
const DEEP_STARTS_MAX: usize = 200;

/// The end of a program's output.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
    /// Whether it is not the whole output.
    is_cut: bool,
}

impl Tail {
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
        if self.bytes.len() > TAIL_BYTES_MAX + SLACK_BYTES {
            self.bytes.drain(..self.bytes.len() - TAIL_BYTES_MAX);
            self.is_cut = true;
        }
    }

    /// Bytes that are held.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Finds the result, in which the secrets of `redactor` are still to be masked.
    pub(super) fn result(&self, redactor: &Redactor) -> OutputResult {
        let text = redaction::decoded(&self.bytes, redactor);
        // Half a surrogate pair and NUL, which no text can hold, become U+FFFD.
        let text = storable_json(&text);
        let text = text.trim_start_matches('\u{feff}').trim_end();
        let last_start = text.rfind('\n').map_or(0, |at| at + 1);
        let last = text[last_start..].trim_start();
        let last_is_cut = last_start == 0 && self.is_cut;
        let mut error = None;
        if last.starts_with(['{', '[']) && !last_is_cut {
            match parse(last) {
                Ok(found) => return found,
                Err(_) if json_depth(last) > RESULT_DEPTH_MAX && closes_at_end(last) => {
                    return OutputResult::TooDeep(last.to_owned());
                }
                Err(why) => error = Some(why),
            }
        }
        if !last.ends_with(['}', ']']) {
            return if last.starts_with("{\"") {
                OutputResult::not_json(error)
            } else {
                OutputResult::Nothing
            };
        }
        if last_is_cut {
            return OutputResult::TooLong;
        }
        let mut is_like_json = is_like_json(last);
        let mut deep_starts = 0;
        for start in pretty_starts(text) {
            let value = text[start..].trim_start();
            match parse(value) {
                Ok(found) => return found,
                Err(why) => {
                    if why.starts_with(TOO_DEEP) && deep_starts < DEEP_STARTS_MAX {
                        deep_starts += 1;
                        if closes_at_end(value) {
                            return OutputResult::TooDeep(value.to_owned());
                        }
                    }
                    is_like_json |= self::is_like_json(value);
                    error.get_or_insert(why);
                }
            }
        }
        if !is_like_json {
            return OutputResult::Nothing;
        }
        if self.is_cut { OutputResult::TooLong } else { OutputResult::not_json(error) }
    }
}

/// Where a pretty-printed value that goes to the end may begin, the last place first: at the
/// beginning of a line, and then behind the blanks of one. The last one that goes exactly to the
/// end is the value, because what begins later is a part of it.
fn pretty_starts(text: &str) -> impl Iterator<Item = usize> + '_ {
    let lines = || text.rmatch_indices('\n').map(|(at, _)| at + 1).chain([0]);
    let opens = |text: &str| text.starts_with(['{', '[']);
    let at_once = lines().filter(move |start| opens(&text[*start..])).take(STARTS_MAX);
    let indented = lines().filter(move |start| {
        let line = &text[*start..];
        line.starts_with([' ', '\t']) && opens(line.trim_start_matches([' ', '\t']))
    });
    at_once.chain(indented.take(INDENTED_STARTS_MAX))
}

/// What a program's output ends with.
#[derive(Debug, PartialEq)]
pub(super) enum OutputResult {
    /// No JSON object or array.
    Nothing,
    /// A result. `rounded` is a number whose digits did not all fit.
    Result { value: Value, rounded: Option<String> },
    /// What looks like JSON and is not, for this reason.
    NotJson(String),
    /// JSON that is longer than a result may be.
    TooLong,
    /// JSON that is nested deeper than any reader takes.
    TooDeep(String),
}

impl OutputResult {
    fn not_json(error: Option<String>) -> Self {
        error.map_or(Self::Nothing, Self::NotJson)
    }
}

/// Whether a text begins as a JSON object or array does, or as Python and JavaScript show theirs
/// (`{'a': 1}`, `{ a: 1 }`), unlike `[12:00:01]` or `[ok]`.
fn is_like_json(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(['{', '[']) else { return text == "}" || text == "]" };
    let next = rest.trim_start();
    if text.starts_with('{') {
        let word = next.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(0);
        return next.starts_with(['"', '\'', '}']) || word > 0 && next[word..].starts_with(':');
    }
    next.starts_with(['{', '[', '"', '\'', ']'])
}

/// How the reader's error begins for JSON that is nested deeper than it reads.
const TOO_DEEP: &str = "recursion limit exceeded";

/// Whether the bracket with which the text begins is closed by its last character.
fn closes_at_end(text: &str) -> bool {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(byte) = text.as_bytes().get(at) {
        match byte {
            b'"' => at += string_length(&text[at..]).map_or(text.len(), |length| length - 1),
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 {
            return at == text.len();
        }
    }
    false
}

fn parse(text: &str) -> Result<OutputResult, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let rounded = first_rounded(text).map(str::to_owned);
    Ok(OutputResult::Result { value, rounded })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn found(output: &str) -> OutputResult {
        let mut tail = Tail::default();
        for chunk in output.as_bytes().chunks(100_000) {
            tail.push(chunk);
        }
        tail.result(&Redactor::new([]))
    }

    #[test]
    fn a_secret_in_latin_1_is_found_in_the_result() {
        let secret = "Geheimnis-\u{e4}-\u{e9}";
        let redactor = Redactor::new([&secret.into()]);
        let latin_1 = secret.chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect();
        for bytes in [secret.as_bytes().to_vec(), latin_1, [secret.as_bytes(), b" \xff"].concat()] {
            let mut tail = Tail::default();
            tail.push(&[b"{\"a\": \"", &bytes[..], b"\"}\n"].concat());
            let OutputResult::Result { value, .. } = tail.result(&redactor) else { panic!("no result") };
            let shown = redactor.redact_value(value).to_string();
            assert!(shown.contains("***") && !shown.contains("Geheimnis"), "{shown}");
        }
    }

    #[test]
    fn the_result_is_what_the_output_ends_with() {
        for (output, expected) in [
            ("{\"a\":1}", json!({ "a": 1 })),
            ("log\n{\"a\":1}\n\n", json!({ "a": 1 })),
            ("{\"a\":1}\r\n", json!({ "a": 1 })),
            ("{\"a\":1}\n{\"a\":2}\n", json!({ "a": 2 })),
            ("[1, 2]", json!([1, 2])),
            ("\u{feff}{\"a\":1}", json!({ "a": 1 })),
            ("start\n{\n  \"a\": [\n    {\n      \"b\": 1\n    }\n  ]\n}\n", json!({ "a": [{ "b": 1 }] })),
            ("[\n  {\n    \"b\": 1\n  },\n  {\n  }\n]", json!([{ "b": 1 }, {}])),
            ("[INFO] hello\n[\n]\n", json!([])),
            ("{\"a\":1}\n  {\n  \"b\":2}\n", json!({ "b": 2 })),
            (r#"{"a":"\ud83d"}"#, json!({ "a": "\u{fffd}" })),
            (r#"{"a":"\ud83d\ude00 \ude00 \\ud83d"}"#, json!({ "a": "😀 \u{fffd} \\ud83d" })),
            (r#"{"a\u0000":"x\u0000y"}"#, json!({ "a\u{fffd}": "x\u{fffd}y" })),
        ] {
            assert_eq!(found(output), OutputResult::Result { value: expected, rounded: None }, "{output}");
        }
        let mut tail = Tail::default();
        tail.push(b"{\"a\":\"\xFF\"}");
        assert_eq!(
            tail.result(&Redactor::new([])),
            OutputResult::Result { value: json!({ "a": "\u{fffd}" }), rounded: None }
        );
    }

    #[test]
    fn other_output_has_no_result() {
        for output in [
            "",
            "\n",
            "hello",
            "42",
            "\"text\"",
            "{\"a\":1}\ndone",
            "[INFO] hello",
            "[12:00] [ok]",
            "{placeholder}",
            "{ x }",
            "f() {\n x\n}x",
        ] {
            assert_eq!(found(output), OutputResult::Nothing, "{output}");
        }
    }

    #[test]
    fn what_looks_like_json_and_is_not_is_told() {
        for (output, why) in [
            ("{\"a\": NaN}", "expected value at line 1 column 7"),
            ("{\"a\": 1", "EOF while parsing an object"),
            ("{\n  \"a\": 1,\n}\n", "trailing comma"),
            ("{'a': 1}\n{\"a\": 'b'}", "expected value"),
            ("{'a': 1}", "key must be a string"),
            ("['a', 'b']", "expected value"),
            ("{ a: 1, b: [ 'c' ] }", "key must be a string"),
            ("{\n  a: 1\n}", "key must be a string"),
            ("{\"a\": \"\u{1}\"}", "control character"),
            ("{\"a\": 1e999}", "number out of range"),
        ] {
            let OutputResult::NotJson(reason) = found(output) else {
                panic!("{output}: {:?}", found(output))
            };
            assert!(reason.contains(why), "{output}: {reason}");
        }
    }

    #[test]
    fn a_result_up_to_its_bound_is_found_and_a_longer_one_told() {
        for size in [17_000, RESULT_BYTES_MAX, TAIL_BYTES_MAX - 10] {
            let output = format!("log\n[\"{}\"]", "x".repeat(size));
            assert!(matches!(found(&output), OutputResult::Result { .. }), "{size}");
        }
        let long = "x".repeat(TAIL_BYTES_MAX + SLACK_BYTES);
        assert_eq!(found(&format!("[\"{long}\"]")), OutputResult::TooLong);
        assert_eq!(found(&format!("[\n\"{long}\"\n]")), OutputResult::TooLong);
        assert!(matches!(found(&format!("{long}\n{{}}")), OutputResult::Result { .. }));
    }

    #[test]
    fn json_of_any_depth_is_found_on_one_line_and_pretty_printed() {
        for levels in [1, 120, 121, 127, 128, 129, 130, 1000] {
            let flat = format!("{}{{}}{}", "[".repeat(levels - 1), "]".repeat(levels - 1));
            let indented: String = (0..levels - 1)
                .map(|level| format!("{}[\n", " ".repeat(level)))
                .chain([format!("{}{{}}", " ".repeat(levels))])
                .chain((0..levels - 1).rev().map(|level| format!("\n{}]", " ".repeat(level))))
                .collect();
            for text in [&flat, &indented] {
                let shown = match found(&format!("[INFO] log\n{text}\n")) {
                    OutputResult::Result { value, .. } => {
                        format!("{levels} {}", json_depth(&value.to_string()))
                    }
                    OutputResult::TooDeep(kept) => {
                        format!("{levels} {}", if kept == *text { levels } else { 0 })
                    }
                    other @ (OutputResult::Nothing | OutputResult::NotJson(_) | OutputResult::TooLong) => {
                        format!("{other:?}")
                    }
                };
                assert_eq!(shown, format!("{levels} {levels}"), "{text:.200}");
            }
        }
        // Brackets that are no JSON are no result.
        let open = "[".repeat(200);
        assert!(matches!(found(&format!("{open}]")), OutputResult::NotJson(_)));
        assert!(matches!(found(&format!("{open}x]")), OutputResult::NotJson(_)));
    }

    #[test]
    fn a_number_that_loses_digits_is_named() {
        for (number, is_lost) in [("18446744073709551615", false), ("18446744073709551617", true)] {
            let OutputResult::Result { rounded, .. } = found(&format!("{{\"a\": {number}}}")) else {
                panic!("{number}");
            };
            assert_eq!(rounded, is_lost.then(|| number.to_owned()), "{number}");
        }
    }

    proptest! {
        #[test]
        fn any_output_has_a_result_or_none(output in "[{}\\[\\]\",:\\\\ud8 0-9a\n]{0,60}") {
            drop(found(&output));
        }

        #[test]
        fn every_value_is_found_again_compact_and_pretty(
            keys in prop::collection::vec(".{0,6}", 0..6), before in "[a-z \n]{0,30}",
        ) {
            let keys: Vec<String> = keys.iter().map(|key| key.replace('\0', "")).collect();
            let value: Value = keys.iter().map(|key| json!({ key.as_str(): [key, {}] })).collect();
            for text in [value.to_string(), format!("{value:#}")] {
                let OutputResult::Result { value: again, .. } = found(&format!("{before}\n{text}\n")) else {
                    return Err(TestCaseError::fail(text));
                };
                prop_assert_eq!(&again, &value);
            }
        }
    }
}
