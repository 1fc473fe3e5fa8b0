//! `api_key_ensure`, `authenticate`.
//!
//! A key is a text that a client sends with every request. Only its SHA-256 is stored. Keys are
//! random with at least 128 bits, so a plain hash cannot be guessed, and a slow hash would cost
//! every request.

use secrecy::{ExposeSecret as _, SecretString};
use sha2::{Digest as _, Sha256};

use super::{Catalogue, checks::Checks};
use crate::{
    ids::ApiKeyId,
    name::check_name,
    steps::StepError,
    store::{
        StoreError,
        catalogue::api_keys::{self, KeyOwner, Role},
        commit,
    },
};

/// Shortest key accepted from the configuration, in bytes.
pub const KEY_BYTES_MIN: usize = 16;
/// Longest key, in bytes.
pub const KEY_BYTES_MAX: usize = 256;
/// How often the last use of a key is written at most, in seconds.
const TOUCH_AFTER_SECS: f64 = 60.0;

/// Returns what is stored of a key, which [`Catalogue::authenticate`] takes.
pub fn key_hash(key: &SecretString) -> [u8; 32] {
    Sha256::digest(key.expose_secret()).into()
}

impl Catalogue {
    /// Makes sure that a key from the configuration exists, with the role ADMIN. Idempotent. A
    /// revoked or expired key stays so.
    pub async fn api_key_ensure(&self, name: &str, key: &SecretString) -> Result<ApiKeyId, StepError> {
        let mut checks = Checks::default();
        let name = checks.take(check_name("name", name)).unwrap_or_default();
        if !(KEY_BYTES_MIN..=KEY_BYTES_MAX).contains(&key.expose_secret().len()) {
            let message = format!("must be {KEY_BYTES_MIN} to {KEY_BYTES_MAX} random bytes");
            checks.invalid(&["key"], message);
        }
        checks.passed()?;
        let mut transaction = self.store.begin().await?;
        let id =
            api_keys::insert(&mut transaction, self.ids.make(), &name, Role::Admin, &key_hash(key)).await?;
        commit(transaction).await?;
        Ok(id)
    }

    /// Returns the key's owner, or `None` if the key is unknown, expired or revoked. Records the
    /// use, at most once a minute.
    pub async fn authenticate(&self, hash: &[u8; 32]) -> Result<Option<KeyOwner>, StoreError> {
        let mut connection = self.store.connection().await?;
        let Some((owner, is_due)) = api_keys::owner(&mut connection, hash, TOUCH_AFTER_SECS).await? else {
            return Ok(None);
        };
        if is_due {
            api_keys::touch(&mut connection, owner.id, TOUCH_AFTER_SECS).await?;
        }
        Ok(Some(owner))
    }
}
