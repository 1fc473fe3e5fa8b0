//! API keys: their hashes, never the keys themselves.
//!
//! The database decides whether a key is valid, by its own clock.

use uuid::Uuid;

use crate::{
    clock::Time,
    ids::ApiKeyId,
    store::{Connection, StoreError, columns::storable},
};

/// The role of a key, which says what its owner may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// May read.
    Viewer,
    /// May also enqueue, cancel and retry.
    Operator,
    /// May do everything, including secrets and keys.
    Admin,
}

impl Role {
    /// All roles. Each allows everything that the previous one allows, and more.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Admin];

    /// The name in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// Reads the name in the database.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|each| each.as_str() == text)
    }
}

/// A key that is valid now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyOwner {
    /// Its id.
    pub id: ApiKeyId,
    /// A description for operators.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it expires, if ever.
    pub expires_at: Option<Time>,
}

/// The key with this hash, and whether its last use was stored more than `touch_after_secs` ago and
/// should be stored again. `None` if the key is unknown, expired or revoked.
#[tracing::instrument(name = "db.api_keys.owner", level = "debug", skip_all)]
pub async fn owner(
    connection: &mut Connection,
    hash: &[u8; 32],
    touch_after_secs: f64,
) -> Result<Option<(KeyOwner, bool)>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT id, name, role, expires_at,
               coalesce(last_used_at < clock_timestamp() - make_interval(secs => $2), true) AS "is_due!"
           FROM api_keys
           WHERE hash = $1 AND revoked_at IS NULL
               AND (expires_at IS NULL OR expires_at > clock_timestamp())"#,
        hash.as_slice(),
        touch_after_secs
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let role = Role::parse(&row.role).ok_or_else(|| StoreError::corrupt("api_keys", "role", &row.role))?;
    let owner = KeyOwner { id: row.id.into(), name: row.name, role, expires_at: row.expires_at };
    Ok(Some((owner, row.is_due)))
}

/// Stores that a key was used now, unless its last use was stored less than `touch_after_secs` ago.
#[tracing::instrument(name = "db.api_keys.touch", level = "debug", skip_all)]
pub async fn touch(
    connection: &mut Connection,
    id: ApiKeyId,
    touch_after_secs: f64,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE api_keys SET last_used_at = clock_timestamp()
         WHERE id = $1
             AND coalesce(last_used_at < clock_timestamp() - make_interval(secs => $2), true)",
        id.uuid(),
        touch_after_secs
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Inserts a key unless one with this hash exists. Returns the id of the stored key.
#[tracing::instrument(name = "db.api_keys.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: ApiKeyId,
    name: &str,
    role: Role,
    hash: &[u8; 32],
) -> Result<ApiKeyId, StoreError> {
    sqlx::query!(
        "INSERT INTO api_keys (id, name, role, hash) VALUES ($1, $2, $3, $4) ON CONFLICT (hash) DO NOTHING",
        id.uuid(),
        storable(name),
        role.as_str(),
        hash.as_slice()
    )
    .execute(&mut *connection)
    .await?;
    let id: Uuid = sqlx::query_scalar!("SELECT id FROM api_keys WHERE hash = $1", hash.as_slice())
        .fetch_one(connection)
        .await?;
    Ok(id.into())
}
