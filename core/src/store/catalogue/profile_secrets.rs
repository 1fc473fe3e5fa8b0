//! The secrets of profiles.
//!
//! Sealed values go in here. They leave the store only through `ingredients`.

use std::collections::HashMap;

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::ProfileId,
    store::{Connection, StoreError, columns::query_rows},
};

/// What may be shown of a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretState {
    /// Its name.
    pub name: String,
    /// Its last four characters, if it is long enough to show them.
    pub hint: Option<String>,
    /// When its value was set.
    pub updated_at: Time,
    /// When it expires, if an admin said so.
    pub expires_at: Option<Time>,
}

/// A secret to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// Its name.
    pub name: String,
    /// Its value, sealed for its owner and name.
    pub sealed: Vec<u8>,
    /// Its last four characters, if it is long enough to show them.
    pub hint: Option<String>,
    /// When it expires, if an admin said so.
    pub expires_at: Option<Time>,
}

/// What may be shown of the secrets of profiles, in order of name.
#[tracing::instrument(name = "db.profile_secrets.states", level = "debug", skip_all)]
pub async fn states(
    connection: &mut Connection,
    profiles: &[ProfileId],
) -> Result<HashMap<ProfileId, Vec<SecretState>>, StoreError> {
    let ids: Vec<Uuid> = profiles.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        "SELECT profile_id, name, hint, updated_at, expires_at FROM profile_secrets
         WHERE profile_id = ANY($1) ORDER BY profile_id, name",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut states: HashMap<ProfileId, Vec<SecretState>> = HashMap::new();
    for row in rows {
        let state = SecretState {
            name: row.name,
            hint: row.hint,
            updated_at: row.updated_at,
            expires_at: row.expires_at,
        };
        states.entry(row.profile_id.into()).or_default().push(state);
    }
    Ok(states)
}

/// Sets secrets of a profile. Its other secrets stay.
#[tracing::instrument(name = "db.profile_secrets.set", level = "debug", skip_all)]
pub async fn set(
    connection: &mut Connection,
    profile: ProfileId,
    secrets: &[SealedSecret],
) -> Result<(), StoreError> {
    query_rows!(
        query for secret in secrets,
        "INSERT INTO profile_secrets (profile_id, name, sealed, hint, updated_at, expires_at)
         SELECT $2, new.name, new.sealed, new.hint, clock_timestamp(), new.expires_at
         FROM",
        "new" {
            "name": "text[]" as &str = &secret.name;
            "sealed": "bytea[]" as &[u8] = &secret.sealed;
            "hint": "text[]" as Option<&str> = secret.hint.as_deref();
            "expires_at": "timestamptz[]" as Option<Time> = secret.expires_at;
        },
        "ON CONFLICT (profile_id, name) DO UPDATE
         SET sealed = excluded.sealed, hint = excluded.hint, updated_at = excluded.updated_at,
             expires_at = excluded.expires_at",
        profile.uuid(),
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes secrets of a profile.
#[tracing::instrument(name = "db.profile_secrets.remove", level = "debug", skip_all)]
pub async fn remove(
    connection: &mut Connection,
    profile: ProfileId,
    names: &[String],
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM profile_secrets WHERE profile_id = $1 AND name = ANY($2)",
        profile.uuid(),
        names
    )
    .execute(connection)
    .await?;
    Ok(())
}
