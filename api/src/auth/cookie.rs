//! The cookie of a session.
//!
//! Over https it is `__Host-callboard`, which a browser accepts only from https and only for this
//! very host, so that no other host of the domain can plant one. Over plain http it is `callboard`.

use axum::http::{HeaderMap, header::COOKIE};
use secrecy::{ExposeSecret as _, SecretString};

/// The cookie's names, over https and over plain http.
const NAMES: [&str; 2] = ["__Host-callboard", "callboard"];

/// Returns the text of the session's cookie. Over https one of plain http does not count.
pub(super) fn find(headers: &HeaderMap, is_https: bool) -> Option<&str> {
    let texts = || headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let pairs = || texts().flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let of = |wanted: &str| pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    of(NAMES[0]).or_else(|| of(NAMES[1]).filter(|_| !is_https)).filter(|text| !text.is_empty())
}

/// Whether there is a session's cookie of either name.
pub(super) fn is_there(headers: &HeaderMap) -> bool {
    find(headers, false).is_some()
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
    use super::*;

    #[test]
    fn only_the_cookie_of_this_host_counts_over_https() {
        for (cookies, plain, https) in [
            (&["callboard=a"][..], Some("a"), None),
            (&["__Host-callboard=b"], Some("b"), Some("b")),
            (&["callboard=a; __Host-callboard=b"], Some("b"), Some("b")),
            (&["x=y;callboard=a", "callboard=c"], Some("a"), None),
            (&["callboard=", "Callboard=a", "xcallboard=a"], None, None),
            (&["callboard"], None, None),
            (&[], None, None),
        ] {
            let mut headers = HeaderMap::new();
            for cookie in cookies {
                headers.append(COOKIE, cookie.parse().unwrap());
            }
            assert_eq!(find(&headers, false), plain, "{cookies:?}");
            assert_eq!(find(&headers, true), https, "{cookies:?}");
        }
    }

    #[test]
    fn the_cookie_is_kept_from_scripts_and_other_sites() {
        let text = "cbs_x".into();
        assert_eq!(set(&text, false), "callboard=cbs_x; Path=/; HttpOnly; SameSite=Strict");
        assert_eq!(set(&text, true), "__Host-callboard=cbs_x; Path=/; HttpOnly; SameSite=Strict; Secure");
        assert!(clear().iter().all(|header| header.contains("=; ") && header.ends_with("Max-Age=0")));
    }
}
