//! Profiles. Their secrets are in `profile_secrets`, and their lists in `profile_relations`.

use serde_json::Value;
use uuid::Uuid;

use super::table::catalogue_table;
use crate::{
    clock::Time,
    ids::ProfileId,
    limit::Cap,
    profile::{Profile, ProxySelection},
    store::{
        Connection, StoreError,
        columns::{optional_storable, storable, storables},
        from_json, to_json,
    },
};

/// What an admin sets of a profile. [`Profile`] describes the fields.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "the fields of Profile, where they are described")]
pub struct ProfileDraft {
    pub name: String,
    pub chrome_profile_path: String,
    pub description: Option<String>,
    pub labels: Vec<String>,
    pub environment: std::collections::BTreeMap<String, String>,
    pub proxy_selection: ProxySelection,
    pub caps: Vec<Cap>,
}

impl From<Profile> for ProfileDraft {
    fn from(profile: Profile) -> Self {
        Self {
            name: profile.name,
            chrome_profile_path: profile.chrome_profile_path,
            description: profile.description,
            labels: profile.labels,
            environment: profile.environment,
            proxy_selection: profile.proxy_selection,
            caps: profile.caps,
        }
    }
}

pub(super) struct ProfileRow {
    pub(super) id: Uuid,
    pub(super) name: String,
    pub(super) chrome_profile_path: String,
    pub(super) description: Option<String>,
    pub(super) labels: Vec<String>,
    pub(super) environment: Value,
    pub(super) proxy_selection: String,
    pub(super) caps: Value,
    pub(super) version: i32,
    pub(super) created_at: Time,
    pub(super) updated_at: Time,
}

/// The profile in a row that has other columns as well.
macro_rules! profile_row {
    ($row:ident) => {
        $crate::store::catalogue::profiles::ProfileRow {
            id: $row.id,
            name: $row.name,
            chrome_profile_path: $row.chrome_profile_path,
            description: $row.description,
            labels: $row.labels,
            environment: $row.environment,
            proxy_selection: $row.proxy_selection,
            caps: $row.caps,
            version: $row.version,
            created_at: $row.created_at,
            updated_at: $row.updated_at,
        }
    };
}
pub(super) use profile_row;

impl TryFrom<ProfileRow> for Profile {
    type Error = StoreError;

    fn try_from(row: ProfileRow) -> Result<Self, StoreError> {
        let selection = ProxySelection::parse(&row.proxy_selection)
            .ok_or_else(|| StoreError::corrupt("profiles", "proxy_selection", &row.proxy_selection))?;
        Ok(Self {
            id: row.id.into(),
            name: row.name,
            chrome_profile_path: row.chrome_profile_path,
            description: row.description,
            labels: row.labels,
            environment: from_json("profiles", "environment", row.environment)?,
            proxy_selection: selection,
            caps: from_json("profiles", "caps", row.caps)?,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A statement that returns profiles. Its parts are what comes before the columns and after them.
macro_rules! profile_rows {
    ([$($before:literal)+], [$($after:literal)*] $(, $argument:expr)* $(,)?) => {
        sqlx::query_as!(
            ProfileRow,
            $($before +)+ " id, name, chrome_profile_path, description, labels, environment,
                    proxy_selection, caps, version, created_at, updated_at "
                $(+ $after)*
            $(, $argument)*
        )
    };
}

/// Whether a profile exists. If so, it cannot be deleted until the transaction ends.
#[tracing::instrument(name = "db.profiles.keep", level = "debug", skip_all)]
pub async fn keep(connection: &mut Connection, id: ProfileId) -> Result<bool, StoreError> {
    let found = sqlx::query_scalar!("SELECT id FROM profiles WHERE id = $1 FOR KEY SHARE", id.uuid())
        .fetch_optional(connection)
        .await?;
    Ok(found.is_some())
}

catalogue_table!(profile_rows, "profiles", ProfileId => Profile:
    load,
    load_by_name,
    page,
    lock,
    name_is_taken,
    /// Also deletes its secrets and lists. A constraint refuses it while a command or a live job
    /// uses the profile.
    delete,
);

/// Whether another profile than `id` has this directory. A hint only, because the table's
/// constraint decides.
#[tracing::instrument(name = "db.profiles.path_is_taken", level = "debug", skip_all)]
pub async fn path_is_taken(
    connection: &mut Connection,
    id: ProfileId,
    chrome_profile_path: &str,
) -> Result<bool, StoreError> {
    let is_taken = sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM profiles WHERE chrome_profile_path = $2 AND id <> $1) AS "is_taken!""#,
        id.uuid(),
        chrome_profile_path
    );
    Ok(is_taken.fetch_one(connection).await?)
}

/// A statement that writes a draft. `$1` is the id, and `$2` to `$8` are the fields of the draft in
/// order.
macro_rules! write_profile {
    ($statement:literal, $id:expr, $draft:expr) => {
        profile_rows!(
            [$statement],
            [],
            $id.uuid(),
            storable(&$draft.name),
            storable(&$draft.chrome_profile_path),
            optional_storable($draft.description.as_deref()),
            &storables(&$draft.labels),
            to_json("environment", &$draft.environment)?,
            $draft.proxy_selection.as_str(),
            to_json("caps", &$draft.caps)?,
        )
    };
}

/// Inserts a profile.
#[tracing::instrument(name = "db.profiles.insert", level = "debug", skip_all)]
pub async fn insert(
    connection: &mut Connection,
    id: ProfileId,
    draft: &ProfileDraft,
) -> Result<Profile, StoreError> {
    let row = write_profile!(
        "INSERT INTO profiles
             (id, name, chrome_profile_path, description, labels, environment, proxy_selection, caps)
         VALUES ($1, $2, $3, $4, $5, $6::text::jsonb, $7, $8::text::jsonb)
         RETURNING",
        id,
        draft
    );
    row.fetch_one(connection).await?.try_into()
}

/// Updates a profile and raises its version.
#[tracing::instrument(name = "db.profiles.update", level = "debug", skip_all)]
pub async fn update(
    connection: &mut Connection,
    id: ProfileId,
    draft: &ProfileDraft,
) -> Result<Profile, StoreError> {
    let row = write_profile!(
        "UPDATE profiles SET name = $2, chrome_profile_path = $3, description = $4, labels = $5,
             environment = $6::text::jsonb, proxy_selection = $7, caps = $8::text::jsonb,
             version = version + 1, updated_at = clock_timestamp()
         WHERE id = $1
         RETURNING",
        id,
        draft
    );
    row.fetch_one(connection).await?.try_into()
}
