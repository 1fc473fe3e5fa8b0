//! The services and proxies that profiles list, in order, and the profiles that list a service or proxy.
//!
//! `catalogue::profiles` writes the lists, the API reads both directions in batches. Decides nothing.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{
    name_pages::{Counts, NameCursor, NamePage, PAGE_ROWS_MAX},
    profiles::ProfileRow,
};
use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId, ServiceId},
    profile::Profile,
    store::{Connection, StoreError},
};

/// The services that each of these profiles lists, in order.
pub async fn services(
    connection: &mut Connection,
    profiles: &[ProfileId],
) -> Result<HashMap<ProfileId, Vec<ServiceId>>, StoreError> {
    let ids: Vec<Uuid> = profiles.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        "SELECT profile_id, service_id FROM profile_services WHERE profile_id = ANY($1)
         ORDER BY profile_id, position",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut lists: HashMap<ProfileId, Vec<ServiceId>> = HashMap::new();
    for row in rows {
        lists.entry(row.profile_id.into()).or_default().push(row.service_id.into());
    }
    Ok(lists)
}

/// The proxies that each of these profiles lists, in order of preference.
pub async fn proxies(
    connection: &mut Connection,
    profiles: &[ProfileId],
) -> Result<HashMap<ProfileId, Vec<ProxyId>>, StoreError> {
    let ids: Vec<Uuid> = profiles.iter().copied().map(Uuid::from).collect();
    let rows = sqlx::query!(
        "SELECT profile_id, proxy_id FROM profile_proxies WHERE profile_id = ANY($1)
         ORDER BY profile_id, position",
        &ids
    )
    .fetch_all(connection)
    .await?;
    let mut lists: HashMap<ProfileId, Vec<ProxyId>> = HashMap::new();
    for row in rows {
        lists.entry(row.profile_id.into()).or_default().push(row.proxy_id.into());
    }
    Ok(lists)
}

/// Replaces a profile's list of services.
pub async fn set_services(
    connection: &mut Connection,
    profile: ProfileId,
    services: &[ServiceId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = services.iter().copied().map(Uuid::from).collect();
    sqlx::query!("DELETE FROM profile_services WHERE profile_id = $1", profile.uuid())
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO profile_services (profile_id, service_id, position)
         SELECT $1, id, position FROM unnest($2::uuid[]) WITH ORDINALITY AS listed (id, position)",
        profile.uuid(),
        &ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

/// Replaces a profile's list of proxies.
pub async fn set_proxies(
    connection: &mut Connection,
    profile: ProfileId,
    proxies: &[ProxyId],
) -> Result<(), StoreError> {
    let ids: Vec<Uuid> = proxies.iter().copied().map(Uuid::from).collect();
    sqlx::query!("DELETE FROM profile_proxies WHERE profile_id = $1", profile.uuid())
        .execute(&mut *connection)
        .await?;
    sqlx::query!(
        "INSERT INTO profile_proxies (profile_id, proxy_id, position)
         SELECT $1, id, position FROM unnest($2::uuid[]) WITH ORDINALITY AS listed (id, position)",
        profile.uuid(),
        &ids
    )
    .execute(connection)
    .await?;
    Ok(())
}

struct ListedRow {
    parent: Uuid,
    id: Uuid,
    name: String,
    chrome_profile_path: String,
    description: Option<String>,
    labels: Vec<String>,
    environment: Value,
    proxy_selection: String,
    caps: Value,
    version: i32,
    created_at: Time,
    updated_at: Time,
}

struct ParentCounts {
    parent: Uuid,
    total: i64,
    beyond: i64,
}

/// For each of these services, the first `limit` profiles after the cursor that list it, in order of name.
pub async fn profiles_of_services(
    connection: &mut Connection,
    services: &[ServiceId],
    after: Option<&NameCursor>,
    limit: u16,
) -> Result<HashMap<ServiceId, NamePage<Profile>>, StoreError> {
    let ids: Vec<Uuid> = services.iter().copied().map(Uuid::from).collect();
    let (name, id) = place(after);
    let rows = sqlx::query_as!(
        ListedRow,
        r#"SELECT parent.id AS "parent!", p.* FROM unnest($1::uuid[]) AS parent (id), LATERAL (
               SELECT p.id, p.name, p.chrome_profile_path, p.description, p.labels, p.environment,
                   p.proxy_selection, p.caps, p.version, p.created_at, p.updated_at
               FROM profile_services listed JOIN profiles p ON p.id = listed.profile_id
               WHERE listed.service_id = parent.id AND ($2::text IS NULL OR (p.name, p.id) > ($2, $3::uuid))
               ORDER BY p.name, p.id LIMIT $4
           ) p ORDER BY p.name, p.id"#,
        &ids,
        name,
        id,
        i64::from(limit.min(PAGE_ROWS_MAX)),
    )
    .fetch_all(&mut *connection)
    .await?;
    let counts = sqlx::query_as!(
        ParentCounts,
        r#"SELECT listed.service_id AS parent, count(*) AS "total!",
               count(*) FILTER (WHERE (p.name, p.id) <= ($2, $3::uuid)) AS "beyond!"
           FROM profile_services listed JOIN profiles p ON p.id = listed.profile_id
           WHERE listed.service_id = ANY($1) GROUP BY listed.service_id"#,
        &ids,
        name,
        id,
    )
    .fetch_all(connection)
    .await?;
    pages(rows, counts)
}

/// For each of these proxies, the first `limit` profiles after the cursor that list it, in order of name.
pub async fn profiles_of_proxies(
    connection: &mut Connection,
    proxies: &[ProxyId],
    after: Option<&NameCursor>,
    limit: u16,
) -> Result<HashMap<ProxyId, NamePage<Profile>>, StoreError> {
    let ids: Vec<Uuid> = proxies.iter().copied().map(Uuid::from).collect();
    let (name, id) = place(after);
    let rows = sqlx::query_as!(
        ListedRow,
        r#"SELECT parent.id AS "parent!", p.* FROM unnest($1::uuid[]) AS parent (id), LATERAL (
               SELECT p.id, p.name, p.chrome_profile_path, p.description, p.labels, p.environment,
                   p.proxy_selection, p.caps, p.version, p.created_at, p.updated_at
               FROM profile_proxies listed JOIN profiles p ON p.id = listed.profile_id
               WHERE listed.proxy_id = parent.id AND ($2::text IS NULL OR (p.name, p.id) > ($2, $3::uuid))
               ORDER BY p.name, p.id LIMIT $4
           ) p ORDER BY p.name, p.id"#,
        &ids,
        name,
        id,
        i64::from(limit.min(PAGE_ROWS_MAX)),
    )
    .fetch_all(&mut *connection)
    .await?;
    let counts = sqlx::query_as!(
        ParentCounts,
        r#"SELECT listed.proxy_id AS parent, count(*) AS "total!",
               count(*) FILTER (WHERE (p.name, p.id) <= ($2, $3::uuid)) AS "beyond!"
           FROM profile_proxies listed JOIN profiles p ON p.id = listed.profile_id
           WHERE listed.proxy_id = ANY($1) GROUP BY listed.proxy_id"#,
        &ids,
        name,
        id,
    )
    .fetch_all(connection)
    .await?;
    pages(rows, counts)
}

/// A cursor as the statements take it. One with NUL, which Postgres does not take, lies where it lies
/// without.
fn place(after: Option<&NameCursor>) -> (Option<String>, Option<Uuid>) {
    (after.map(|cursor| cursor.name.replace('\0', "")), after.map(|cursor| cursor.id))
}

fn pages<Parent: From<Uuid> + Eq + std::hash::Hash>(
    rows: Vec<ListedRow>,
    counts: Vec<ParentCounts>,
) -> Result<HashMap<Parent, NamePage<Profile>>, StoreError> {
    let mut items: HashMap<Uuid, Vec<Profile>> = HashMap::new();
    for row in rows {
        let parent = row.parent;
        let profile = ProfileRow {
            id: row.id,
            name: row.name,
            chrome_profile_path: row.chrome_profile_path,
            description: row.description,
            labels: row.labels,
            environment: row.environment,
            proxy_selection: row.proxy_selection,
            caps: row.caps,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        };
        items.entry(parent).or_default().push(profile.try_into()?);
    }
    let page = |count: ParentCounts| {
        let found = items.remove(&count.parent).unwrap_or_default();
        let counts = Counts { total: count.total, beyond: count.beyond };
        (Parent::from(count.parent), NamePage::of(found, &counts, false))
    };
    Ok(counts.into_iter().map(page).collect())
}
