//! Composes commands of jobs for reading: as the newest attempt ran them, or as they would run now.
//!
//! Secrets are `***` throughout. Sealed inputs are opened only to find out which values are secret.

use std::{
    collections::{BTreeSet, HashMap},
    fmt,
    sync::Arc,
    time::Duration,
};

use async_graphql::{Context, Result};
use callboard::{
    audit::Actor,
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
        Store, StoreError,
        catalogue::ingredients::{self, StoredIngredients, Wanted},
        jobs::{
            attempts,
            records::{self, Input, JobRecord},
        },
    },
};
use tokio::time::{Instant, timeout_at};

use crate::{
    allowance::Allowance,
    feed::BatchLoader,
    graphql::{job_loaders::outage, reads::ReadConnection},
};

/// Longest time in which the commands of one batch are composed.
const COMPOSING_MAX: Duration = Duration::from_secs(5);
/// Why a command is not shown after that time.
const TOO_MANY: &str = "(not shown: the commands that were read with it took too long. Read fewer at once)";

type Found = HashMap<JobId, Arc<ComposedCommand>>;

/// The commands of jobs that one operation reads. Each has its own batches and the turns of its
/// caller, so that none waits for what another one reads.
pub struct Composed {
    submit: Arc<SubmitContext>,
    reads: Store,
    allowance: Arc<Allowance>,
    actor: Arc<Actor>,
    newest_or_now: BatchLoader<JobId, Arc<ComposedCommand>>,
    now: BatchLoader<JobId, Arc<ComposedCommand>>,
}

impl Composed {
    /// For an operation of this actor, which reads with the connections of `reads`.
    pub fn new(
        submit: Arc<SubmitContext>,
        reads: Store,
        allowance: Arc<Allowance>,
        actor: Arc<Actor>,
    ) -> Self {
        let (newest_or_now, now) = Default::default();
        Self { submit, reads, allowance, actor, newest_or_now, now }
    }

    /// Returns that of the operation.
    pub fn of<'a>(ctx: &Context<'a>) -> Result<&'a Self> {
        ctx.data::<Self>()
    }

    /// Returns the command as the newest attempt ran it or, if that was not recorded, as it would
    /// run now. `None` if there is no such job.
    pub async fn newest_or_now(&self, job: JobId) -> Result<Option<Arc<ComposedCommand>>> {
        let read = |jobs: Vec<JobId>| async move { self.read_newest_or_now(&jobs).await };
        self.newest_or_now.load(job, read).await.map_err(outage)
    }

    /// Returns the command as the next attempt would run it now. `None` if there is no such job.
    pub async fn now(&self, job: JobId) -> Result<Option<Arc<ComposedCommand>>> {
        let compose = |jobs: Vec<JobId>| async move { self.compose(&jobs).await };
        self.now.load(job, compose).await.map_err(outage)
    }

    async fn read_newest_or_now(&self, jobs: &[JobId]) -> Result<Found, StoreError> {
        let mut connection = ReadConnection::of(&self.reads, &self.allowance).await?;
        let newest = attempts::newest(&mut connection, jobs, true).await?;
        drop(connection);
        let recorded = newest.into_iter().filter_map(|newest| Some((newest.job, Arc::new(newest.composed?))));
        let mut found: Found = recorded.collect();
        let others: Vec<JobId> = jobs.iter().filter(|job| !found.contains_key(job)).copied().collect();
        found.extend(self.compose(&others).await?);
        Ok(found)
    }

    async fn compose(&self, jobs: &[JobId]) -> Result<Found, StoreError> {
        if jobs.is_empty() {
            return Ok(Found::new());
        }
        let mut connection = ReadConnection::of(&self.reads, &self.allowance).await?;
        let jobs = records::by_ids(&mut connection, jobs).await?;
        let ids: Vec<JobId> = jobs.iter().map(|job| job.id).collect();
        let inputs = records::inputs(&mut connection, &ids).await?;
        let inputs: HashMap<JobId, Input> = inputs.into_iter().map(|input| (input.job, input)).collect();
        let recipes =
            self.submit.recipes.load(&mut connection, jobs.iter().map(|job| job.version_id)).await?;
        let wanted = Wanted {
            profiles: jobs.iter().filter_map(|job| job.profile_id).collect(),
            services: jobs.iter().flat_map(|job| job.service_ids.iter().copied()).collect(),
            proxies: jobs.iter().filter_map(|job| job.proxy_id).collect(),
        };
        let found = ingredients::load(&mut connection, &wanted).await?;
        // What composes may take a while.
        drop(connection);
        let prefetched = Prefetched { submit: &self.submit, actor: &self.actor, recipes, found };
        let until = Instant::now() + COMPOSING_MAX;
        let mut composed = Found::new();
        for job in &jobs {
            let Some(input) = inputs.get(&job.id) else { continue };
            let command = timeout_at(until, prefetched.compose(job, input)).await;
            let command = command.unwrap_or_else(|_elapsed| not_composed(job.kind, TOO_MANY.to_owned()));
            composed.insert(job.id, Arc::new(command));
        }
        Ok(composed)
    }
}

impl fmt::Debug for Composed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Composed")
    }
}

/// Everything that the jobs refer to, loaded at once.
struct Prefetched<'a> {
    submit: &'a SubmitContext,
    actor: &'a Actor,
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
        let mut turn = self.submit.evaluator.turn(Purpose::Read(self.actor));
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
