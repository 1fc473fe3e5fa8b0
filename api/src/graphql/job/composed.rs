//! Composes commands of jobs for reading: as the newest attempt ran them, or as they would run now.
//!
//! Secrets are `***` throughout. Sealed inputs are opened only to find out which values are secret.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use callboard::{
    command_kind::Kind,
    compose::{ComposedCommand, JobFacts, SecretInputs},
    evaluator::{Failure, Purpose},
    ids::{CommandVersionId, JobId},
    job::JobState,
    recipes::{Facts, Recipe, choose_proxy, secret_names},
    refusal::Refusal,
    secret::Owner,
    steps::enqueue::context::SubmitContext,
    store::{
        StoreError,
        catalogue::ingredients::{self, StoredIngredients, Wanted},
        jobs::{
            attempts,
            records::{self, Input, JobRecord},
        },
    },
};
use tokio::time::{Instant, timeout_at};

/// Longest time in which the commands of one batch are composed.
const COMPOSING_MAX: Duration = Duration::from_secs(5);
/// Why a command is not shown after that time.
const TOO_MANY: &str = "(not shown: the commands that were read with it took too long. Read fewer at once)";

type Composed = HashMap<JobId, Arc<ComposedCommand>>;

/// Returns the command as the newest attempt ran it or, if that was not recorded, as it would run
/// now.
pub async fn newest_or_now(submit: &SubmitContext, jobs: &[JobId]) -> Result<Composed, StoreError> {
    let mut connection = submit.store.connection().await?;
    let newest = attempts::newest(&mut connection, jobs, true).await?;
    let mut composed: Composed =
        newest.into_iter().filter_map(|newest| Some((newest.job, Arc::new(newest.composed?)))).collect();
    let others: Vec<JobId> = jobs.iter().filter(|job| !composed.contains_key(job)).copied().collect();
    drop(connection);
    composed.extend(now(submit, &others).await?);
    Ok(composed)
}

/// Returns the command as the next attempt would run it now.
pub async fn now(submit: &SubmitContext, jobs: &[JobId]) -> Result<Composed, StoreError> {
    if jobs.is_empty() {
        return Ok(Composed::new());
    }
    let mut connection = submit.store.connection().await?;
    let jobs = records::by_ids(&mut connection, jobs).await?;
    let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
    let inputs: HashMap<JobId, Input> =
        records::inputs(&mut connection, &ids).await?.into_iter().map(|input| (input.job, input)).collect();
    let recipes = submit.recipes.load(&mut connection, jobs.iter().map(|job| job.version_id)).await?;
    let wanted = Wanted {
        profiles: jobs.iter().filter_map(|job| job.profile_id).collect(),
        services: jobs.iter().flat_map(|job| job.service_ids.iter().copied()).collect(),
        proxies: jobs.iter().filter_map(|job| job.proxy_id).collect(),
    };
    let found = ingredients::load(&mut connection, &wanted).await?;
    // What composes may take a while.
    drop(connection);
    let prefetched = Prefetched { submit, recipes, found };
    let until = Instant::now() + COMPOSING_MAX;
    let mut composed = Composed::new();
    for job in &jobs {
        let Some(input) = inputs.get(&job.id) else { continue };
        let command = timeout_at(until, prefetched.compose(job, input)).await;
        let command = command.unwrap_or_else(|_elapsed| not_composed(job.kind, TOO_MANY.to_owned()));
        composed.insert(job.id, Arc::new(command));
    }
    Ok(composed)
}

/// Everything that the jobs refer to, loaded at once.
struct Prefetched<'a> {
    submit: &'a SubmitContext,
    recipes: HashMap<CommandVersionId, Arc<Recipe>>,
    found: StoredIngredients,
}

impl Prefetched<'_> {
    async fn compose(&self, job: &JobRecord, input: &Input) -> ComposedCommand {
        self.try_compose(job, input).await.unwrap_or_else(|display| not_composed(job.kind, display))
    }

    async fn try_compose(&self, job: &JobRecord, input: &Input) -> Result<ComposedCommand, String> {
        let recipe = self.recipes.get(&job.version_id);
        let recipe = recipe.ok_or_else(|| no_longer("the command's version is missing"))?;
        let pointers = self.secret_places(input).map_err(|why| no_longer(&why))?;
        let secrets = secret_names(&self.found, job.profile_id);
        let proxy = choose_proxy(&self.found, job.proxy_id, job.profile_id);
        let facts = Facts::pick(&self.found, &secrets, job.profile_id, proxy, &job.service_ids);
        let attempt = job.attempt + i32::from(job.state != JobState::Running);
        let next = JobFacts { id: job.id, attempt: u32::try_from(attempt.max(1)).unwrap_or(1) };
        let ingredients = facts.with(&input.public, &pointers, Some(next));
        let mut turn = self.submit.evaluator.turn(Purpose::Read);
        let composition = turn.compose(&recipe.spec, &ingredients).await;
        composition.map(|composition| composition.masked()).map_err(|why| match why {
            Failure::Refused(refusals) => no_longer(&in_words(&refusals)),
            Failure::Unavailable(why) => format!("(not shown: the command {why})"),
        })
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
fn no_longer(why: &str) -> String {
    format!("(no longer composes: {why})")
}

/// A command of which only this is known.
fn not_composed(kind: Kind, display: String) -> ComposedCommand {
    ComposedCommand {
        kind,
        program: None,
        arguments: Vec::new(),
        environment: std::collections::BTreeMap::new(),
        http: None,
        display,
    }
}
