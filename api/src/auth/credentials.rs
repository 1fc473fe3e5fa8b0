//! Reads an API key from an HTTP request or a socket's `connection_init`, and keeps only its hash.

use std::fmt;

use axum::http::{HeaderMap, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};

/// Longest accepted key, in bytes.
const KEY_BYTES_MAX: usize = 512;

/// SHA-256 hash of a key, as the catalogue stores it. The key itself is not kept. The time of a
/// lookup does not depend on the key's text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash(pub [u8; 32]);

impl KeyHash {
    /// Returns the hash of a key.
    pub fn of(key: &str) -> Self {
        Self(Sha256::digest(key.as_bytes()).into())
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

/// The credentials of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented {
    /// No credentials.
    Nothing,
    /// A text with the form of a key.
    Key(KeyHash),
    /// Credentials that cannot be a key: another scheme, several headers, or spaces within.
    Unreadable,
}

impl Presented {
    /// Reads the header `Authorization: Bearer cb_...`. The key may also be there without the
    /// scheme.
    pub fn in_headers(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) => Self::Nothing,
            (Some(value), None) => value.to_str().map_or(Self::Unreadable, Self::in_text),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    /// Reads the payload of `connection_init`: `{"authorization": "Bearer cb_..."}` or
    /// `{"apiKey": "cb_..."}`. Case of the names is ignored.
    pub fn in_payload(payload: &serde_json::Map<String, serde_json::Value>) -> Self {
        let mut found = payload.iter().filter(|(name, value)| {
            (name.eq_ignore_ascii_case("authorization") || name.eq_ignore_ascii_case("apiKey"))
                && !value.is_null()
        });
        match (found.next(), found.next()) {
            (None, _) => Self::Nothing,
            (Some((_, value)), None) => value.as_str().map_or(Self::Unreadable, Self::in_text),
            (Some(_), Some(_)) => Self::Unreadable,
        }
    }

    fn in_text(text: &str) -> Self {
        let text = text.trim();
        let key = match text.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
            Some(_) => return Self::Unreadable,
            None if text.eq_ignore_ascii_case("bearer") => return Self::Unreadable,
            None => text,
        };
        if key.is_empty() || key.len() > KEY_BYTES_MAX || !key.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Self::Unreadable;
        }
        Self::Key(KeyHash::of(key))
    }

    /// Returns these credentials, or `other` if there are none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Key(_) | Self::Unreadable => self,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_with_or_without_its_scheme() {
        let key = Presented::Key(KeyHash::of("cb_abc"));
        for fine in ["Bearer cb_abc", "bearer  cb_abc", "cb_abc", " cb_abc "] {
            assert_eq!(Presented::in_text(fine), key, "{fine}");
        }
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for bad in ["", "Bearer", "Bearer ", "Basic Y2I6eA==", "cb_abc cb_def", "cb_\u{e4}", &long] {
            assert_eq!(Presented::in_text(bad), Presented::Unreadable, "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_in_headers_and_payloads_unless_there_are_two() {
        let mut headers = HeaderMap::new();
        assert_eq!(Presented::in_headers(&headers), Presented::Nothing);
        headers.append(AUTHORIZATION, "Bearer cb_a".parse().unwrap());
        assert_eq!(Presented::in_headers(&headers), Presented::Key(KeyHash::of("cb_a")));
        headers.append(AUTHORIZATION, "Bearer cb_b".parse().unwrap());
        assert_eq!(Presented::in_headers(&headers), Presented::Unreadable);

        let payload = |value: serde_json::Value| Presented::in_payload(value.as_object().unwrap());
        let key = Presented::Key(KeyHash::of("cb_a"));
        assert_eq!(payload(serde_json::json!({ "authorization": "Bearer cb_a" })), key);
        assert_eq!(payload(serde_json::json!({ "Authorization": "cb_a", "x": 1 })), key);
        assert_eq!(payload(serde_json::json!({ "apiKey": "cb_a" })), key);
        assert_eq!(payload(serde_json::json!({ "authorization": null })), Presented::Nothing);
        assert_eq!(payload(serde_json::json!({ "authorization": 7 })), Presented::Unreadable);
        assert_eq!(
            payload(serde_json::json!({ "apiKey": "a", "authorization": "b" })),
            Presented::Unreadable
        );
    }
}
