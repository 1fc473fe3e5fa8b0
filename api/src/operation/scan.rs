//! Limits a document's text before it is parsed, because the parser recurses and keeps every token.
//!
//! Counts brackets and tokens like a lexer, skipping strings and comments. All other errors are
//! left to the parser.

use crate::error::{ApiError, Code};

/// Maximum number of tokens in a document.
pub(super) const TOKENS_MAX: usize = 15_000;
/// Maximum nesting of brackets of any kind.
pub(super) const NESTING_MAX: usize = 64;

/// Refuses a document that is too long or too deep to parse, or that contains U+0000, which
/// Postgres cannot store.
pub(super) fn scan(text: &str) -> Result<(), ApiError> {
    let bytes = text.as_bytes();
    let (mut at, mut tokens, mut depth) = (0, 0_usize, 0_usize);
    while let Some(&byte) = bytes.get(at) {
        at = match byte {
            0 => return Err(holds_nul()),
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
            b'"' => end_of_string(bytes, at)?,
            b'{' | b'[' | b'(' => {
                depth += 1;
                at + 1
            }
            b'}' | b']' | b')' => {
                depth = depth.saturating_sub(1);
                at + 1
            }
            _ if is_word(byte) => {
                bytes[at..].iter().position(|byte| !is_word(*byte)).map_or(bytes.len(), |end| at + end)
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
    Ok(())
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'+') || byte >= 0x80
}

/// Returns the position after the string that starts at `start`, or the end of the text if the
/// string is not closed.
fn end_of_string(bytes: &[u8], start: usize) -> Result<usize, ApiError> {
    let is_block = bytes[start..].starts_with(b"\"\"\"");
    let mut at = start + if is_block { 3 } else { 1 };
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        at += match byte {
            0 => return Err(holds_nul()),
            b'\\' if is_block && rest.starts_with(b"\\\"\"\"") => 4,
            b'\\' if is_block => 1,
            b'"' if is_block => {
                if rest.starts_with(b"\"\"\"") {
                    return Ok(at + 3);
                }
                1
            }
            b'\\' if rest.starts_with(b"\\u0000") => return Err(holds_nul()),
            b'\\' => 2,
            b'"' | b'\n' => return Ok(at + 1),
            _ => 1,
        };
    }
    Ok(bytes.len())
}

/// The error for text that contains U+0000.
pub(super) fn holds_nul() -> ApiError {
    ApiError::new(Code::BadRequest, "A request must not contain the character U+0000.")
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
        assert_eq!(code(&"a".repeat(100_000)), None);
    }

    #[test]
    fn nul_is_refused_wherever_it_is_a_character() {
        for bad in ["{ a \0 }", "{ a(x: \"\0\") }", "{ a(x: \"\\u0000\") }", "{ a(x: \"\\\\\\u0000\") }"] {
            assert_eq!(code(bad), Some(Code::BadRequest), "{bad}");
        }
        for fine in ["{ a(x: \"\\\\u0000\") }", "{ a(x: \"\"\"\\u0000\"\"\") }"] {
            assert_eq!(code(fine), None, "{fine}");
        }
    }
}
