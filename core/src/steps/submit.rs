//! Submit: check, compose and insert jobs of many callers together; each caller is answered for itself.
//!
//! Called by the API's enqueuer, which gathers whatever waits while the previous commit is under way. One caller's
//! mistake never fails its neighbours; one caller's jobs are inserted all or none.

use std::{collections::HashMap, sync::Arc};

use serde_json::Value;

use super::{
    After,
    preview::{Cast, Named, check_references, no_command, of_command},
};
use crate::{
    catalogue::PolicyPatch,
    clock::{IdSource, Time},
    compose::JobFacts,
    ids::{CommandId, CommandVersionId, JobId, ProfileId, ProxyId, ServiceId},
    job::{JobState, ReadyJob},
    name,
    policy::Policy,
    recipes::{Recipe, Recipes},
    refusal::{Refusal, RefusalCode},
    secret::Keyring,
    store::{
        Store, StoreError, backlog,
        commands::{self, Command},
        commit,
        ingredients::{self, Found, Wanted},
        submissions::{self, KeyHolder, NewJob},
    },
};

/// Most jobs of one call.
pub const JOBS_MAX: usize = 1000;
/// Priority of a job that names none.
pub const DEFAULT_PRIORITY: i16 = 4;
/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;

/// One job, as a caller asks for it.
#[derive(Debug, Clone, Default)]
pub struct Order {
    /// What to run.
    pub command: Option<CommandId>,
    /// Overrides the command's profile.
    pub profile: Option<ProfileId>,
    /// Overrides the command's proxy and the profile's own choice.
    pub proxy: Option<ProxyId>,
    /// Overrides the services of the command or the profile.
    pub services: Option<Vec<ServiceId>>,
    /// Must fit the command's schema.
    pub input: Option<Value>,
    /// Overrides the command's queue.
    pub queue: Option<String>,
    /// 0 to 9.
    pub priority: Option<i32>,
    /// Not before.
    pub run_at: Option<Time>,
    /// Overrides parts of the command's policy.
    pub policy: Option<PolicyPatch>,
    /// Labels.
    pub labels: Vec<String>,
    /// Makes a repeat of this call harmless.
    pub idempotency_key: Option<String>,
}

/// A job that exists after the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepted {
    /// The job.
    pub job: JobId,
    /// The idempotency key had been used with this very input.
    pub was_duplicate: bool,
}

/// What one caller is told.
pub type Answer = Result<Vec<Accepted>, SubmitError>;

/// Why a caller's jobs were not accepted. Nothing of them was written, but where said otherwise.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The caller can mend it.
    #[error("the jobs were refused")]
    Refused(Vec<Refusal>),
    /// Postgres failed. After `CommitUnknown` they may have been written.
    #[error("the jobs could not be stored")]
    Store(Arc<StoreError>),
}

/// What submitting needs beside the store.
#[derive(Debug)]
pub struct Desk {
    /// Where jobs go.
    pub store: Store,
    /// Seals secret inputs and hashes idempotent requests.
    pub keyring: Keyring,
    /// Compiled commands.
    pub recipes: Recipes,
    /// Makes the jobs' ids.
    pub ids: IdSource,
}

/// Submits the calls of several callers at once; answers are in their order. `is_dispatched`: the caller of this
/// function pushes the references of ready jobs right after.
pub async fn submit(desk: &Desk, calls: &[Vec<Order>], is_dispatched: bool) -> (Vec<Answer>, After) {
    match attempt(desk, calls, is_dispatched).await {
        Ok(done) => done,
        Err(error @ (StoreError::Constraint { .. } | StoreError::Contended(_))) if calls.len() > 1 => {
            tracing::debug!(%error, "a batch of submissions failed; its callers go one by one");
            let (mut answers, mut all) = (Vec::new(), After::default());
            for call in calls {
                let (answer, after) = Box::pin(submit(desk, std::slice::from_ref(call), is_dispatched)).await;
                answers.extend(answer);
                all.merge(after);
            }
            (answers, all)
        }
        Err(StoreError::Constraint { name, .. }) if deleted_meanwhile(&name).is_some() => {
            let path = deleted_meanwhile(&name).unwrap_or_default();
            let refusal = Refusal::new(RefusalCode::NotFound, path, "it was deleted while the job was submitted");
            (vec![Err(SubmitError::Refused(vec![refusal]))], After::default())
        }
        Err(error) => {
            let error = Arc::new(error);
            (calls.iter().map(|_| Err(SubmitError::Store(error.clone()))).collect(), After::default())
        }
    }
}

/// The input that a foreign key refused.
fn deleted_meanwhile(constraint: &str) -> Option<&'static str> {
    match constraint {
        "live_jobs_profile_id_fkey" => Some("profileId"),
        "live_jobs_proxy_id_fkey" => Some("proxyId"),
        "live_job_services_service_id_fkey" => Some("serviceIds"),
        _ => None,
    }
}

async fn attempt(
    desk: &Desk,
    calls: &[Vec<Order>],
    is_dispatched: bool,
) -> Result<(Vec<Answer>, After), StoreError> {
    let pantry = Pantry::load(desk, calls).await?;
    let mut prepared: Vec<Result<Vec<NewJob>, Vec<Refusal>>> = Vec::with_capacity(calls.len());
    for call in calls {
        prepared.push(prepare_call(desk, &pantry, call, is_dispatched));
    }
    let has_keys = calls.iter().flatten().any(|order| order.idempotency_key.is_some());
    let outcome = if has_keys { insert_with_keys(desk, &prepared).await? } else { insert(desk, &prepared).await? };

    let mut after = After::default();
    let mut answers = Vec::with_capacity(calls.len());
    for (prepared, conflicts) in prepared.into_iter().zip(outcome) {
        answers.push(match (prepared, conflicts) {
            (Err(refusals), _) | (Ok(_), Err(refusals)) => Err(SubmitError::Refused(refusals)),
            (Ok(jobs), Ok(accepted)) => {
                for (job, accepted) in jobs.into_iter().zip(&accepted) {
                    if !accepted.was_duplicate {
                        after.note_submitted(job);
                    }
                }
                Ok(accepted)
            }
        });
    }
    Ok((answers, after))
}

/// For each call: what exists now, or why it was refused after all.
type Outcome = Vec<Result<Vec<Accepted>, Vec<Refusal>>>;

async fn insert(desk: &Desk, prepared: &[Result<Vec<NewJob>, Vec<Refusal>>]) -> Result<Outcome, StoreError> {
    let jobs: Vec<NewJob> = prepared.iter().flatten().flatten().cloned().collect();
    if !jobs.is_empty() {
        // One statement is a transaction by itself. A job that exists already is this very one: its COMMIT was
        // not answered, and it was submitted again with the same id.
        submissions::insert(&mut *desk.store.read().await?, &jobs).await?;
    }
    let accept = |jobs: &Vec<NewJob>| {
        jobs.iter().map(|job| Accepted { job: job.id, was_duplicate: false }).collect::<Vec<_>>()
    };
    Ok(prepared.iter().map(|call| call.as_ref().map(accept).map_err(Clone::clone)).collect())
}

/// Inserts call by call within one transaction, each behind a savepoint, so that a key that is taken with other
/// input undoes its own call alone.
async fn insert_with_keys(desk: &Desk, prepared: &[Result<Vec<NewJob>, Vec<Refusal>>]) -> Result<Outcome, StoreError> {
    let mut transaction = desk.store.begin().await?;
    let mut outcome = Vec::with_capacity(prepared.len());
    for call in prepared {
        let jobs = match call {
            Ok(jobs) => jobs,
            Err(refusals) => {
                outcome.push(Err(refusals.clone()));
                continue;
            }
        };
        let mut savepoint = submissions::savepoint(&mut transaction).await?;
        let inserted = submissions::insert(&mut savepoint, jobs).await?;
        let keys: Vec<String> = jobs
            .iter()
            .filter(|job| !inserted.contains(&job.id))
            .filter_map(|job| job.idempotency.as_ref().map(|(key, _)| key.clone()))
            .collect();
        let holders =
            if keys.is_empty() { Vec::new() } else { submissions::key_holders(&mut savepoint, &keys).await? };
        match accept_or_conflict(jobs, &inserted, &holders) {
            Ok(accepted) => {
                savepoint.commit().await?;
                outcome.push(Ok(accepted));
            }
            Err(refusals) => {
                savepoint.rollback().await?;
                outcome.push(Err(refusals));
            }
        }
    }
    commit(transaction).await?;
    Ok(outcome)
}

fn accept_or_conflict(
    jobs: &[NewJob],
    inserted: &[JobId],
    holders: &[KeyHolder],
) -> Result<Vec<Accepted>, Vec<Refusal>> {
    let (mut accepted, mut refusals) = (Vec::new(), Vec::new());
    for (index, job) in jobs.iter().enumerate() {
        if inserted.contains(&job.id) {
            accepted.push(Accepted { job: job.id, was_duplicate: false });
            continue;
        }
        let Some((key, hash)) = &job.idempotency else {
            accepted.push(Accepted { job: job.id, was_duplicate: false });
            continue;
        };
        match holders.iter().find(|holder| holder.key == *key) {
            Some(holder) if holder.hash == hash => {
                accepted.push(Accepted { job: holder.job, was_duplicate: true });
            }
            _ => {
                let message = "this key was used with other input; use a new key for a new job";
                let refusal = Refusal::new(RefusalCode::IdempotencyConflict, "idempotencyKey", message);
                refusals.push(if jobs.len() > 1 { refusal.below(&["jobs", &index.to_string()]) } else { refusal });
            }
        }
    }
    if refusals.is_empty() { Ok(accepted) } else { Err(refusals) }
}

/// Everything that the orders name, loaded at once.
struct Pantry {
    now: Time,
    commands: HashMap<CommandId, Command>,
    recipes: HashMap<CommandVersionId, Arc<Recipe>>,
    found: Found,
}

impl Pantry {
    async fn load(desk: &Desk, calls: &[Vec<Order>]) -> Result<Self, StoreError> {
        let mut connection = desk.store.read().await?;
        let now = backlog::clock(&mut connection).await?;
        let mut ids: Vec<CommandId> = calls.iter().flatten().filter_map(|order| order.command).collect();
        ids.sort_unstable();
        ids.dedup();
        let commands: HashMap<CommandId, Command> =
            commands::load(&mut connection, &ids).await?.into_iter().map(|each| (each.id, each)).collect();
        let versions = commands.values().map(|command| command.version_id);
        let recipes = desk.recipes.load(&mut connection, versions).await?;
        let mut wanted = Wanted::default();
        for order in calls.iter().flatten() {
            wanted.profiles.extend(order.profile);
            wanted.proxies.extend(order.proxy);
            wanted.services.extend(order.services.iter().flatten());
        }
        for command in commands.values() {
            wanted.profiles.extend(command.profile_id);
            wanted.proxies.extend(command.proxy_id);
            wanted.services.extend(&command.service_ids);
        }
        let found = ingredients::load(&mut connection, &wanted).await?;
        Ok(Self { now, commands, recipes, found })
    }
}

fn prepare_call(desk: &Desk, pantry: &Pantry, call: &[Order], is_dispatched: bool) -> Result<Vec<NewJob>, Vec<Refusal>> {
    let (mut jobs, mut refusals) = (Vec::with_capacity(call.len()), Vec::new());
    for (index, order) in call.iter().enumerate() {
        match prepare(desk, pantry, order, is_dispatched) {
            Ok(job) => jobs.push(job),
            Err(found) if call.len() == 1 => refusals.extend(found),
            Err(found) => {
                let index = index.to_string();
                refusals.extend(found.into_iter().map(|refusal| refusal.below(&["jobs", &index])));
            }
        }
    }
    if refusals.is_empty() { Ok(jobs) } else { Err(refusals) }
}

/// Checks and composes one job. Everything that is wrong is told at once.
fn prepare(desk: &Desk, pantry: &Pantry, order: &Order, is_dispatched: bool) -> Result<NewJob, Vec<Refusal>> {
    let unknown = || vec![no_command()];
    let command = order.command.and_then(|id| pantry.commands.get(&id)).ok_or_else(unknown)?;
    let recipe = pantry.recipes.get(&command.version_id).ok_or_else(unknown)?;
    let named = Named { profile: order.profile, proxy: order.proxy, services: order.services.as_deref() };
    let cast = Cast::choose(&pantry.found, named, Some(command));
    let mut refusals = check_references(&pantry.found, named);
    let queue = order.queue.clone().unwrap_or_else(|| command.queue.clone());
    refusals.extend(name::check_queue("queue", &queue).err());
    let priority = order.priority.map_or(i32::from(DEFAULT_PRIORITY), |priority| priority);
    if !(0..=9).contains(&priority) {
        refusals.push(Refusal::invalid("priority", "must be 0 to 9; 9 runs first"));
    }
    let labels = name::check_labels("labels", order.labels.clone()).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        Vec::new()
    });
    let policy = policy_of(order, &recipe.version.policy, &mut refusals);
    refusals.extend(check_key(order).err());

    let id: JobId = desk.ids.make();
    let empty = Value::Object(serde_json::Map::new());
    let input = match recipe.schema.check(order.input.as_ref().unwrap_or(&empty)) {
        Ok(input) => input,
        Err(found) => {
            refusals.extend(found);
            return Err(refusals);
        }
    };
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let job = Some(JobFacts { id, attempt: 1 });
    cast.compose(&pantry.found, &recipe.spec, &input, job, |_| ()).map_err(of_command)?;

    let sealed = |id: JobId| desk.keyring.seal(&input_purpose(id), &input.secrets.to_text());
    let run_at = order.run_at.unwrap_or(pantry.now);
    let expires = policy.as_ref().unwrap_or(&recipe.version.policy).expires_after;
    Ok(NewJob {
        id,
        version_id: command.version_id,
        command_id: command.id,
        queue,
        priority: priority as i16,
        profile_id: cast.profile,
        proxy_id: cast.proxy,
        service_ids: cast.services,
        input: raw(&input.public)?,
        input_sealed: (!input.secrets.is_empty()).then(|| sealed(id)),
        labels,
        policy,
        run_at,
        state: if run_at > pantry.now { JobState::Scheduled } else { JobState::Queued },
        expires_at: expires.map(|after| pantry.now + after.0),
        is_dispatched: is_dispatched && run_at <= pantry.now,
        idempotency: order.idempotency_key.clone().map(|key| (key, fingerprint(desk, order))),
        created_at: pantry.now,
    })
}

/// What the sealed input of a job is bound to.
pub fn input_purpose(job: JobId) -> String {
    format!("job_input:{job}")
}

fn raw(input: &Value) -> Result<Box<serde_json::value::RawValue>, Vec<Refusal>> {
    serde_json::value::to_raw_value(input).map_err(|error| vec![Refusal::invalid("input", error.to_string())])
}

fn policy_of(order: &Order, of_command: &Policy, refusals: &mut Vec<Refusal>) -> Option<Policy> {
    let patch = order.policy.as_ref()?;
    match patch.checked_over(of_command) {
        Ok(policy) => Some(policy),
        Err(found) => {
            refusals.extend(found);
            None
        }
    }
}

fn check_key(order: &Order) -> Result<(), Refusal> {
    let is_fine = |key: &String| !key.is_empty() && key.len() <= IDEMPOTENCY_KEY_BYTES_MAX && !key.contains('\0');
    if order.idempotency_key.as_ref().is_none_or(is_fine) {
        return Ok(());
    }
    let message = format!("must be 1 to {IDEMPOTENCY_KEY_BYTES_MAX} bytes, without NUL");
    Err(Refusal::invalid("idempotencyKey", message))
}

/// Keyed hash of everything that the caller asked for, secrets included; it tells the same request from another.
fn fingerprint(desk: &Desk, order: &Order) -> [u8; 32] {
    let text = format!(
        "{:?}|{:?}|{:?}|{:?}|{}|{:?}|{:?}|{:?}|{:?}|{:?}",
        order.command,
        order.profile,
        order.proxy,
        order.services,
        canonical(order.input.as_ref().unwrap_or(&Value::Null)),
        order.queue,
        order.priority,
        order.run_at,
        order.policy,
        order.labels,
    );
    desk.keyring.mac("idempotency", text.as_bytes())
}

/// JSON with the keys of every object in order, so that the order in which a client wrote them does not matter.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut parts: Vec<String> =
                fields.iter().map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value))).collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}

impl After {
    fn note_submitted(&mut self, job: NewJob) {
        self.changed.push(job.id);
        if job.is_dispatched {
            self.ready.push(ReadyJob { job: job.id, queue: job.queue, priority: job.priority });
        } else if job.state == JobState::Queued {
            self.has_backlog = true;
        }
    }
}
