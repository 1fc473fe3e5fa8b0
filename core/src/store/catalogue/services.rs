//! Services.
//!
//! Sealed tokens go in here. They leave the store only through `ingredients`.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{
    profile_secrets::{SealedSecret, SecretState},
    table::catalogue_table,
};
use crate::{
    clock::Time,
    ids::ServiceId,
    limit::Limits,
    service::{BaseUrl, Service, TokenHost},
    store::{
        Connection, StoreError,
        columns::{optional_storable, storable},
        limits_of, to_json,
    },
};

/// What an admin sets of a service. [`Service`] describes the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Service, where they are described")]
pub struct ServiceDraft {
    pub name: String,
    pub base_url: Option<BaseUrl>,
    pub token_hosts: Vec<TokenHost>,
    pub settings: Value,
    pub limits: Limits,
}

impl From<Service> for ServiceDraft {
    fn from(service: Service) -> Self {
        Self {
            name: service.name,
            base_url: service.base_url,
            token_hosts: service.token_hosts,
            settings: service.settings,
            limits: service.limits,
        }
    }
}

pub(super) struct ServiceRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) base_url: Option<String>,
    pub(super) token_hosts: Vec<String>,
    pub(super) settings: Value,
    pub(super) max_concurrency: Option<i32>,
    pub(super) rate_limits: Value,
    pub(super) caps: Value,
    pub(super) version: i32,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

impl TryFrom<ServiceRow> for Service {
    type Error = StoreError;

    fn try_from(row: ServiceRow) -> Result<Self, StoreError> {
        let parse = |text: String| {
            BaseUrl::parse(&text).map_err(|_| StoreError::corrupt("services", "base_url", &text))
        };
        let host = |text: String| {
            TokenHost::parse(&text).ok_or_else(|| StoreError::corrupt("services", "token_hosts", &text))
        };
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            base_url: row.base_url.map(parse).transpose()?,
            token_hosts: row.token_hosts.into_iter().map(host).collect::<Result<_, _>>()?,
            settings: row.settings,
            limits: limits_of("services", row.max_concurrency, row.rate_limits, Some(row.caps))?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that returns services. Its parts are what comes before the columns and after them.
macro_rules! service_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ServiceRow,
            $($before +)+ " id, name, base_url, token_hosts, settings, max_concurrency, rate_limits, caps, version,
                created_at, updated_at " $(+ $after)*
            $(, $argument)*
        )
    };
}

catalogue_table!(service_rows, "services", ServiceId => Service:
    load,
    load_by_name,
    page,
    lock,
    keep,
    name_is_taken,
    /// A constraint refuses it while a profile, a command or a live job uses the service.
    delete,
);

/// What may be shown of the tokens of services. Services without a token are left out.
#[tracing::instrument(name = "db.services.tokens", level = "debug", skip_all)]
pub async fn tokens(
    connection: &mut Connection,
    ids: &[ServiceId],
) -> Result<HashMap<ServiceId, SecretState>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        r#"SELECT id, token_hint, token_updated_at AS "updated_at!", token_expires_at FROM services
           WHERE id = ANY($1) AND token_sealed IS NOT NULL"#,
        &ids
    )
    .fetch_all(connection)
    .await?;
    let state =
        |hint, updated_at, expires_at| SecretState { name: "token".to_owned(), hint, updated_at, expires_at };
    let entry = rows
        .into_iter()
        .map(|row| (ServiceId::from(row.id), state(row.token_hint, row.updated_at, row.token_expires_at)));
    Ok(entry.collect())
}

/// A statement that writes a draft. `$1` is the id, and `$2` to `$8` are the fields of the draft in
/// order.
macro_rules! write_service {
    ($statement:literal, $id:expr, $draft:expr) => {
        service_rows!(
            [$statement],
            [],
            $id.uuid(),
            storable(&$draft.name),
            optional_storable($draft.base_url.as_deref()),
            to_json("settings", &$draft.settings)?,
            $draft.limits.max_concurrency.map(u32::cast_signed),
            to_json("rate_limits", &$draft.limits.rate_limits)?,
            to_json("caps", &$draft.limits.caps)?,
            &$draft.token_hosts.iter().map(TokenHost::to_string).collect::<Vec<_>>(),
        )
    };
}

/// Inserts a service without a token.
#[tracing::instrument(name = "db.services.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: ServiceId,
    draft: &ServiceDraft,
) -> Result<Service, StoreError> {
    let row = write_service!(
        "INSERT INTO services (id, name, base_url, settings, max_concurrency, rate_limits, caps, token_hosts)
         VALUES ($1, $2, $3, $4::text::jsonb, $5, $6::text::jsonb, $7::text::jsonb, $8) RETURNING",
        id,
        draft
    );
    row.fetch_one(connection).await?.try_into()
}

/// Updates a service, except its token, and raises its version.
#[tracing::instrument(name = "db.services.update", level = "debug", skip_all)]
pub async fn update(
    connection: &mut Connection,
    id: ServiceId,
    draft: &ServiceDraft,
) -> Result<Service, StoreError> {
    let row = write_service!(
        "UPDATE services SET name = $2, base_url = $3, settings = $4::text::jsonb, max_concurrency = $5,
             rate_limits = $6::text::jsonb, caps = $7::text::jsonb, token_hosts = $8, version = version + 1,
             updated_at = clock_timestamp()
         WHERE id = $1 RETURNING",
        id,
        draft
    );
    row.fetch_one(connection).await?.try_into()
}

/// Sets the token. Does not raise the version.
#[tracing::instrument(name = "db.services.set_token", level = "debug", skip_all)]
pub async fn set_token(
    connection: &mut Connection,
    id: ServiceId,
    token: &SealedSecret,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE services SET token_sealed = $2, token_hint = $3, token_expires_at = $4,
             token_updated_at = clock_timestamp()
         WHERE id = $1",
        id.uuid(),
        token.sealed,
        optional_storable(token.hint.as_deref()),
        token.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}
