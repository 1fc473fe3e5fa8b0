//! API keys: their hashes, never the keys themselves.
//!
//! The database decides whether a key is valid, by its own clock.

use std::collections::HashSet;

use clap::ValueEnum;
use uuid::Uuid;

use super::table::catalogue_table;
use crate::{
    clock::Time,
    ids::ApiKeyId,
    store::{Connection, StoreError, columns::storable},
};

/// The role of a key, which says what its owner may do. A later one includes the rights of those
/// before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and enqueues, cancels and retries jobs.
    Operator,
    /// Everything, including secrets and keys.
    Admin,
}

impl Role {
    /// All roles.
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

/// A key, valid or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApiKey {
    /// Its id.
    pub id: ApiKeyId,
    /// A description for people. No two keys that are not revoked have the same.
    pub name: String,
    /// Its role.
    pub role: Role,
    /// When it was created.
    pub created_at: Time,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Time>,
    /// When it expires, if ever.
    pub expires_at: Option<Time>,
    /// When it was revoked, if it was.
    pub revoked_at: Option<Time>,
}

struct Row {
    id: Uuid,
    name: String,
    role: String,
    created_at: Time,
    last_used_at: Option<Time>,
    expires_at: Option<Time>,
    revoked_at: Option<Time>,
}

impl TryFrom<Row> for ApiKey {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let role =
            Role::parse(&row.role).ok_or_else(|| StoreError::corrupt("api_keys", "role", &row.role))?;
        let Row { id, name, created_at, last_used_at, expires_at, revoked_at, .. } = row;
        Ok(Self { id: id.into(), name, role, created_at, last_used_at, expires_at, revoked_at })
    }
}

/// A statement that returns keys. Its parts are what comes before the columns and after them.
macro_rules! key_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            Row,
            $($before +)+ " id, name, role, created_at, last_used_at, expires_at, revoked_at " $(+ $after)*
            $(, $argument)*
        )
    };
}

catalogue_table!(key_rows, "api_keys", ApiKeyId => ApiKey:
    load,
    load_by_name,
    page,
    lock,
);

/// What a hash is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CredentialStatus<T> {
    /// It gives access, and its use should be recorded if `is_due`.
    Valid {
        /// What it belongs to.
        of: T,
        /// Whether its last use was stored long enough ago to be stored again.
        is_due: bool,
    },
    /// Its key was revoked.
    Revoked(T),
    /// It or its key has expired.
    Expired(T),
}

/// The key with this hash. Its use is due if its last one was stored more than `touch_after_secs`
/// ago. `None` if there is no such key.
#[tracing::instrument(name = "db.api_keys.find", level = "debug", skip_all)]
pub async fn find(
    connection: &mut Connection,
    hash: &[u8; 32],
    touch_after_secs: f64,
) -> Result<Option<CredentialStatus<ApiKey>>, StoreError> {
    let row = sqlx::query!(
        r#"SELECT id, name, role, created_at, last_used_at, expires_at, revoked_at,
               coalesce(last_used_at < clock_timestamp() - make_interval(secs => $2), true) AS "is_due!",
               coalesce(expires_at <= clock_timestamp(), false) AS "is_expired!"
           FROM api_keys WHERE hash = $1"#,
        hash.as_slice(),
        touch_after_secs
    )
    .fetch_optional(connection)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (is_due, is_expired) = (row.is_due, row.is_expired);
    let key = ApiKey::try_from(Row {
        id: row.id,
        name: row.name,
        role: row.role,
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        expires_at: row.expires_at,
        revoked_at: row.revoked_at,
    })?;
    Ok(Some(match key {
        key if key.revoked_at.is_some() => CredentialStatus::Revoked(key),
        key if is_expired => CredentialStatus::Expired(key),
        key => CredentialStatus::Valid { of: key, is_due },
    }))
}

/// Of these hashes, those of keys that are valid now.
#[tracing::instrument(name = "db.api_keys.valid", level = "debug", skip_all)]
pub async fn valid(
    connection: &mut Connection,
    hashes: &[[u8; 32]],
) -> Result<HashSet<[u8; 32]>, StoreError> {
    let hashes: Vec<Vec<u8>> = hashes.iter().map(|hash| hash.to_vec()).collect();
    let found = sqlx::query_scalar!(
        "SELECT hash FROM api_keys WHERE hash = ANY($1) AND revoked_at IS NULL
             AND (expires_at IS NULL OR expires_at > clock_timestamp())",
        &hashes
    );
    Ok(found.fetch_all(connection).await?.into_iter().filter_map(|hash| hash.try_into().ok()).collect())
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

/// A key to store.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields of ApiKey, where they are described")]
pub struct NewApiKey<'a> {
    pub id: ApiKeyId,
    pub name: &'a str,
    pub role: Role,
    pub hash: &'a [u8; 32],
    pub expires_at: Option<Time>,
}

/// Inserts a key. The constraint `api_keys_name_key` refuses a name that is in use.
#[tracing::instrument(name = "db.api_keys.insert", level = "debug", skip_all)]
pub async fn insert(connection: &mut Connection, new: &NewApiKey<'_>) -> Result<ApiKey, StoreError> {
    let NewApiKey { id, name, role, hash, expires_at } = *new;
    key_rows!(
        ["INSERT INTO api_keys (id, name, role, hash, expires_at, created_at)
              VALUES ($1, $2, $3, $4, $5, clock_timestamp()) RETURNING"],
        [],
        id.uuid(),
        storable(name),
        role.as_str(),
        hash.as_slice(),
        expires_at
    )
    .fetch_one(connection)
    .await?
    .try_into()
}

/// Revokes a key. One that is revoked already stays as it is.
#[tracing::instrument(name = "db.api_keys.revoke", level = "debug", skip_all)]
pub async fn revoke(connection: &mut Connection, id: ApiKeyId) -> Result<ApiKey, StoreError> {
    key_rows!(
        ["UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE id = $1 RETURNING"],
        [],
        id.uuid()
    )
    .fetch_one(connection)
    .await?
    .try_into()
}

/// The names of the keys that are not revoked, at most a thousand. No other key is created until
/// the transaction ends.
#[tracing::instrument(name = "db.api_keys.lock_names", level = "debug", skip_all)]
pub async fn lock_names(connection: &mut Connection) -> Result<Vec<String>, StoreError> {
    sqlx::query!("SELECT pg_advisory_xact_lock(hashtextextended('api_keys', 0))")
        .execute(&mut *connection)
        .await?;
    let names = sqlx::query_scalar!("SELECT name FROM api_keys WHERE revoked_at IS NULL ORDER BY name");
    Ok(names.fetch_all(connection).await?)
}

/// How many keys are not revoked, and whether one of them is a valid ADMIN key.
#[tracing::instrument(name = "db.api_keys.count", level = "debug", skip_all)]
pub async fn count(connection: &mut Connection) -> Result<(i64, bool), StoreError> {
    let row = sqlx::query!(
        r#"SELECT count(*) AS "keys!", coalesce(bool_or(role = 'admin'
               AND (expires_at IS NULL OR expires_at > clock_timestamp())), false) AS "has_admin!"
           FROM api_keys WHERE revoked_at IS NULL"#
    )
    .fetch_one(connection)
    .await?;
    Ok((row.keys, row.has_admin))
}
