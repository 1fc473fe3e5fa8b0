//! The passwords in the URLs of Postgres and Redis, which the log must not show.

use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

/// The passwords in a URL, as they are and as they are written. Of one that cannot be read, all
/// that may be one.
pub(super) fn passwords(url: &SecretString) -> Vec<SecretString> {
    let text = url.expose_secret().trim();
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    let mut found = Vec::new();
    // From the first colon behind the scheme to the last @: longer than the password, if at all.
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    if let Some((before, _)) = rest.rsplit_once('@') {
        let password = before.split_once(':').map_or("", |(_, password)| password);
        found.extend([password.to_owned(), decoded(password)]);
    }
    if let Ok(read) = Url::parse(text) {
        found.extend(read.password().map(decoded));
        let named = |name: &str| name.to_ascii_lowercase().contains("pass");
        found.extend(read.query_pairs().filter(|(name, _)| named(name)).map(|(_, value)| value.into_owned()));
    }
    // `host=... password=...`, which is no URL.
    let pairs = text.split_whitespace().filter_map(|pair| pair.split_once('='));
    found.extend(
        pairs.filter(|(name, _)| name.eq_ignore_ascii_case("password")).map(|(_, value)| value.to_owned()),
    );
    found.retain(|password| !password.is_empty());
    found.sort_unstable();
    found.dedup();
    found.into_iter().map(SecretString::from).collect()
}

/// The URL of Postgres with this password, if it has none of its own.
pub(super) fn with_password(url: SecretString, password: &SecretString) -> SecretString {
    let Ok(mut read) = Url::parse(url.expose_secret().trim()) else { return url };
    if read.password().is_some() || read.query_pairs().any(|(name, _)| name == "password") {
        return url;
    }
    // Not before the host, because a URL of a Unix socket has none.
    read.query_pairs_mut().append_pair("password", password.expose_secret());
    String::from(read).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_password_of_a_url_is_found() {
        for (url, password) in [
            ("postgres://callboard:s3cr3t@localhost/callboard", "s3cr3t"),
            ("postgres://callboard:s3%40cr3t@localhost/callboard", "s3@cr3t"),
            ("postgres://callboard:s3@cr3t@localhost/callboard", "s3@cr3t"),
            ("postgres://callboard:12/s3@localhost/callboard", "12/s3"),
            ("postgres://localhost/callboard?password=s3cr3t", "s3cr3t"),
            ("postgres://localhost/callboard?sslpassword=s3cr3t", "s3cr3t"),
            ("host=localhost password=s3cr3t user=callboard", "s3cr3t"),
            ("callboard:s3cr3t@localhost", "s3cr3t"),
        ] {
            let found = passwords(&url.into());
            let texts: Vec<&str> = found.iter().map(SecretString::expose_secret).collect();
            assert!(texts.contains(&password), "{url}: {texts:?}");
        }
        for none in ["postgres://callboard@localhost/callboard", "postgres://localhost", "", "x"] {
            assert!(passwords(&none.into()).is_empty(), "{none}");
        }
    }
}
