//! Proxies: reading them in batches and pages, and the statements of the verbs that change them.
//!
//! The API reads, `catalogue::proxies` writes. Decides nothing; sealed credentials go in and leave the store
//! through `ingredients` alone.

use serde_json::Value;
use uuid::Uuid;

use super::name_pages::{Counts, NamePage, NamePageRequest};
use crate::{
    clock::Time,
    ids::ProxyId,
    limit::Limits,
    proxy::{HealthStatus, Proxy, ProxyHealth, ProxyProtocol},
    store::{Connection, StoreError, limits_of, to_json},
};

/// What an admin writes of a proxy, its protocol apart. See [`Proxy`] for the fields.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyDraft {
    /// Unique among proxies.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// User name and password.
    pub credentials: SealedCredentials,
    /// How many and how often.
    pub limits: Limits,
}

/// A proxy's user name and password, each sealed for its owner.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SealedCredentials {
    /// The user name.
    pub username: Option<Vec<u8>>,
    /// The password.
    pub password: Option<Vec<u8>>,
}

pub(super) struct ProxyRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) address: String,
    pub(super) has_credentials: bool,
    pub(super) health: String,
    pub(super) latency_ms: Option<i32>,
    pub(super) exit_address: Option<String>,
    pub(super) checked_at: Option<Time>,
    pub(super) check_failure: Option<String>,
    pub(super) max_concurrency: Option<i32>,
    pub(super) rate_limits: Value,
    pub(super) version: i32,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

impl TryFrom<ProxyRow> for Proxy {
    type Error = StoreError;

    fn try_from(row: ProxyRow) -> Result<Self, StoreError> {
        let protocol = ProxyProtocol::parse(&row.protocol)
            .ok_or_else(|| StoreError::corrupt("proxies", "protocol", &row.protocol))?;
        let status = HealthStatus::parse(&row.health)
            .ok_or_else(|| StoreError::corrupt("proxies", "health", &row.health))?;
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            protocol,
            address: row.address,
            has_credentials: row.has_credentials,
            health: ProxyHealth {
                status,
                latency_ms: row.latency_ms,
                exit_address: row.exit_address,
                checked_at: row.checked_at,
                failure: row.check_failure,
            },
            limits: limits_of("proxies", row.max_concurrency, row.rate_limits, None)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that answers whole proxies: what stands before their columns, and what stands behind.
macro_rules! proxy_rows {
    ($before:literal, $behind:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ProxyRow,
            $before
                + r#" id, name, protocol, address,
                    (username_sealed IS NOT NULL OR password_sealed IS NOT NULL) AS "has_credentials!",
                    health, latency_ms, exit_address, checked_at, check_failure,
                    max_concurrency, rate_limits, version, created_at, updated_at "#
                + $behind
            $(, $argument)*
        )
    };
}

/// Those of these proxies that exist, in no particular order.
pub async fn load(connection: &mut Connection, ids: &[ProxyId]) -> Result<Vec<Proxy>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = proxy_rows!("SELECT", "FROM proxies WHERE id = ANY($1)", &ids).fetch_all(connection).await?;
    rows.into_iter().map(Proxy::try_from).collect()
}

/// The proxies that have one of these names.
pub async fn load_by_name(connection: &mut Connection, names: &[String]) -> Result<Vec<Proxy>, StoreError> {
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains('\0')).collect();
    let rows = proxy_rows!("SELECT", "FROM proxies WHERE name = ANY($1)", &names as &[&str])
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Proxy::try_from).collect()
}

/// A page of all proxies, in order of name.
pub async fn page(
    connection: &mut Connection,
    request: &NamePageRequest,
) -> Result<NamePage<Proxy>, StoreError> {
    let Some(bounds) = request.bounds() else { return Ok(NamePage::empty()) };
    let rows = proxy_rows!(
        "WITH matching AS NOT MATERIALIZED (
             SELECT id, name FROM proxies
             WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0)
                 AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid))
                 AND ($4::text IS NULL OR (name, id) < ($4, $5::uuid))
         ), page AS (
             (SELECT id FROM matching WHERE NOT $7::boolean ORDER BY name, id LIMIT $6)
             UNION ALL
             (SELECT id FROM matching WHERE $7 ORDER BY name DESC, id DESC LIMIT $6)
         )
         SELECT",
        "FROM proxies JOIN page USING (id) ORDER BY name, id",
        bounds.search,
        bounds.after_name,
        bounds.after_id,
        bounds.before_name,
        bounds.before_id,
        bounds.limit,
        bounds.is_from_end,
    )
    .fetch_all(&mut *connection)
    .await?;
    let (name, id) = bounds.taken_from();
    let counts = sqlx::query_as!(
        Counts,
        r#"SELECT count(*) AS "total!", count(*) FILTER (WHERE CASE WHEN $4::boolean
               THEN (name, id) >= ($2, $3::uuid) ELSE (name, id) <= ($2, $3) END) AS "beyond!"
           FROM proxies WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0"#,
        bounds.search,
        name,
        id,
        bounds.is_from_end,
    )
    .fetch_one(connection)
    .await?;
    let proxies = rows.into_iter().map(Proxy::try_from).collect::<Result<_, _>>()?;
    Ok(NamePage::of(proxies, &counts, bounds.is_from_end))
}

/// Locks a proxy until the transaction ends; none if it does not exist.
pub async fn lock(connection: &mut Connection, id: ProxyId) -> Result<Option<Proxy>, StoreError> {
    let row = proxy_rows!("SELECT", "FROM proxies WHERE id = $1 FOR UPDATE", id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(Proxy::try_from).transpose()
}

/// The sealed credentials of a proxy that the caller has locked.
pub async fn credentials(connection: &mut Connection, id: ProxyId) -> Result<SealedCredentials, StoreError> {
    let sealed = sqlx::query_as!(
        SealedCredentials,
        "SELECT username_sealed AS username, password_sealed AS password FROM proxies WHERE id = $1",
        id.uuid()
    )
    .fetch_one(connection)
    .await?;
    Ok(sealed)
}

/// Which of these exist; nobody deletes those until the transaction ends.
pub async fn keep(connection: &mut Connection, ids: &[ProxyId]) -> Result<Vec<ProxyId>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let found =
        sqlx::query_scalar!("SELECT id FROM proxies WHERE id = ANY($1) ORDER BY id FOR KEY SHARE", &ids)
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().map(ProxyId::from).collect())
}

/// Whether another proxy than `id` has this name. Advice only: the table's constraint has the last word.
pub async fn name_is_taken(connection: &mut Connection, id: ProxyId, name: &str) -> Result<bool, StoreError> {
    let is_taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM proxies WHERE name = $2 AND id <> $1) AS "is_taken!""#,
        id.uuid(),
        name
    )
    .fetch_one(connection)
    .await?;
    Ok(is_taken)
}

/// Writes a new proxy. Nothing is known of its health.
pub async fn insert(
    connection: &mut Connection,
    id: ProxyId,
    protocol: ProxyProtocol,
    draft: &ProxyDraft,
) -> Result<Proxy, StoreError> {
    let row = proxy_rows!(
        "INSERT INTO proxies (id, name, protocol, address, username_sealed, password_sealed, max_concurrency,
             rate_limits)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb) RETURNING",
        "",
        id.uuid(),
        draft.name,
        protocol.as_str(),
        draft.address,
        draft.credentials.username,
        draft.credentials.password,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
    )
    .fetch_one(connection)
    .await?;
    Proxy::try_from(row)
}

/// Replaces what is stored and raises the version. If it is another way out now, what was known of the proxy's
/// health is known no more.
pub async fn update(
    connection: &mut Connection,
    id: ProxyId,
    draft: &ProxyDraft,
    is_moved: bool,
) -> Result<Proxy, StoreError> {
    let row = proxy_rows!(
        "UPDATE proxies SET name = $2, address = $3, username_sealed = $4, password_sealed = $5,
             max_concurrency = $6, rate_limits = $7::text::jsonb, health = CASE WHEN $8 THEN 'unknown' ELSE health END,
             latency_ms = CASE WHEN NOT $8 THEN latency_ms END,
             exit_address = CASE WHEN NOT $8 THEN exit_address END,
             checked_at = CASE WHEN NOT $8 THEN checked_at END,
             check_failure = CASE WHEN NOT $8 THEN check_failure END,
             version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1 RETURNING",
        "",
        id.uuid(),
        draft.name,
        draft.address,
        draft.credentials.username,
        draft.credentials.password,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
        is_moved,
    )
    .fetch_one(connection)
    .await?;
    Proxy::try_from(row)
}

/// Writes what a check of this version found, at the database's time; none if the proxy is another version by
/// now. The health is no change by an admin: version and time of update stay.
pub async fn set_health(
    connection: &mut Connection,
    id: ProxyId,
    version: i32,
    health: &ProxyHealth,
) -> Result<Option<Proxy>, StoreError> {
    let row = proxy_rows!(
        "UPDATE proxies SET health = $3, latency_ms = $4, exit_address = $5, check_failure = $6,
             checked_at = clock_timestamp()
         WHERE id = $1 AND version = $2 RETURNING",
        "",
        id.uuid(),
        version,
        health.status.as_str(),
        health.latency_ms,
        health.exit_address,
        health.failure,
    )
    .fetch_optional(connection)
    .await?;
    row.map(Proxy::try_from).transpose()
}

/// Removes a proxy. Refused by a constraint while a profile, a command or a live job names it.
pub async fn delete(connection: &mut Connection, id: ProxyId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM proxies WHERE id = $1", id.uuid()).execute(connection).await?;
    Ok(())
}
