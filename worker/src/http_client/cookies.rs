//! The cookies that the responses of one call set, for its later requests to the same origin.
//!
//! Nothing outlives the call. `Domain` never widens a cookie to other hosts.

use std::time::SystemTime;

use callboard::clock;
use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue, SET_COOKIE},
};

/// Most cookies that are kept.
const COOKIES_MAX: usize = 100;

/// The cookies of one origin.
#[derive(Debug, Default)]
pub(super) struct Cookies(Vec<Cookie>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Cookie {
    name: String,
    value: String,
    path: String,
}

impl Cookies {
    /// Keeps what a response for `url` sets.
    pub(super) fn keep(&mut self, url: &Url, headers: &HeaderMap) {
        for line in headers.get_all(SET_COOKIE) {
            let line = String::from_utf8_lossy(line.as_bytes());
            let Some((cookie, is_over)) = parse(url, &line) else { continue };
            self.0.retain(|other| (&other.name, &other.path) != (&cookie.name, &cookie.path));
            if !is_over && self.0.len() < COOKIES_MAX {
                self.0.push(cookie);
            }
        }
    }

    /// The `Cookie` header of a request: the command's own cookies, and those that were set, which
    /// win. `None` if none was set for the request's path.
    pub(super) fn header(&self, url: &Url, given: Option<&str>) -> Option<HeaderValue> {
        let mut found: Vec<&Cookie> = self.0.iter().filter(|cookie| cookie.is_for(url.path())).collect();
        if found.is_empty() {
            return None;
        }
        found.sort_by_key(|cookie| std::cmp::Reverse(cookie.path.len()));
        let is_replaced = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default().trim();
            found.iter().any(|cookie| cookie.name == name)
        };
        let given = given.unwrap_or_default().split(';').map(str::trim).filter(|pair| !pair.is_empty());
        let mut pairs: Vec<String> = given.filter(|pair| !is_replaced(pair)).map(str::to_owned).collect();
        pairs.extend(found.iter().map(|cookie| format!("{}={}", cookie.name, cookie.value)));
        HeaderValue::from_bytes(pairs.join("; ").as_bytes()).ok()
    }
}

impl Cookie {
    /// RFC 6265, 5.1.4.
    fn is_for(&self, path: &str) -> bool {
        path.strip_prefix(self.path.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/') || self.path.ends_with('/'))
    }
}

/// A cookie, and whether it is over. `None` for one that the response must not set.
fn parse(url: &Url, line: &str) -> Option<(Cookie, bool)> {
    let mut parts = line.split(';').map(str::trim);
    let (name, value) = parts.next()?.split_once('=')?;
    let (name, value) = (name.trim(), value.trim());
    let directory = url.path().rfind('/').filter(|end| *end > 0).map_or("/", |end| &url.path()[..end]);
    let (mut path, mut expires, mut max_age) = (directory.to_owned(), None, None);
    for part in parts {
        let (attribute, value) =
            part.split_once('=').map_or((part, ""), |(name, value)| (name, value.trim()));
        match attribute.trim().to_ascii_lowercase().as_str() {
            "path" if value.starts_with('/') => value.clone_into(&mut path),
            "domain" if !covers(value, url.host_str().unwrap_or_default()) => return None,
            "secure" if url.scheme() != "https" => return None,
            "expires" => expires = date(value),
            "max-age" => max_age = value.parse::<i64>().ok(),
            _ => {}
        }
    }
    let is_over = match max_age {
        Some(seconds) => seconds <= 0,
        None => expires.is_some_and(|end| end <= SystemTime::from(clock::now())),
    };
    if name.is_empty() {
        return None;
    }
    Some((Cookie { name: name.to_owned(), value: value.to_owned(), path }, is_over))
}

/// A date of HTTP, or with the dashes of the first specification of cookies (`Thu, 01-Jan-1970
/// 00:00:00 GMT`).
fn date(text: &str) -> Option<SystemTime> {
    let found =
        httpdate::parse_http_date(text).or_else(|_| httpdate::parse_http_date(&text.replace('-', " ")));
    found.ok()
}

fn covers(domain: &str, host: &str) -> bool {
    let domain = domain.trim_start_matches('.').to_ascii_lowercase();
    domain.is_empty() || host.strip_suffix(&domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(set: &[&str], at: &str, given: Option<&str>) -> Option<String> {
        let mut headers = HeaderMap::new();
        for line in set {
            headers.append(SET_COOKIE, line.parse().unwrap());
        }
        let mut cookies = Cookies::default();
        cookies.keep(&Url::parse("http://a.test/login/form").unwrap(), &headers);
        let value = cookies.header(&Url::parse(at).unwrap(), given)?;
        Some(value.to_str().unwrap().to_owned())
    }

    #[test]
    fn cookies_are_sent_where_their_path_says() {
        for (set, path, given, expected) in [
            (&["a=1"][..], "/login/x", None, Some("a=1")),
            (&["a=1"], "/other", None, None),
            (&["a=1; Path=/"], "/other", None, Some("a=1")),
            (&["a=1; Path=/oth"], "/other", None, None),
            (&["a=1; path=/", "b=2; Path=/login"], "/login", None, Some("b=2; a=1")),
            (&["a=1; Path=/", "a=2; Path=/"], "/", None, Some("a=2")),
            (&["a=1; Path=/", "a=; Path=/; Max-Age=0"], "/", None, None),
            (&["a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT"], "/", None, None),
            (&["a=1; Path=/; Expires=Thu, 01-Jan-1970 00:00:01 GMT"], "/", None, None),
            (&["a=1; Path=/; Expires=Thursday, 01-Jan-70 00:00:01 GMT"], "/", None, None),
            (&["a=1; Path=/; Expires=0"], "/", None, Some("a=1")),
            (&["a=1; Path=/; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=9"], "/", None, Some("a=1")),
            (&["a=1; Path=/; Secure"], "/", None, None),
            (&["a=1; Path=/; Domain=b.test"], "/", None, None),
            (&["a=1; Path=/; Domain=.A.test"], "/", None, Some("a=1")),
            (&["a=x=y; Path=/"], "/", Some("a=0; c=3"), Some("c=3; a=x=y")),
            (&["=1; Path=/", "novalue"], "/", Some("c=3"), None),
        ] {
            let found = header(set, &format!("http://a.test{path}"), given);
            assert_eq!(found.as_deref(), expected, "{set:?} {path}");
        }
    }
}
