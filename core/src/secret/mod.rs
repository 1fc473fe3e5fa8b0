//! Secrets: sealed in storage, masked wherever a person or a file may see them.
//!
//! * [`Keyring`] seals values for the database and makes message authentication codes.
//! * [`Redactor`], [`RedactingLines`] and [`RedactingBytes`] remove an attempt's secrets from what
//!   its programs print and keep.
//!
//! Pure apart from nonces, which come from [`crate::clock::random_bytes`]. Nothing in here may
//! print, log or `Debug` a value. Code that needs one calls `expose_secret`, so that a search for
//! this name finds every use.

mod boundaries;
mod bytes;
mod cuts;
mod encodings;
mod entities;
mod escape_kinds;
mod escapes;
mod keyring;
mod lines;
mod machine;
mod master_key;
mod owner;
mod readings;
mod redactor;
mod search;
#[cfg(test)]
mod spelled;
mod spellings;
mod states;
mod waiting;

pub use bytes::{RedactingBytes, TextCheck, begins_as_text, is_text_type};
pub use keyring::{Keyring, OpenError, SealHead};
pub use lines::{LOG_LINE_BYTES_MAX, RedactingLines};
pub use master_key::{BadKey, KeyId};
pub use owner::Owner;
pub use redactor::{REDACTED_CHARS_MIN, Redactor};
use secrecy::{ExposeSecret as _, SecretString};
pub use spellings::{ALL_ENCODED_BYTES_MAX, ENCODED_BYTES_MAX};
pub use waiting::CONTINUATION;

/// Replaces a secret in everything that is stored, shown or logged.
pub const MASK: &str = "***";

/// Shortest value, in characters, whose last four may be shown.
pub const HINT_CHARS_MIN: usize = 16;

/// Returns the last four characters, by which an admin distinguishes tokens. `None` for a value
/// shorter than [`HINT_CHARS_MIN`], of which they would reveal too much.
pub fn hint(secret: &SecretString) -> Option<String> {
    let chars: Vec<char> = secret.expose_secret().chars().collect();
    (chars.len() >= HINT_CHARS_MIN).then(|| chars[chars.len() - 4..].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_long_values_have_a_hint() {
        assert_eq!(hint(&"abcdefghijklmno".into()), None);
        assert_eq!(hint(&"abcdefghijklmnop".into()).as_deref(), Some("mnop"));
        assert_eq!(hint(&"äöüäöüäöüäöüäöüß".into()).as_deref(), Some("äöüß"));
    }
}
