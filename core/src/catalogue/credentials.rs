//! Checks and seals a proxy's user name and password. Pure but for the seal's nonce.

use secrecy::{ExposeSecret as _, SecretString};

use super::checks::Checks;
use crate::{
    ids::ProxyId,
    patch::Patch,
    proxy::ProxyProtocol,
    secret::{Keyring, Owner},
    store::catalogue::proxies::SealedCredentials,
};

/// Longest user name or password, in bytes. SOCKS5 has one byte for the length.
const CREDENTIAL_BYTES_MAX: usize = 255;

/// Changes of a proxy's credentials.
#[derive(Debug)]
pub(super) struct Credentials {
    pub(super) username: Patch<SecretString>,
    pub(super) password: Patch<SecretString>,
}

impl Credentials {
    /// Checks the changes against the stored credentials.
    pub(super) fn check(&self, checks: &mut Checks, protocol: ProxyProtocol, stored: &SealedCredentials) {
        for (field, patch) in [("username", &self.username), ("password", &self.password)] {
            if let Patch::Set(value) = patch {
                let value = value.expose_secret();
                if value.is_empty()
                    || value.len() > CREDENTIAL_BYTES_MAX
                    || value.chars().any(char::is_control)
                {
                    let message =
                        format!("must be 1 to {CREDENTIAL_BYTES_MAX} bytes, without control characters");
                    checks.invalid(&[field], message);
                }
            }
        }
        if let (Patch::Set(username), ProxyProtocol::Http | ProxyProtocol::Https) = (&self.username, protocol)
            && username.expose_secret().contains(':')
        {
            checks.invalid(&["username"], "must not contain `:`, which ends a user name in HTTP");
        }
        if is_set(&self.password, stored.password.as_ref())
            && !is_set(&self.username, stored.username.as_ref())
        {
            checks.invalid(&["password"], "a password needs a user name (set both or neither)");
        }
    }
}

fn is_set(patch: &Patch<SecretString>, stored: Option<&Vec<u8>>) -> bool {
    match patch {
        Patch::Leave => stored.is_some(),
        Patch::Clear => false,
        Patch::Set(_) => true,
    }
}

/// Returns what to store: new values sealed, others as they were.
pub(super) fn seal(
    keyring: &Keyring,
    id: ProxyId,
    given: Credentials,
    stored: SealedCredentials,
) -> SealedCredentials {
    let sealed = |patch, owner: Owner<'_>, stored| match patch {
        Patch::Leave => stored,
        Patch::Clear => None,
        Patch::Set(value) => Some(keyring.seal(owner, &value)),
    };
    SealedCredentials {
        username: sealed(given.username, Owner::ProxyUsername(id), stored.username),
        password: sealed(given.password, Owner::ProxyPassword(id), stored.password),
    }
}
