//! Composes commands of jobs for reading: as the newest attempt ran them, or as they would run now.
//!
//! Secrets are `***` throughout. Sealed inputs are opened only to find out which values are secret.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use callboard::{
    command::compose,
    command_kind::Kind,
    compose::{ComposedCommand, JobFacts, Nonce, SecretInputs},
    ids::{CommandVersionId, JobId},
    job::JobState,
    recipes::{Facts, Recipe, choose_proxy, secret_names},
    refusal::Refusal,
    secret::Owner,
    steps::enqueue::context::SubmitContext,
    store::{
        Connection, StoreError,
        catalogue::ingredients::{self, StoredIngredients, Wanted},
        jobs::{
            attempts,
            records::{self, Input, JobRecord},
        },
    },
};

type Composed = HashMap<JobId, Arc<ComposedCommand>>;

/// Returns the command as the newest attempt ran it or, if that was not recorded, as it would run
/// now.
pub async fn newest_or_now(submit: &SubmitContext, jobs: &[JobId]) -> Result<Composed, StoreError> {
    let mut connection = submit.store.connection().await?;
    let newest = attempts::newest(&mut connection, jobs, true).await?;
    let mut composed: Composed =
        newest.into_iter().filter_map(|newest| Some((newest.job, Arc::new(newest.composed?)))).collect();
    let others: Vec<JobId> = jobs.iter().filter(|job| !composed.contains_key(job)).copied().collect();
    composed.extend(now_within(submit, &mut connection, &others).await?);
    Ok(composed)
}

/// Returns the command as the next attempt would run it now.
pub async fn now(submit: &SubmitContext, jobs: &[JobId]) -> Result<Composed, StoreError> {
    now_within(submit, &mut *submit.store.connection().await?, jobs).await
}

async fn now_within(
    submit: &SubmitContext,
    connection: &mut Connection,
    jobs: &[JobId],
) -> Result<Composed, StoreError> {
    if jobs.is_empty() {
        return Ok(Composed::new());
    }
    let jobs = records::by_ids(connection, jobs).await?;
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let inputs: HashMap<JobId, Input> =
        records::inputs(connection, &ids).await?.into_iter().map(|input| (input.job, input)).collect();
    let recipes = submit.recipes.load(connection, jobs.iter().map(|job| job.version_id)).await?;
    let wanted = Wanted {
        profiles: jobs.iter().filter_map(|job| job.profile_id).collect(),
        services: jobs.iter().flat_map(|job| job.service_ids.iter().copied()).collect(),
        proxies: jobs.iter().filter_map(|job| job.proxy_id).collect(),
    };
    let found = ingredients::load(connection, &wanted).await?;
    let prefetched = Prefetched { submit, recipes, found };
    let compose = |job: JobRecord| Some((job.id, Arc::new(prefetched.compose(&job, inputs.get(&job.id)?))));
    Ok(jobs.into_iter().filter_map(compose).collect())
}

/// Everything that the jobs refer to, loaded at once.
struct Prefetched<'a> {
    submit: &'a SubmitContext,
    recipes: HashMap<CommandVersionId, Arc<Recipe>>,
    found: StoredIngredients,
}

impl Prefetched<'_> {
    fn compose(&self, job: &JobRecord, input: &Input) -> ComposedCommand {
        self.try_compose(job, input).unwrap_or_else(|why| not_composable(job.kind, &why))
    }

    fn try_compose(&self, job: &JobRecord, input: &Input) -> Result<ComposedCommand, String> {
        let recipe = self.recipes.get(&job.version_id).ok_or("the command's version is missing")?;
        let pointers = self.secret_places(input)?;
        let secrets = secret_names(&self.found, job.profile_id);
        let proxy = choose_proxy(&self.found, job.proxy_id, job.profile_id);
        let facts = Facts::pick(&self.found, &secrets, job.profile_id, proxy, &job.service_ids);
        let attempt = job.attempt + i32::from(job.state != JobState::Running);
        let next = JobFacts { id: job.id, attempt: u32::try_from(attempt.max(1)).unwrap_or(1) };
        let ingredients = facts.with(&input.public, &pointers, Some(next));
        let composition = compose(&recipe.spec, &ingredients, Nonce::draw());
        composition.map(|composition| composition.masked()).map_err(|refusals| in_words(&refusals))
    }

    /// JSON pointers to the secret values of an input.
    fn secret_places(&self, input: &Input) -> Result<BTreeSet<String>, String> {
        let Some(sealed) = &input.sealed else { return Ok(BTreeSet::new()) };
        let unreadable = || "the input's secrets cannot be decrypted".to_owned();
        let text = self.submit.keyring.open(Owner::JobInput(input.job), sealed).map_err(|_| unreadable())?;
        Ok(SecretInputs::from_text(&text).map_err(|_| unreadable())?.pointers())
    }
}

fn in_words(refusals: &[Refusal]) -> String {
    refusals.iter().map(|refusal| refusal.message.as_str()).collect::<Vec<_>>().join("; ")
}

/// Shown for a job that no longer composes because the catalogue changed after it was enqueued.
fn not_composable(kind: Kind, why: &str) -> ComposedCommand {
    ComposedCommand {
        kind,
        program: None,
        arguments: Vec::new(),
        environment: std::collections::BTreeMap::new(),
        http: None,
        display: format!("(no longer composes: {why})"),
    }
}
