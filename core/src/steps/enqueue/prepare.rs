//! Preparing jobs: every check, and the composition, before anything is written. Pure but for the one load in front.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use serde_json::Value;

use super::{
    caps::Caps,
    context::Desk,
    submit::{DEFAULT_PRIORITY, DEPENDENCIES_MAX, KEY_BYTES_MAX, Order},
    targets::{Cast, Named, check_references, no_command, of_command},
};
use crate::{
    clock::Time,
    compose::{Input, JobFacts, SecretInputs},
    ids::{CommandId, CommandVersionId, JobId},
    job::JobState,
    name,
    policy::Policy,
    recipes::Recipe,
    refusal::{Refusal, RefusalCode},
    secret::input_purpose,
    store::{
        Connection, StoreError,
        catalogue::{
            commands::{self, Command},
            ingredients::{self, Found, Wanted},
        },
        jobs::{dependencies, insert::NewJob, live::CommandLimits},
        queues::backlog,
    },
};

/// Everything that the orders name, loaded at once.
pub(super) struct Pantry {
    now: Time,
    commands: HashMap<CommandId, Command>,
    recipes: HashMap<CommandVersionId, Arc<Recipe>>,
    found: Found,
    /// Those of the jobs that are depended on that exist.
    jobs: HashSet<JobId>,
    /// Caps that may refuse new jobs.
    caps: Caps,
}

impl Pantry {
    pub(super) async fn load(
        desk: &Desk,
        connection: &mut Connection,
        calls: &[Vec<Order>],
    ) -> Result<Self, StoreError> {
        let mut ids: Vec<CommandId> = calls.iter().flatten().filter_map(|order| order.command).collect();
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
        let recipes = desk.recipes.load(connection, versions).await?;
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
        let found = ingredients::load(connection, &wanted).await?;
        let needed: Vec<JobId> =
            calls.iter().flatten().flat_map(|order| order.depends_on.iter().copied()).collect();
        let jobs = if needed.is_empty() {
            HashSet::new()
        } else {
            dependencies::existing(connection, &needed).await?.into_iter().collect()
        };
        let policies = commands
            .values()
            .filter_map(|command| Some((command.id, &recipes.get(&command.version_id)?.version.policy)));
        let caps = Caps::load(connection, calls, policies, &found).await?;
        Ok(Self { now, commands, recipes, found, jobs, caps })
    }

    /// The input of an order that was prepared, its secrets apart.
    pub(super) fn split_input(&self, order: &Order) -> Input {
        let input = order.input.clone().unwrap_or_else(empty_input);
        let command = order.command.and_then(|id| self.commands.get(&id));
        match command.and_then(|command| self.recipes.get(&command.version_id)) {
            Some(recipe) => recipe.schema.split(input),
            None => Input { public: input, secrets: SecretInputs::default() },
        }
    }
}

/// All jobs of one call, or everything that is wrong with them.
pub(super) fn prepare_call(
    desk: &Desk,
    pantry: &Pantry,
    call: &[Order],
    is_dispatched: bool,
) -> Result<Vec<NewJob>, Vec<Refusal>> {
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
    let priority = order.priority.unwrap_or(i32::from(DEFAULT_PRIORITY));
    if !(0..=9).contains(&priority) {
        refusals.push(Refusal::invalid("priority", "must be 0 to 9; 9 runs first"));
    }
    let labels = name::check_labels("labels", order.labels.clone()).unwrap_or_else(|refusal| {
        refusals.push(refusal);
        Vec::new()
    });
    let policy = policy_of(order, &recipe.version.policy, &mut refusals);
    let applied = policy.as_ref().unwrap_or(&recipe.version.policy);
    refusals.extend(pantry.caps.check(command.id, applied, &cast, &pantry.found, pantry.now));
    refusals.extend(check_keys(order));
    refusals.extend(check_dependencies(pantry, order));

    let id: JobId = desk.ids.make();
    let input = match recipe.schema.check(&order.input.clone().unwrap_or_else(empty_input)) {
        Ok(input) => input,
        Err(found) => {
            refusals.extend(found);
            return Err(refusals);
        }
    };
    refusals.extend(order.kept_secret.missing_from(&input.secrets).into_iter().map(not_kept));
    if !refusals.is_empty() {
        return Err(refusals);
    }
    let job = Some(JobFacts { id, attempt: 1 });
    cast.compose(&pantry.found, &recipe.spec, &input, job, |_| ()).map_err(of_command)?;

    let run_at = order.run_at.unwrap_or(pantry.now);
    let expires_at = applied.expires_after.map(|after| pantry.now + after.0);
    let command_limits = (!applied.limits.is_none())
        .then(|| CommandLimits { command: command.id.uuid(), limits: Arc::new(applied.limits.clone()) });
    Ok(NewJob {
        id,
        version_id: command.version_id,
        command_id: command.id,
        queue,
        priority: priority as i16,
        fairness_key: order.fairness_key.clone(),
        round: 0,
        profile_id: cast.profile,
        proxy_id: cast.proxy,
        service_ids: cast.services,
        input: raw(&input.public)?,
        input_sealed: (!input.secrets.is_empty())
            .then(|| desk.keyring.seal(&input_purpose(id), &input.secrets.to_text())),
        labels,
        policy,
        command_limits,
        run_at,
        state: if run_at > pantry.now { JobState::Scheduled } else { JobState::Queued },
        expires_at,
        needs: order.depends_on.clone(),
        is_dispatched: is_dispatched && run_at <= pantry.now,
        schedule: order.schedule,
        idempotency: order.idempotency_key.clone().map(|key| (key, fingerprint(desk, order))),
        created_at: pantry.now,
    })
}

/// What was given as a secret would be one no more.
fn not_kept(place: &str) -> Refusal {
    let message = "was given as a secret, and the command's inputSchema does not mark it writeOnly any more";
    let path: Vec<&str> = std::iter::once("input").chain(place.split('/').skip(1)).collect();
    Refusal::invalid("", message).below(&path)
}

fn empty_input() -> Value {
    Value::Object(serde_json::Map::new())
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

fn check_keys(order: &Order) -> Vec<Refusal> {
    let is_bad = |key: &String| key.is_empty() || key.len() > KEY_BYTES_MAX || key.contains('\0');
    let keys = [("idempotencyKey", &order.idempotency_key), ("fairnessKey", &order.fairness_key)];
    let bad = keys.into_iter().filter(|(_, key)| key.as_ref().is_some_and(is_bad));
    let message = format!("must be 1 to {KEY_BYTES_MAX} bytes, without NUL");
    bad.map(|(path, _)| Refusal::invalid(path, message.clone())).collect()
}

fn check_dependencies(pantry: &Pantry, order: &Order) -> Vec<Refusal> {
    let count = order.depends_on.len();
    if count > DEPENDENCIES_MAX {
        let message = format!("has {count} jobs; at most {DEPENDENCIES_MAX} are taken");
        return vec![Refusal::new(RefusalCode::TooMany, "dependsOn", message)];
    }
    let mut seen = HashSet::with_capacity(count);
    let mut refusals = Vec::new();
    for (index, job) in order.depends_on.iter().enumerate() {
        let path = format!("dependsOn.{index}");
        if !pantry.jobs.contains(job) {
            refusals.push(Refusal::not_found(&path, "job"));
        } else if !seen.insert(job) {
            refusals.push(Refusal::invalid(&path, "this job is in the list already"));
        }
    }
    refusals
}

/// Keyed hash of everything that the caller asked for, secrets included; it tells the same request from another.
fn fingerprint(desk: &Desk, order: &Order) -> [u8; 32] {
    let mut text = format!(
        "{:?}|{:?}|{:?}|{:?}|{}|{:?}|{:?}|{:?}|{:?}|{:?}|{:?}",
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
        order.depends_on,
    );
    // Left out otherwise: keys that were used before there was this field stay good.
    if let Some(key) = &order.fairness_key {
        text = format!("{text}|{key:?}");
    }
    desk.keyring.mac("idempotency", text.as_bytes())
}

/// JSON with the keys of every object in order, so that the order in which a client wrote them does not matter.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut parts: Vec<String> = fields
                .iter()
                .map(|(key, value)| format!("{}:{}", Value::from(key.as_str()), canonical(value)))
                .collect();
            parts.sort();
            format!("{{{}}}", parts.join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.to_string(),
    }
}
