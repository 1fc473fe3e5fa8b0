//! Proxies, with their sealed credentials and their health.

use serde_json::Value;
use uuid::Uuid;

use super::table::catalogue_table;
use crate::{
    clock::Time,
    ids::ProxyId,
    limit::Limits,
    proxy::{HealthStatus, Proxy, ProxyHealth, ProxyProtocol},
    store::{
        Connection, StoreError,
        columns::{optional_storable, storable},
        limits_of, to_json,
    },
};

/// What an admin sets of a proxy, apart from its protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct ProxyDraft {
    /// Unique among proxies.
    pub name: String,
    /// `host:port`.
    pub address: String,
    /// Its sealed credentials.
    pub credentials: SealedCredentials,
    /// Its limits.
    pub limits: Limits,
}

/// The user name and password of a proxy, each sealed for the proxy.
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

/// A statement that returns proxies. Its parts are what comes before the columns and after them.
macro_rules! proxy_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ProxyRow,
            $($before +)+ r#" id, name, protocol, address,
                    (username_sealed IS NOT NULL OR password_sealed IS NOT NULL) AS "has_credentials!",
                    health, latency_ms, exit_address, checked_at, check_failure,
                    max_concurrency, rate_limits, version, created_at, updated_at "#
                $(+ $after)*
            $(, $argument)*
        )
    };
}

catalogue_table!(proxy_rows, "proxies", ProxyId => Proxy:
    load,
    load_by_name,
    page,
    lock,
    keep,
    name_is_taken,
    /// A constraint refuses it while a profile, a command or a live job uses the proxy.
    delete,
);

/// The sealed credentials of a proxy that the caller has locked.
#[tracing::instrument(name = "db.proxies.credentials", level = "debug", skip_all)]
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

/// Inserts a proxy. Its health is unknown.
#[tracing::instrument(name = "db.proxies.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: ProxyId,
    protocol: ProxyProtocol,
    draft: &ProxyDraft,
) -> Result<Proxy, StoreError> {
    let row = proxy_rows!(
        ["INSERT INTO proxies (id, name, protocol, address, username_sealed, password_sealed, max_concurrency,
             rate_limits)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8::text::jsonb) RETURNING"],
        [],
        id.uuid(),
        storable(&draft.name),
        protocol.as_str(),
        storable(&draft.address),
        draft.credentials.username,
        draft.credentials.password,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
    )
    .fetch_one(connection)
    .await?;
    row.try_into()
}

/// Updates a proxy and raises its version. `is_moved` resets its health, because it leads elsewhere
/// now.
#[tracing::instrument(name = "db.proxies.update", level = "debug", skip_all)]
pub async fn update(
    connection: &mut Connection,
    id: ProxyId,
    draft: &ProxyDraft,
    is_moved: bool,
) -> Result<Proxy, StoreError> {
    let row = proxy_rows!(
        ["UPDATE proxies SET name = $2, address = $3, username_sealed = $4, password_sealed = $5,
             max_concurrency = $6, rate_limits = $7::text::jsonb, health = CASE WHEN $8 THEN 'unknown' ELSE health END,
             latency_ms = CASE WHEN NOT $8 THEN latency_ms END,
             exit_address = CASE WHEN NOT $8 THEN exit_address END,
             checked_at = CASE WHEN NOT $8 THEN checked_at END,
             check_failure = CASE WHEN NOT $8 THEN check_failure END,
             version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1 RETURNING"],
        [],
        id.uuid(),
        storable(&draft.name),
        storable(&draft.address),
        draft.credentials.username,
        draft.credentials.password,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
        is_moved,
    )
    .fetch_one(connection)
    .await?;
    row.try_into()
}

/// Stores the result of a check of this version, at the database's time. Returns `None` if the
/// proxy has another version by now. Does not change the version or the time of update, because no
/// admin made the change.
#[tracing::instrument(name = "db.proxies.set_health", level = "debug", skip_all)]
pub async fn set_health(
    connection: &mut Connection,
    id: ProxyId,
    version: i32,
    health: &ProxyHealth,
) -> Result<Option<Proxy>, StoreError> {
    let row = proxy_rows!(
        ["UPDATE proxies SET health = $3, latency_ms = $4, exit_address = $5, check_failure = $6,
             checked_at = clock_timestamp()
         WHERE id = $1 AND version = $2 RETURNING"],
        [],
        id.uuid(),
        version,
        health.status.as_str(),
        health.latency_ms,
        optional_storable(health.exit_address.as_deref()),
        optional_storable(health.failure.as_deref()),
    )
    .fetch_optional(connection)
    .await?;
    row.map(Proxy::try_from).transpose()
}
