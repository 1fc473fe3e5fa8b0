//! The inputs of profile mutations.

use async_graphql::{ID, InputObject, MaybeUndefined};
use callboard::{
    catalogue::{ProfileChanges, ProfileCreate, ProfileUpdate},
    clock::IdSource,
};
use uuid::Uuid;

use super::ProxySelection;
use crate::graphql::{
    inputs::{id_of, ids_of, patch},
    rate_limit::{CapInput, new_caps},
    scalars::Json,
    secret::SecretInput,
};

/// Input of profileCreate.
#[derive(Debug, InputObject)]
pub struct ProfileCreateInput {
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among profiles.
    pub name: String,
    /// Directory below the worker's profile root, unique among profiles. Parts are separated by
    /// `/`, consist of letters, digits, `_`, `-`, `.`, `@` and `+`, and do not start with a dot. At
    /// most 400 bytes. Absent or null creates a new directory with a generated name.
    pub chrome_profile_path: Option<String>,
    /// A description for people, at most 2000 characters.
    pub description: Option<String>,
    /// At most 20 labels, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
    /// Plain variables that commands may use: an object with at most 100 string values of at most
    /// 32768 bytes each. Names consist of letters, digits and `_`, and do not start with
    /// CALLBOARD_.
    pub environment: Option<Json>,
    /// The secrets, at most 100.
    pub secrets: Option<Vec<SecretInput>>,
    /// The services of its jobs, in order and without duplicates, at most 100.
    pub service_ids: Option<Vec<ID>>,
    /// The proxies of its jobs, in order of preference and without duplicates, at most 100.
    pub proxy_ids: Option<Vec<ID>>,
    /// How a proxy is chosen among `proxyIds`.
    #[graphql(default_with = "Some(ProxySelection::FirstHealthy)")]
    pub proxy_selection: Option<ProxySelection>,
    /// Limits on how many attempts may start on it, at most one per day and one per month. Default
    /// none.
    pub caps: Option<Vec<CapInput>>,
}

impl ProfileCreateInput {
    /// Converts the input for the core. `ids` generates the name of the directory when the caller
    /// gives none.
    pub fn read(self, ids: IdSource) -> ProfileCreate {
        let own_directory = || ids.make::<Uuid>().simple().to_string();
        ProfileCreate {
            name: self.name,
            chrome_profile_path: self.chrome_profile_path.unwrap_or_else(own_directory),
            description: self.description,
            labels: self.labels.unwrap_or_default(),
            environment: self.environment.map(|json| json.0),
            secrets: self.secrets.into_iter().flatten().map(Into::into).collect(),
            service_ids: ids_of(&self.service_ids.unwrap_or_default()),
            proxy_ids: ids_of(&self.proxy_ids.unwrap_or_default()),
            proxy_selection: self.proxy_selection.map(Into::into).unwrap_or_default(),
            caps: new_caps(self.caps.unwrap_or_default()),
        }
    }
}

/// Input of profileUpdate. Absent fields stay unchanged. `secrets` sets the listed secrets and
/// keeps the others. `removeSecrets` removes secrets.
#[derive(Debug, InputObject)]
pub struct ProfileUpdateInput {
    /// The id of the profile.
    pub id: ID,
    /// The version that was read. If another version is stored, the update is refused with
    /// STALE_VERSION. Absent or null updates any version.
    pub version: Option<i32>,
    /// The name, 1 to 100 visible characters, stored in Unicode NFC, unique among profiles. Cannot
    /// be null.
    pub name: MaybeUndefined<String>,
    /// As in ProfileCreateInput. Cannot be null.
    pub chrome_profile_path: MaybeUndefined<String>,
    /// A description for people, at most 2000 characters. Null removes it.
    pub description: MaybeUndefined<String>,
    /// At most 20 labels, each 1 to 60 characters. Null removes all.
    pub labels: MaybeUndefined<Vec<String>>,
    /// Replaces all plain variables, as in ProfileCreateInput. Null removes all.
    pub environment: MaybeUndefined<Json>,
    /// The secrets to set. Others are kept. At most 100 after the update.
    pub secrets: Option<Vec<SecretInput>>,
    /// Names of the secrets to remove. None of them may be in `secrets`.
    pub remove_secrets: Option<Vec<String>>,
    /// Replaces the whole list, in order and without duplicates, at most 100. Null removes all.
    pub service_ids: MaybeUndefined<Vec<ID>>,
    /// Replaces the whole list, in order of preference and without duplicates, at most 100. Null
    /// removes all.
    pub proxy_ids: MaybeUndefined<Vec<ID>>,
    /// How a proxy is chosen among the profile's proxies. Null means FIRST_HEALTHY.
    pub proxy_selection: MaybeUndefined<ProxySelection>,
    /// Replaces all caps, as in ProfileCreateInput. Null removes all. Waiting jobs follow the new
    /// ones.
    pub caps: MaybeUndefined<Vec<CapInput>>,
}

impl From<ProfileUpdateInput> for ProfileUpdate {
    fn from(input: ProfileUpdateInput) -> Self {
        let changes = ProfileChanges {
            name: patch(input.name),
            chrome_profile_path: patch(input.chrome_profile_path),
            description: patch(input.description),
            labels: patch(input.labels),
            environment: patch(input.environment.map_value(|json| json.0)),
            secrets: input.secrets.into_iter().flatten().map(Into::into).collect(),
            remove_secrets: input.remove_secrets.unwrap_or_default(),
            service_ids: patch(input.service_ids.map_value(|ids| ids_of(&ids))),
            proxy_ids: patch(input.proxy_ids.map_value(|ids| ids_of(&ids))),
            proxy_selection: patch(input.proxy_selection.map_value(Into::into)),
            caps: patch(input.caps.map_value(new_caps)),
        };
        Self { id: id_of(&input.id), version: input.version, changes }
    }
}

/// Input of profileDelete. The profile's secrets are deleted with it. Its directory on the workers
/// is kept.
#[derive(Debug, InputObject)]
pub struct ProfileDeleteInput {
    /// The id of the profile.
    pub id: ID,
    /// The version that was read. If another version is stored, the deletion is refused with
    /// STALE_VERSION. Absent or null deletes any version.
    pub version: Option<i32>,
}
