//! `profile_create`, `profile_update`, `profile_delete`.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{
    Catalogue,
    audited::{ProfileLists, of_profile},
    bounds,
    checks::Checks,
    in_use,
    profile_secrets::{SecretChanges, SecretInput},
    references::{keep_proxies, keep_services},
};
use crate::{
    audit::{Change, Object},
    ids::{ProfileId, ProxyId, ServiceId},
    limit::GateKey,
    name::check_labels,
    patch::{NewCap, Patch},
    profile::{Profile, ProxySelection, check_profile_path},
    refusal::RefusalCode,
    secret::MASK,
    steps::{StepError, limits::demands::limits_of_profile},
    store::{
        Connection, StoreError,
        catalogue::{
            profile_relations, profile_secrets,
            profiles::{self, ProfileDraft},
            references,
        },
        commit,
        limits::gates,
    },
};

/// The kind of object in the audit.
const KIND: &str = "profile";
const NAME_TAKEN: &str = "another profile has this name";
const PATH_TAKEN: &str = "another profile has this directory, which two browsers must never share";

/// A new profile.
#[derive(Debug, Clone, Default)]
pub struct ProfileCreate {
    /// Unique among profiles.
    pub name: String,
    /// Relative to the worker's profile root, and unique.
    pub chrome_profile_path: String,
    /// At most 2000 characters.
    pub description: Option<String>,
    /// At most 20.
    pub labels: Vec<String>,
    /// An object of at most 100 strings.
    pub environment: Option<Value>,
    /// At most 100.
    pub secrets: Vec<SecretInput>,
    /// In order, each once.
    pub service_ids: Vec<ServiceId>,
    /// In order of preference, each once.
    pub proxy_ids: Vec<ProxyId>,
    /// How the profile chooses a proxy.
    pub proxy_selection: ProxySelection,
    /// At most one per day and one per month.
    pub caps: Vec<NewCap>,
}

/// An update of a profile.
#[derive(Debug, Clone)]
pub struct ProfileUpdate {
    /// The profile.
    pub id: ProfileId,
    /// The version that the caller read. A stale one is refused. `None` skips this check.
    pub version: Option<i32>,
    /// The changes.
    pub changes: ProfileChanges,
}

/// Changes of a profile. [`ProfileCreate`] has the bounds.
#[derive(Debug, Clone, Default)]
pub struct ProfileChanges {
    /// Cannot be cleared.
    pub name: Patch<String>,
    /// Cannot be cleared.
    pub chrome_profile_path: Patch<String>,
    /// Clearing removes it.
    pub description: Patch<String>,
    /// Clearing removes it.
    pub labels: Patch<Vec<String>>,
    /// Replaces the whole environment. Clearing empties it.
    pub environment: Patch<Value>,
    /// Sets these secrets and leaves the others.
    pub secrets: Vec<SecretInput>,
    /// Removes these secrets.
    pub remove_secrets: Vec<String>,
    /// Replaces the whole list. Clearing empties it.
    pub service_ids: Patch<Vec<ServiceId>>,
    /// Replaces the whole list. Clearing empties it.
    pub proxy_ids: Patch<Vec<ProxyId>>,
    /// Clearing resets it to the first healthy one.
    pub proxy_selection: Patch<ProxySelection>,
    /// Replaces all caps. Clearing removes them.
    pub caps: Patch<Vec<NewCap>>,
}

impl Catalogue {
    /// Creates a profile.
    pub async fn profile_create(&self, input: ProfileCreate) -> Result<Profile, StepError> {
        let id: ProfileId = self.ids.make();
        let mut checks = Checks::default();
        let mut draft = ProfileDraft {
            name: input.name,
            chrome_profile_path: input.chrome_profile_path,
            description: input.description.and_then(|text| bounds::description(&mut checks, text)),
            labels: checks.take(check_labels("labels", input.labels)).unwrap_or_default(),
            environment: bounds::environment(&mut checks, input.environment.unwrap_or_else(|| json!({}))),
            proxy_selection: input.proxy_selection,
            caps: checks.caps(input.caps),
        };
        let secrets = SecretChanges { set: input.secrets, remove: Vec::new() };
        secrets.check(&mut checks, &BTreeMap::new());

        let mut transaction = self.store.begin().await?;
        check_unique(&mut transaction, &mut checks, id, &mut draft, None).await?;
        keep_services(&mut transaction, &mut checks, &input.service_ids).await?;
        keep_proxies(&mut transaction, &mut checks, &input.proxy_ids).await?;
        checks.passed()?;
        let profile = profiles::insert(&mut transaction, id, &draft).await.map_err(taken)?;
        self.write_secrets(&mut transaction, id, &secrets).await?;
        profile_relations::set_services(&mut transaction, id, &input.service_ids).await?;
        profile_relations::set_proxies(&mut transaction, id, &input.proxy_ids).await?;
        let lists = ProfileLists {
            services: input.service_ids,
            proxies: input.proxy_ids,
            secrets: secrets.shown_after(&BTreeMap::new()),
        };
        let change = Change::between(None, Some(&of_profile(&draft, &lists)));
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, "profileCreate", object, change).await?;
        commit(transaction).await?;
        Ok(profile)
    }

    /// Updates a profile. A request that changes nothing leaves the version as it is.
    pub async fn profile_update(&self, input: ProfileUpdate) -> Result<Profile, StepError> {
        let ProfileUpdate { id, version, changes } = input;
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        let before = ProfileDraft::from(stored.clone());
        let lists_before = lists_of(&mut transaction, id).await?;
        let secrets = SecretChanges { set: changes.secrets, remove: changes.remove_secrets };
        let lists = ProfileLists {
            services: changes.service_ids.over(lists_before.services.clone(), Vec::new()),
            proxies: changes.proxy_ids.over(lists_before.proxies.clone(), Vec::new()),
            secrets: secrets.shown_after(&lists_before.secrets),
        };
        let mut draft = ProfileDraft {
            name: checks.required("name", changes.name, &before.name),
            chrome_profile_path: checks.required(
                "chromeProfilePath",
                changes.chrome_profile_path,
                &before.chrome_profile_path,
            ),
            description: match changes.description {
                Patch::Leave => before.description.clone(),
                Patch::Clear => None,
                Patch::Set(text) => bounds::description(&mut checks, text),
            },
            labels: match changes.labels {
                Patch::Leave => before.labels.clone(),
                Patch::Clear => Vec::new(),
                Patch::Set(labels) => checks.take(check_labels("labels", labels)).unwrap_or_default(),
            },
            environment: match changes.environment {
                Patch::Leave => before.environment.clone(),
                Patch::Clear => BTreeMap::new(),
                Patch::Set(value) => bounds::environment(&mut checks, value),
            },
            proxy_selection: changes.proxy_selection.over(before.proxy_selection, ProxySelection::default()),
            caps: match changes.caps {
                Patch::Leave => before.caps.clone(),
                Patch::Clear => Vec::new(),
                Patch::Set(caps) => checks.caps(caps),
            },
        };
        if !secrets.is_empty() {
            secrets.check(&mut checks, &lists_before.secrets);
        }
        check_unique(&mut transaction, &mut checks, id, &mut draft, Some(&before.name)).await?;
        check_lists(&mut transaction, &mut checks, &lists_before, &lists).await?;
        checks.passed()?;
        if draft == before && lists == lists_before && secrets.is_empty() {
            let object = Object::new(KIND, &id, Some(&stored.name));
            self.note_unchanged(transaction, "profileUpdate", object).await?;
            return Ok(stored);
        }
        write_lists(&mut transaction, id, &lists_before, &lists).await?;
        self.write_secrets(&mut transaction, id, &secrets).await?;
        let profile = profiles::update(&mut transaction, id, &draft).await.map_err(taken)?;
        gates::relimit(&mut transaction, &GateKey::Profile(id), &limits_of_profile(&draft.caps)).await?;
        let before = of_profile(&before, &lists_before);
        let change = Change::between(Some(&before), Some(&of_profile(&draft, &lists)));
        let object = Object::new(KIND, &id, Some(&draft.name));
        self.note(&mut transaction, "profileUpdate", object, change).await?;
        commit(transaction).await?;
        Ok(profile)
    }

    /// Deletes a profile and its secrets. The directory on the workers stays. Refused while a
    /// command, schedule or unfinished job references it.
    pub async fn profile_delete(&self, id: ProfileId, version: Option<i32>) -> Result<(), StepError> {
        let mut checks = Checks::default();
        let mut transaction = self.store.begin().await?;
        let stored = locked(&mut transaction, id).await?;
        checks.version(stored.version, version);
        in_use::check(&mut checks, "profile", &references::of_profile(&mut transaction, id).await?);
        checks.passed()?;
        let lists = lists_of(&mut transaction, id).await?;
        let deleted = profiles::delete(&mut transaction, id).await;
        deleted.map_err(|error| in_use::refused_by_constraint(error, "profile"))?;
        gates::remove(&mut transaction, &GateKey::Profile(id)).await?;
        let object = Object::new(KIND, &id, Some(&stored.name));
        let change = Change::between(Some(&of_profile(&stored.into(), &lists)), None);
        self.note(&mut transaction, "profileDelete", object, change).await?;
        commit(transaction).await?;
        Ok(())
    }
}

async fn locked(connection: &mut Connection, id: ProfileId) -> Result<Profile, StepError> {
    profiles::lock(connection, id).await?.ok_or_else(|| StepError::no("profile"))
}

/// Checks the name, which it brings into its normal form, and the directory, and that no other
/// profile has them.
async fn check_unique(
    connection: &mut Connection,
    checks: &mut Checks,
    id: ProfileId,
    draft: &mut ProfileDraft,
    stored_name: Option<&str>,
) -> Result<(), StoreError> {
    let path = &draft.chrome_profile_path;
    // Read before the name. So of two profiles that are created at once, with the same name and the
    // same directory, the second is refused for its name.
    let path_check = check_profile_path("chromeProfilePath", path);
    let path_is_taken = path_check.is_ok() && profiles::path_is_taken(connection, id, path).await?;
    let is_taken = async |name: &str| profiles::name_is_taken(&mut *connection, id, name).await;
    draft.name = checks.name(draft.name.clone(), stored_name, NAME_TAKEN, is_taken).await?;
    checks.take(path_check);
    if path_is_taken {
        checks.taken("chromeProfilePath", PATH_TAKEN);
    }
    Ok(())
}

/// Two concurrent requests may both find a name free. The constraint then refuses the second.
fn taken(error: StoreError) -> StepError {
    match error.constraint() {
        Some("profiles_name_key") => StepError::refused(RefusalCode::Taken, &["name"], NAME_TAKEN),
        Some("profiles_chrome_profile_path_key") => {
            StepError::refused(RefusalCode::Taken, &["chromeProfilePath"], PATH_TAKEN)
        }
        Some(_) | None => error.into(),
    }
}

/// The stored lists of a profile.
async fn lists_of(connection: &mut Connection, id: ProfileId) -> Result<ProfileLists, StoreError> {
    let secrets = profile_secrets::states(connection, &[id]).await?.remove(&id);
    Ok(ProfileLists {
        services: profile_relations::services(connection, &[id]).await?.remove(&id).unwrap_or_default(),
        proxies: profile_relations::proxies(connection, &[id]).await?.remove(&id).unwrap_or_default(),
        secrets: secrets.into_iter().flatten().map(|state| (state.name, MASK)).collect(),
    })
}

/// Checks the lists that are new. What the stored ones name exists.
async fn check_lists(
    connection: &mut Connection,
    checks: &mut Checks,
    before: &ProfileLists,
    lists: &ProfileLists,
) -> Result<(), StoreError> {
    if lists.services != before.services {
        keep_services(connection, checks, &lists.services).await?;
    }
    if lists.proxies != before.proxies {
        keep_proxies(connection, checks, &lists.proxies).await?;
    }
    Ok(())
}

/// Replaces the lists that differ from the stored ones.
async fn write_lists(
    connection: &mut Connection,
    id: ProfileId,
    before: &ProfileLists,
    lists: &ProfileLists,
) -> Result<(), StoreError> {
    if lists.services != before.services {
        profile_relations::set_services(connection, id, &lists.services).await?;
    }
    if lists.proxies != before.proxies {
        profile_relations::set_proxies(connection, id, &lists.proxies).await?;
    }
    Ok(())
}
