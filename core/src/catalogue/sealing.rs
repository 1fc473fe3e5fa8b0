//! Whom a sealed value belongs to: the names under which secrets are sealed and opened. Pure.
//!
//! The verbs seal under them and the worker opens under them. A ciphertext that is moved to another row, or
//! to another column of its row, does not open.

use secrecy::SecretString;

use super::Catalogue;
use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId, ServiceId},
    secret,
    store::profile_secrets::SealedSecret,
};

/// Owner of a profile's secret.
pub fn profile_secret_owner(profile: ProfileId, name: &str) -> String {
    format!("profile_secret:{profile}:{name}")
}

/// Owner of a service's token.
pub fn service_token_owner(service: ServiceId) -> String {
    format!("service_token:{service}")
}

/// Owner of a proxy's user name.
pub fn proxy_username_owner(proxy: ProxyId) -> String {
    format!("proxy_username:{proxy}")
}

/// Owner of a proxy's password.
pub fn proxy_password_owner(proxy: ProxyId) -> String {
    format!("proxy_password:{proxy}")
}

impl Catalogue {
    /// Seals a secret for its owner, with what may be shown of it.
    pub(super) fn seal(
        &self,
        owner: &str,
        name: &str,
        value: &SecretString,
        expires_at: Option<Time>,
    ) -> SealedSecret {
        let sealed = self.keyring.seal(owner, value);
        SealedSecret { name: name.to_owned(), sealed, hint: secret::hint(value), expires_at }
    }
}
