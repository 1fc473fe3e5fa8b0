//! Fetch work: reads what granted jobs need to run, with a constant number of queries for a batch.
//!
//! Runs right after the claim and only reads.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Instant,
};

use super::claim::Grant;
use crate::{
    clock::Time,
    ids::{CommandVersionId, JobId},
    policy::Policy,
    recipes::{Recipe, Recipes},
    store::{
        Store, StoreError,
        catalogue::ingredients::{self, StoredIngredients, Wanted},
        jobs::{
            inputs::{self, JobInputs},
            live::LiveJob,
        },
    },
};

/// Everything that one attempt needs.
#[derive(Debug, Clone)]
pub struct Work {
    /// The live row as granted.
    pub live: LiveJob,
    /// When the attempt begins, by this machine's clock.
    pub starts_at: Instant,
    /// The same by the database's clock.
    pub at: Time,
    /// The job's stored inputs.
    pub inputs: JobInputs,
    /// The compiled command.
    pub recipe: Arc<Recipe>,
    /// The catalogue rows of the whole batch.
    pub found: Arc<StoredIngredients>,
}

impl Work {
    /// The job's own policy, or that of its command version.
    pub fn policy(&self) -> &Policy {
        self.inputs.policy.as_ref().unwrap_or(&self.recipe.version.policy)
    }
}

/// Reads the work of granted jobs. Leaves out a job whose record is missing.
pub async fn fetch_work(
    store: &Store,
    recipes: &Recipes,
    granted: Vec<Grant>,
) -> Result<Vec<Work>, StoreError> {
    if granted.is_empty() {
        return Ok(Vec::new());
    }
    let mut connection = store.connection().await?;
    let jobs: Vec<JobId> = granted.iter().map(|grant| grant.live.job).collect();
    let mut all_inputs: HashMap<JobId, JobInputs> =
        inputs::load(&mut connection, &jobs).await?.into_iter().map(|inputs| (inputs.job, inputs)).collect();
    let versions: BTreeSet<CommandVersionId> = all_inputs.values().map(|inputs| inputs.version_id).collect();
    let compiled = recipes.load(&mut connection, versions).await?;
    let wanted = Wanted {
        profiles: granted.iter().filter_map(|grant| grant.live.profile).collect(),
        services: all_inputs.values().flat_map(|inputs| inputs.service_ids.iter().copied()).collect(),
        proxies: granted.iter().filter_map(|grant| grant.live.attempt_proxy).collect(),
    };
    let found = ingredients::load(&mut connection, &wanted).await?;
    let found = Arc::new(found);
    let work = granted.into_iter().filter_map(|Grant { live, starts_at, at }| {
        let inputs = all_inputs.remove(&live.job)?;
        let recipe = compiled.get(&inputs.version_id)?.clone();
        Some(Work { live, starts_at, at, inputs, recipe, found: found.clone() })
    });
    Ok(work.collect())
}
