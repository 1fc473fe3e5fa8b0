//! The cookie of a session.
//!
//! Over https it is `__Host-callboard`, which a browser accepts only from https and only for this
//! very host, so that no other host of the domain can plant one. Over plain http it is `callboard`,
//! and another path or host may have set a cookie of that name too, which the browser sends first.
//! So all of them are candidates, and the look-up decides.

use std::sync::Arc;

use axum::http::{HeaderMap, header::COOKIE};
use callboard::api_key::TextKind;
use secrecy::{ExposeSecret as _, SecretString};

use super::KeyHash;

/// The cookie's names, over https and over plain http.
const NAMES: [&str; 2] = ["__Host-callboard", "callboard"];

/// Most sessions that are looked up for a request. A browser has one, and a few of another
/// Callboard of the same host.
const CANDIDATES_MAX: usize = 10;

/// Returns what may be the session's cookie, each once. Over https one of plain http does not
/// count. Cookies that Callboard did not make are left out if there is one that it made.
pub(super) fn candidates(headers: &HeaderMap, is_https: bool) -> Arc<[KeyHash]> {
    let mut made = Vec::new();
    let mut other = None;
    for text in texts(headers, is_https) {
        let hash = KeyHash::of_kind(TextKind::Session, text);
        if !hash.is_made {
            other = other.or(Some(hash));
        } else if made.len() < CANDIDATES_MAX && !made.contains(&hash) {
            made.push(hash);
        }
    }
    if made.is_empty() {
        made.extend(other);
    }
    made.into()
}

/// The texts of the cookies with the session's names. A cookie that is no ASCII is of somebody
/// else, and hides none that stands beside it.
fn texts(headers: &HeaderMap, is_https: bool) -> impl Iterator<Item = &str> {
    let lines = || headers.get_all(COOKIE).iter().map(axum::http::HeaderValue::as_bytes);
    let pairs = move || lines().flat_map(|line| line.split(|byte| *byte == b';'));
    let of = move |wanted: &'static str| {
        let pairs = pairs().filter_map(|pair| str::from_utf8(pair).ok()?.trim().split_once('='));
        pairs.filter(move |(name, text)| *name == wanted && !text.is_empty()).map(|(_, text)| text)
    };
    of(NAMES[0]).chain((!is_https).then(|| of(NAMES[1])).into_iter().flatten())
}

/// Whether there is a session's cookie of either name.
pub(super) fn is_there(headers: &HeaderMap) -> bool {
    texts(headers, false).next().is_some()
}

/// The header `Set-Cookie` for a new session. It has no expiry of its own, so that it ends with the
/// browser at the latest, and the server decides before that.
pub fn set(text: &SecretString, is_https: bool) -> String {
    written(text.expose_secret(), is_https, "")
}

/// The headers `Set-Cookie` that remove a session's cookie.
pub fn clear() -> [String; 2] {
    [true, false].map(|is_https| written("", is_https, "; Max-Age=0"))
}

fn written(value: &str, is_https: bool, more: &str) -> String {
    let (name, secure) = if is_https { (NAMES[0], "; Secure") } else { (NAMES[1], "") };
    format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict{secure}{more}")
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(cookies: &[&[u8]]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_bytes(cookie).unwrap());
        }
        headers
    }

    #[test]
    fn only_the_cookie_of_this_host_counts_over_https() {
        for (cookies, plain, https) in [
            (&[&b"callboard=a"[..]][..], &["a"][..], &[][..]),
            (&[b"__Host-callboard=b"], &["b"], &["b"]),
            (&[b"callboard=a; __Host-callboard=b"], &["b", "a"], &["b"]),
            (&[b"x=y;callboard=a", b"callboard=c"], &["a", "c"], &[]),
            (&[b"callboard=; callboard=a"], &["a"], &[]),
            (&[b"x=\xff; callboard=a; y=\xff"], &["a"], &[]),
            (&[b"callboard=\xff; callboard=a"], &["a"], &[]),
            (&[b"callboard=", b"Callboard=a", b"xcallboard=a"], &[], &[]),
            (&[b"callboard"], &[], &[]),
            (&[], &[], &[]),
        ] {
            let headers = headers(cookies);
            assert_eq!(texts(&headers, false).collect::<Vec<_>>(), plain, "{headers:?}");
            assert_eq!(texts(&headers, true).collect::<Vec<_>>(), https, "{headers:?}");
            assert_eq!(is_there(&headers), !plain.is_empty(), "{headers:?}");
        }
    }

    #[test]
    fn foreign_cookies_do_not_hide_the_own_one() {
        let own = TextKind::Session.draw();
        let hash = |text: &SecretString| KeyHash::of_kind(TextKind::Session, text.expose_secret());
        let cookie = |text: &str| format!("callboard={text}");
        let foreign: Vec<String> = (0..200).map(|number| cookie(&format!("foreign{number}"))).collect();
        let line = [&foreign[..], &[cookie(own.expose_secret())]].concat().join("; ");
        assert_eq!(&*candidates(&headers(&[line.as_bytes()]), false), [hash(&own)]);
        // Those of another Callboard are looked up, but not without bound.
        let others: Vec<SecretString> = (0..20).map(|_| TextKind::Session.draw()).collect();
        let all: Vec<String> = others.iter().map(|text| cookie(text.expose_secret())).collect();
        let found = candidates(&headers(&[all.join("; ").as_bytes()]), false);
        assert_eq!(*found, others[..CANDIDATES_MAX].iter().map(hash).collect::<Vec<_>>());
        // One that nobody made is still a session that has ended.
        assert_eq!(candidates(&headers(&[foreign[0].as_bytes()]), false).len(), 1);
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let text = "cbs_x".into();
        assert_eq!(set(&text, false), "callboard=cbs_x; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(set(&text, true), "__Host-callboard=cbs_x; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert!(clear().iter().all(|header| header.contains("=; ") && header.ends_with("Max-Age=0")));
    }
}
