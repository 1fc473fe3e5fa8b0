//! Reads an API key from an HTTP request or a socket's `connection_init`, or a session from the
//! cookie, and keeps only its hash.

use std::{fmt, sync::Arc};

use axum::http::{HeaderMap, header::AUTHORIZATION};
use callboard::api_key::{self, TextKind};

use super::{Client, cookie};

/// Longest accepted key, in bytes.
pub const KEY_BYTES_MAX: usize = 512;

/// SHA-256 of a key or of a session's cookie, as the database stores it. The text itself is not
/// kept. The time of a lookup does not depend on the text.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyHash {
    /// The hash.
    pub hash: [u8; 32],
    /// Whether the text has the form and the checksum of those that Callboard makes. Others need
    /// not be looked up.
    pub is_made: bool,
}

impl KeyHash {
    /// Returns the hash of a key.
    pub fn of(key: &str) -> Self {
        Self::of_kind(TextKind::Key, key)
    }

    /// Returns the hash of a key or of a session's cookie.
    pub fn of_kind(kind: TextKind, text: &str) -> Self {
        Self { hash: api_key::hash(text), is_made: kind.matches(text) }
    }
}

impl fmt::Debug for KeyHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyHash")
    }
}

/// What proves who a caller is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// An API key.
    Key(KeyHash),
    /// A session's cookie.
    Session(KeyHash),
}

/// The credentials of a request. In the data of every operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presented {
    /// No credentials.
    Nothing,
    /// A text with the form of a key.
    Key(KeyHash),
    /// Cookies with the name of a session's, at least one. Of several that are valid, the one of
    /// the last sign-in counts.
    Sessions(Arc<[KeyHash]>),
    /// A cookie and nothing else, in a request from a page of another address. It does not count.
    CrossSite,
    /// Credentials that cannot be a key: another scheme, several headers, or spaces within.
    Unreadable,
}

impl Presented {
    /// Reads the header `Authorization: Bearer cb_...`, where the key may also be without the
    /// scheme, or else the cookie. A browser sends the cookie by itself, so it does not count if
    /// the client has a `cookie_refusal`.
    pub fn in_headers(headers: &HeaderMap, client: &Client) -> Self {
        let (is_https, is_own_page) = (client.is_https, client.cookie_refusal.is_none());
        let mut values = headers.get_all(AUTHORIZATION).iter();
        match (values.next(), values.next()) {
            (None, _) if !is_own_page && cookie::is_there(headers) => Self::CrossSite,
            (None, _) if !is_own_page => Self::Nothing,
            (None, _) => match cookie::candidates(headers, is_https) {
                none if none.is_empty() => Self::Nothing,
                sessions => Self::Sessions(sessions),
            },
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

    /// Reads a key, with or without the scheme.
    pub fn in_text(text: &str) -> Self {
        let text = text.trim();
        let key = match text.split_once(' ') {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case("bearer") => key.trim_start(),
            Some(_) => return Self::Unreadable,
            None if text.eq_ignore_ascii_case("bearer") => return Self::Unreadable,
            None => text,
        };
        if is_presentable(key) { Self::Key(KeyHash::of(key)) } else { Self::Unreadable }
    }

    /// Returns these credentials, or `other` if there are none.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        match self {
            Self::Nothing => other,
            Self::Key(_) | Self::Sessions(_) | Self::CrossSite | Self::Unreadable => self,
        }
    }
}

/// Whether a client can present this text as a key.
pub fn is_presentable(key: &str) -> bool {
    !key.is_empty() && key.len() <= KEY_BYTES_MAX && key.bytes().all(|byte| byte.is_ascii_graphic())
}

#[cfg(test)]
mod tests {
    use axum::http::header::COOKIE;

    use super::*;
    use crate::auth::Transport;

    fn client(is_https: bool, is_own_page: bool) -> Client {
        let cookie_refusal = (!is_own_page).then(|| "another page".into());
        Client { address: None, transport: Transport::Http, is_https, cookie_refusal }
    }

    fn key(text: &str) -> Presented {
        Presented::Key(KeyHash::of(text))
    }

    #[test]
    fn a_key_is_read_with_or_without_its_scheme() {
        for fine in ["Bearer cb_abc", "bearer  cb_abc", "cb_abc", " cb_abc "] {
            assert_eq!(Presented::in_text(fine), key("cb_abc"), "{fine}");
        }
        let long = "k".repeat(KEY_BYTES_MAX + 1);
        for bad in ["", "Bearer", "Bearer ", "Basic Y2I6eA==", "cb_abc cb_def", "cb_\u{e4}", &long] {
            assert_eq!(Presented::in_text(bad), Presented::Unreadable, "{bad}");
        }
    }

    #[test]
    fn a_key_is_found_in_headers_and_payloads_unless_there_are_two() {
        let mut headers = HeaderMap::new();
        let read = |headers: &HeaderMap| Presented::in_headers(headers, &client(false, true));
        assert_eq!(read(&headers), Presented::Nothing);
        headers.append(AUTHORIZATION, "Bearer cb_a".parse().unwrap());
        assert_eq!(read(&headers), key("cb_a"));
        headers.append(AUTHORIZATION, "Bearer cb_b".parse().unwrap());
        assert_eq!(read(&headers), Presented::Unreadable);

        let payload = |value: serde_json::Value| Presented::in_payload(value.as_object().unwrap());
        assert_eq!(payload(serde_json::json!({ "authorization": "Bearer cb_a" })), key("cb_a"));
        assert_eq!(payload(serde_json::json!({ "Authorization": "cb_a", "x": 1 })), key("cb_a"));
        assert_eq!(payload(serde_json::json!({ "apiKey": "cb_a" })), key("cb_a"));
        assert_eq!(payload(serde_json::json!({ "authorization": null })), Presented::Nothing);
        assert_eq!(payload(serde_json::json!({ "authorization": 7 })), Presented::Unreadable);
        assert_eq!(
            payload(serde_json::json!({ "apiKey": "a", "authorization": "b" })),
            Presented::Unreadable
        );
    }

    #[test]
    fn a_cookie_counts_in_a_request_of_an_own_page_and_after_the_header() {
        let mut headers = HeaderMap::new();
        headers.append(COOKIE, "a=b; callboard=cbs_x; c=d".parse().unwrap());
        let session = Presented::Sessions([KeyHash::of_kind(TextKind::Session, "cbs_x")].into());
        assert_eq!(Presented::in_headers(&headers, &client(false, true)), session);
        for is_https in [false, true] {
            assert_eq!(Presented::in_headers(&headers, &client(is_https, false)), Presented::CrossSite);
        }
        headers.append(AUTHORIZATION, "Bearer cb_a".parse().unwrap());
        assert_eq!(Presented::in_headers(&headers, &client(false, false)), key("cb_a"));
        // The text of a key in a cookie is no key.
        headers.clear();
        headers.append(COOKIE, "callboard=cb_a".parse().unwrap());
        assert_ne!(Presented::in_headers(&headers, &client(false, true)), key("cb_a"));
    }
}
