//! Prepare: prefetches rows, then checks and composes every job before anything is written.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;
use tokio::{
    task::yield_now,
    time::{Duration, Instant},
};

use super::{
    caps::Caps,
    context::SubmitContext,
    fingerprint::{self, Resolved},
    submit::{DEFAULT_PRIORITY, DEPENDENCIES_MAX, KEY_BYTES_MAX},
    targets::{Targets, check_length, check_references, no_command, of_command},
};
use crate::{
    clock::Time,
    compose::{Input, JobFacts, SecretInputs, split},
    evaluator::{Failure, Turn, Unavailable},
    ids::{CommandId, CommandVersionId, JobId},
    job::{JobRequest, JobState},
    name,
    policy::Policy,
    recipes::Recipe,
    refusal::{Refusal, RefusalCode},
    secret::Owner,
    steps::choices::{Named, check_choices},
    store::{
        Connection, StoreError,
        catalogue::{
            commands::{self, Command},
            ingredients::{self, StoredIngredients, Wanted},
        },
        jobs::{
            dependencies,
            insert::{Idempotency, NewJob},
            live::CommandLimits,
        },
        queues::backlog,
    },
};

/// Longest time in which the jobs of one submission are composed.
const SUBMISSION_MAX: Duration = Duration::from_secs(5);
/// After how many jobs other work of the process gets its turn.
const YIELD_EVERY: usize = 16;

/// Everything that the job requests name, loaded at once.
pub(super) struct Prefetched {
    /// When it was loaded, by the database's clock. Jobs are written later.
    now: Time,
    commands: HashMap<CommandId, Command>,
    recipes: HashMap<CommandVersionId, Arc<Recipe>>,
    found: StoredIngredients,
    /// The dependencies that exist.
    jobs: HashSet<JobId>,
    /// Caps that may refuse new jobs.
    caps: Caps,
}

impl Prefetched {
    pub(super) async fn load(
        context: &SubmitContext,
        connection: &mut Connection,
        submissions: &[impl AsRef<[JobRequest]> + Sync],
    ) -> Result<Self, StoreError> {
        let requests = || submissions.iter().flat_map(AsRef::as_ref);
        let mut ids: Vec<CommandId> = requests().map(|request| request.command).collect();
        ids.sort_unstable();
        ids.dedup();
        let (commands, read_at) = commands::load_with_clock(connection, &ids).await?;
        let now = match read_at {
            Some(read_at) => read_at,
            None => backlog::clock(connection).await?,
        };
        let commands: HashMap<CommandId, Command> =
            commands.into_iter().map(|each| (each.id, each)).collect();
        let versions = commands.values().map(|command| command.version_id);
        let recipes = context.recipes.load(connection, versions).await?;
        let mut wanted = Wanted::default();
        for request in requests() {
            wanted.profiles.extend(request.profile);
            wanted.proxies.extend(request.proxy);
            wanted.services.extend(request.services.iter().flatten());
        }
        for command in commands.values() {
            wanted.profiles.extend(command.profile_id);
            wanted.proxies.extend(command.proxy_id);
            wanted.services.extend(&command.service_ids);
        }
        let found = ingredients::load(connection, &wanted).await?;
        let needed: Vec<JobId> = requests().flat_map(|request| request.depends_on.iter().copied()).collect();
        let jobs = if needed.is_empty() {
            HashSet::new()
        } else {
            dependencies::existing(connection, &needed).await?.into_iter().collect()
        };
        let policies = commands
            .values()
            .filter_map(|command| Some((command.id, &recipes.get(&command.version_id)?.version.policy)));
        let caps = Caps::load(connection, submissions, policies, &found).await?;
        Ok(Self { now, commands, recipes, found, jobs, caps })
    }

    /// The input of a job request, split into public and secret values.
    pub(super) async fn split_input(
        &self,
        turn: &mut Turn<'_>,
        request: &JobRequest,
    ) -> Result<Input, Failure> {
        let input = request.input.clone().unwrap_or_else(empty_input);
        let command = self.commands.get(&request.command);
        match command.and_then(|command| self.recipes.get(&command.version_id)) {
            Some(recipe) => turn.split_input(&recipe.schema, input).await,
            None => Ok(Input { public: input, secrets: SecretInputs::default() }),
        }
    }
}

/// The jobs of one submission.
pub(super) type Prepared = Result<Vec<NewJob>, Failure>;

/// How submissions are prepared.
pub(super) struct Preparing<'a> {
    pub(super) context: &'a SubmitContext,
    pub(super) prefetched: &'a Prefetched,
    /// Whether the references of ready jobs are pushed right after.
    pub(super) is_dispatched: bool,
    /// From then on everything counts as too heavy to be prepared together with others.
    pub(super) until: Option<Instant>,
}

impl Preparing<'_> {
    /// All jobs of one submission, or everything that is wrong with them.
    pub(super) async fn submission(&self, submission: &[JobRequest], turn: &mut Turn<'_>) -> Prepared {
        let (mut jobs, mut refusals) = (Vec::with_capacity(submission.len()), Vec::new());
        let (since, waited_before) = (Instant::now(), turn.waited());
        for (index, request) in submission.iter().enumerate() {
            if index % YIELD_EVERY == YIELD_EVERY - 1 {
                yield_now().await;
            }
            if self.until.is_some_and(|until| Instant::now() > until) {
                return Err(Unavailable::NotLight.into());
            }
            if since.elapsed().saturating_sub(turn.waited().saturating_sub(waited_before)) > SUBMISSION_MAX {
                let seconds = SUBMISSION_MAX.as_secs();
                let message =
                    format!("composing the jobs took longer than {seconds} s. Submit fewer at once");
                refusals.push(Refusal::new(RefusalCode::NotComposable, "jobs", message));
                break;
            }
            match prepare(self, request, turn).await {
                Ok(job) => jobs.push(job),
                Err(Failure::Unavailable(why)) => return Err(why.into()),
                Err(Failure::Refused(found)) if submission.len() == 1 => refusals.extend(found),
                Err(Failure::Refused(found)) => {
                    let index = index.to_string();
                    refusals.extend(found.into_iter().map(|refusal| refusal.below(&["jobs", &index])));
                }
            }
        }
        if refusals.is_empty() { Ok(jobs) } else { Err(refusals.into()) }
    }

    /// How a repeat of a submission is recognised that is refused now. `None` unless each of its
    /// requests has a key that a job can have.
    pub(super) async fn given(
        &self,
        submission: &[JobRequest],
        turn: &mut Turn<'_>,
    ) -> Result<Option<Vec<Idempotency>>, Unavailable> {
        let mut given = Vec::with_capacity(submission.len());
        for request in submission {
            let key = request.idempotency_key.as_deref().filter(|_| check_keys(request).is_empty());
            let labels = name::check_labels("labels", request.labels.clone());
            let (Some(key), Ok(labels)) = (key, labels) else { return Ok(None) };
            match self.prefetched.split_input(turn, request).await {
                Ok(input) => {
                    let keyring = &self.context.keyring;
                    given.push(fingerprint::of_given(keyring, key, request, &input, &labels));
                }
                Err(Failure::Refused(_)) => return Ok(None),
                Err(Failure::Unavailable(why)) => return Err(why),
            }
        }
        Ok(Some(given))
    }
}

/// Checks and composes one job. Reports everything that is wrong at once.
async fn prepare(
    preparing: &Preparing<'_>,
    request: &JobRequest,
    turn: &mut Turn<'_>,
) -> Result<NewJob, Failure> {
    let &Preparing { context, prefetched, is_dispatched, .. } = preparing;
    let unknown = || vec![no_command()];
    let command = prefetched.commands.get(&request.command).ok_or_else(unknown)?;
    let recipe = prefetched.recipes.get(&command.version_id).ok_or_else(unknown)?;
    let named =
        Named { profile: request.profile, proxy: request.proxy, services: request.services.as_deref() };
    check_length(named).map_err(|refusal| vec![refusal])?;
    let targets = Targets::choose(&prefetched.found, named, Some(command));
    let mut refusals = check_references(&prefetched.found, named);
    let actor = request.by.as_ref().map(|by| &*by.actor);
    refusals.extend(check_choices(&prefetched.found, named, command, actor));
    let (queue, priority, labels) = place_of(request, command, &mut refusals);
    let policy = policy_of(request, &recipe.version.policy, &mut refusals);
    let applied = policy.as_ref().unwrap_or(&recipe.version.policy);
    refusals.extend(prefetched.caps.check(command.id, applied, &targets, &prefetched.found, prefetched.now));
    refusals.extend(check_keys(request));
    refusals.extend(check_dependencies(prefetched, request));

    let id: JobId = context.ids.make();
    let input = checked_input(turn, recipe, request, refusals).await?;
    let job = Some(JobFacts { id, attempt: 1 });
    let composed = targets.compose(turn, &prefetched.found, &recipe.spec, &input, job, |_| ());
    composed.await.map_err(of_command)?;

    let is_later = request.run_at.is_some_and(|at| at > prefetched.now);
    let expires_after = applied.expires_after;
    let command_limits = (!applied.limits.is_none())
        .then(|| CommandLimits { command: command.id.uuid(), limits: Arc::new(applied.limits.clone()) });
    let mut job = NewJob {
        id,
        version_id: command.version_id,
        command_id: command.id,
        command_name: command.name.clone(),
        queue,
        priority,
        fairness_key: request.fairness_key.clone(),
        round: 0,
        profile_id: targets.profile,
        proxy_id: targets.proxy,
        service_ids: targets.services,
        input: raw(&input.public)?,
        input_sealed: (!input.secrets.is_empty())
            .then(|| context.keyring.seal(Owner::JobInput(id), &input.secrets.to_text())),
        labels,
        policy,
        command_limits,
        run_at: request.run_at,
        // If its time comes before it is written, it is promoted right after.
        state: if is_later { JobState::Scheduled } else { JobState::Queued },
        expires_after,
        needs: request.depends_on.clone(),
        is_dispatched: is_dispatched && !is_later,
        schedule: request.schedule,
        by: request.by.clone(),
        idempotency: None,
    };
    let applied = job.policy.as_ref().unwrap_or(&recipe.version.policy);
    job.idempotency = kept_as(context, request, &job, &input, applied);
    Ok(job)
}

/// The input, unless it or something else is refused.
async fn checked_input(
    turn: &mut Turn<'_>,
    recipe: &Recipe,
    request: &JobRequest,
    mut refusals: Vec<Refusal>,
) -> Result<Input, Failure> {
    let given = request.input.clone().unwrap_or_else(empty_input);
    match turn.check_input(&recipe.schema, given).await {
        Ok(input) => {
            refusals.extend(request.kept_secret.missing_from(&input.secrets).into_iter().map(not_kept));
            if refusals.is_empty() { Ok(input) } else { Err(refusals.into()) }
        }
        Err(Failure::Refused(found)) => {
            refusals.extend(found);
            Err(refusals.into())
        }
        Err(Failure::Unavailable(why)) => Err(why.into()),
    }
}

/// The queue, the priority and the labels.
fn place_of(
    request: &JobRequest,
    command: &Command,
    refusals: &mut Vec<Refusal>,
) -> (String, i16, Vec<String>) {
    let queue = request.queue.clone().unwrap_or_else(|| command.queue.clone());
    refusals.extend(name::check_queue("queue", &queue).err());
    let priority = request.priority.unwrap_or(i32::from(DEFAULT_PRIORITY));
    if !(0..=9).contains(&priority) {
        refusals.push(Refusal::invalid("priority", "must be 0 to 9, where 9 runs first"));
    }
    let labels = name::check_labels("labels", request.labels.clone()).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        Vec::new()
    });
    (queue, priority as i16, labels)
}

/// How a repeat of the request is recognised, if it has an idempotency key.
fn kept_as(
    context: &SubmitContext,
    request: &JobRequest,
    job: &NewJob,
    input: &Input,
    policy: &Policy,
) -> Option<Idempotency> {
    let key = request.idempotency_key.as_deref()?;
    let resolved = Resolved {
        profile: job.profile_id,
        proxy: job.proxy_id,
        services: &job.service_ids,
        input: &input.public,
        queue: &job.queue,
        run_at: job.run_at.filter(|_| job.state == JobState::Scheduled),
        policy,
        labels: &job.labels,
    };
    let given = split(request.input.clone().unwrap_or_else(empty_input), input.secrets.pointers());
    Some(fingerprint::of(&context.keyring, key, request, &given, &resolved))
}

/// Refuses a value that was given as a secret and would now be stored in the clear.
fn not_kept(place: &str) -> Refusal {
    let message = "was given as a secret, but the command's inputSchema no longer marks it writeOnly";
    let path: Vec<&str> = std::iter::once("input").chain(place.split('/').skip(1)).collect();
    Refusal::invalid("", message).below(&path)
}

fn empty_input() -> Value {
    Value::Object(serde_json::Map::new())
}

fn raw(input: &Value) -> Result<Box<serde_json::value::RawValue>, Failure> {
    serde_json::value::to_raw_value(input)
        .map_err(|error| vec![Refusal::invalid("input", error.to_string())].into())
}

fn policy_of(request: &JobRequest, of_command: &Policy, refusals: &mut Vec<Refusal>) -> Option<Policy> {
    let patch = request.policy.as_ref()?;
    match patch.checked_over(of_command) {
        Ok(policy) => Some(policy),
        Err(found) => {
            refusals.extend(found);
            None
        }
    }
}

fn check_keys(request: &JobRequest) -> Vec<Refusal> {
    let is_bad = |key: &String| key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains('\0');
    let keys = [("idempotencyKey", &request.idempotency_key), ("fairnessKey", &request.fairness_key)];
    let bad = keys.into_iter().filter(|(_, key)| key.as_ref().is_some_and(is_bad));
    let message = format!("must be 1 to {KEY_BYTES_MAX} bytes, without NUL");
    bad.map(|(path, _)| Refusal::invalid(path, message.clone())).collect()
}

fn check_dependencies(prefetched: &Prefetched, request: &JobRequest) -> Vec<Refusal> {
    let count = request.depends_on.len();
    if count > DEPENDENCIES_MAX {
        let message = format!("has {count} jobs, but at most {DEPENDENCIES_MAX} are allowed");
        return vec![Refusal::new(RefusalCode::TooMany, "dependsOn", message)];
    }
    let mut seen = HashSet::with_capacity(count);
    let mut refusals = Vec::new();
    for (index, job) in request.depends_on.iter().enumerate() {
        let path = format!("dependsOn.{index}");
        if !prefetched.jobs.contains(job) {
            refusals.push(Refusal::not_found(&path, "job"));
        } else if !seen.insert(job) {
            refusals.push(Refusal::invalid(&path, "this job is already in the list"));
        }
    }
    refusals
}
