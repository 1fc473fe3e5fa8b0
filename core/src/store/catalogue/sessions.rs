//! Sessions: hashes of cookies, each with the key that it was opened with.
//!
//! The database decides whether a session is valid, by its own clock.

use std::collections::HashSet;

use uuid::Uuid;

use super::api_keys::{CredentialStatus, Role};
use crate::{
    audit::CONFIGURED_KEY,
    clock::Time,
    ids::{ApiKeyId, SessionId},
    store::{Connection, StoreError},
};

/// A session that ends with its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// What it was opened with.
    pub key: SessionKey,
    /// When it or its key expires, whichever is first.
    pub expires_at: Time,
}

/// What a session was opened with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SessionKey {
    /// A key of the catalogue, its name and its role.
    Key(ApiKeyId, String, Role),
    /// The configured key with this hash.
    Configured([u8; 32]),
}

impl SessionKey {
    /// The key's name.
    pub fn name(&self) -> &str {
        match self {
            Self::Key(_, name, _) => name,
            Self::Configured(_) => CONFIGURED_KEY,
        }
    }
}

/// The key that a session is opened for.
#[derive(Debug, Clone, Copy)]
pub enum KeyRef {
    /// A key of the catalogue.
    Stored(ApiKeyId),
    /// The configured key with this hash.
    Configured([u8; 32]),
}

impl KeyRef {
    /// The columns `key_id` and `configured_hash`.
    fn columns(&self) -> (Option<Uuid>, Option<&[u8]>) {
        match self {
            Self::Stored(id) => (Some(id.uuid()), None),
            Self::Configured(hash) => (None, Some(hash)),
        }
    }
}

/// A session to store.
#[derive(Debug)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: SessionId,
    /// Hash of its cookie.
    pub hash: &'a [u8; 32],
    /// Its key.
    pub key: KeyRef,
    /// Its longest life, in seconds.
    pub life_secs: f64,
}

struct Row {
    id: Uuid,
    key_id: Option<Uuid>,
    name: Option<String>,
    role: Option<String>,
    configured_hash: Option<Vec<u8>>,
    expires_at: Time,
}

impl TryFrom<Row> for Session {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let key = match (row.key_id, row.name, row.role, row.configured_hash) {
            (Some(id), Some(name), Some(role), None) => {
                let role =
                    Role::parse(&role).ok_or_else(|| StoreError::corrupt("api_keys", "role", &role))?;
                SessionKey::Key(id.into(), name, role)
            }
            (None, _, _, Some(hash)) => SessionKey::Configured(
                hash.try_into().map_err(|_| StoreError::corrupt("sessions", "configured_hash", &"bytes"))?,
            ),
            _ => return Err(StoreError::corrupt("sessions", "key_id", &row.id)),
        };
        Ok(Self { id: row.id.into(), key, expires_at: row.expires_at })
    }
}

/// The session whose cookie has this hash. It has expired when it was not used for `idle_secs`. Its
/// use is due if its last one was stored more than `touch_after_secs` ago. `None` if there is none.
#[tracing::instrument(name = "db.sessions.find", level = "debug", skip_all)]
pub async fn find(
    connection: &mut Connection,
    hash: &[u8; 32],
    idle_secs: f64,
    touch_after_secs: f64,
) -> Result<Option<CredentialStatus<Session>>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT sessions.id, key_id, api_keys.name AS "name?", api_keys.role AS "role?", configured_hash,
               least(sessions.expires_at, api_keys.expires_at) AS "expires_at!",
               least(sessions.expires_at, api_keys.expires_at,
                   sessions.last_used_at + make_interval(secs => $2)) <= clock_timestamp() AS "is_expired!",
               api_keys.revoked_at IS NOT NULL AS "is_revoked!",
               sessions.last_used_at < clock_timestamp() - make_interval(secs => $3) AS "is_due!"
           FROM sessions LEFT JOIN api_keys ON api_keys.id = key_id
           WHERE sessions.hash = $1"#,
        hash.as_slice(),
        idle_secs,
        touch_after_secs
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (is_revoked, is_expired, is_due) = (row.is_revoked, row.is_expired, row.is_due);
    let session = Session::try_from(Row {
        id: row.id,
        key_id: row.key_id,
        name: row.name,
        role: row.role,
        configured_hash: row.configured_hash,
        expires_at: row.expires_at,
    })?;
    Ok(Some(if is_revoked {
        CredentialStatus::Revoked(session)
    } else if is_expired {
        CredentialStatus::Expired(session)
    } else {
        CredentialStatus::Valid { of: session, is_due }
    }))
}

/// Of these hashes, those of sessions that are valid now.
#[tracing::instrument(name = "db.sessions.valid", level = "debug", skip_all)]
pub async fn valid(
    connection: &mut Connection,
    hashes: &[[u8; 32]],
    idle_secs: f64,
) -> Result<HashSet<[u8; 32]>, StoreError> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let found = sqlx::query_scalar!(
        r#"SELECT sessions.hash AS "hash!" FROM sessions LEFT JOIN api_keys ON api_keys.id = key_id
         WHERE sessions.hash = ANY($1) AND api_keys.revoked_at IS NULL
             AND least(sessions.expires_at, api_keys.expires_at,
                 sessions.last_used_at + make_interval(secs => $2)) > clock_timestamp()"#,
        &hashes,
        idle_secs
    );
    Ok(found.fetch_all(connection).await?.into_iter().filter_map(|hash| hash.try_into().ok()).collect())
}

/// Stores that a session was used now, and its key with it, unless the last use was stored less
/// than `touch_after_secs` ago.
#[tracing::instrument(name = "db.sessions.touch", level = "debug", skip_all)]
pub async fn touch(
    connection: &mut Connection,
    id: SessionId,
    touch_after_secs: f64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "WITH used AS (
             UPDATE sessions SET last_used_at = clock_timestamp()
             WHERE id = $1 AND last_used_at < clock_timestamp() - make_interval(secs => $2) RETURNING key_id
         )
         UPDATE api_keys SET last_used_at = clock_timestamp() FROM used
         WHERE api_keys.id = used.key_id
             AND coalesce(api_keys.last_used_at < clock_timestamp() - make_interval(secs => $2), true)",
        id.uuid(),
        touch_after_secs
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts a session. Returns when it expires.
#[tracing::instrument(name = "db.sessions.insert", level = "debug", skip_all)]
pub async fn insert(connection: &mut Connection, new: &NewSession<'_>) -> Result<Time, StoreError> {
    let (key, configured) = new.key.columns();
    let expires_at = sqlx::query_scalar!(
        r#"INSERT INTO sessions (id, hash, key_id, configured_hash, expires_at)
           VALUES ($1, $2, $3, $4, clock_timestamp() + make_interval(secs => $5)) RETURNING expires_at"#,
        new.id.uuid(),
        new.hash.as_slice(),
        key,
        configured,
        new.life_secs
    );
    Ok(expires_at.fetch_one(connection).await?)
}

/// Deletes a session. Returns whether it existed.
#[tracing::instrument(name = "db.sessions.delete", level = "debug", skip_all)]
pub async fn delete(connection: &mut Connection, id: SessionId) -> Result<bool, StoreError> {
    let done = sqlx::query!("DELETE FROM sessions WHERE id = $1", id.uuid()).execute(connection).await?;
    Ok(done.rows_affected() > 0)
}

/// Deletes sessions that have expired, at most `limit`.
#[tracing::instrument(name = "db.sessions.delete_expired", level = "debug", skip_all)]
pub async fn delete_expired(connection: &mut Connection, limit: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE expires_at < clock_timestamp()
             ORDER BY expires_at LIMIT $1 FOR UPDATE SKIP LOCKED)",
        limit
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Deletes the oldest sessions of a key, all but `keep`. Returns the ids of the deleted ones.
#[tracing::instrument(name = "db.sessions.delete_oldest", level = "debug", skip_all)]
pub async fn delete_oldest(
    connection: &mut Connection,
    key: KeyRef,
    keep: i64,
) -> Result<Vec<SessionId>, StoreError> {
    let (key, configured) = key.columns();
    let deleted = sqlx::query_scalar!(
        "DELETE FROM sessions WHERE id IN (
             SELECT id FROM sessions WHERE key_id = $1 OR configured_hash = $2
             ORDER BY created_at DESC, id DESC OFFSET $3) RETURNING id",
        key,
        configured,
        keep
    );
    Ok(deleted.fetch_all(connection).await?.into_iter().map(SessionId::from).collect())
}
