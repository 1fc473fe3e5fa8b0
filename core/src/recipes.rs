//! Recipes: compiled command versions, and the catalogue facts that they are composed with.
//!
//! Submit, preview and the worker's attempts all compose through this file, so that they compose
//! alike. Versions never change, so each is compiled once and kept.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use parking_lot::Mutex;
use serde_json::Value;

use crate::{
    cache::{self, Cache},
    command::ReadySpec,
    compose::{Ingredients, JobFacts, ProfileFacts, ProxyFacts, ReadySchema, ServiceFacts},
    ids::{CommandVersionId, ProfileId, ProxyId, ServiceId},
    proxy::HealthStatus,
    store::{
        Connection, StoreError,
        catalogue::{
            command_versions::{self, CommandVersion},
            ingredients::{StoredIngredients, StoredProfile, StoredProxy, StoredService},
        },
    },
};

/// Maximum number of compiled versions in the cache.
const KEPT_MAX: usize = 1024;

/// A command version, ready to compose.
#[derive(Debug)]
pub struct Recipe {
    /// As stored.
    pub version: CommandVersion,
    /// The spec.
    pub spec: ReadySpec,
    /// The schema of the input.
    pub schema: ReadySchema,
}

/// The compiled versions of this process.
#[derive(Debug)]
pub struct Recipes(Mutex<Cache<CommandVersionId, Arc<Recipe>>>);

impl Default for Recipes {
    fn default() -> Self {
        Self(Mutex::new(cache::bounded(KEPT_MAX)))
    }
}

impl Recipes {
    /// Recipes by id. Leaves out versions that do not exist.
    pub async fn load(
        &self,
        connection: &mut Connection,
        ids: impl IntoIterator<Item = CommandVersionId>,
    ) -> Result<HashMap<CommandVersionId, Arc<Recipe>>, StoreError> {
        let ids: BTreeSet<CommandVersionId> = ids.into_iter().collect();
        let mut found: HashMap<_, _> = {
            let mut kept = self.0.lock();
            ids.iter().filter_map(|id| kept.get(id).map(|recipe| (*id, recipe.clone()))).collect()
        };
        let missing: Vec<CommandVersionId> = ids.into_iter().filter(|id| !found.contains_key(id)).collect();
        if missing.is_empty() {
            return Ok(found);
        }
        for version in command_versions::load(connection, &missing).await? {
            let id = version.id;
            let recipe = Arc::new(Recipe::of(version));
            found.insert(id, recipe.clone());
            self.0.lock().put(id, recipe);
        }
        Ok(found)
    }
}

impl Recipe {
    /// Makes a stored version ready. What does not compile is refused when it is composed.
    fn of(version: CommandVersion) -> Self {
        let (spec, schema) =
            (ReadySpec::new(version.spec.clone()), ReadySchema::new(version.input_schema.clone()));
        Self { version, spec, schema }
    }
}

/// The catalogue facts of one job, as composing needs them.
#[derive(Debug)]
pub struct Facts<'a> {
    profile: Option<ProfileFacts<'a>>,
    proxy: Option<ProxyFacts<'a>>,
    services: Vec<ServiceFacts<'a>>,
}

/// The names of a profile's secrets, which [`Facts`] borrow.
pub fn secret_names(found: &StoredIngredients, profile: Option<ProfileId>) -> Vec<String> {
    let stored = profile.and_then(|id| found.profiles.get(&id));
    stored.map(|stored| stored.secrets.iter().map(|secret| secret.name.clone()).collect()).unwrap_or_default()
}

impl<'a> Facts<'a> {
    /// Picks what the job names from the loaded rows. `secrets` are the [`secret_names`] of its
    /// profile.
    pub fn pick(
        found: &'a StoredIngredients,
        secrets: &'a [String],
        profile: Option<ProfileId>,
        proxy: Option<ProxyId>,
        services: &[ServiceId],
    ) -> Self {
        let of_profile = |stored: &'a StoredProfile| ProfileFacts {
            id: stored.profile.id,
            name: &stored.profile.name,
            path: &stored.profile.chrome_profile_path,
            environment: &stored.profile.environment,
            secrets,
        };
        let of_proxy = |stored: &'a StoredProxy| ProxyFacts {
            id: stored.proxy.id,
            name: &stored.proxy.name,
            protocol: stored.proxy.protocol,
            address: &stored.proxy.address,
            has_username: stored.credentials.username.is_some(),
            has_password: stored.credentials.password.is_some(),
        };
        let of_service = |stored: &'a StoredService| ServiceFacts {
            id: stored.service.id,
            name: &stored.service.name,
            base_url: stored.service.base_url.as_deref(),
            token_hosts: &stored.service.token_hosts,
            settings: &stored.service.settings,
            has_token: stored.token.is_some(),
        };
        Self {
            profile: profile.and_then(|id| found.profiles.get(&id)).map(of_profile),
            proxy: proxy.and_then(|id| found.proxies.get(&id)).map(of_proxy),
            services: services.iter().filter_map(|id| found.services.get(id)).map(of_service).collect(),
        }
    }

    /// Adds the job's input.
    pub fn with<'b>(
        &'b self,
        input: &'b Value,
        secret_inputs: &'b BTreeSet<String>,
        job: Option<JobFacts>,
    ) -> Ingredients<'b> {
        Ingredients {
            profile: self.profile,
            proxy: self.proxy,
            services: &self.services,
            input,
            secret_inputs,
            job,
        }
    }
}

/// The proxy that a first attempt would probably take now: the job's own, or the profile's choice.
/// The claim decides for real, because it knows how busy the proxies are and which one was used
/// last.
pub fn choose_proxy(
    found: &StoredIngredients,
    own: Option<ProxyId>,
    profile: Option<ProfileId>,
) -> Option<ProxyId> {
    let chosen = || {
        let stored = profile.and_then(|id| found.profiles.get(&id))?;
        let is_down = |id: &ProxyId| {
            found.proxies.get(id).is_none_or(|stored| stored.proxy.health.status == HealthStatus::Down)
        };
        stored.profile.proxy_selection.pick(&stored.proxies, is_down, |_| 0, None, |_| 0)
    };
    own.or_else(chosen)
}
