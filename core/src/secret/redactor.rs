//! Removes the secrets of one attempt from texts.
//!
//! Everything that an attempt's programs write passes through its [`Redactor`] before it is stored,
//! streamed or traced. A redactor never shows which secrets it knows.

use std::{borrow::Cow, collections::HashMap, fmt, ops::Range, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::{MASK, encodings::SPELLING_BYTES_MAX, search::Search, spellings::spellings};
use crate::text::storable;

/// Shortest value, or line of a value, that is redacted, in characters. Shorter ones (`1`, `en`,
/// `yes`) occur by chance in many lines. Masking them would ruin the log and reveal the value by
/// the positions of the masks.
pub const REDACTED_CHARS_MIN: usize = 4;

/// Replaces every spelling of an attempt's secrets by `***`.
///
/// Covered are the value itself and each line of it: as it is, in lower or upper case, in either
/// Unicode normal form, in base64 (standard or URL-safe, padded or not, at each of the three
/// alignments inside a longer base64 text, wrapped or not) and in hexadecimal digits. In all of
/// them, each character may be escaped as in JSON, URLs, HTML, shells, Python or CSV, and escaped
/// again. docs/redaction.md says what is not covered. Programs are given secrets to use them, so
/// this protects against accidents only.
#[derive(Clone)]
pub struct Redactor {
    search: Option<Arc<Search>>,
}

impl Redactor {
    /// Builds a redactor for these values. Values shorter than [`REDACTED_CHARS_MIN`] are not
    /// redacted.
    ///
    /// # Panics
    /// For some hundred million bytes of secrets.
    pub fn new<'a>(secrets: impl IntoIterator<Item = &'a SecretString>) -> Self {
        let spellings = spellings(secrets.into_iter().map(SecretString::expose_secret));
        let search = (!spellings.is_empty()).then(|| Arc::new(Search::new(spellings)));
        Self { search }
    }

    /// Returns the text with every secret masked. Secrets that overlap or touch share one mask.
    pub fn redact<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let found = self.find(text.as_bytes());
        if found.is_empty() { Cow::Borrowed(text) } else { Cow::Owned(masked(text.as_bytes(), &found)) }
    }

    /// Returns the first `end` bytes of the text with every secret masked, also one that goes
    /// beyond them. `end` moves back to the beginning of a character.
    pub fn redact_up_to(&self, text: &str, end: usize) -> String {
        let end = text.floor_char_boundary(end);
        let mut found = self.find(text.as_bytes());
        found.retain(|range| range.start < end);
        let end = found.last().map_or(end, |last| end.max(last.end));
        masked(&text.as_bytes()[..end], &found)
    }

    /// Redacts every string of a value, its names included, and every number whose digits are a
    /// secret. Names that become the same are numbered. Replaces NUL, which Postgres refuses.
    pub fn redact_value(&self, value: Value) -> Value {
        let text = |text: &str| storable(&self.redact(text)).into_owned();
        match value {
            Value::String(string) => Value::String(text(&string)),
            Value::Array(items) => self.redact_items(items),
            Value::Object(fields) => {
                let mut redacted = serde_json::Map::with_capacity(fields.len());
                // The next number of a name that several became. All may have become the same.
                let mut next: HashMap<String, u64> = HashMap::new();
                for (name, field) in fields {
                    let mut free = text(&name);
                    if redacted.contains_key(&free) {
                        let number = next.entry(free.clone()).or_insert(2);
                        while redacted.contains_key(&format!("{free} ({number})")) {
                            *number += 1;
                        }
                        free = format!("{free} ({number})");
                    }
                    redacted.insert(free, self.redact_value(field));
                }
                Value::Object(redacted)
            }
            Value::Number(number) => {
                let digits = number.to_string();
                match self.redact(&digits) {
                    masked if masked != digits => Value::String(masked.into_owned()),
                    _ => Value::Number(number),
                }
            }
            Value::Null | Value::Bool(_) => value,
        }
    }

    /// Redacts a list. Numbers that are the bytes of a secret, as of a buffer, become one mask.
    fn redact_items(&self, items: Vec<Value>) -> Value {
        let byte = |item: &Value| item.as_u64().and_then(|number| u8::try_from(number).ok());
        // No secret has a NUL.
        let bytes: Vec<u8> = items.iter().map(|item| byte(item).unwrap_or(0)).collect();
        let mut found = self.find(&bytes).into_iter().peekable();
        let mut redacted = Vec::with_capacity(items.len());
        for (index, item) in items.into_iter().enumerate() {
            found.next_if(|range| range.end <= index);
            match found.peek() {
                Some(range) if range.start == index => redacted.push(Value::from(MASK)),
                Some(range) if range.start < index => {}
                Some(_) | None => redacted.push(self.redact_value(item)),
            }
        }
        Value::Array(redacted)
    }

    /// Most bytes of a text that spell a secret, or one window of a long one. A text that was cut
    /// may end with so much of a secret.
    pub fn spelling_bytes_max(&self) -> usize {
        if self.search.is_some() { SPELLING_BYTES_MAX } else { 0 }
    }

    /// How many of the bytes are not an end that may be the beginning of a secret.
    pub fn settled_len(&self, bytes: &[u8]) -> usize {
        self.search.as_ref().map_or(bytes.len(), |search| {
            let (place, found) = search.find(bytes);
            search.settled(&place, &found)
        })
    }

    /// What searches for the secrets. `None` if there are none.
    pub(super) fn search(&self) -> Option<&Search> {
        self.search.as_deref()
    }

    /// Returns where secrets are, in order. Ranges that overlap or touch are merged.
    pub(super) fn find(&self, bytes: &[u8]) -> Vec<Range<usize>> {
        let Some(search) = self.search() else { return Vec::new() };
        let (place, mut found) = search.find(bytes);
        search.find_cut(&place, &mut found);
        found.into_ranges()
    }
}

/// The parts of `ranges` before `end`.
pub(super) fn up_to(mut ranges: Vec<Range<usize>>, end: usize) -> Vec<Range<usize>> {
    ranges.retain_mut(|range| {
        range.end = range.end.min(end);
        range.start < range.end
    });
    ranges
}

/// Returns the bytes as text with `ranges` masked. Invalid UTF-8, and NUL, which Postgres does not
/// store, become U+FFFD.
pub(super) fn masked(bytes: &[u8], ranges: &[Range<usize>]) -> String {
    let mut out = String::with_capacity(bytes.len());
    let mut from = 0;
    for range in ranges {
        push_text(&mut out, &bytes[from..range.start]);
        out.push_str(MASK);
        from = range.end;
    }
    push_text(&mut out, &bytes[from..]);
    out
}

/// Returns the bytes with `ranges` masked, and all others as they are.
pub(super) fn masked_bytes(bytes: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut from = 0;
    for range in ranges {
        out.extend_from_slice(&bytes[from..range.start]);
        out.extend_from_slice(MASK.as_bytes());
        from = range.end;
    }
    out.extend_from_slice(&bytes[from..]);
    out
}

fn push_text(out: &mut String, bytes: &[u8]) {
    // Most text is valid, which is known faster than where it is not.
    let text = str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed);
    out.push_str(&storable(&text));
}

impl fmt::Debug for Redactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redactor").field("is_idle", &self.search.is_none()).finish()
    }
}

#[cfg(test)]
mod tests {
    use base64::{
        Engine as _,
        engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
    };
    use callboard_test_support::fuzz::fuzz;
    use serde_json::json;

    use super::*;

    fn redactor(secrets: &[&str]) -> Redactor {
        let secrets: Vec<SecretString> = secrets.iter().map(|secret| (*secret).into()).collect();
        Redactor::new(&secrets)
    }

    #[test]
    fn masks_known_secrets_and_nothing_else() {
        let redactor = redactor(&["hunter2!", "tok_abcdef", "abcdefgh", "no", "line one\nline two\r\nx"]);
        for (text, expected) in [
            ("nothing to see, no", "nothing to see, no"),
            ("Bearer tok_abcdef.", "Bearer ***."),
            ("hunter2!hunter2!", "***"),
            ("tok_abcdefgh", "***"),
            ("a=hunter2%21&b", "a=***&b"),
            ("line one", "***"),
            ("{\"k\":\"line one\\nline two\\r\\nx\"}", "{\"k\":\"***\"}"),
            ("aHVudGVyMiE=", "***"),
            ("aHVudGVyMiE", "***"),
            ("hunter2", "hunter2"),
            // What stands for nothing behind a secret stays.
            ("hunter2!\n  next", "***\n  next"),
            ("'hunter2!'\n  'next'", "'***'\n  'next'"),
            ("hunter2!\x1b[m.", "***\x1b[m."),
        ] {
            assert_eq!(redactor.redact(text), expected, "{text}");
        }
        assert_eq!(format!("{redactor:?}"), "Redactor { is_idle: false }");
    }

    #[test]
    fn a_long_value_leaves_no_window_behind() {
        let long: String =
            (0..2000).map(|n| char::from(b'!' + (n * 7 % 90) as u8)).filter(|c| *c != '*').collect();
        let redactor = redactor(&[&long]);
        assert_eq!(redactor.redact(&format!("<{long}>")), "<***>");
        let encoded = STANDARD.encode(format!("xx{long}xx"));
        let shown = redactor.redact(&encoded);
        assert!(shown.len() < 16, "{shown}");
    }

    #[test]
    fn a_secret_across_a_cut_is_masked() {
        let redactor = redactor(&["0123456789"]);
        let text = "ab0123456789cd€";
        for (end, expected) in [
            (0, ""),
            (2, "ab"),
            (3, "ab***"),
            (11, "ab***"),
            (12, "ab***"),
            (13, "ab***c"),
            (15, "ab***cd"),
            (99, "ab***cd€"),
        ] {
            assert_eq!(redactor.redact_up_to(text, end), expected, "{end}");
        }
        assert_eq!(
            redactor.redact_value(json!({"0123456789": ["x\0", 123_456, null]})),
            json!({"***": ["x\u{fffd}", 123_456, null]})
        );
    }

    /// All words of so many of two letters, one a line.
    fn words(letters: [&str; 2], count: u32) -> String {
        let word =
            |number: u32| (0..count).map(|bit| letters[(number >> bit & 1) as usize]).collect::<String>();
        (0..1 << count).map(word).collect::<Vec<_>>().join("\n")
    }

    /// Each of two letters may be meant by one escape, so that each word is another reading.
    #[test]
    fn secrets_with_too_many_readings_have_their_line_masked() {
        for (secrets, unit) in [
            (words(["1", "="], 10), r"\061"),
            (words(["1", "="], 8), r"\061"),
            (words(["a+", "a "], 6), "+a"),
            (words(["a+", "a "], 4), "a+"),
            (words(["\"", "\\"], 7), r#"\""#),
        ] {
            let redactor = redactor(&[&secrets]);
            let text = format!("first {}\nnext", unit.repeat(4096));
            let shown = redactor.redact(&text);
            assert!(shown.ends_with("***\nnext") && shown.len() < 30, "{unit}: {shown}");
            let steps = redactor.search().unwrap().find(text.as_bytes()).1.steps;
            assert!(steps <= 80 * text.len() + 100_000, "{unit}: {steps} steps of {}", text.len());
        }
    }

    /// Whatever the secret and the text are, a byte takes a bounded number of steps.
    #[test]
    fn a_secret_that_repeats_itself_takes_few_steps() {
        let units = [
            "\\",
            "a",
            "\"",
            "%",
            "&",
            "'",
            "+",
            "=",
            " ",
            "\n",
            "\r\n",
            "0",
            "1",
            "...",
            "&#97",
            "%61",
            "&#97;",
            "%25",
            "%252525",
            "&amp;",
            "'\\''",
            "'\"'\"'",
            "\\\\",
            "\\n",
            "\\\"",
            "\"\n\"",
            "' +\n'",
            "=\n",
            "=61",
            "\x1b[m",
            "\\u001b[m",
            "\\x{61}",
            "\\061",
            "\\0061",
            "\\141",
            "aaaaaaaa\"",
            "aaaaaaaa\" ...",
            "\\\n ",
            "a\n",
            "a'\n'",
        ];
        let letters =
            ["\\", "a", "\"", "%", "&", "'", "+ ", "=", "a ", "0", "1", ".", "\\\"", "a'", "=3D", "%25"];
        for (letter, length) in letters.iter().flat_map(|letter| [4, 9, 256].map(|length| (letter, length))) {
            let secret = letter.repeat(length);
            let redactor = redactor(&[&secret]);
            let search = redactor.search().unwrap();
            for unit in units {
                let text = unit.repeat(400 / unit.len());
                let (place, found) = search.find(text.as_bytes());
                let (readings, steps) = (place.others.len(), found.steps / text.len());
                assert!(readings <= 60, "{letter} x {length}, {unit:?}: {readings} readings");
                assert!(steps <= 60, "{letter} x {length}, {unit:?}: {steps} steps for a byte");
                let mut lines = crate::secret::RedactingLines::new(redactor.clone());
                lines.feed(text.as_bytes());
            }
        }
    }

    #[test]
    fn a_document_is_masked_as_it_is() {
        let document: String = (0..40_000).map(|n| char::from_digit(n * n % 36, 36).unwrap()).collect();
        assert_eq!(redactor(&[&document]).redact(&document), MASK);
    }

    #[test]
    fn fuzzed_texts_keep_no_spelling_of_a_secret() {
        for (secret, before, after) in fuzz(("[ -)+-~äß€😀]{4,40}", "[^*\n]{0,40}", "[^*\n]{0,40}")) {
            let redactor = redactor(&[&secret]);
            let spellings = crate::secret::spellings::spellings([&*secret]);
            let around = format!("{before}{secret}{after}");
            let json = serde_json::json!([around]).to_string();
            let form: String = url::form_urlencoded::byte_serialize(around.as_bytes()).collect();
            for text in [&around, &json, &form, &STANDARD.encode(&around), &URL_SAFE_NO_PAD.encode(&around)] {
                let shown = redactor.redact(text);
                for spelling in &spellings {
                    // Others are no text.
                    let Ok(spelling) = str::from_utf8(spelling) else { continue };
                    assert!(!shown.contains(spelling), "{shown} still has {spelling}");
                }
            }
        }
    }
}
