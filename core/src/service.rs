//! A service, an outside API that jobs call. Pure. Its token is kept apart and encrypted.

use std::ops::Deref;

use url::Url;

use crate::{clock::Time, ids::ServiceId, limit::Limits};

/// An absolute `http` or `https` URL in the form of the URL standard. But if it has no path, it
/// ends with a slash only if it was given so, because scripts, programs and templates append paths
/// to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// `None` if it is no such URL, or holds a user name or password.
    pub fn parse(text: &str) -> Option<Self> {
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return None;
        }
        let is_bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        let mut written = String::from(url);
        if is_bare && !text.trim_end().ends_with(['/', '\\']) {
            written.pop();
        }
        Some(Self(written))
    }
}

impl Deref for BaseUrl {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
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
            assert_eq!(BaseUrl::parse(given).as_deref(), kept, "{given}");
        }
    }
}
