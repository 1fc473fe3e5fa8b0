//! Limits a document's text before it is parsed, because the parser recurses and keeps every token.
//!
//! Counts brackets and tokens like a lexer, skipping strings and comments. It also reads the
//! escapes of characters beyond U+FFFF, which the parser does not know. All other errors are left
//! to the parser.

use std::{borrow::Cow, ops::Range};

use crate::error::{ApiError, Code};

/// Maximum number of tokens in a document.
pub(super) const TOKENS_MAX: usize = 15_000;
/// Longest name or number, in bytes. An alias stands in the answer for each object.
const NAME_BYTES_MAX: usize = 256;
/// Maximum nesting of brackets of any kind.
pub(super) const NESTING_MAX: usize = 64;

/// Escapes and the characters that they stand for.
type Escapes = Vec<(Range<usize>, char)>;

/// Refuses a document that is too long or too deep to parse, or that contains U+0000, which
/// Postgres cannot store, or half of a surrogate pair. Returns its text with the characters beyond
/// U+FFFF in place of their escapes.
pub(super) fn scan(text: &str) -> Result<Cow<'_, str>, ApiError> {
    let bytes = text.as_bytes();
    let mut escapes = Escapes::new();
    let (mut at, mut tokens, mut depth) = (0, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            0 => return Err(holds_nul("The document")),
            b' ' | b'\t' | b'\n' | b'\r' | b',' => {
                at += 1;
                continue;
            }
            b'#' => {
                at = bytes[at..]
                    .iter()
                    .position(|byte| matches!(byte, b'\n' | b'\r'))
                    .map_or(bytes.len(), |end| at + end);
                continue;
            }
            b'"' => end_of_string(bytes, at, &mut escapes)?,
            b'{' | b'[' | b'(' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ if is_word(byte) => {
                let length = bytes[at..].iter().position(|byte| !is_word(*byte)).unwrap_or(bytes.len() - at);
                if length > NAME_BYTES_MAX {
                    return Err(long_name());
                }
                at + length
            }
            _ => at + 1,
        };
        tokens += 1;
        if depth > NESTING_MAX {
            let message = format!("The document nests brackets more than {NESTING_MAX} levels deep.");
            return Err(ApiError::new(Code::TooComplex, message));
        }
        if tokens > TOKENS_MAX {
            let message =
                format!("The document has more than {TOKENS_MAX} tokens. Put long values into variables.");
            return Err(ApiError::new(Code::TooComplex, message));
        }
    }
    if escapes.is_empty() {
        return Ok(Cow::Borrowed(text));
    }
    let mut replaced = text.to_owned();
    for (escape, character) in escapes.into_iter().rev() {
        replaced.replace_range(escape, character.encode_utf8(&mut [0; 4]));
    }
    Ok(Cow::Owned(replaced))
}

fn long_name() -> ApiError {
    let message =
        format!("The document has a name or a number of more than {NAME_BYTES_MAX} bytes. Shorten it.");
    ApiError::new(Code::TooComplex, message)
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+') || byte >= 0x80
}

/// Returns the position after the string that starts at `start`, or the end of the text if the
/// string is not closed.
fn end_of_string(bytes: &[u8], start: usize, escapes: &mut Escapes) -> Result<usize, ApiError> {
    let is_block = bytes[start..].starts_with(b"\"\"\"");
    let mut at = start + if is_block { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            0 => return Err(holds_nul("The document")),
            b'\\' if is_block && rest.starts_with(b"\\\"\"\"") => 4,
            b'\\' if is_block => 1,
            b'"' if is_block => {
                if rest.starts_with(b"\"\"\"") {
                    return Ok(at + 3);
                }
                1
            }
            b'\\' if rest.starts_with(b"\\u") => {
                let (length, character) = unicode_escape(rest)?;
                escapes.extend(character.map(|character| (at..at + length, character)));
                length
            }
            b'\\' => 2,
            b'"' | b'\n' => return Ok(at + 1),
            _ => 1,
        };
    }
    Ok(bytes.len())
}

/// Returns the length of an escape that begins with `\u`, and its character if the parser does not
/// know the escape: a surrogate pair, or `\u{1F600}`.
fn unicode_escape(text: &[u8]) -> Result<(usize, Option<char>), ApiError> {
    let number = |digits: &[u8]| {
        let is_hexadecimal = !digits.is_empty() && digits.iter().all(u8::is_ascii_hexdigit);
        let digits = str::from_utf8(digits).ok().filter(|_| is_hexadecimal)?;
        u32::from_str_radix(digits, 16).ok()
    };
    let unit = |from: usize| {
        let escape = text.get(from..from + 6)?;
        number(escape.strip_prefix(b"\\u")?)
    };
    if let Some(braced) = text.strip_prefix(b"\\u{") {
        let digits = braced.iter().position(|byte| *byte == b'}').and_then(|end| braced.get(..end));
        return match digits.and_then(|digits| Some((digits.len() + 4, number(digits)?))) {
            Some((_, 0)) => Err(holds_nul("The document")),
            Some((_, 0xD800..=0xDFFF)) => Err(holds_half()),
            Some((length, number)) => Ok((length, char::from_u32(number))),
            None => Ok((2, None)),
        };
    }
    match (unit(0), unit(6)) {
        (Some(0), _) => Err(holds_nul("The document")),
        (Some(high @ 0xD800..=0xDBFF), Some(low @ 0xDC00..=0xDFFF)) => {
            Ok((12, char::from_u32(0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00))))
        }
        (Some(0xD800..=0xDFFF), _) => Err(holds_half()),
        (Some(_), _) => Ok((6, None)),
        (None, _) => Ok((2, None)),
    }
}

/// The error for text that contains U+0000. `what` says where.
pub(super) fn holds_nul(what: &str) -> ApiError {
    let message = format!("{what} holds the character U+0000, which cannot be stored. Remove it.");
    ApiError::new(Code::BadRequest, message)
}

fn holds_half() -> ApiError {
    let message = "The document holds half of a surrogate pair, which is no character. In JavaScript, \
                   `toWellFormed()` mends such text.";
    ApiError::new(Code::BadRequest, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> Option<Code> {
        scan(text).err().map(|error| error.code)
    }

    #[test]
    fn brackets_count_outside_of_strings_and_comments_only() {
        let deep = "{a".repeat(NESTING_MAX);
        assert_eq!(code(&deep), None);
        assert_eq!(code(&format!("{deep}(")), Some(Code::TooComplex));
        let brackets = "([{".repeat(100);
        for fine in [
            format!("{{ a(x: \"{brackets}\\\"{brackets}\") }}"),
            format!("{{ a(x: \"\"\"{brackets}\\\"\"\"{brackets}\"{brackets}\"\"\") }}"),
            format!("# {brackets}\n{{ a }}"),
            "{a{b}}".repeat(1000),
        ] {
            assert_eq!(code(&fine), None, "{fine}");
        }
        assert_eq!(code(&format!("\"x\n{brackets}")), Some(Code::TooComplex), "a string ends with its line");
    }

    #[test]
    fn tokens_are_bounded() {
        assert_eq!(code(&"a ".repeat(TOKENS_MAX)), None);
        assert_eq!(code(&"a ".repeat(TOKENS_MAX + 1)), Some(Code::TooComplex));
        assert_eq!(code(&"!".repeat(TOKENS_MAX + 1)), Some(Code::TooComplex));
        assert_eq!(code(&format!("\"{}\"", "a".repeat(100_000))), None);
        assert_eq!(code(&"a".repeat(NAME_BYTES_MAX)), None);
        assert_eq!(code(&format!("{{ {}: b }}", "a".repeat(NAME_BYTES_MAX + 1))), Some(Code::TooComplex));
    }

    #[test]
    fn nul_is_refused_wherever_it_is_a_character() {
        for bad in [
            "{ a \0 }",
            "{ a(x: \"\0\") }",
            "{ a(x: \"\\u0000\") }",
            "{ a(x: \"\\\\\\u0000\") }",
            "{ a(x: \"\\u{0}\") }",
        ] {
            assert_eq!(code(bad), Some(Code::BadRequest), "{bad}");
        }
        for fine in ["{ a(x: \"\\\\u0000\") }", "{ a(x: \"\"\"\\u0000\"\"\") }"] {
            assert_eq!(code(fine), None, "{fine}");
        }
    }

    #[test]
    fn escapes_of_characters_beyond_the_basic_plane_are_read() {
        for (text, expected) in [
            (r#"{ a(x: "\ud83d\ude00") }"#, "{ a(x: \"😀\") }"),
            (r#"{ a(x: "é\u00e9\uD83D\uDE00!\u{1F600}\u{e9}") }"#, r#"{ a(x: "é\u00e9😀!😀é") }"#),
            (
                r#"{ a(x: "\\ud83d", y: """\ud83d""") # \ud83d"#,
                r#"{ a(x: "\\ud83d", y: """\ud83d""") # \ud83d"#,
            ),
            (
                r#"{ a(x: "\u12", y: "\u{110000}", z: "\u{x}", w: "\u{") }"#,
                r#"{ a(x: "\u12", y: "\u{110000}", z: "\u{x}", w: "\u{") }"#,
            ),
        ] {
            assert_eq!(scan(text).unwrap(), expected);
        }
        for half in [r"\ud83d", r"\ude00", r"\ud83d\ud83d", r"\ud83dx\ude00", r"\u{d83d}\u{de00}"] {
            let error = scan(&format!("{{ a(x: \"{half}\") }}")).unwrap_err();
            assert!(error.code == Code::BadRequest && error.message.contains("surrogate"), "{half}");
        }
    }
}
