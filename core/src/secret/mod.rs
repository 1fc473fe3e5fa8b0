//! Secrets: sealed where they rest, masked wherever a person or a file may see them.
//!
//! * [`Keyring`] seals values for the database and signs short-lived things; the stores and the API use it.
//! * [`Redactor`] and [`RedactingLines`] take an attempt's secrets out of what its programs print; the worker uses them.
//!
//! Pure apart from nonces, which come from [`crate::clock::random_bytes`]. Nothing in here may print, log or `Debug` a
//! value: whoever must see one calls `expose_secret`, so that every place that does can be found by that word.

mod encodings;
mod keyring;
mod lines;
mod owner;
mod redactor;

pub use keyring::{BadKey, Keyring, OpenError};
pub use lines::{LOG_LINE_BYTES_MAX, RedactingLines};
pub use owner::{
    input_purpose, profile_secret_owner, proxy_password_owner, proxy_username_owner, sealed_input_owner,
    service_token_owner,
};
pub use redactor::{ENCODED_BYTES_MAX, REDACTED_CHARS_MIN, Redactor};
use secrecy::{ExposeSecret as _, SecretString};

/// What stands in place of a secret in everything that is stored, shown or logged.
pub const MASK: &str = "***";

/// Shortest value, in characters, of which the last four may be shown.
pub const HINT_CHARS_MIN: usize = 16;

/// The last four characters, by which an admin tells two tokens apart; nothing of a value shorter than
/// [`HINT_CHARS_MIN`], of which four characters would be too large a part.
pub fn hint(secret: &SecretString) -> Option<String> {
    let chars: Vec<char> = secret.expose_secret().chars().collect();
    (chars.len() >= HINT_CHARS_MIN).then(|| chars[chars.len() - 4..].iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_is_given_of_long_values_only() {
        assert_eq!(hint(&"abcdefghijklmno".into()), None);
        assert_eq!(hint(&"abcdefghijklmnop".into()).as_deref(), Some("mnop"));
        assert_eq!(hint(&"äöüäöüäöüäöüäöüß".into()).as_deref(), Some("äöüß"));
    }
}
