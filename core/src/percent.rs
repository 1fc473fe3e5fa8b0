//! Percent-encoding, as in URLs (RFC 3986). Pure.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, PercentEncode, percent_decode_str, utf8_percent_encode};

/// Everything but letters, digits and `-_.~`, which are safe in every part of a URL.
const UNSAFE: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Encodes everything but letters, digits and `-_.~`.
pub(crate) fn encoded(text: &str) -> PercentEncode<'_> {
    utf8_percent_encode(text, UNSAFE)
}

/// Decodes a text. A `%` without two digits stays. `None` if the result is not UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    Some(percent_decode_str(text).decode_utf8().ok()?.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_letters_digits_and_four_signs_stay_as_they_are() {
        for c in (0..=127_u8).map(char::from) {
            let is_kept = c.is_ascii_alphanumeric() || "-_.~".contains(c);
            let expected = if is_kept { c.to_string() } else { format!("%{:02X}", c as u32) };
            assert_eq!(encoded(&c.to_string()).to_string(), expected, "{c:?}");
        }
        assert_eq!(encoded("p:/?#%40 ü€😀").to_string(), "p%3A%2F%3F%23%2540%20%C3%BC%E2%82%AC%F0%9F%98%80");
    }

    #[test]
    fn every_text_survives() {
        for text in ["", "p:/?#%40", "a b+c", "ü€😀", "%", "%4", "%zz", "\0\n"] {
            assert_eq!(decode(&encoded(text).to_string()).as_deref(), Some(text));
        }
        for (text, expected) in [
            ("%zz%4", Some("%zz%4")),
            ("%3a%3A%", Some("::%")),
            ("%%41%4", Some("%A%4")),
            ("a+b", Some("a+b")),
            ("é%C3%A9", Some("éé")),
            ("%00", Some("\0")),
            ("%FF", None),
            ("%C3", None),
        ] {
            assert_eq!(decode(text).as_deref(), expected, "{text}");
        }
    }
}
