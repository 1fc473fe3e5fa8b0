//! A service, an outside API that jobs call. Pure. Its token is kept apart and encrypted.

use std::{fmt, ops::Deref};

use url::{Host, Url};

use crate::{clock::Time, ids::ServiceId, limit::Limits};

/// An absolute `http` or `https` URL in the form of the URL standard. But if it has no path, it
/// ends with a slash only if it was given so, because scripts, programs and templates append paths
/// to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

/// Why a text is no base URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BadBaseUrl {
    /// It is not absolute, or not `http` or `https`.
    NotHttp,
    /// It has a user name or a password, which would not be kept secret there.
    HasCredentials,
}

impl BaseUrl {
    /// Reads a URL in any spelling of the URL standard.
    pub fn parse(text: &str) -> Result<Self, BadBaseUrl> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or(BadBaseUrl::NotHttp)?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err(BadBaseUrl::HasCredentials);
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let mut written = String::from(url);
        if is_bare && !text.trim_end().ends_with(['/', '\\']) {
            written.pop();
        }
        Ok(Self(written))
    }
}

impl Deref for BaseUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

/// A host to which a service's token may be sent: `api.example.com` with any port, or
/// `api.example.com:8443` with only that one. In the form of the URL standard, so that spellings
/// of one host are one: lower case, punycode, and addresses as numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenHost {
    host: Host<String>,
    port: Option<u16>,
}

impl TokenHost {
    /// `None` if it is not a host, or more than a host and a port.
    pub fn parse(text: &str) -> Option<Self> {
        // The parser takes a star for a letter. No host matches it.
        let is_foreign = |c: char| c.is_whitespace() || c.is_control() || "/\\?#@*".contains(c);
        if text.contains(is_foreign) || text.ends_with(':') {
            return None;
        }
        let url = Url::parse(&format!("https://{text}/")).ok()?;
        // The parser leaves out the port that `https` has anyway.
        let port = url.port().or_else(|| text.ends_with(":443").then_some(443));
        Some(Self { host: url.host()?.to_owned(), port })
    }

    fn is_of(&self, url: &Url) -> bool {
        url.host().is_some_and(|host| host.to_owned() == self.host)
            && self.port.is_none_or(|port| url.port_or_known_default() == Some(port))
    }
}

impl fmt::Display for TokenHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

/// Whether a service's token may be sent to this URL: to the host and port of its base URL, or to a
/// host that it lists. Without TLS only if the base URL is `http`.
pub fn may_have_token(base_url: Option<&str>, hosts: &[TokenHost], url: &Url) -> bool {
    let base = base_url.and_then(|base| Url::parse(base).ok());
    let may_be_plain = base.as_ref().is_some_and(|base| base.scheme() == "http");
    if url.scheme() != "https" && !may_be_plain {
        return false;
    }
    base.is_some_and(|base| is_same_authority(&base, url)) || hosts.iter().any(|host| host.is_of(url))
}

/// Whether two URLs have one host and port. Without a port in either, `http` and `https` are the
/// same: a service whose base URL is `http` may be called by `https`.
fn is_same_authority(one: &Url, other: &Url) -> bool {
    let is_same_port = one.port_or_known_default() == other.port_or_known_default()
        || (one.port(), other.port()) == (None, None);
    one.host().is_some() && one.host() == other.host() && is_same_port
}

/// An outside API as the catalogue keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Service {
    /// Its id.
    pub id: ServiceId,
    /// Unique among services. Templates use it (`services.<name>.token`).
    pub name: String,
    /// Its base URL. Responses from this host are read for limit headers.
    pub base_url: Option<BaseUrl>,
    /// The hosts beside that of the base URL to which HTTP commands may send the token.
    pub token_hosts: Vec<TokenHost>,
    /// A JSON object that commands may use (`services.<name>.settings.*`).
    pub settings: serde_json::Value,
    /// How many jobs may use it at once, and how often they may start.
    pub limits: Limits,
    /// Rises with every change, including a new token.
    pub version: i32,
    /// When it was made.
    pub created_at: Time,
    /// When it last changed.
    pub updated_at: Time,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_ends_with_a_slash_only_if_it_was_given_so() {
        for (given, kept) in [
            ("http://h:1", Some("http://h:1")),
            ("http://h:1/", Some("http://h:1/")),
            (" HTTPS://H.example ", Some("https://h.example")),
            ("https://h/a", Some("https://h/a")),
            ("https://h/a/", Some("https://h/a/")),
            ("https://h?q", Some("https://h/?q")),
            ("https://h?q=/", Some("https://h/?q=/")),
            ("https://h\\", Some("https://h/")),
            ("ftp://h", None),
            ("https://u:p@h", None),
            ("h", None),
        ] {
            assert_eq!(BaseUrl::parse(given).ok().as_deref(), kept, "{given}");
        }
    }

    #[test]
    fn a_token_goes_to_the_hosts_of_its_service_however_they_are_spelled() {
        let url = |text: &str| Url::parse(text).unwrap();
        let base = Some("https://api.example.com/v1");
        let hosts: Vec<TokenHost> =
            ["files.example.com", "b\u{fc}cher.example:8443", "[2001:db8::1]", "10.0.0.1"]
                .map(|text| TokenHost::parse(text).unwrap())
                .into();
        for fine in [
            "https://api.example.com/v2",
            "https://API.Example.COM:443",
            "https://files.example.com:9000/x",
            "https://xn--bcher-kva.example:8443",
            "https://[2001:DB8:0:0::1]/",
            "https://0x0a.1/",
        ] {
            assert!(may_have_token(base, &hosts, &url(fine)), "{fine}");
        }
        for other in [
            "http://api.example.com/v1",
            "https://api.example.com:8443/v1",
            "https://api.example.com./v1",
            "https://api.example.com.evil.example/",
            "https://evil.example/api.example.com",
            "https://api.example.com@evil.example/",
            "https://evil.example\\@api.example.com/",
            "https://www.api.example.com/",
            "https://example.com/",
            "https://xn--bcher-kva.example/",
            "https://xn--bcher-kva.example:443/",
            "https://[2001:db8::2]/",
            "https://[::ffff:10.0.0.1]/",
            "http://files.example.com/",
        ] {
            assert!(!may_have_token(base, &hosts, &url(other)), "{other}");
        }
        assert!(!may_have_token(None, &[], &url("https://api.example.com/")));
        assert!(may_have_token(None, &hosts, &url("https://files.example.com/")));
        assert!(!may_have_token(None, &hosts, &url("http://files.example.com/")), "without TLS");
        let plain = Some("http://127.0.0.1:4000");
        assert!(may_have_token(plain, &[], &url("http://0177.0.0.1:4000/x")));
        assert!(!may_have_token(plain, &[], &url("http://127.0.0.1:4001/x")));
        assert!(!may_have_token(plain, &[], &url("http://localhost:4000/x")));
        assert!(may_have_token(Some("http://h"), &[], &url("https://h")));
    }

    #[test]
    fn a_host_is_kept_in_one_form_and_is_only_a_host() {
        for (given, kept) in [
            ("API.Example.com", "api.example.com"),
            ("h:443", "h:443"),
            ("h:80", "h:80"),
            ("B\u{dc}CHER.example", "xn--bcher-kva.example"),
            ("[::1]:8080", "[::1]:8080"),
        ] {
            assert_eq!(TokenHost::parse(given).unwrap().to_string(), kept, "{given}");
        }
        for bad in
            ["", "h:", "h/", "https://h", "u@h", "h:x", "h:99999", "*.h", "a b", " h", "h?", "::1", "h\\i"]
        {
            assert_eq!(TokenHost::parse(bad), None, "{bad}");
        }
    }
}
