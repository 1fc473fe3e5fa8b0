//! The lists of services and proxies of profiles, read in both directions.

use std::collections::HashMap;

use serde_json::Value;
use uuid::Uuid;

use super::{
    name_pages::{Counts, NameCursor, NamePage, PAGE_ROWS_MAX},
    profiles::profile_row,
};
use crate::{
    clock::Time,
    ids::{ProfileId, ProxyId, ServiceId},
    profile::Profile,
    store::{Connection, StoreError},
};

struct ListRow {
    profile_id: Uuid,
    id: Uuid,
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

/// Defines the three functions of a list.
macro_rules! profile_list {
    (
        $table:literal, $column:literal, $id:ident:
        $of:ident $of_span:literal, $set:ident $set_span:literal, $profiles_of:ident $profiles_of_span:literal
    ) => {
        /// The lists of profiles, in order. Profiles with an empty list are left out.
        #[tracing::instrument(name = $of_span, level = "debug", skip_all)]
        pub async fn $of(
            connection: &mut Connection,
            profiles: &[ProfileId],
        ) -> Result<HashMap<ProfileId, Vec<$id>>, StoreError> {
            let ids: Vec<Uuid> = profiles.iter().copied().map(Uuid::from).collect();
            let rows = sqlx::query_as!(
                ListRow,
                "SELECT profile_id, " + $column + " AS id FROM " + $table + " WHERE profile_id = ANY($1)
                 ORDER BY profile_id, position",
                &ids
            );
            let mut lists: HashMap<ProfileId, Vec<$id>> = HashMap::new();
            for row in rows.fetch_all(connection).await? {
                lists.entry(row.profile_id.into()).or_default().push(row.id.into());
            }
            Ok(lists)
        }

        /// Replaces the list of a profile.
        #[tracing::instrument(name = $set_span, level = "debug", skip_all)]
        pub async fn $set(
            connection: &mut Connection,
            profile: ProfileId,
            listed: &[$id],
        ) -> Result<(), StoreError> {
            let ids: Vec<Uuid> = listed.iter().copied().map(Uuid::from).collect();
            sqlx::query!("DELETE FROM " + $table + " WHERE profile_id = $1", profile.uuid())
                .execute(&mut *connection)
                .await?;
            sqlx::query!(
                "INSERT INTO " + $table + " (profile_id, " + $column + ", position)
                 SELECT $1, id, position FROM unnest($2::uuid[]) WITH ORDINALITY AS listed (id, position)",
                profile.uuid(),
                &ids
            )
            .execute(connection)
            .await?;
            Ok(())
        }

        /// For each id, the first `limit` profiles after the cursor that list it, in order of name.
        #[tracing::instrument(name = $profiles_of_span, level = "debug", skip_all)]
        pub async fn $profiles_of(
            connection: &mut Connection,
            listed: &[$id],
            after: Option<&NameCursor>,
            limit: u16,
        ) -> Result<HashMap<$id, NamePage<Profile>>, StoreError> {
            let ids: Vec<Uuid> = listed.iter().copied().map(Uuid::from).collect();
            let (name, id) = place(after);
            let rows = sqlx::query_as!(
                ListedRow,
                r#"SELECT parent.id AS "parent!", p.* FROM unnest($1::uuid[]) AS parent (id), LATERAL (
                       SELECT p.id, p.name, p.chrome_profile_path, p.description, p.labels, p.environment,
                           p.proxy_selection, p.caps, p.version, p.created_at, p.updated_at
                       FROM "# + $table + " listed JOIN profiles p ON p.id = listed.profile_id
                       WHERE listed." + $column + " = parent.id
                           AND ($2::text IS NULL OR (p.name, p.id) > ($2, $3::uuid))
                       ORDER BY p.name, p.id LIMIT $4
                   ) p ORDER BY p.name, p.id",
                &ids,
                name,
                id,
                i64::from(limit.min(PAGE_ROWS_MAX)),
            );
            let rows = rows.fetch_all(&mut *connection).await?;
            let counts = sqlx::query_as!(
                ParentCounts,
                "SELECT listed." + $column + r#" AS parent, count(*) AS "total!",
                       count(*) FILTER (WHERE (p.name, p.id) <= ($2, $3::uuid)) AS "beyond!"
                   FROM "# + $table + " listed JOIN profiles p ON p.id = listed.profile_id
                   WHERE listed." + $column + " = ANY($1) GROUP BY listed." + $column,
                &ids,
                name,
                id,
            );
            pages(rows, counts.fetch_all(connection).await?)
        }
    };
}

profile_list!(
    "profile_services", "service_id", ServiceId:
    services "db.profile_relations.services",
    set_services "db.profile_relations.set_services",
    profiles_of_services "db.profile_relations.profiles_of_services"
);
profile_list!(
    "profile_proxies", "proxy_id", ProxyId:
    proxies "db.profile_relations.proxies",
    set_proxies "db.profile_relations.set_proxies",
    profiles_of_proxies "db.profile_relations.profiles_of_proxies"
);

/// A cursor as arguments of the statements, without NUL, which Postgres rejects.
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
        items.entry(parent).or_default().push(profile_row!(row).try_into()?);
    }
    let page = |count: ParentCounts| {
        let found = items.remove(&count.parent).unwrap_or_default();
        let counts = Counts { total: count.total, beyond: count.beyond };
        (Parent::from(count.parent), NamePage::of(found, &counts, false))
    };
    Ok(counts.into_iter().map(page).collect())
}
