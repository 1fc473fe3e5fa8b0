//! What mutations of profiles take.

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

/// A new profile.
#[derive(Debug, InputObject)]
pub struct ProfileCreateInput {
    /// 1 to 100 characters, unique among profiles.
    pub name: String,
    /// Directory below the worker's profile root, unique among profiles: parts of letters, digits, `_`, `-`,
    /// `.`, `@` and `+` that do not begin with a dot, separated by `/`, at most 400 bytes. Absent or null: a
    /// new directory with a name of its own.
    pub chrome_profile_path: Option<String>,
    /// At most 2000 characters.
    pub description: Option<String>,
    /// At most 20, each 1 to 60 characters.
    pub labels: Option<Vec<String>>,
    /// Plain variables: an object of at most 100 texts of at most 32768 bytes. Names are letters, digits and
    /// `_`, and do not begin with CALLBOARD_.
    pub environment: Option<Json>,
    /// At most 100.
    pub secrets: Option<Vec<SecretInput>>,
    /// Services of its jobs, in order, each once; at most 100.
    pub service_ids: Option<Vec<ID>>,
    /// Proxies of its jobs in order of preference, each once; at most 100.
    pub proxy_ids: Option<Vec<ID>>,
    /// How a proxy is chosen among them.
    #[graphql(default_with = "Some(ProxySelection::FirstHealthy)")]
    pub proxy_selection: Option<ProxySelection>,
    /// How many attempts may start on it: at most one cap for a day and one for a month. Absent or null: as many as there are.
    pub caps: Option<Vec<CapInput>>,
}

impl ProfileCreateInput {
    /// For the core; `ids` names the directory where the caller names none.
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

/// Changes of a profile. Absent fields stay as they are. `secrets` sets the named ones and leaves the others;
/// `removeSecrets` takes away.
#[derive(Debug, InputObject)]
pub struct ProfileUpdateInput {
    /// Which.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null changes whatever is
    /// there.
    pub version: Option<i32>,
    /// 1 to 100 characters, unique among profiles. Cannot be null.
    pub name: MaybeUndefined<String>,
    /// As in ProfileCreateInput. Cannot be null.
    pub chrome_profile_path: MaybeUndefined<String>,
    /// At most 2000 characters; null for none.
    pub description: MaybeUndefined<String>,
    /// At most 20, each 1 to 60 characters; null for none.
    pub labels: MaybeUndefined<Vec<String>>,
    /// Replaces all plain variables, as in ProfileCreateInput; null for none.
    pub environment: MaybeUndefined<Json>,
    /// Secrets to set; others stay. At most 100 after the change.
    pub secrets: Option<Vec<SecretInput>>,
    /// Names of secrets to take away; none of them may be in `secrets`.
    pub remove_secrets: Option<Vec<String>>,
    /// Replaces the whole list, each once, at most 100; null for none.
    pub service_ids: MaybeUndefined<Vec<ID>>,
    /// Replaces the whole list, in order of preference, each once, at most 100; null for none.
    pub proxy_ids: MaybeUndefined<Vec<ID>>,
    /// How a proxy is chosen; null for FIRST_HEALTHY.
    pub proxy_selection: MaybeUndefined<ProxySelection>,
    /// Replaces all caps; null for none.
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

/// Which profile to delete. Its secrets go with it; its directory on the workers stays.
#[derive(Debug, InputObject)]
pub struct ProfileDeleteInput {
    /// Which. IN_USE while a command or a job that has not ended needs it.
    pub id: ID,
    /// The version that was read: with another one stored, STALE_VERSION. Absent or null deletes whatever is
    /// there.
    pub version: Option<i32>,
}
