//! `key_create`, `key_revoke`, and how a key is recognised.
//!
//! They need only the database, so that keys can be made before anything else is configured.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};

use super::{audited::value_of, checks::Checks};
use crate::{
    api_key::{self, TextKind},
    audit::{Actor, Change, Entry, Object, RESERVED},
    clock::{IdSource, Time},
    ids::ApiKeyId,
    name::{are_alike, check_name},
    refusal::RefusalCode,
    steps::StepError,
    store::{
        self, Connection, Store, StoreError,
        catalogue::api_keys::{self, ApiKey, CredentialStatus, NewApiKey, Role},
        commit,
        queues::backlog,
    },
};

/// Maximum number of keys that are not revoked.
pub const KEYS_MAX: usize = 1000;
/// How often the last use of a key or session is written at most, in seconds.
pub(super) const TOUCH_AFTER_SECS: f64 = 60.0;

const NAME_TAKEN: &str = "is taken by a key that is not revoked. Revoke that key, or take another name";

/// The operations of API keys and sessions.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The database.
    pub store: Store,
    /// Makes ids.
    pub ids: IdSource,
    /// Who makes the changes, for the audit.
    pub actor: Arc<Actor>,
}

/// A key to create.
#[derive(Debug, Clone)]
pub struct KeyCreate {
    /// A description for people.
    pub name: String,
    /// What it allows.
    pub role: Role,
    /// When it expires, in the future. `None` for never.
    pub expires_at: Option<Time>,
}

impl Keys {
    /// Creates a key. Its text is returned here and nowhere else.
    pub async fn key_create(&self, input: KeyCreate) -> Result<(ApiKey, SecretString), StepError> {
        let mut checks = Checks::default();
        let name = checks.take(check_name("name", &input.name)).unwrap_or_default();
        if RESERVED.iter().any(|reserved| are_alike(reserved, &name)) {
            let message = "must be another name, because the audit uses this one for Callboard itself";
            checks.invalid(&["name"], message);
        }
        let mut transaction = self.store.begin().await?;
        if let Some(end) = input.expires_at
            && end <= backlog::clock(&mut transaction).await?
        {
            checks.invalid(&["expiresAt"], "must be in the future");
        }
        let names = api_keys::lock_names(&mut transaction).await?;
        if let Some(known) = names.iter().find(|known| are_alike(known, &name)) {
            checks.taken("name", &taken_by(known, &name));
        }
        if names.len() >= KEYS_MAX {
            let message = format!(
                "At most {KEYS_MAX} keys may exist that are not revoked. Revoke those that are not needed."
            );
            checks.refuse(RefusalCode::TooMany, &[], message);
        }
        checks.passed()?;
        let text = TextKind::Key.draw();
        let (id, hash) = (self.ids.make(), api_key::hash(text.expose_secret()));
        let new = NewApiKey { id, name: &name, role: input.role, hash: &hash, expires_at: input.expires_at };
        let key = api_keys::insert(&mut transaction, &new).await.map_err(taken)?;
        let change = Change::between(None, Some(&shown(&key)));
        self.note(&mut transaction, "apiKeyCreate", of_key(&key), change).await?;
        commit(transaction).await?;
        Ok((key, text))
    }

    /// Revokes a key. One that is revoked already stays as it is, and nothing is written. Sessions
    /// that were opened with it end.
    pub async fn key_revoke(&self, id: ApiKeyId) -> Result<ApiKey, StepError> {
        let mut transaction = self.store.begin().await?;
        let before = api_keys::lock(&mut transaction, id).await?.ok_or_else(|| StepError::no("key"))?;
        if before.revoked_at.is_some() {
            return Ok(before);
        }
        let key = api_keys::revoke(&mut transaction, id).await?;
        let change = Change::between(Some(&shown(&before)), Some(&shown(&key)));
        self.note(&mut transaction, "apiKeyRevoke", of_key(&key), change).await?;
        commit(transaction).await?;
        Ok(key)
    }

    /// The same operations for another actor.
    #[must_use]
    pub fn acting_for(&self, actor: Arc<Actor>) -> Self {
        Self { actor, ..self.clone() }
    }

    /// Adds the entry of a change to its transaction.
    pub(super) async fn note(
        &self,
        transaction: &mut Connection,
        mutation: &str,
        object: Object,
        change: Change,
    ) -> Result<(), StoreError> {
        let entry = Entry::new(self.ids.make(), &self.actor, mutation).on(object).changing(change);
        store::audit::insert(transaction, &[entry]).await
    }

    /// Returns the key with this hash, or `None` if there is none. Records the use of a valid key,
    /// at most once a minute.
    pub async fn key(&self, hash: &[u8; 32]) -> Result<Option<CredentialStatus<ApiKey>>, StoreError> {
        let mut connection = self.store.connection().await?;
        let found = api_keys::find(&mut connection, hash, TOUCH_AFTER_SECS).await?;
        if let Some(CredentialStatus::Valid { of, is_due: true }) = &found {
            api_keys::touch(&mut connection, of.id, TOUCH_AFTER_SECS).await?;
        }
        Ok(found)
    }
}

fn of_key(key: &ApiKey) -> Object {
    Object::new("key", &key.id, Some(&key.name))
}

/// What the audit shows of a key.
fn shown(key: &ApiKey) -> Value {
    json!({
        "name": key.name,
        "role": value_of(key.role.as_str()),
        "expiresAt": key.expires_at,
        "revokedAt": key.revoked_at,
    })
}

/// Says which key has a name. The audit names who acts by it, so it must be told from all others.
fn taken_by(known: &str, name: &str) -> String {
    if known == name {
        return NAME_TAKEN.to_owned();
    }
    format!(
        "is, but for case, blanks or the style of its characters, that of the key `{known}`, which is not revoked. \
         Revoke that key, or take a name that cannot be mistaken for it"
    )
}

fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("api_keys_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some(_) | None => error.into(),
    }
}
