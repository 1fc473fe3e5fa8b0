//! The texts of API keys and of sessions: a prefix, 256 random bits, and a checksum.
//!
//! The form is that of GitHub's tokens: letters and digits only, so that a double click selects a
//! whole key, and a CRC-32 at the end, so that scanners recognise a leaked key and a mistyped one
//! is refused without a look-up. Only the SHA-256 of a text is stored. A slow hash would cost every
//! request and protect nothing, because 256 random bits cannot be guessed.

use secrecy::SecretString;
use sha2::{Digest as _, Sha256};

use crate::clock;

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Digits of 256 bits.
const BODY_DIGITS: usize = 43;
/// Digits of a CRC-32.
const CHECKSUM_DIGITS: usize = 6;

/// What a text gives access to, which its prefix says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TextKind {
    /// An API key.
    Key,
    /// A session's cookie.
    Session,
}

impl TextKind {
    /// The prefix.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Key => "cb_",
            Self::Session => "cbs_",
        }
    }

    /// Draws a text.
    pub fn draw(self) -> SecretString {
        let mut text = format!("{}{}", self.prefix(), base62(&clock::random_bytes::<32>(), BODY_DIGITS));
        text.push_str(&checksum(&text));
        text.into()
    }

    /// Whether a text has the form of this kind and the right checksum. Other texts were never
    /// drawn.
    pub fn matches(self, text: &str) -> bool {
        let Some(rest) = text.strip_prefix(self.prefix()) else { return false };
        rest.len() == BODY_DIGITS + CHECKSUM_DIGITS
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric())
            && text.ends_with(&checksum(&text[..text.len() - CHECKSUM_DIGITS]))
    }
}

/// What is stored of a text.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}

fn checksum(text: &str) -> String {
    base62(&crc32fast::hash(text.as_bytes()).to_be_bytes(), CHECKSUM_DIGITS)
}

/// A big-endian number in base 62, with this many digits, which must suffice.
fn base62(number: &[u8], digits: usize) -> String {
    let mut number = number.to_vec();
    let mut text = vec![0_u8; digits];
    for digit in text.iter_mut().rev() {
        let mut rest = 0_u32;
        for byte in &mut number {
            let value = rest << 8 | u32::from(*byte);
            (*byte, rest) = ((value / 62) as u8, value % 62);
        }
        *digit = DIGITS[rest as usize];
    }
    text.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    #[test]
    fn the_checksum_is_that_of_other_programs() {
        assert_eq!(crc32fast::hash(b"123456789"), 0xCBF4_3926);
        assert_eq!(base62(&62_u32.to_be_bytes(), 3), "010");
        assert_eq!(base62(&[0xff; 4], CHECKSUM_DIGITS), "4gfFC3");
        assert_eq!(base62(&[0xff; 32], BODY_DIGITS).len(), BODY_DIGITS);
    }

    #[test]
    fn a_text_is_recognised_and_no_typing_error_is() {
        for kind in [TextKind::Key, TextKind::Session] {
            let drawn = kind.draw();
            let text = drawn.expose_secret();
            assert!(kind.matches(text), "{text}");
            assert_eq!(text.len(), kind.prefix().len() + 49);
            assert_ne!(text, kind.draw().expose_secret());
            for at in 0..text.len() {
                for digit in ["0", "a", "-"] {
                    let mut wrong = text.to_owned();
                    wrong.replace_range(at..=at, digit);
                    assert!(wrong == *text || !kind.matches(&wrong), "{wrong}");
                }
            }
            for wrong in
                [&text[1..], &text[..text.len() - 1], &format!("{text}0"), "", "cb_", &"é".repeat(26)]
            {
                assert!(!kind.matches(wrong), "{wrong}");
            }
        }
        assert!(!TextKind::Key.matches(TextKind::Session.draw().expose_secret()));
        assert!(!TextKind::Session.matches(TextKind::Key.draw().expose_secret()));
    }
}
