//! Signed URLs of artifacts: the id, the expiry in seconds, and a MAC of both.

use std::{fmt, sync::Arc};

use callboard::{clock::Time, ids::ArtifactId, secret::Keyring};
use url::Url;

/// How long a URL is valid, in seconds.
const LIFETIME_SECONDS: i64 = 15 * 60;

/// The purpose of the MACs, which makes them useless elsewhere.
const PURPOSE: &str = "artifact-url";

/// Creates and verifies URLs of artifacts. Cheap to clone. In the schema's data for `Artifact.url`.
#[derive(Clone)]
pub struct ArtifactUrls {
    keyring: Arc<Keyring>,
    public_url: Url,
}

impl ArtifactUrls {
    /// Creates URLs below the server's public address.
    pub const fn new(keyring: Arc<Keyring>, public_url: Url) -> Self {
        Self { keyring, public_url }
    }

    /// Returns a URL that is valid for 15 minutes from now.
    pub fn sign(&self, id: ArtifactId, now: Time) -> Url {
        // Rounded up to a minute, so that a page read twice shows the same URL and browsers cache
        // the file.
        let expires = (now.timestamp() + LIFETIME_SECONDS).div_euclid(60) * 60 + 60;
        let code = hex::encode(self.keyring.mac(PURPOSE, &message(id, expires)));
        let mut url = self.public_url.clone();
        url.set_path(&format!("{}/artifacts/{id}", self.public_url.path().trim_end_matches('/')));
        url.set_query(Some(&format!("expires={expires}&signature={code}")));
        url
    }

    /// Whether a URL was signed here and has not expired.
    pub fn verify(&self, id: ArtifactId, expires: i64, signature: &str, now: Time) -> bool {
        let mut code = [0; 32];
        now.timestamp() < expires
            && hex::decode_to_slice(signature, &mut code).is_ok()
            && self.keyring.verify(PURPOSE, &message(id, expires), &code)
    }
}

impl fmt::Debug for ArtifactUrls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ArtifactUrls").field("public_url", &self.public_url.as_str()).finish_non_exhaustive()
    }
}

fn message(id: ArtifactId, expires: i64) -> Vec<u8> {
    format!("{id}?{expires}").into_bytes()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use callboard::clock::{IdSource, now};

    fn keyring() -> Arc<Keyring> {
        Arc::new(Keyring::parse(&"0123456789abcdef".repeat(4).into()).unwrap())
    }

    #[test]
    fn a_url_is_valid_for_one_file_and_fifteen_minutes() {
        let urls = ArtifactUrls::new(keyring(), "https://example.com/callboard/".parse().unwrap());
        let (id, other): (ArtifactId, ArtifactId) = (IdSource.make(), IdSource.make());
        let now = now();
        let url = urls.sign(id, now);
        assert_eq!(url.path(), format!("/callboard/artifacts/{id}"));
        let fields: HashMap<_, _> = url.query_pairs().into_owned().collect();
        let (expires, signature) = (fields["expires"].parse().unwrap(), fields["signature"].as_str());
        assert!(urls.verify(id, expires, signature, now));
        assert!(!urls.verify(other, expires, signature, now));
        assert!(!urls.verify(id, expires + 1, signature, now));
        assert!(!urls.verify(id, expires, &signature.replace('0', "1"), now) || !signature.contains('0'));
        assert!(!urls.verify(id, expires, "", now));
        assert!(!urls.verify(id, expires, "zz", now));
        let after = |seconds| now + chrono::Duration::seconds(seconds);
        assert!(urls.verify(id, expires, signature, after(LIFETIME_SECONDS)));
        assert!(!urls.verify(id, expires, signature, after(LIFETIME_SECONDS + 61)));
    }
}
