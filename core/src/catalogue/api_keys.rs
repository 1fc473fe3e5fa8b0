//! `key_create`, `key_revoke`, and how a key is recognised.
//!
//! They need only the database, so that keys can be made before anything else is configured.

use secrecy::{ExposeSecret as _, SecretString};

use super::checks::Checks;
use crate::{
    api_key::{self, TextKind},
    clock::{IdSource, Time},
    ids::ApiKeyId,
    name::check_name,
    refusal::RefusalCode,
    steps::StepError,
    store::{
        Store, StoreError,
        catalogue::api_keys::{self, ApiKey, NewApiKey, Role, Standing},
        commit,
        queues::backlog,
    },
};

/// Maximum number of keys that are not revoked.
pub const KEYS_MAX: i64 = 1000;
/// How often the last use of a key or session is written at most, in seconds.
pub(super) const TOUCH_AFTER_SECS: f64 = 60.0;

const NAME_TAKEN: &str = "another key that is not revoked has this name";

/// The operations of API keys and sessions.
#[derive(Debug, Clone)]
pub struct Keys {
    /// The database.
    pub store: Store,
    /// Makes ids.
    pub ids: IdSource,
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
        let mut transaction = self.store.begin().await?;
        if let Some(end) = input.expires_at
            && end <= backlog::clock(&mut transaction).await?
        {
            checks.invalid(&["expiresAt"], "must be in the future");
        }
        let (count, _) = api_keys::count(&mut transaction).await?;
        if count >= KEYS_MAX {
            let message = format!("at most {KEYS_MAX} keys may exist (revoke those that are not needed)");
            checks.refuse(RefusalCode::TooMany, &[], message);
        }
        checks.passed()?;
        let text = TextKind::Key.draw();
        let (id, hash) = (self.ids.make(), api_key::hash(text.expose_secret()));
        let new = NewApiKey { id, name: &name, role: input.role, hash: &hash, expires_at: input.expires_at };
        let key = api_keys::insert(&mut transaction, &new).await.map_err(taken)?;
        commit(transaction).await?;
        Ok((key, text))
    }

    /// Revokes a key. One that is revoked already stays as it is. Sessions that were opened with it
    /// end.
    pub async fn key_revoke(&self, id: ApiKeyId) -> Result<ApiKey, StepError> {
        let mut transaction = self.store.begin().await?;
        api_keys::lock(&mut transaction, id).await?.ok_or_else(|| StepError::no("key"))?;
        let key = api_keys::revoke(&mut transaction, id).await?;
        commit(transaction).await?;
        Ok(key)
    }

    /// Returns the key with this hash, or `None` if there is none. Records the use of a valid key,
    /// at most once a minute.
    pub async fn key(&self, hash: &[u8; 32]) -> Result<Option<Standing<ApiKey>>, StoreError> {
        let mut connection = self.store.connection().await?;
        let found = api_keys::find(&mut connection, hash, TOUCH_AFTER_SECS).await?;
        if let Some(Standing::Valid { of, is_due: true }) = &found {
            api_keys::touch(&mut connection, of.id, TOUCH_AFTER_SECS).await?;
        }
        Ok(found)
    }
}

fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("api_keys_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some(_) | None => error.into(),
    }
}
