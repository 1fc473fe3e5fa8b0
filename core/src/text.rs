//! Text from outside: scripts, programs, services and browsers hand us what Postgres and JSON
//! readers refuse. Here it becomes well-formed, once. Pure.
//!
//! JavaScript strings may hold half of a surrogate pair, and programs print NUL. A character that
//! cannot be kept becomes U+FFFD, like an invalid byte. The value around it is kept.

use std::borrow::Cow;

use serde_json::Value;

use crate::bounds::RESULT_DEPTH_MAX;

/// Why a text is not a JSON value that can be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// It is nested deeper than [`RESULT_DEPTH_MAX`].
    #[error("it is nested deeper than {RESULT_DEPTH_MAX} levels")]
    TooDeep,
    /// It is not JSON.
    #[error("it is not JSON")]
    Malformed,
}

/// The text as a column of Postgres takes it: NUL becomes U+FFFD.
pub fn storable(text: &str) -> Cow<'_, str> {
    if text.contains('\0') { Cow::Owned(text.replace('\0', "\u{FFFD}")) } else { Cow::Borrowed(text) }
}

/// JSON text as a `jsonb` column takes it: NUL, escapes of it and of halves of surrogate pairs
/// become U+FFFD.
pub fn storable_json(json: &str) -> Cow<'_, str> {
    match replaced_escapes(json, |escape| escape == Escape::Invalid || escape == Escape::Nul) {
        Some(replaced) => Cow::Owned(storable(&replaced).into_owned()),
        None => storable(json),
    }
}

/// Reads one JSON value. Invalid UTF-8 and invalid escapes in its strings become U+FFFD.
pub fn parse_json(bytes: &[u8]) -> Result<Value, JsonError> {
    let text = well_formed_json(bytes);
    // Measured first: the reader refuses deep values with an error like any other.
    if json_depth(&text) > RESULT_DEPTH_MAX {
        return Err(JsonError::TooDeep);
    }
    serde_json::from_str(&text).map_err(|_| JsonError::Malformed)
}

/// JSON text that any reader takes: invalid UTF-8 and invalid escapes become U+FFFD.
pub fn well_formed_json(bytes: &[u8]) -> Cow<'_, str> {
    let text = String::from_utf8_lossy(bytes);
    match replaced_escapes(&text, |escape| escape == Escape::Invalid) {
        Some(replaced) => Cow::Owned(replaced),
        None => text,
    }
}

/// How deep JSON text is nested, in levels. Brackets inside of strings do not count.
pub fn json_depth(json: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = json.bytes();
    let mut is_string = false;
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => is_string = !is_string,
            b'\\' if is_string => drop(bytes.next()),
            b'[' | b'{' if !is_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' if !is_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// The first number of a JSON text that neither a 64-bit integer nor a double holds with all of its
/// digits. Readers round it without a word.
pub fn first_rounded(text: &str) -> Option<&str> {
    let is_of_number = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.' | 'e' | 'E');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '-' || c.is_ascii_digit()) {
        rest = &rest[at..];
        if rest.starts_with('"') {
            rest = &rest[string_length(rest)?..];
            continue;
        }
        let number = &rest[..rest.find(|c| !is_of_number(c)).unwrap_or(rest.len())];
        if is_rounded(number) {
            return Some(number);
        }
        rest = &rest[number.len()..];
    }
    None
}

fn is_rounded(number: &str) -> bool {
    // At most 15 digits always fit, but not every exponent.
    let is_short = number.len() <= 15 && !number.contains(['e', 'E']);
    if is_short || number.parse::<i64>().is_ok() || number.parse::<u64>().is_ok() {
        return false;
    }
    let Ok(double) = number.parse::<f64>() else { return false };
    digits(number) != digits(&format!("{double:e}")) && digits(number) != digits(&format!("{double}"))
}

/// The significant digits of a number, without sign, point, exponent and zeros at either end.
fn digits(number: &str) -> String {
    let mantissa = number.split(['e', 'E']).next().unwrap_or_default();
    let all: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    all.trim_matches('0').to_owned()
}

/// Where the first tag or comment of a template (`{{`, `{%` or `{#`) begins.
pub fn template_opening(text: &str) -> Option<usize> {
    let is_opening = |(at, _): &(usize, &str)| text[at + 1..].starts_with(['{', '%', '#']);
    text.match_indices('{').find(is_opening).map(|(at, _)| at)
}

/// Length in bytes of the quoted string at the start of the text, quotes included, of JSON or of a
/// template. `None` if no string begins there, or if it is not closed.
pub fn string_length(text: &str) -> Option<usize> {
    let quote = text.bytes().next().filter(|byte| matches!(byte, b'"' | b'\''))?;
    let mut is_escaped = false;
    for (index, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            byte if byte == quote => return Some(index + 1),
            _ => {}
        }
    }
    None
}

/// What stands behind a backslash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Escape {
    Valid,
    Nul,
    /// Half of a surrogate pair, or no escape of JSON.
    Invalid,
}

/// Replaces the escapes that `is_bad` names by U+FFFD. `None` if there are none.
fn replaced_escapes(json: &str, is_bad: impl Fn(Escape) -> bool) -> Option<String> {
    let mut replaced = String::new();
    let (mut kept, mut from) = (0, 0);
    // JSON has backslashes only inside of strings.
    while let Some(found) = json.get(from..).and_then(|rest| rest.find('\\')) {
        let at = from + found;
        let (escape, length) = escape_at(json.as_bytes(), at);
        from = at + length;
        while !json.is_char_boundary(from) {
            from += 1;
        }
        if is_bad(escape) {
            replaced.push_str(&json[kept..at]);
            replaced.push('\u{FFFD}');
            kept = from;
        }
    }
    if kept == 0 {
        return None;
    }
    replaced.push_str(&json[kept..]);
    Some(replaced)
}

/// The escape that begins at `at`, and its length in bytes. A pair of surrogates is one.
fn escape_at(json: &[u8], at: usize) -> (Escape, usize) {
    match json.get(at + 1) {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => (Escape::Valid, 2),
        Some(b'u') => match unit_at(json, at) {
            Some(0) => (Escape::Nul, 6),
            Some(0xD800..=0xDBFF) => match unit_at(json, at + 6) {
                Some(0xDC00..=0xDFFF) => (Escape::Valid, 12),
                Some(_) | None => (Escape::Invalid, 6),
            },
            Some(0xDC00..=0xDFFF) => (Escape::Invalid, 6),
            Some(_) => (Escape::Valid, 6),
            None => (Escape::Invalid, 2),
        },
        Some(_) => (Escape::Invalid, 2),
        None => (Escape::Invalid, 1),
    }
}

/// The UTF-16 unit of the escape `\uXXXX` at `at`.
fn unit_at(json: &[u8], at: usize) -> Option<u16> {
    let escape = json.get(at..at + 6)?;
    let digits = escape.strip_prefix(b"\\u")?;
    let is_hexadecimal = digits.iter().all(u8::is_ascii_hexdigit);
    let digits = str::from_utf8(digits).ok().filter(|_| is_hexadecimal)?;
    u16::from_str_radix(digits, 16).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn invalid_escapes_become_the_replacement_character() {
        for (text, expected) in [
            (r#"{"a":"\ud83d"}"#, json!({ "a": "\u{FFFD}" })),
            (r#"{"a":"x\ud83dy\ude00z"}"#, json!({ "a": "x\u{FFFD}y\u{FFFD}z" })),
            (r#"{"\ud83d":"\uD83D\uDE00"}"#, json!({ "\u{FFFD}": "😀" })),
            (r#"["\ud83d\ud83d\ude00"]"#, json!(["\u{FFFD}😀"])),
            (r#"["\\ud83d", "\\\ud83d"]"#, json!(["\\ud83d", "\\\u{FFFD}"])),
            (
                r#"["\x", "\ué", "\u12", "\u+123"]"#,
                json!(["\u{FFFD}", "\u{FFFD}é", "\u{FFFD}12", "\u{FFFD}+123"]),
            ),
            (r#"["\n\t\"\/\u0000"]"#, json!(["\n\t\"/\0"])),
        ] {
            assert_eq!(parse_json(text.as_bytes()), Ok(expected), "{text}");
        }
        assert_eq!(parse_json(b"[\"\xff\xf0\x9f\"]"), Ok(json!(["\u{FFFD}\u{FFFD}"])));
        assert_eq!(parse_json(br#"["\"#), Err(JsonError::Malformed));
        assert_eq!(parse_json(br#"["a" "b"]"#), Err(JsonError::Malformed));
    }

    #[test]
    fn what_postgres_refuses_is_replaced_before_it_is_stored() {
        assert_eq!(storable("a\0b\0"), "a\u{FFFD}b\u{FFFD}");
        assert!(matches!(storable("as it is"), Cow::Borrowed(_)));
        for (json, expected) in [
            (r#"["a\u0000b"]"#, "[\"a\u{FFFD}b\"]"),
            (r#"["\\u0000", "\\\u0000"]"#, "[\"\\\\u0000\", \"\\\\\u{FFFD}\"]"),
            (r#"["\udc00\u00e9"]"#, "[\"\u{FFFD}\\u00e9\"]"),
            ("[\"x\0y\"]", "[\"x\u{FFFD}y\"]"),
            ("[\"\\ud83d\", \"x\0y\"]", "[\"\u{FFFD}\", \"x\u{FFFD}y\"]"),
            ("[\"x\0\\u0000\0y\"]", "[\"x\u{FFFD}\u{FFFD}\u{FFFD}y\"]"),
        ] {
            assert_eq!(storable_json(json), expected);
        }
    }

    #[test]
    fn the_depth_is_measured_up_to_the_bound_and_beyond() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(json_depth(r#"{"a":"[[[\"[{","b":[{}]}"#), 3);
        assert!(parse_json(nested(RESULT_DEPTH_MAX).as_bytes()).is_ok());
        for levels in [RESULT_DEPTH_MAX + 1, 1_000_000] {
            assert_eq!(parse_json(nested(levels).as_bytes()), Err(JsonError::TooDeep));
        }
    }

    #[test]
    fn a_number_that_loses_digits_is_found() {
        for (number, is_lost) in [
            ("1", false),
            ("1.10", false),
            ("-9223372036854775808", false),
            ("18446744073709551615", false),
            ("18446744073709551616", true),
            ("18446744073709551617", true),
            ("12345678901234567890123", true),
            ("0.1234567890123456789", true),
            ("0.12345678901234566", false),
            ("100000000000000000000000", false),
            ("1.7976931348623157e308", false),
            ("1e22", false),
            ("25E-1", false),
            ("1e-400", true),
        ] {
            let json = format!(r#"{{"1234567890123456789012": ["\"12345678901234567890123", {number}]}}"#);
            assert_eq!(first_rounded(&json), is_lost.then_some(number), "{number}");
        }
    }

    /// A string of JSON with every kind of escape, whole and cut.
    fn literal() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "[a-zé😀]{0,3}",
            Just(r"\u0000".to_owned()),
            Just("\0".to_owned()),
            Just(r"\\".to_owned()),
            Just(r"\ud83d\ude00".to_owned()),
            "\\\\u[dD][89abAB][0-9a-f]{2}",
            "\\\\u[dD][c-fC-F][0-9a-f]{2}",
            "\\\\u[0-9a-f]{4}",
            "\\\\u[0-9a-f]{0,3}",
            "\\\\[a-z]",
        ];
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("\"{}\"", pieces.concat()))
    }

    proptest! {
        #[test]
        fn every_string_is_read(literal in literal()) {
            // A raw NUL is no JSON. Only what is stored is repaired so far.
            let value = parse_json(literal.replace('\0', "").as_bytes());
            prop_assert!(matches!(value, Ok(Value::String(_))), "{literal} {value:?}");
            let stored = storable_json(&literal).into_owned();
            let again: String = serde_json::from_str(&stored).unwrap();
            prop_assert!(!again.contains('\0'));
            prop_assert_eq!(storable_json(&stored), stored.as_str());
        }

        #[test]
        fn well_formed_json_stays_as_it_is(text in ".{0,40}") {
            let json = Value::String(text.clone()).to_string();
            prop_assert_eq!(parse_json(json.as_bytes()), Ok(Value::String(text.clone())));
            prop_assert_eq!(&*storable(&text), text.replace('\0', "\u{FFFD}"));
        }
    }
}
