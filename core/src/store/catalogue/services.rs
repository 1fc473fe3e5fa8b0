//! Services: reading them in batches and pages, and the statements of the verbs that change them.
//!
//! The API reads, `catalogue::services` writes. Decides nothing; a sealed token goes in and leaves the store
//! through `ingredients` alone.

use std::collections::HashMap;

use serde_json::Value;
use url::Url;
use uuid::Uuid;

use super::{
    name_pages::{Counts, NamePage, NamePageRequest},
    profile_secrets::{SealedSecret, SecretState},
};
use crate::{
    clock::Time,
    ids::ServiceId,
    limit::Limits,
    service::Service,
    store::{Connection, StoreError, limits_of, to_json},
};

/// What an admin writes of a service. See [`Service`] for the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Service, where they are described")]
pub struct ServiceDraft {
    pub name: String,
    pub base_url: Option<Url>,
    pub settings: Value,
    pub limits: Limits,
}

impl From<Service> for ServiceDraft {
    fn from(service: Service) -> Self {
        Self {
            name: service.name,
            base_url: service.base_url,
            settings: service.settings,
            limits: service.limits,
        }
    }
}

pub(super) struct ServiceRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) base_url: Option<String>,
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
        let parse =
            |text: String| Url::parse(&text).map_err(|_| StoreError::corrupt("services", "base_url", &text));
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            base_url: row.base_url.map(parse).transpose()?,
            settings: row.settings,
            limits: limits_of("services", row.max_concurrency, row.rate_limits, Some(row.caps))?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that answers whole services: what stands before their columns, and what stands behind.
macro_rules! service_rows {
    ($before:literal, $behind:literal $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ServiceRow,
            $before + " id, name, base_url, settings, max_concurrency, rate_limits, caps, version, created_at, updated_at " + $behind
            $(, $argument)*
        )
    };
}

/// Those of these services that exist, in no particular order.
pub async fn load(connection: &mut Connection, ids: &[ServiceId]) -> Result<Vec<Service>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let rows =
        service_rows!("SELECT", "FROM services WHERE id = ANY($1)", &ids).fetch_all(connection).await?;
    rows.into_iter().map(Service::try_from).collect()
}

/// The services that have one of these names.
pub async fn load_by_name(connection: &mut Connection, names: &[String]) -> Result<Vec<Service>, StoreError> {
    let names: Vec<&str> = names.iter().map(String::as_str).filter(|name| !name.contains('\0')).collect();
    let rows = service_rows!("SELECT", "FROM services WHERE name = ANY($1)", &names as &[&str])
        .fetch_all(connection)
        .await?;
    rows.into_iter().map(Service::try_from).collect()
}

/// A page of all services, in order of name.
pub async fn page(
    connection: &mut Connection,
    request: &NamePageRequest,
) -> Result<NamePage<Service>, StoreError> {
    let Some(bounds) = request.bounds() else { return Ok(NamePage::empty()) };
    let rows = service_rows!(
        "WITH matching AS NOT MATERIALIZED (
             SELECT id, name FROM services
             WHERE ($1::text IS NULL OR strpos(lower(name), lower($1)) > 0)
                 AND ($2::text IS NULL OR (name, id) > ($2, $3::uuid))
                 AND ($4::text IS NULL OR (name, id) < ($4, $5::uuid))
         ), page AS (
             (SELECT id FROM matching WHERE NOT $7::boolean ORDER BY name, id LIMIT $6)
             UNION ALL
             (SELECT id FROM matching WHERE $7 ORDER BY name DESC, id DESC LIMIT $6)
         )
         SELECT",
        "FROM services JOIN page USING (id) ORDER BY name, id",
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
           FROM services WHERE $1::text IS NULL OR strpos(lower(name), lower($1)) > 0"#,
        bounds.search,
        name,
        id,
        bounds.is_from_end,
    )
    .fetch_one(connection)
    .await?;
    let services = rows.into_iter().map(Service::try_from).collect::<Result<_, _>>()?;
    Ok(NamePage::of(services, &counts, bounds.is_from_end))
}

/// What may be known of the tokens of these services; a service without a token is left out.
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

/// Locks a service until the transaction ends; none if it does not exist.
pub async fn lock(connection: &mut Connection, id: ServiceId) -> Result<Option<Service>, StoreError> {
    let row = service_rows!("SELECT", "FROM services WHERE id = $1 FOR UPDATE", id.uuid())
        .fetch_optional(connection)
        .await?;
    row.map(Service::try_from).transpose()
}

/// Which of these exist; nobody deletes those until the transaction ends.
pub async fn keep(connection: &mut Connection, ids: &[ServiceId]) -> Result<Vec<ServiceId>, StoreError> {
    let ids: Vec<Uuid> = ids.iter().copied().map(Uuid::from).collect();
    let found =
        sqlx::query_scalar!("SELECT id FROM services WHERE id = ANY($1) ORDER BY id FOR KEY SHARE", &ids)
            .fetch_all(connection)
            .await?;
    Ok(found.into_iter().map(ServiceId::from).collect())
}

/// Whether another service than `id` has this name. Advice only: the table's constraint has the last word.
pub async fn name_is_taken(
    connection: &mut Connection,
    id: ServiceId,
    name: &str,
) -> Result<bool, StoreError> {
    let is_taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM services WHERE name = $2 AND id <> $1) AS "is_taken!""#,
        id.uuid(),
        name
    )
    .fetch_one(connection)
    .await?;
    Ok(is_taken)
}

/// Writes a new service, without a token.
pub async fn insert(
    connection: &mut Connection,
    id: ServiceId,
    draft: &ServiceDraft,
) -> Result<Service, StoreError> {
    let row = service_rows!(
        "INSERT INTO services (id, name, base_url, settings, max_concurrency, rate_limits, caps)
         VALUES ($1, $2, $3, $4::text::jsonb, $5, $6::text::jsonb, $7::text::jsonb) RETURNING",
        "",
        id.uuid(),
        draft.name,
        draft.base_url.as_ref().map(Url::as_str),
        to_json("settings", &draft.settings)?,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
        to_json("caps", &draft.limits.caps)?,
    )
    .fetch_one(connection)
    .await?;
    Service::try_from(row)
}

/// Replaces what is stored, the token apart, and raises the version.
pub async fn update(
    connection: &mut Connection,
    id: ServiceId,
    draft: &ServiceDraft,
) -> Result<Service, StoreError> {
    let row = service_rows!(
        "UPDATE services SET name = $2, base_url = $3, settings = $4::text::jsonb, max_concurrency = $5,
             rate_limits = $6::text::jsonb, caps = $7::text::jsonb, version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1 RETURNING",
        "",
        id.uuid(),
        draft.name,
        draft.base_url.as_ref().map(Url::as_str),
        to_json("settings", &draft.settings)?,
        draft.limits.max_concurrency.map(u32::cast_signed),
        to_json("rate_limits", &draft.limits.rate_limits)?,
        to_json("caps", &draft.limits.caps)?,
    )
    .fetch_one(connection)
    .await?;
    Service::try_from(row)
}

/// Sets the token, without raising the version.
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
        token.hint,
        token.expires_at
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes a service. Refused by a constraint while a profile, a command or a live job names it.
pub async fn delete(connection: &mut Connection, id: ServiceId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM services WHERE id = $1", id.uuid()).execute(connection).await?;
    Ok(())
}
