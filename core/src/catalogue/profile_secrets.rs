//! Checks, seals and writes the secrets of a profile.
//!
//! Runs inside the transaction of `profile_create` and `profile_update`, under the profile's lock.

use std::collections::{BTreeMap, HashSet};

use secrecy::SecretString;

use super::{Catalogue, audited::REPLACED, bounds, checks::Checks};
use crate::{
    clock::Time,
    ids::ProfileId,
    name::check_identifier,
    profile::VARIABLES_MAX,
    refusal::RefusalCode,
    secret::{MASK, Owner},
    store::{Connection, StoreError, catalogue::profile_secrets},
};

/// Maximum number of secrets of one profile.
pub const SECRETS_MAX: usize = VARIABLES_MAX;

/// A secret to set.
#[derive(Debug, Clone)]
pub struct SecretInput {
    /// Its name, which templates use: a letter, then letters, digits, `_` or `-`.
    pub name: String,
    /// 1 to [`SECRET_BYTES_MAX`](super::SECRET_BYTES_MAX) bytes, without NUL.
    pub value: SecretString,
    /// When it expires, in the future.
    pub expires_at: Option<Time>,
}

/// Changes of a profile's secrets.
#[derive(Debug, Default)]
pub(super) struct SecretChanges {
    /// Secrets to set. Others stay.
    pub(super) set: Vec<SecretInput>,
    /// Names of secrets to remove.
    pub(super) remove: Vec<String>,
}

impl SecretChanges {
    pub(super) const fn is_empty(&self) -> bool {
        self.set.is_empty() && self.remove.is_empty()
    }

    /// Checks the changes against the stored names.
    pub(super) fn check(&self, checks: &mut Checks, stored: &BTreeMap<String, &'static str>) {
        let mut names = HashSet::new();
        for (index, secret) in self.set.iter().enumerate() {
            let index = index.to_string();
            let at = |part| ["secrets", index.as_str(), part];
            checks.take(check_identifier(&at("name").join("."), &secret.name));
            bounds::secret(checks, &at("value"), &secret.value);
            bounds::expires_at(checks, &at("expiresAt"), secret.expires_at);
            if !names.insert(secret.name.as_str()) {
                checks.invalid(&at("name"), "this name is already in the list");
            }
        }
        let mut removed = HashSet::new();
        for (index, name) in self.remove.iter().enumerate() {
            let path = ["removeSecrets", &index.to_string()];
            if names.contains(name.as_str()) {
                checks.invalid(&path, "this secret is set by the same request");
            } else if !stored.contains_key(name) {
                checks.refuse(RefusalCode::NotFound, &path, "the profile has no secret with this name");
            } else if !removed.insert(name.as_str()) {
                checks.invalid(&path, "this name is already in the list");
            }
        }
        let new = names.iter().filter(|name| !stored.contains_key(**name)).count();
        let count = stored.len() + new - removed.len();
        if count > SECRETS_MAX {
            let message =
                format!("a profile can have at most {SECRETS_MAX} secrets, and this one would have {count}");
            checks.refuse(RefusalCode::TooMany, &["secrets"], message);
        }
    }
}

impl SecretChanges {
    /// What the audit shows of the secrets after these changes, by their names.
    pub(super) fn shown_after(
        &self,
        stored: &BTreeMap<String, &'static str>,
    ) -> BTreeMap<String, &'static str> {
        let mut shown = stored.clone();
        shown.retain(|name, _| !self.remove.contains(name));
        for secret in &self.set {
            let text = if stored.contains_key(&secret.name) { REPLACED } else { MASK };
            shown.insert(secret.name.clone(), text);
        }
        shown
    }
}

impl Catalogue {
    /// Seals and writes changes that passed [`SecretChanges::check`].
    pub(super) async fn write_secrets(
        &self,
        connection: &mut Connection,
        profile: ProfileId,
        changes: &SecretChanges,
    ) -> Result<(), StoreError> {
        if !changes.remove.is_empty() {
            profile_secrets::remove(connection, profile, &changes.remove).await?;
        }
        if !changes.set.is_empty() {
            let seal = |secret: &SecretInput| {
                let owner = Owner::ProfileSecret(profile, &secret.name);
                self.seal(owner, &secret.name, &secret.value, secret.expires_at)
            };
            let sealed: Vec<_> = changes.set.iter().map(seal).collect();
            profile_secrets::set(connection, profile, &sealed).await?;
        }
        Ok(())
    }
}
