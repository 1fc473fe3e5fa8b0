//! What finds secrets in texts, and in what is written in another form than it came: names of
//! headers and hosts are in lower case, hosts in punycode, and schemes in lower case.

use callboard::secret::{MASK, Redactor};
use parking_lot::Mutex;
use reqwest::Url;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use super::response::text;

/// Hosts and schemes that are shown nowhere, because a secret was in what they were read from. The
/// process makes one call.
static HIDDEN: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The redactors of a call.
#[derive(Debug)]
pub(super) struct Masks {
    /// Of texts as they came.
    pub(super) text: Redactor,
    /// Of the names of headers.
    pub(super) names: Redactor,
}

impl Masks {
    pub(super) fn new(secrets: &[SecretString]) -> Self {
        let lower: Vec<SecretString> =
            secrets.iter().map(|secret| secret.expose_secret().to_ascii_lowercase().into()).collect();
        Self { text: Redactor::new(secrets), names: Redactor::new(&lower) }
    }

    /// The masked text of bytes: UTF-8, or Latin-1 if they are not, as HTTP had it first. Of bytes
    /// of both, the reading in which the most secrets are found.
    pub(super) fn of_bytes(&self, bytes: &[u8]) -> String {
        let lossy = String::from_utf8_lossy(bytes);
        let as_utf_8 = self.text.redact(&lossy);
        if std::str::from_utf8(bytes).is_ok() {
            return as_utf_8.into_owned();
        }
        let as_latin_1 = self.text.redact(&text(bytes)).into_owned();
        let masks = |text: &str| text.matches(MASK).count();
        if masks(&as_utf_8) > masks(&as_latin_1) { as_utf_8.into_owned() } else { as_latin_1 }
    }

    /// Hides the scheme and the host of a URL wherever they are shown, if there is a secret in what
    /// they were read from. What follows them is shown nowhere.
    pub(super) fn hide(&self, raw: &[u8], url: &Url) {
        if !head(&self.of_bytes(raw)).contains(MASK) {
            return;
        }
        let scheme = Some(url.scheme()).filter(|scheme| !matches!(*scheme, "http" | "https"));
        let mut hidden = HIDDEN.lock();
        hidden.extend(scheme.into_iter().chain(url.host_str()).map(str::to_owned));
        hidden.retain(|word| !word.is_empty());
    }
}

/// The scheme and the host of a URL, or the beginning of a relative one.
fn head(url: &str) -> &str {
    let is_end = |c: char| matches!(c, '/' | '\\' | '?' | '#');
    let first = url.find(is_end).unwrap_or(url.len());
    // What follows a scheme, if there is one.
    let after = url[..first].find(':').map_or(0, |colon| colon + 1);
    let host = url[after..].trim_start_matches(['/', '\\']);
    let host_end = host.find(is_end).map_or(url.len(), |end| url.len() - host.len() + end);
    &url[..host_end]
}

/// An event without what is hidden.
pub(super) fn without_hidden(event: &mut Value) {
    let hidden = HIDDEN.lock();
    if !hidden.is_empty() {
        mask(event, &hidden);
    }
}

fn mask(value: &mut Value, hidden: &[String]) {
    match value {
        Value::String(text) => {
            for word in hidden {
                if text.contains(word) {
                    *text = text.replace(word, MASK);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| mask(item, hidden)),
        Value::Object(fields) => fields.values_mut().for_each(|field| mask(field, hidden)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_url_ends_with_its_host() {
        for (url, expected) in [
            ("https://a.example/b", "https://a.example"),
            ("https://a.example?b", "https://a.example"),
            ("https:\\\\a\\b", "https:\\\\a"),
            ("//a/b", "//a"),
            ("/a/b", "/a"),
            ("a?b", "a"),
            ("mail:a@b", "mail:a@b"),
            ("https:a#b", "https:a"),
            ("", ""),
        ] {
            assert_eq!(head(url), expected, "{url}");
        }
    }
}
